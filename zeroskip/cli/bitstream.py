"""``zeroskip bitstream``: an image to a board's bitstream and a report."""

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.base.errors import ParameterError
from zeroskip.cli.options import ImageArgument, JsonOption, number, whole_number
from zeroskip.cli.output import Steps, print_json, print_report
from zeroskip.compiler.image.image import load
from zeroskip.flow.host.line import BAUD
from zeroskip.hw.board.boards import BOARDS, board_of

__all__ = ["CLOCK_MISSED", "EXAMPLES", "make_bitstream"]

EXAMPLES = """Examples:

zeroskip bitstream out/digits_icebreaker --board icebreaker -o out/icebreaker

zeroskip bitstream out/digits16 --board ulx3s-85f -o out/ulx3s --clock 60 --json
"""

_MOST_SEEDS = 100

CLOCK_MISSED = 3
"""Exit code: the bitstream is there, but the clock is too fast for it."""


def make_bitstream(
    image: ImageArgument,
    board: Annotated[
        str, typer.Option("--board", metavar="BOARD", help=f"One of {', '.join(BOARDS)}.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder to write; ours is replaced."),
    ],
    clock_mhz: Annotated[
        float | None,
        typer.Option("--clock", metavar="MHZ", parser=number, help="The board's own unless given."),
    ] = None,
    baud: Annotated[
        int, typer.Option(metavar="N", parser=whole_number, help="Of the serial line.")
    ] = BAUD,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            metavar="N",
            parser=whole_number,
            help="Of the places that placing begins from: Fmax varies by a few per cent.",
        ),
    ] = 1,
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds",
            metavar="N",
            parser=whole_number,
            help="Try so many, from --seed on, until one meets the clock; the fastest is kept.",
        ),
    ] = 1,
    again: Annotated[
        bool, typer.Option("--again", help="Place and route even if that was done before.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Make a bitstream with the image's array, and its contents in block memories.

    Placing and routing takes minutes, and is done once per board and array: another image for
    the same array takes seconds. Exits with 3 if the clock is not met; the bitstream is kept.
    """
    # A board that is not known is told before an image that is not there, and both before tools.
    target = board_of(board)
    compiled = load(image)
    if clock_mhz is not None and not 1 <= clock_mhz <= 1000:
        raise ParameterError("clock_mhz", clock_mhz, "from 1 to 1000 MHz")
    if not 0 <= seed < 1 << 31:
        raise ParameterError("seed", seed, "from 0 to 2147483647")
    if not 1 <= seeds <= _MOST_SEEDS:
        raise ParameterError("seeds", seeds, f"from 1 to {_MOST_SEEDS}")
    from zeroskip.flow.board import bitstream

    with Steps() as steps:
        report = bitstream.make_bitstream(
            image,
            compiled,
            target,
            output,
            clock_mhz=clock_mhz,
            baud=baud,
            seed=seed,
            seeds=seeds,
            again=again,
            progress=steps,
        )
    if as_json:
        print_json(report)
    else:
        print_report(bitstream.bitstream_tables(report))
    return 0 if report["clock_met"] else CLOCK_MISSED
