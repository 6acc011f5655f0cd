"""``zeroskip compare``: a network's matrices on the user's CPU, beside arrays."""

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.cli.arrays import EnginesOption, PresetOption, SetOption
from zeroskip.cli.explore import explored_arrays
from zeroskip.cli.files import read_npy
from zeroskip.cli.options import JsonOption, OutputNameOption, ShapeOption, sizes, whole_number
from zeroskip.cli.output import Steps, print_json, print_report
from zeroskip.sim.compare import compare, comparison_report

__all__ = ["EXAMPLES", "compare_model"]

EXAMPLES = """Examples:

zeroskip compare model.onnx

zeroskip compare model.pt2 --threads 4 --preset scnn=paper --json
"""


def compare_model(
    model: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A .pt2, .onnx, .keras or .caffemodel file."),
    ],
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--input", "-i", metavar="X.npy",
            help="Inputs, floats (samples, *input shape), of which the first is timed; unless "
            "given, one is drawn.",
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option(metavar="N", parser=whole_number, help="Of the CPU.")
    ] = 1,
    repeats: Annotated[
        int, typer.Option(metavar="N", parser=whole_number, help="Of each measurement.")
    ] = 30,
    shape: ShapeOption = None,
    output_name: OutputNameOption = None,
    engine: EnginesOption = None,
    preset: PresetOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Time each layer's product on this CPU, dense and sparse, beside the cycles of arrays.

    One input at a time, in 32-bit floats; outputs of all ways are compared. Cycles are those of
    'zeroskip explore'.
    """
    x = None if inputs is None else read_npy(inputs, "input")
    arrays = explored_arrays(engine, preset, settings)
    with Steps() as steps:
        found = compare(
            model,
            x,
            arrays,
            threads=threads,
            repeats=repeats,
            shape=sizes(shape),
            output_name=output_name,
            progress=steps,
        )
    if as_json:
        print_json({"model": str(model), **found.to_dict()})
        return
    print_report(comparison_report(found))
