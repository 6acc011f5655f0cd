"""``zeroskip energy``: what an inference costs, by layer and unit."""

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.base.errors import InputError
from zeroskip.base.staging import check_output_file
from zeroskip.cli.files import read_npy
from zeroskip.cli.options import ImageArgument, JsonOption
from zeroskip.cli.output import Steps, print_json, print_line, print_report
from zeroskip.compiler.image.image import load
from zeroskip.sim.energy.measure import draw_input, energy
from zeroskip.sim.energy.report import energy_report
from zeroskip.sim.energy.technology import read_technology

__all__ = ["EXAMPLES", "measure_energy"]

EXAMPLES = """Examples:

zeroskip energy out/model --input x.npy

zeroskip energy out/model --input x.npy --tech mine.toml --json

zeroskip energy out/model --input x.npy --plot energy.svg

zeroskip energy out/model --input x.npy --gates sky130hd_tt.lib.gz
"""


def measure_energy(
    image: ImageArgument,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            metavar="X.npy",
            help="Inputs, floats (samples, *input shape). Unless given, one is drawn, evenly over "
            "what its format holds.",
        ),
    ] = None,
    technology: Annotated[
        Path | None,
        typer.Option(
            "--tech",
            metavar="FILE",
            help="Energies of accesses, in the TOML of sim/energy/tech_45nm.toml, which is used "
            "unless another is given.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw energy by layer and unit: .png or .svg."),
    ] = None,
    gates: Annotated[
        Path | None,
        typer.Option(
            "--gates",
            metavar="LIBERTY",
            help="Instead, run the first input on gates of this library, and set what their "
            "changes take beside the counts; images for few PEs.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Count accesses and operations of an inference, and give the energy of each.

    By layer and unit, and beside a dense machine and machines that skip zeros of weights or of
    activations only. Counts are those of the cycle model.
    """
    if gates is not None:
        if plot is not None or technology is not None:
            raise InputError(
                "--gates takes its constants from LIBERTY: leave --tech and --plot out"
            )
        _run_gates(image, inputs, gates, as_json)
        return
    if plot is not None:
        from zeroskip.sim.plots.style import check_picture

        check_picture(plot)
        check_output_file(plot)
    constants = read_technology(technology)
    compiled = load(image)
    x = None if inputs is None else read_npy(inputs, "input")
    with Steps() as steps:
        found = energy(compiled, x, constants, progress=steps)
    if plot is not None:
        from zeroskip.sim.plots.energy import draw_energy
        from zeroskip.sim.plots.style import save

        save(draw_energy(found), plot)
    if as_json:
        print_json({
            "image": str(image),
            **found.to_dict(),
            "picture": None if plot is None else str(plot),
        })
        return
    print_report(energy_report(found))
    if plot is not None:
        print_line(f"energy in {plot}")


def _run_gates(image: Path, inputs: Path | None, liberty: Path, as_json: bool) -> None:
    """Show what gates take for an input, beside the estimate."""
    from zeroskip.sim.energy.gate_level import gate_energy, gate_report

    compiled = load(image)
    x = draw_input(compiled) if inputs is None else read_npy(inputs, "input")
    with Steps() as steps:
        found = gate_energy(compiled, x, liberty, progress=steps)
    if as_json:
        print_json({"image": str(image), **found.to_dict()})
    else:
        print_report(gate_report(found))
