"""Style of all pictures: colours, panels, files."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zeroskip.base.errors import InputError
from zeroskip.base.staging import replaced_path

__all__ = [
    "COLOURS", "MARKERS", "OTHERS", "PICTURES", "check_picture", "explain", "panels", "save",
]  # fmt: skip

PICTURES = (".png", ".svg")
"""Formats of pictures."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Of our curves; told apart with every kind of colour vision (Okabe and Ito)."""

MARKERS = ("o", "s", "^", "D", "v", "P")
"""Of our curves, so that they differ without colours too."""

OTHERS = "#444444"
"""Of what others published."""

_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e0e0e0",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "zeroskip",
}
_COLUMNS = 3
_CHARS_PER_INCH = 13


def check_picture(path: Path) -> None:
    """Refuse names that do not say the format.

    Raises
    ------
    InputError
        If the suffix is none of :data:`PICTURES`.
    """
    if path.suffix not in PICTURES:
        raise InputError(f"the picture must end in {' or '.join(PICTURES)}, not {path.name!r}")


def panels(names: Sequence[str], title: str, about: str) -> tuple[Figure, list[Axes]]:
    """Make a figure with a panel per name, which share their axes.

    Parameters
    ----------
    names : titles of the panels.
    title, about : first line of the figure, and what is under it in small print.
    """
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    width = max(5.2, 3.2 * columns)
    # One panel is narrower than the longest line of small print.
    small = [textwrap.fill(line, int(_CHARS_PER_INCH * width)) for line in about.split("\n")]
    about = "\n".join(small)
    lines = 1 + about.count("\n") + 1
    height = 2.15 * rows + 0.75 + 0.19 * lines
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.suptitle(f"$\\bf{{{_bold(title)}}}$\n{about}", fontsize=10, x=0.01, ha="left")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    axes = list(grid.flat)
    for name, panel in zip(names, axes, strict=False):
        panel.set_title(name, loc="left")
        # Axes are shared, but each shows its numbers.
        panel.tick_params(labelbottom=True, labelleft=True)
    for unused in axes[len(names) :]:
        unused.set_visible(False)
    return figure, axes[: len(names)]


def explain(figure: Figure, axes: Sequence[Axes], *, ncols: int) -> None:
    """Explain each look once, under the panels."""
    looks: dict[str, Any] = {}
    for panel in axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            looks.setdefault(label, handle)
    figure.legend(
        looks.values(),
        looks.keys(),
        loc="outside lower center",
        ncols=ncols,
        frameon=False,
        fontsize=9,
    )


def save(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all; the suffix says the format.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    check_picture(path)
    # Without a date, the same table gives the same bytes.
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    with rc_context(_STYLE), replaced_path(path) as draft:
        figure.savefig(draft, dpi=150, metadata=metadata)


def _bold(text: str) -> str:
    """Write text so that the mathematical typesetter leaves it as it is."""
    return text.replace(" ", "\\ ").replace("%", "\\%").replace("-", "\\text{-}")
