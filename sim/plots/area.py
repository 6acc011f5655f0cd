"""Draw the area of designs from commit to commit, from the history of the baseline."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zeroskip.base.errors import InputError, ToolError
from zeroskip.flow.synth.baseline import BASELINE, parse_baseline
from zeroskip.sim.plots.style import COLOURS, MARKERS, OTHERS, panels

__all__ = ["Commit", "draw_area", "read_history"]

_LINE = 0.075
"""Of a panel's height, what a line of small print takes."""


@dataclass(frozen=True)
class Commit:
    """A commit that changed the baseline: its short name, its day, and the figures since then."""

    name: str
    day: str
    designs: Mapping[str, Any]


def read_history(path: Path = BASELINE) -> list[Commit]:
    """Read all versions of the baseline, the oldest first.

    Raises
    ------
    InputError
        If git has none.
    ToolError
        If git is missing.
    """
    lines = _git(path, "log", "--format=%h %cs", "--", path.name).splitlines()
    if not lines:
        raise InputError(f"git has no version of {path}: commit the baseline first")
    commits = []
    for line in reversed(lines):
        name, day = line.split()
        try:
            document = json.loads(_git(path, "show", f"{name}:./{path.name}"))
            designs = parse_baseline(document, f"{path} of {name}")
        except (InputError, json.JSONDecodeError):
            continue  # that commit removed it, or left it damaged
        commits.append(Commit(name, day, designs))
    return commits


def _git(path: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=path.parent, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        if not path.parent.is_dir():
            raise InputError(f"there is no folder {path.parent}") from error
        raise ToolError(
            "git is not on PATH; it has the history of areas: install it, for instance with "
            "'apt install git'"
        ) from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"git has no history of {path}: {reason}")
    return done.stdout


def draw_area(history: Sequence[Commit]) -> Figure:
    """Draw the logic of each design's PE and its largest units over the commits.

    Raises
    ------
    InputError
        If there is no commit.
    """
    if not history:
        raise InputError("there is no version of the baseline to draw")
    designs = sorted({name for commit in history for name in commit.designs})
    figure, axes = panels(
        designs,
        "Logic of a PE by commit",
        "registers and gates in gate equivalents (NAND2 = 1), SRAMs left out; "
        f"{history[0].day} to {history[-1].day}",
    )
    for design, panel in zip(designs, axes, strict=True):
        _panel(panel, history, design)
    # Once all are drawn: they share their range.
    for panel in axes:
        _name_curves(panel)
    figure.supylabel("area (GE)", fontsize=9)
    return figure


def _name_curves(panel: Axes) -> None:
    """Write each curve's name at its end, above those that would be under it."""
    low, high = np.log10(panel.get_ylim())
    apart, below = _LINE * (high - low), low
    for curve in sorted(
        panel.get_lines(), key=lambda curve: float(np.ravel(curve.get_ydata())[-1])
    ):
        x, y = (float(np.ravel(data)[-1]) for data in (curve.get_xdata(), curve.get_ydata()))
        below = max(np.log10(y), below + apart)
        panel.annotate(
            str(curve.get_label()),
            (x, y),
            xytext=(x + 0.3, 10**below),
            fontsize=7,
            color=str(curve.get_color()),
            va="center",
        )


def _panel(panel: Axes, history: Sequence[Commit], design: str) -> None:
    versions = {
        place: commit.designs[design]["units"]
        for place, commit in enumerate(history)
        if design in commit.designs
    }
    newest = versions[max(versions)]
    units = [name for name in newest if name.startswith("pe ")]
    units = sorted(units, key=lambda name: -newest[name]["logic_ge"])[: len(COLOURS)]
    for name, colour, marker in [
        ("pe", OTHERS, "."),
        *zip(units, COLOURS, MARKERS, strict=False),
    ]:
        label = "whole PE" if name == "pe" else name.removeprefix("pe ")
        points = {place: v[name]["logic_ge"] for place, v in versions.items() if name in v}
        panel.plot(
            [*points],
            [*points.values()],
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1.2,
            label=label,
        )
    panel.set_yscale("log")
    # Not every commit has room for its name.
    step = -(-len(history) // 8)
    shown = range(0, len(history), step)
    panel.set_xticks(
        shown, [history[place].name for place in shown], rotation=45, ha="right", fontsize=7
    )
    # Room for the names of the curves.
    panel.set_xlim(-0.3, len(history) - 1 + max(1.0, 0.45 * len(history)))
