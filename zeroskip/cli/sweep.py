"""``zeroskip sweep``: many arrays, on the cycle model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from zeroskip.base.errors import InputError
from zeroskip.cli.arrays import (
    DEFAULT_ENGINE,
    EngineOption,
    PresetOption,
    choose_array,
    read_settings,
)
from zeroskip.cli.files import read_npy
from zeroskip.cli.options import JsonOption, LayersOption
from zeroskip.cli.output import Steps, print_json, print_line, print_report
from zeroskip.compiler.engine import engine as engine_of
from zeroskip.sim.machine import find_evaluation

__all__ = ["EXAMPLES", "sweep_arrays"]

EXAMPLES = """Examples:

zeroskip sweep --set queue_depth=1,2,4,8,16,32,64,128,256 -o depth.parquet

zeroskip sweep --image out/model --input x.npy --set num_pes=1,2,4 --set memories=per-pe -o pes.csv

zeroskip sweep --engine scnn --layers vgg16 --set density=0.1,0.5,1 -o density.csv
"""


def sweep_arrays(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="TABLE",
            help="A .csv or .parquet file. Finished points are kept beside it until it is "
            "complete: the same command goes on where it was stopped.",
        ),
    ],
    engine: EngineOption = DEFAULT_ENGINE,
    preset: PresetOption = None,
    axes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="[ENGINE.]FIELD=VALUE,...",
            help="Values to go through; with several of these, every combination.",
        ),
    ] = None,
    layers: LayersOption = None,
    image: Annotated[
        Path | None,
        typer.Option(
            "--image", metavar="IMAGE", help="Sweep this image's network instead; with --input."
        ),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option("--input", "-i", metavar="X.npy", help="Inputs of the image's network."),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", help="Processes; -1 is one per core.")
    ] = -1,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="ADDRESS", help="Run on this Dask cluster instead."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure layers on every combination of the values given, and write one table.

    Layers are those of the engine's paper, on its array unless a preset is given. Points that
    cannot be mapped have their reason in the table.
    """
    from zeroskip.sim.sweep.run import run_sweep

    known = engine_of(engine)
    evaluation = find_evaluation(known.name)
    fields = known.fields | {field.name: field for field in evaluation.fields}
    values: dict[str, list[Any]] = {}
    for _, name, text in read_settings(axes, {engine: known}, evaluation.fields):
        where = f"--set {name}"
        values[name] = [fields[name].read(value.strip(), where) for value in text.split(",")]
    array = choose_array(engine, preset, None) if preset else None
    base = array and (array.params, array.engine.presets[array.name].options)
    if (image is None) != (inputs is None):
        raise InputError("--image and --input go together: which activations are 0 decides")
    network = None if image is None or inputs is None else (image, read_npy(inputs, "input"))
    sweep = evaluation.sweep(values, base, layers, network)
    with Steps() as steps:
        result = run_sweep(sweep, output, jobs=jobs, scheduler=scheduler, progress=steps)
    if as_json:
        print_json({
            "table": str(output),
            "sweep": sweep.fingerprint,
            "points": sweep.size,
            "resumed": result.resumed,
            "impossible": evaluation.impossible(sweep, result.rows),
            "rows": result.rows,
        })
        return
    print_report([evaluation.summary(result.rows, list(values))])
    kept = f", {result.resumed} of them from before" if result.resumed else ""
    print_line(f"{sweep.size} points{kept}: table in {output}")
