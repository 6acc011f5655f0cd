"""``make bitstream``: a network, compiled for a board's array, to that board's bitstream."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from zeroskip import run
from zeroskip.base.errors import ParameterError
from zeroskip.cli.arrays import choose_arrays
from zeroskip.cli.bitstream import make_bitstream
from zeroskip.cli.compile import compile_for
from zeroskip.cli.demo_network import NETWORKS, DemoFiles, load_task, percent, train
from zeroskip.cli.guard import exit_with
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import Steps, print_line
from zeroskip.flow.host.line import BAUD
from zeroskip.hw.board.boards import BOARDS, board_of

__all__ = ["main", "make_demo_bitstream"]

NETS = ("digits", "cnn")

_INPUTS = 64
"""Test images that are written to be run on the board, as many as ``zeroskip demo`` writes."""

_SEEDS = 3
"""Placements that are tried until one meets the board's clock."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def make_demo_bitstream(
    board: Annotated[str, typer.Option(metavar="BOARD", help=f"One of {', '.join(BOARDS)}.")],
    net: Annotated[str, typer.Option(metavar="NET", help=f"One of {', '.join(NETS)}.")] = "digits",
    folder: Annotated[Path, typer.Option("-o", "--output", help="Where files go.")] = Path("out"),
    as_json: JsonOption = False,
) -> int:
    """Compile a network for a board's array, and make the bitstream.

    The network is the one that ``zeroskip demo`` trains; if that has not been run, it is trained
    now.
    """
    target = board_of(board)
    if net not in NETS:
        raise ParameterError.of_names("NET", net, NETS)
    # These take seconds to import.
    from zeroskip.flow.board.build import check_tools

    check_tools(target)
    # A chip of several arrays is the same on all boards that have room for it.
    arrays = choose_arrays([target.name if net == "digits" else "board"], None)
    files = DemoFiles.of(folder, net)
    image = folder / f"{net}_{board}"
    with Steps() as steps:
        task, data = load_task(NETWORKS[net].task, steps)
        folder.mkdir(parents=True, exist_ok=True)
        if not files.exist():
            files.write(train(task, steps), data, _INPUTS)
        compiled = compile_for(arrays, files.model, data.train_x.numpy(), name=net, progress=steps)
        compiled.save(image)
        outputs = run(compiled, data.test_x.numpy(), "golden").outputs
        accuracy = float(np.mean(outputs.argmax(axis=1) == data.test_y.numpy()))
    if not as_json:
        print_line(f"image {image}: accuracy {percent(accuracy)} on {len(data.test_y)} test images")
    return make_bitstream(
        image=image,
        board=board,
        output=folder / "bitstream" / (board if net == "digits" else f"{board}_{net}"),
        clock_mhz=None,
        baud=BAUD,
        seeds=_SEEDS,
        again=False,
        as_json=as_json,
    )


def main() -> None:
    """Make the bitstream and exit."""
    exit_with(app, "make bitstream")


if __name__ == "__main__":
    main()
