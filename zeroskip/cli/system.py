"""``zeroskip system``: a network in memory, and inferences from one START each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.cli.files import read_npy
from zeroskip.cli.options import (
    BaseOption,
    ImageArgument,
    JsonOption,
    PortOption,
    whole_number,
)
from zeroskip.cli.output import Steps, print_json, print_line, print_report
from zeroskip.compiler.image.image import load
from zeroskip.compiler.system.build import build_system, check_folder
from zeroskip.hw.system.memory import FULL_RATE, MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.run import quantize
from zeroskip.sim.system.inferences import count_inferences
from zeroskip.sim.system.report import (
    bound_line,
    map_tables,
    run_document,
    run_lines,
    system_document,
    verified_document,
    verified_lines,
)
from zeroskip.sim.system.vectors import bench_files
from zeroskip.sim.system.verify import verify_system

__all__ = ["EXAMPLES", "show_system"]

EXAMPLES = """Examples:

zeroskip compile model.pt2 --data x.npy -o out/model

zeroskip system out/model -o out/memory --port-bits 128

zeroskip system out/model --input x.npy --on rtl --latency 40 --stall 64
"""


def show_system(
    image: ImageArgument,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Write memory.bin and map.json to this folder, which is replaced; with --input "
            "also what the testbench of 'zeroskip verilog --top' reads.",
        ),
    ] = None,
    data_bits: PortOption = SystemParams.data_bits,
    base: BaseOption = 0,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--input", "-i", metavar="X.npy", help="Run these inputs, two of them queued at a time."
        ),
    ] = None,
    on: Annotated[
        Literal["cycles", "rtl"],
        typer.Option(
            "--on",
            help="With --input: the cycle model, or the RTL under Verilator, too, all compared.",
        ),
    ] = "cycles",
    latency: Annotated[
        int,
        typer.Option(
            parser=whole_number, metavar="CYCLES", help="Of the simulated memory, reads and writes."
        ),
    ] = MemorySettings.read_latency,
    stall: Annotated[
        int,
        typer.Option(
            parser=whole_number,
            metavar="N",
            help="Of 256 cycles, those in which a channel of the memory stalls, at random.",
        ),
    ] = 0,
    rate: Annotated[
        int,
        typer.Option(
            parser=whole_number,
            metavar="N",
            help="Of 256 cycles, those in which the memory can move a beat, evenly spaced.",
        ),
    ] = FULL_RATE,
    seed: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Of the stalls.")] = 0,
    steps: Annotated[
        int | None,
        typer.Option(
            parser=whole_number,
            metavar="N",
            help="Of a recurrent network: the list of sequences of N steps, no more than it was "
            "compiled for.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Lay a network out in memory for a chip that needs one START an inference.

    Shows the memory map, what an inference moves, and what bounds it. Exits with 1 if the RTL
    differs from the models.
    """
    if output is not None:
        check_folder(output)
    if inputs is None and on == "rtl":
        raise InputError("the RTL runs inputs: give --input X.npy, too")
    if not 0 <= latency < 1 << 15 or not 0 <= stall < 1 << 8:
        raise InputError(
            f"a latency must be from 0 to {(1 << 15) - 1} and stalls from 0 to 255, not {latency} "
            f"and {stall}"
        )
    if not 1 <= rate <= FULL_RATE:
        raise ParameterError("rate", rate, f"a whole number from 1 to {FULL_RATE}")
    port = SystemParams(data_bits=data_bits)
    compiled = load(image)
    compiled = compiled if steps is None else compiled.with_steps(steps)
    system = build_system(compiled, port, base=base)
    run = verified = None
    files: Mapping[str, bytes] = {}
    if inputs is not None:
        x = read_npy(inputs, "input")
        settings = MemorySettings(
            read_latency=latency, write_latency=latency, stall=stall, rate=rate, seed=seed
        )
        with Steps() as progress:
            if on == "rtl":
                verified = verify_system(compiled, x, port, settings, progress=progress)
                run = verified.run
            else:
                run = count_inferences(compiled, quantize(compiled, x)[0], port, settings)
            if output is not None:
                progress("write what a testbench reads", 0, 1)
                planes = quantize(compiled, x)[0]
                files = bench_files(compiled, planes, port, settings, base)
                progress("write what a testbench reads", 1, 1)
    if output is not None:
        system.save(output, files)
    if as_json:
        counted = None if run is None else run_document(run)
        print_json({
            "image": str(image),
            "output": None if output is None else str(output),
            **system_document(system),
            "run": counted if verified is None else verified_document(verified),
        })
        return int(verified is not None and not verified.ok)
    print_report(map_tables(system))
    print_line(bound_line(system, run))
    if run is not None:
        print_report(run_lines(run))
    if verified is not None:
        print_report(verified_lines(verified))
    if output is not None:
        print_line(f"{', '.join(['memory.bin', *files])} and map.json are in {output}")
    return int(verified is not None and not verified.ok)
