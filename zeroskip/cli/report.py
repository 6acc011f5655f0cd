"""``zeroskip report``: compiled networks as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.base.errors import InputError
from zeroskip.base.staging import check_output_file, replaced_file
from zeroskip.cli.files import read_npy
from zeroskip.cli.options import JsonOption, OutputNameOption
from zeroskip.cli.output import Steps, print_json, print_line
from zeroskip.compiler.frontend.networks import import_file
from zeroskip.compiler.image.image import load
from zeroskip.sim.page.contents import image_contents
from zeroskip.sim.page.page import page

__all__ = ["EXAMPLES", "write_report"]

EXAMPLES = """Examples:

zeroskip report out/model -o report.html

zeroskip report out/model --input x.npy --labels y.npy --model model.pt2 -o report.html

zeroskip report out/before out/after -o both.html
"""


def write_report(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE [IMAGE2]", help="Folders of compiled images.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="R.html", help="The file to write."),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--input", "-i", metavar="X.npy",
            help="Inputs, floats (samples, *input shape); unless given, some are drawn.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="Y.npy", help="The class of each input, for the accuracy."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="The file that was compiled: with --labels, for the accuracy in float, and in "
            "float with the weights of the image; without, for how far outputs are from float.",
        ),
    ] = None,
    output_name: OutputNameOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Write layers, stalls, PEs, memories, traffic, timeline and weights of an image as one page.

    The page needs no network and no server. The name of each figure leads to its definition. Two
    images are shown side by side. With --json, the same data.
    """
    if len(images) > 2:
        raise InputError(f"a report is of one image or of two, not of {len(images)}")
    if output is None and not as_json:
        raise InputError("name the file to write with -o R.html, or take the data with --json")
    if output is not None:
        check_output_file(output)
    x = None if inputs is None else read_npy(inputs, "input")
    network = (
        None
        if model is None
        else import_file(model, None if x is None else x.shape[1:], output_name)
    )
    y = None if labels is None else read_npy(labels, "label")
    with Steps() as steps:
        found = [
            image_contents(load(path), x, y, steps, label=str(path), model=network)
            for path in images
        ]
    if output is not None:
        with replaced_file(output) as file:
            file.write(page(found))
    if as_json:
        print_json({"images": found, "report": None if output is None else str(output)})
    elif output is not None:
        print_line(f"report written to {output}")
