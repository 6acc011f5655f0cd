"""``zeroskip run``: inputs through an image, on golden, on the cycle model or on RTL."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from zeroskip.base.errors import ParameterError
from zeroskip.base.staging import check_output_file
from zeroskip.cli.files import read_npy, write_npy
from zeroskip.cli.options import (
    ImageArgument,
    InputOption,
    JsonOption,
    LengthsOption,
    whole_number,
)
from zeroskip.cli.output import Steps, print_json, print_line, print_report
from zeroskip.compiler.image.image import load
from zeroskip.sim.report import result_report, run_document
from zeroskip.sim.rtl.waves import save_paths
from zeroskip.sim.run import run
from zeroskip.sim.trace import write_trace

__all__ = ["EXAMPLES", "run_image"]

EXAMPLES = """Examples:

zeroskip run out/model --input x.npy --on golden -o y.npy

zeroskip run out/model --input x.npy --on rtl --waves out/w.vcd

zeroskip run out/model --input x.npy --on cycles --trace t.json

zeroskip run out/model --input x.npy --on rtl --json
"""


def run_image(
    image: ImageArgument,
    inputs: InputOption,
    on: Annotated[
        Literal["golden", "cycles", "rtl"],
        typer.Option(
            help="The NumPy model; the same with the cycles that the hardware takes; or the "
            "hardware under Verilator."
        ),
    ] = "golden",
    waves: Annotated[
        Path | None,
        typer.Option("--waves", metavar="W.vcd", help="With rtl: record all signals."),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "--first",
            metavar="N",
            parser=whole_number,
            help="Run the first N inputs only. All unless given; with waves, which are large, 1.",
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            "--trace",
            metavar="T.json",
            help="With cycles: what every PE did and when, for the first input, to open in "
            "Perfetto; 1 us is 1 cycle. An array begins where the one before it ends: what "
            "the host does between runs, and what brings activations from one to the next, is left "
            "out.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="Y.npy", help="Write the outputs (float64)."),
    ] = None,
    lengths: LengthsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run inputs through an image and print or write the outputs."""
    if waves is not None and on != "rtl":
        raise typer.BadParameter("waves are recorded with --on rtl only")
    if trace is not None and on != "cycles":
        raise typer.BadParameter("a trace is recorded with --on cycles only")
    for path in (output, waves, trace):
        if path is not None:
            check_output_file(path)
    compiled = load(image)
    if count is not None and count < 1:
        raise ParameterError("count", count, "at least 1")
    x = read_npy(inputs, "input")
    given, steps_of = len(x), None if lengths is None else read_npy(lengths, "lengths")
    if (waves is not None or count is not None) and x.ndim > len(compiled.sample_shape):
        x = x[: count or 1]
        steps_of = None if steps_of is None else steps_of[: count or 1]
    with Steps() as steps:
        if waves is not None and x.ndim > len(compiled.sample_shape) and given > 1:
            steps(f"waves are of {len(x)} of {given} inputs, see --first N", 1, 1)
        steps(f"run on {on}", 0, 1)
        result = run(compiled, x, on, lengths=steps_of, waves=waves, progress=steps)
        steps(f"run on {on}", 1, 1)
        if trace is not None:
            steps("write the trace", 0, 1)
            write_trace(result, trace)
            steps("write the trace", 1, 1)
    if output is not None:
        write_npy(output, result.outputs)
    if as_json:
        files = {"output_file": output, "waves": waves, "trace": trace}
        print_json({
            "image": str(image),
            "on": on,
            **run_document(result),
            "outputs": result.outputs.tolist() if output is None else None,
            **{name: None if path is None else str(path) for name, path in files.items()},
        })
        return
    print_report(result_report(result))
    if output is not None:
        print_line(f"outputs {result.outputs.shape} written to {output}")
    if trace is not None:
        print_line(f"trace of input 0 written to {trace}: 1 us in it is 1 cycle")
    if waves is not None:
        size = waves.stat().st_size / 1e6
        recorded = len(result.outputs)
        what = "1 input" if recorded == 1 else f"{recorded} inputs"
        print_line(f"waves of {what} written to {waves}: {size:.1f} MB")
        gtkw, sucl = save_paths(waves)
        if gtkw.exists() and sucl.exists():
            print_line(f"signals to begin with: {gtkw} for GTKWave, {sucl} for Surfer")
