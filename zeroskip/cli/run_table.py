"""What runs of other widths would give an image for EIE."""

from dataclasses import asdict
from typing import Any

import numpy as np

from zeroskip.cli.output import print_table
from zeroskip.compiler import Image
from zeroskip.compiler.eie.choose import Pattern, RunChoice, run_choices
from zeroskip.compiler.eie.place import local_rows

__all__ = ["print_run_choices", "run_choice_document"]


def _choices(image: Image) -> tuple[RunChoice, ...]:
    """Count what the image takes with its runs, and with wider ones until no padding is left."""
    patterns: list[Pattern] = []
    for layer, rows in zip(image.network.layers, image.placement[1:], strict=True):
        stored: Any = layer.codes
        columns = np.repeat(np.arange(layer.shape[1]), np.diff(stored.indptr))
        patterns.append(Pattern(columns, rows[stored.indices]))
    heights = [local_rows(rows, image.params) for rows in image.placement[1:]]
    found = run_choices(patterns, heights, image.params)
    done = next((at for at, one in enumerate(found) if not one.padding), len(found) - 1)
    return found[: done + 1]


def run_choice_document(image: Image) -> list[dict[str, Any]]:
    """Return the choices as JSON has them, the image's own first."""
    return [asdict(one) for one in _choices(image)]


def print_run_choices(image: Image) -> None:
    """Print the choices if there is padding that wider runs would save."""
    choices = _choices(image)
    if len(choices) < 2:
        return
    print_table(
        "Runs of this width (run_bits), and of wider ones",
        ["run_bits", "entries", "padding", "of entries", "bits of Spmat words"],
        [
            [
                one.run_bits,
                one.entries,
                one.padding,
                f"{100 * one.padding / one.entries:.1f} %",
                one.bits,
            ]
            for one in choices
        ],
    )
