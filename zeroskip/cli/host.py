"""``zeroskip host``: a board at a serial port, or a chip that this computer addresses."""

import json
import signal
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.base.staging import check_output_file
from zeroskip.cli.command import Command
from zeroskip.cli.files import read_npy, write_npy
from zeroskip.cli.host_devices import Device, MappedChip, Place, SerialBoard
from zeroskip.cli.options import ImageArgument, InputOption, JsonOption, number, whole_number
from zeroskip.cli.output import Steps, print_json, print_line, print_report
from zeroskip.compiler.image.image import load as read_image
from zeroskip.compiler.passes.clipping import count_clipped
from zeroskip.compiler.passes.fixed_point import check_input, dequantize, quantize_input
from zeroskip.flow.board.fit import check_fit
from zeroskip.flow.flow import flow_on_board
from zeroskip.flow.host.driver import BoardResult
from zeroskip.flow.host.line import BAUD
from zeroskip.flow.host.loaded import loaded_image, remember_image
from zeroskip.hw.board.boards import board_of
from zeroskip.sim.board.build import build_board
from zeroskip.sim.board.gates import build_board_gates
from zeroskip.sim.board.process import simulated_board
from zeroskip.sim.report import outputs_table

__all__ = ["app"]

_EXAMPLES = """Examples:

zeroskip host --port /dev/ttyUSB1 identify

zeroskip host --port /dev/ttyUSB1 load out/bitstream/image

zeroskip host --port /dev/ttyUSB1 run --input x.npy --verify

zeroskip host simulate out/digits

zeroskip host --registers /dev/uio0 --memory /dev/mem@0x3e000000 load out/digits
"""

app = typer.Typer(
    help="Drive a board at a serial port, or a simulated one at a pseudo-terminal, or a chip whose "
    "registers and memory this computer addresses.",
    epilog=_EXAMPLES,
    no_args_is_help=True,
)


@app.callback()
def _group(
    context: typer.Context,
    port: Annotated[
        str | None, typer.Option(metavar="PORT", help="Serial port, such as /dev/ttyUSB1.")
    ] = None,
    baud: Annotated[
        int,
        typer.Option(metavar="N", parser=whole_number, help="As the bitstream was made for."),
    ] = BAUD,
    patience: Annotated[
        float,
        typer.Option(metavar="S", parser=number, help="Seconds to wait for an answer."),
    ] = 1.0,
    registers: Annotated[
        str | None,
        typer.Option(
            metavar="FILE[@OFFSET]",
            help="Instead of --port: registers of a chip that this computer addresses, such as "
            "/dev/uio0 or /dev/mem@0x43c00000.",
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="FILE[@OFFSET]",
            help="The memory of that chip, such as /dev/mem@0x3e000000; an image is put there.",
        ),
    ] = None,
    base: Annotated[
        int | None,
        typer.Option(
            metavar="BYTE",
            parser=whole_number,
            help="Address on the chip's bus of that memory, if it is another than OFFSET.",
        ),
    ] = None,
) -> None:
    if baud < 1:
        raise ParameterError("--baud", baud, "at least 1")
    if not 0 < patience < 1e6:
        raise ParameterError("--patience", patience, "above 0 and below 1000000 seconds")
    if registers is None:
        if memory is not None or base is not None:
            raise InputError("--memory and --base belong to --registers: name those, too")
        context.obj = SerialBoard(port, baud, patience)
        return
    if port is not None:
        raise InputError("--port is a serial port and --registers a chip beside it: name one")
    context.obj = MappedChip(
        Place.read(registers, "--registers"),
        None if memory is None else Place.read(memory, "--memory"),
        base,
        patience,
    )


@app.command(cls=Command, epilog=_EXAMPLES)
def identify(context: typer.Context, as_json: JsonOption = False) -> None:
    """Ask the board, or the chip, what it is."""
    document, line = context.obj.identify()
    if as_json:
        print_json(document)
    else:
        print_line(line)


@app.command(cls=Command, epilog=_EXAMPLES)
def load(context: typer.Context, image: ImageArgument, as_json: JsonOption = False) -> None:
    """Write an image to the board's memories, or to the chip's memory."""
    device: Device = context.obj
    compiled = read_image(image)
    with Steps() as steps:
        words = device.load(compiled, steps)
    remember_image(device.name, image)
    if as_json:
        print_json({"image": str(image), "words": words, "retries": device.retries})
        return
    print_line(f"image {compiled.name!r} loaded: {words} words")


@app.command(cls=Command, epilog=_EXAMPLES)
def run(
    context: typer.Context,
    inputs: InputOption,
    image: Annotated[
        Path | None,
        typer.Option(
            metavar="IMAGE", help="What the board holds; the one last loaded there unless given."
        ),
    ] = None,
    load_first: Annotated[bool, typer.Option("--load", help="Load the image first.")] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Compare outputs and cycles with the models; exit with 1."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="Y.npy", help="Write the outputs (float64)."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Run inputs on the board: send them, start, and read outputs, cycles and counters."""
    device: Device = context.obj
    compiled = read_image(image or loaded_image(device.name))
    shape, frac = compiled.sample_shape, compiled.in_frac
    samples = check_input(read_npy(inputs, "input"), shape, "input", single=True)
    if output is not None:
        check_output_file(output)
    columns = quantize_input(samples.reshape(len(samples), -1), frac, compiled.act_bits)
    with Steps() as steps:
        result = device.run(compiled, columns, steps, load=load_first)
    if load_first and image is not None:
        remember_image(device.name, image)
    outputs = dequantize(result.result, compiled.out_frac)
    clipped = count_clipped(samples, frac, compiled.act_bits)
    differ = device.differences(compiled, samples, result) if verify else None
    if output is not None:
        write_npy(output, outputs)
    if as_json:
        document = _document(outputs, result, differ, output, device.retries)
        print_json({**document, "clipped_inputs": clipped.to_dict()})
    else:
        print_report([*outputs_table(outputs, result.cycles), *clipped.lines()])
        if differ is not None:
            exact = "NOT bit-exact" if any(differ) else "bit-exact"
            words, cycles = differ
            counts = "no" if cycles is None else len(result.cycles)
            print_line(
                f"{exact}: {result.result.size} words and {counts} cycle counts compared, "
                f"{words + (cycles or 0)} differ"
            )
    return int(differ is not None and any(differ))


@app.command(cls=Command, epilog=_EXAMPLES)
def simulate(
    image: ImageArgument,
    single_bits: Annotated[
        int,
        typer.Option(
            parser=whole_number,
            metavar="N",
            help="SRAMs of N bits and more have one port, as on the iCEBreaker; 0 for none.",
        ),
    ] = 0,
    netlist: Annotated[
        str | None,
        typer.Option(
            metavar="BOARD",
            help="Run the netlist of this board's bitstream instead (minutes to build).",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the board's top with an image's array under Verilator, until interrupted.

    Prints the name of a pseudo-terminal, to be given as --port. The memories hold noise: load
    the image. SIGUSR1 presses the reset button.
    """
    target = None if netlist is None else board_of(netlist)
    compiled = read_image(image)
    found = flow_on_board(compiled)
    array = found.board_array(found.board_part(compiled).params)
    if target is not None:
        check_fit(target, array)
    with Steps() as steps:
        steps("build simulator", 0, 1)
        if target is None:
            model = build_board(array, single_bits=single_bits)
        else:
            model = build_board_gates(target, array)
        steps("build simulator", 1, 1)
    with simulated_board(model) as board:
        # The reset button of the board.
        signal.signal(signal.SIGUSR1, lambda *_: board.press_reset())
        if as_json:
            print(json.dumps({"port": board.port}), flush=True)
        else:
            print_line(board.port)
        board.process.wait()


def _document(
    outputs: NDArray[np.float64],
    result: BoardResult,
    differ: tuple[int, int | None] | None,
    output: Path | None,
    retries: int,
) -> dict[str, Any]:
    return {
        "inputs": len(outputs),
        "outputs": outputs.tolist() if output is None else None,
        "output_file": None if output is None else str(output),
        "classes": outputs.reshape(len(outputs), -1).argmax(axis=1).tolist(),
        "cycles": result.cycles.tolist(),
        "counters": None if result.counters is None else result.counters.sum(axis=0).tolist(),
        "words_differ": None if differ is None else differ[0],
        "cycles_differ": None if differ is None else differ[1],
        "retries": retries,
    }
