"""``zeroskip patch``: another image into a finished bitstream."""

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.cli.options import ImageArgument, JsonOption
from zeroskip.cli.output import Steps, print_json, print_line
from zeroskip.compiler.image.image import load

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
    from zeroskip.flow.board import patch
    from zeroskip.flow.board.bitstream import name_some

    compiled = load(image)
    with Steps() as steps:
        document = patch.patch_bitstream(image, compiled, bitstream, output, steps)
    if as_json:
        print_json(document)
        return
    print_line(
        f"image {compiled.name!r} in {document['bitstream']}: {document['blocks']} blocks replaced "
        f"in {document['seconds']} s"
    )
    if document["loaded_by_host"]:
        print_line(
            f"not in the bitstream, to be loaded by 'zeroskip host load': "
            f"{name_some(document['loaded_by_host'])}"
        )
