"""``make bitstream``: a network, compiled for a board's array, to that board's bitstream."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from scripts.demo_parts import DemoFiles, train_digits
from zeroskip import compile_file, run
from zeroskip.base.errors import InputError
from zeroskip.cli.bitstream import make_bitstream
from zeroskip.cli.files import read_npy
from zeroskip.cli.guard import exit_with
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import Steps, print_line
from zeroskip.flow.host.line import BAUD
from zeroskip.hw.board.boards import BOARDS, board_of
from zeroskip.hw.eie.boards import BESIDE, DIGITS
from zeroskip.hw.scnn.params import PRESETS

__all__ = ["main", "make_demo_bitstream"]


@dataclass(frozen=True)
class _Net:
    """A network: the task of ``zeroskip compress`` that has it, and its arrays on a board."""

    task: str
    arrays: Callable[[str], tuple[Any, ...]]


NETS = {
    "digits": _Net("digits", lambda board: (DIGITS[board],)),
    "cnn": _Net("digits_cnn", lambda board: (BESIDE, PRESETS["board"])),
}

_INPUTS = 64
"""Test images that are written to be run on the board, as many as ``make sim`` writes."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def make_demo_bitstream(
    board: Annotated[str, typer.Option(metavar="BOARD", help=f"One of {', '.join(BOARDS)}.")],
    net: Annotated[str, typer.Option(metavar="NET", help=f"One of {', '.join(NETS)}.")] = "digits",
    folder: Annotated[Path, typer.Option("-o", "--output", help="Where files go.")] = Path("out"),
    as_json: JsonOption = False,
) -> int:
    """Compile a network for a board's array, and make the bitstream.

    The network is the one that ``make sim`` trains; if that has not been run, it is trained now.
    """
    target = board_of(board)
    if net not in NETS:
        raise InputError(f"NET must be one of {', '.join(NETS)}, not {net!r}")
    # These take seconds to import.
    from zeroskip.flow.board.build import check_tools

    check_tools(target)
    arrays = NETS[net].arrays(target.name)
    folder.mkdir(parents=True, exist_ok=True)
    from zeroskip.compiler.compress.images import load_digits

    files = DemoFiles.of(folder, net)
    image = folder / f"{net}_{board}"
    with Steps() as steps:
        if not files.exist():
            files.write(*train_digits(NETS[net].task, steps), _INPUTS)
        compiled = compile_file(
            files.model,
            read_npy(files.calibration, "calibration"),
            arrays,
            options={"placement": "schedule"},
            name=net,
            progress=steps,
        )
        compiled.save(image)
        data = load_digits()
        outputs = run(compiled, data.test_x.numpy(), "golden").outputs
        accuracy = np.mean(outputs.argmax(axis=1) == data.test_y.numpy())
    if not as_json:
        print_line(
            f"image {image}: accuracy {100 * accuracy:.2f} % on {len(data.test_y)} test images"
        )
    return make_bitstream(
        image=image,
        board=board,
        output=folder / "bitstream" / (board if net == "digits" else f"{board}_{net}"),
        clock_mhz=None,
        baud=BAUD,
        again=False,
        as_json=as_json,
    )


def main() -> None:
    """Make the bitstream and exit."""
    exit_with(app, "make bitstream")


if __name__ == "__main__":
    main()
