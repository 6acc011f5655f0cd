"""``zeroskip host``: a board at a serial port."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.base.staging import check_output_file
from zeroskip.cli.command import Command
from zeroskip.cli.files import read_npy, write_npy
from zeroskip.cli.options import ImageArgument, InputOption, JsonOption, number, whole_number
from zeroskip.cli.output import Steps, print_json, print_line, print_report
from zeroskip.compiler.image.image import load as read_image
from zeroskip.compiler.passes.clipping import count_clipped
from zeroskip.compiler.passes.fixed_point import check_input, dequantize, quantize_input
from zeroskip.flow.flow import flow_on_board, kind_of_board
from zeroskip.flow.host import Board, Line
from zeroskip.flow.host.driver import BoardResult
from zeroskip.flow.host.line import BAUD
from zeroskip.flow.host.loaded import loaded_image, remember_image
from zeroskip.sim.board.build import build_board
from zeroskip.sim.board.process import board_clock, count_differences, simulated_board
from zeroskip.sim.report import outputs_table

__all__ = ["app"]

_EXAMPLES = """Examples:

zeroskip host --port /dev/ttyUSB1 identify

zeroskip host --port /dev/ttyUSB1 load out/bitstream/image

zeroskip host --port /dev/ttyUSB1 run --input x.npy --verify

zeroskip host simulate out/digits
"""

app = typer.Typer(
    help="Drive a board at a serial port, or a simulated one at a pseudo-terminal.",
    epilog=_EXAMPLES,
    no_args_is_help=True,
)


@dataclass
class _Port:
    """What goes before the subcommand."""

    port: str | None
    baud: int
    patience: float

    @contextmanager
    def board(self) -> Iterator[Board]:
        port = self.name()
        with Line(port, self.baud, board_clock(port) or time.monotonic) as line:
            yield Board(line, patience=self.patience)

    def name(self) -> str:
        """Return the port.

        Raises
        ------
        InputError
            If none was named.
        """
        if self.port is None:
            raise InputError("--port must name a serial port, such as /dev/ttyUSB1: it is missing")
        return self.port


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
) -> None:
    if baud < 1:
        raise ParameterError("--baud", baud, "at least 1")
    if not 0 < patience < 1e6:
        raise ParameterError("--patience", patience, "above 0 and below 1000000 seconds")
    context.obj = _Port(port, baud, patience)


@app.command(cls=Command, epilog=_EXAMPLES)
def identify(context: typer.Context, as_json: JsonOption = False) -> None:
    """Ask the board what it is."""
    with context.obj.board() as board:
        identity = board.identify()
    engine = kind_of_board(identity.engine)
    document = {
        "port": context.obj.port,
        "engine": engine,
        "host_interface": identity.version,
        "num_pes": identity.num_pes,
        "clock_hz": identity.clock_hz,
        "params_digest": identity.digest.hex(),
    }
    if as_json:
        print_json(document)
        return
    print_line(
        f"{engine.upper()} array of {identity.num_pes} PEs at {identity.clock_hz / 1e6:g} MHz, "
        f"host interface {identity.version}, parameters {identity.digest.hex()}"
    )


@app.command(cls=Command, epilog=_EXAMPLES)
def load(context: typer.Context, image: ImageArgument, as_json: JsonOption = False) -> None:
    """Write an image to the board's memories."""
    compiled = read_image(image)
    found = flow_on_board(compiled)
    part = found.board_part(compiled)
    with Steps() as steps, context.obj.board() as board:
        found.driver.load_image(board, part, progress=steps)
    words = sum(len(sram.words) for sram in part.srams.values())
    remember_image(context.obj.name(), image)
    if as_json:
        print_json({"image": str(image), "words": words, "retries": board.retries})
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
    compiled = read_image(image or loaded_image(context.obj.name()))
    found = flow_on_board(compiled)
    part = found.board_part(compiled)
    shape, frac = compiled.sample_shape, compiled.in_frac
    samples = check_input(read_npy(inputs, "input"), shape, "input", single=True)
    if output is not None:
        check_output_file(output)
    columns = quantize_input(samples.reshape(len(samples), -1), frac, compiled.act_bits)
    with Steps() as steps, context.obj.board() as board:
        driver = found.driver
        driver.check_board(board, part)
        if load_first:
            driver.load_image(board, part, check=False, progress=steps)
            if image is not None:
                remember_image(context.obj.name(), image)
        result = driver.run_image(board, part, columns, progress=steps)
    outputs = dequantize(result.result, compiled.out_frac)
    clipped = count_clipped(samples, frac, compiled.act_bits)
    differ = count_differences(compiled, samples, result) if verify else None
    if output is not None:
        write_npy(output, outputs)
    if as_json:
        document = _document(outputs, result, differ, output, board.retries)
        print_json({**document, "clipped_inputs": clipped.to_dict()})
    else:
        print_report([*outputs_table(outputs, result.cycles), *clipped.lines()])
        if differ is not None:
            exact = "NOT bit-exact" if any(differ) else "bit-exact"
            print_line(
                f"{exact}: {result.result.size} words and {len(result.cycles)} cycle counts "
                f"compared, {sum(differ)} differ"
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
    as_json: JsonOption = False,
) -> None:
    """Run the board's top with an image's array under Verilator, until interrupted.

    Prints the name of a pseudo-terminal, to be given as --port. The memories hold noise: load
    the image. SIGUSR1 presses the reset button.
    """
    compiled = read_image(image)
    found = flow_on_board(compiled)
    part = found.board_part(compiled)
    with Steps() as steps:
        steps("build simulator", 0, 1)
        array = found.board_array(part.params)
        model = build_board(array, single_bits=single_bits)
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
    differ: tuple[int, int] | None,
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
