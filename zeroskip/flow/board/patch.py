"""Put another image into a finished bitstream, without routing it again."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from zeroskip.base.errors import InputError, ToolError
from zeroskip.base.progress import Progress, silent
from zeroskip.base.staging import replaced_path
from zeroskip.compiler.image.image import Image
from zeroskip.flow.board.bitstream import name_image_in_report
from zeroskip.flow.board.build import skeleton_digest
from zeroskip.flow.board.fill import check_params, check_words, fill, loaded_by_host, read_layout
from zeroskip.flow.board.route import CONFIGURATION, pack, unpack
from zeroskip.flow.flow import flow_on_board
from zeroskip.hw.board.boards import BOARDS

__all__ = ["patch_bitstream"]


def patch_bitstream(
    path: Path,
    image: Image,
    bitstream: Path,
    output: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Replace the contents of the block memories in a bitstream.

    The result is unpacked, and every word of it compared with the image.

    Parameters
    ----------
    path, image : the network, compiled for the bitstream's array, and its folder.
    bitstream : as :func:`.make_bitstream` wrote it, with what is beside it.
    output : file to write; unless given, the bitstream is replaced.
    progress : see :data:`.Progress`.

    Returns
    -------
    The JSON document.

    Raises
    ------
    InputError
        If the bitstream is another array's, or none.
    ToolError
        If a tool is missing or fails.
    """
    step, begin = progress or silent, time.monotonic()
    if not bitstream.is_file():
        raise InputError(f"--bitstream {bitstream} does not exist, or is a folder")
    layout, places = read_layout(bitstream.absolute().parent)
    if not layout["memories"]:
        raise InputError(
            f"bitstreams of {layout['board']} hold no contents: load the image with 'zeroskip host "
            "load'"
        )
    part = flow_on_board(image).board_part(image)
    check_params(layout, part)
    board = BOARDS[layout["board"]]
    with tempfile.TemporaryDirectory() as temporary:
        folder, name = Path(temporary), f"bitstream{bitstream.suffix}"
        shutil.copy(bitstream, folder / name)
        step("unpack", 0, 1)
        try:
            text = unpack(board, folder, name)
        except ToolError as error:
            raise InputError(f"{bitstream} is no bitstream of {board.name}: {error}") from error
        step("unpack", 1, 1)
        if skeleton_digest(board.family, text) != layout["unpacked"]:
            raise InputError(
                f"{bitstream} is another bitstream than the one that {layout['board']}'s layout "
                "beside it was written for"
            )
        step("pack", 0, 1)
        words = {key: sram.words for key, sram in part.loads[0].items()}
        (folder / CONFIGURATION[board.family]).write_text(fill(text, layout, places, words))
        pack(board, folder, name)
        check_words(unpack(board, folder, name), layout, places, words)
        target = output or bitstream
        with replaced_path(target) as draft:
            shutil.copyfile(folder / name, draft)
        name_image_in_report(path, image, target)
        step("pack", 1, 1)
    return {
        "image": str(path),
        "bitstream": str(target),
        "board": board.name,
        "blocks": sum(len(memory["blocks"]) for memory in layout["memories"].values()),
        "loaded_by_host": loaded_by_host(layout, part),
        "seconds": round(time.monotonic() - begin, 1),
    }
