"""``zeroskip explore``: what a network would take on arrays, before it is compiled."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from zeroskip.cli.arrays import Array, EnginesOption, PresetOption, SetOption, choose_arrays
from zeroskip.cli.files import read_npy
from zeroskip.cli.options import JsonOption, OutputNameOption, ShapeOption, sizes
from zeroskip.cli.output import Steps, print_json, print_report
from zeroskip.sim.explore.explore import ExploredArray, explore
from zeroskip.sim.explore.tables import exploration_report

__all__ = ["EXAMPLES", "explore_model", "explored_arrays"]

EXAMPLES = """Examples:

zeroskip explore model.onnx

zeroskip explore model.pt2 --input x.npy --preset best --set num_pes=32

zeroskip explore model.onnx --json
"""


def explore_model(
    model: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A .pt2, .onnx, .keras or .caffemodel file."),
    ],
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--input", "-i", metavar="X.npy",
            help="Inputs, floats (samples, *input shape); unless given, some are drawn.",
        ),
    ] = None,
    shape: ShapeOption = None,
    output_name: OutputNameOption = None,
    engine: EnginesOption = None,
    preset: PresetOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Show layers, densities and shared values of a network, and estimate its speed on arrays.

    Nothing is compiled or simulated, and no calibration data is needed. What the arrays do not
    support is named, and the rest is explored. Without --engine, --preset and --set, some presets
    of each engine are tried.
    """
    arrays = explored_arrays(engine, preset, settings)
    x = None if inputs is None else read_npy(inputs, "input")
    with Steps() as steps:
        found = explore(
            model, x, arrays, shape=sizes(shape), output_name=output_name, progress=steps
        )
    if as_json:
        print_json({"model": str(model), **found.to_dict()})
        return
    print_report(exploration_report(found))


def explored_arrays(
    meant: Sequence[str] | None, presets: Sequence[str] | None, settings: Sequence[str] | None
) -> list[ExploredArray]:
    """Read ``--engine``, ``--preset`` and ``--set``; return the arrays that they name, if any."""
    chosen = choose_arrays(presets, settings, meant=meant)
    return [_explored(chosen[name]) for name in sorted(chosen.named)]


def _explored(array: Array) -> ExploredArray:
    name = array.name if not array.given else f"{array.name}, changed"
    return ExploredArray(
        array.engine.name, name, array.params, array.options, exact=not array.given
    )
