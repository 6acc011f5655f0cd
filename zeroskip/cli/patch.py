"""``zeroskip patch``: another image into a finished bitstream."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from zeroskip.base.errors import InputError, ToolError
from zeroskip.base.staging import replaced_path
from zeroskip.cli.bitstream import name_image_in_report, name_some
from zeroskip.cli.options import ImageArgument, JsonOption
from zeroskip.cli.output import Steps, print_json, print_line
from zeroskip.compiler import Image
from zeroskip.hw.board.boards import BOARDS

__all__ = ["EXAMPLES", "patch_bitstream"]

EXAMPLES = """Examples:

zeroskip patch out/retrained --bitstream out/icebreaker/icebreaker.bin

zeroskip patch out/retrained --bitstream out/ulx3s/ulx3s-85f.bit -o out/ulx3s/retrained.bit
"""


def patch_bitstream(
    image: ImageArgument,
    bitstream: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="As 'zeroskip bitstream' wrote it, with what is beside it."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write here; else FILE is replaced."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Replace the contents of the block memories in a finished bitstream, without routing.

    The image must be for the bitstream's array. The result is
    unpacked, and every word of it compared with the image.
    """
    from zeroskip.flow.board.build import skeleton_digest
    from zeroskip.flow.board.fill import (
        check_params,
        check_words,
        fill,
        loaded_by_host,
        read_layout,
    )
    from zeroskip.flow.board.route import CONFIGURATION, pack, unpack

    begin = time.monotonic()
    compiled = Image.load_eie(image)
    if not bitstream.is_file():
        raise InputError(f"--bitstream {bitstream} does not exist, or is a folder")
    layout, places = read_layout(bitstream.absolute().parent)
    if not layout["memories"]:
        raise InputError(
            f"bitstreams of {layout['board']} hold no contents: load the image with 'zeroskip host "
            "load'"
        )
    check_params(layout, compiled.params)
    board = BOARDS[layout["board"]]
    with Steps() as steps, tempfile.TemporaryDirectory() as temporary:
        folder, name = Path(temporary), f"bitstream{bitstream.suffix}"
        shutil.copy(bitstream, folder / name)
        steps("unpack", 0, 1)
        try:
            text = unpack(board, folder, name)
        except ToolError as error:
            raise InputError(f"{bitstream} is no bitstream of {board.name}: {error}") from error
        steps("unpack", 1, 1)
        if skeleton_digest(board.family, text) != layout["unpacked"]:
            raise InputError(
                f"{bitstream} is another bitstream than the one that {layout['board']}'s layout "
                "beside it was written for"
            )
        steps("pack", 0, 1)
        words = {key: sram.words for key, sram in compiled.srams.items()}
        (folder / CONFIGURATION[board.family]).write_text(fill(text, layout, places, words))
        pack(board, folder, name)
        check_words(unpack(board, folder, name), layout, places, words)
        target = output or bitstream
        with replaced_path(target) as draft:
            shutil.copyfile(folder / name, draft)
        name_image_in_report(image, compiled, target)
        steps("pack", 1, 1)
    document = {
        "image": str(image),
        "bitstream": str(target),
        "board": board.name,
        "blocks": sum(len(memory["blocks"]) for memory in layout["memories"].values()),
        "loaded_by_host": loaded_by_host(layout),
        "seconds": round(time.monotonic() - begin, 1),
    }
    if as_json:
        print_json(document)
        return
    print_line(
        f"image {compiled.name!r} in {target}: {document['blocks']} blocks replaced in "
        f"{document['seconds']} s"
    )
    if document["loaded_by_host"]:
        print_line(
            f"not in the bitstream, to be loaded by 'zeroskip host load': "
            f"{name_some(document['loaded_by_host'])}"
        )
