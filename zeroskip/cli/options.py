"""Options that several commands have."""

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from zeroskip.base.errors import InputError

__all__ = [
    "BaseOption", "ImageArgument", "InputOption", "JsonOption", "LayersOption", "LengthsOption",
    "OutputNameOption", "PortOption", "ShapeOption", "number", "set_parameters", "sizes",
    "whole_number",
]  # fmt: skip

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")
]
ImageArgument = Annotated[Path, typer.Argument(metavar="IMAGE", help="Folder of a compiled image.")]
InputOption = Annotated[
    Path,
    typer.Option("--input", "-i", metavar="X.npy", help="Inputs, floats (samples, *input shape)."),
]

LengthsOption = Annotated[
    Path | None,
    typer.Option(
        "--lengths",
        metavar="L.npy",
        help="Of a recurrent network: steps of each sequence, whole numbers (samples,). What is "
        "behind them in X.npy is not read.",
    ),
]
ShapeOption = Annotated[
    str | None,
    typer.Option(
        "--shape",
        metavar="CxHxW",
        help="Of a sample, as 3x224x224, for sizes that a file leaves open, unless inputs say it.",
    ),
]
OutputNameOption = Annotated[
    str | None,
    typer.Option(
        "--output-name",
        metavar="TENSOR",
        help="What the network gives, instead of all outputs of a file: one of them, or any "
        "tensor before, behind which nothing is taken.",
    ),
]
LayersOption = Annotated[
    str | None,
    typer.Option(
        "--layers",
        metavar="NAME,...",
        help="Layers of the paper, or its networks; all unless given.",
    ),
]


def whole_number(text: str) -> int:
    """Read an option that is a whole number, decimal or, with 0x before it, hexadecimal.

    The library's own message does not say which value is wrong.
    """
    try:
        return int(text, 16) if str(text).startswith("0x") else int(text)
    except ValueError as error:
        raise typer.BadParameter(f"it must be a whole number, not {text!r}") from error


PortOption = Annotated[
    int,
    typer.Option(
        "--port-bits",
        parser=whole_number,
        metavar="N",
        help="Of the chip's port to memory: 64, 128 or 256.",
    ),
]
BaseOption = Annotated[
    int,
    typer.Option(
        "--base",
        parser=whole_number,
        metavar="BYTE",
        help="Address of the memory image, a multiple of 4,096.",
    ),
]


def number(text: str) -> float:
    """Read an option as :func:`whole_number` does."""
    try:
        return float(text)
    except ValueError as error:
        raise typer.BadParameter(f"it must be a number, not {text!r}") from error


def sizes(text: str | None) -> tuple[int, ...] | None:
    """Read a shape that is written like 1x28x28; None stays None.

    Raises
    ------
    InputError
        If it is none.
    """
    if text is None:
        return None
    if re.fullmatch(r"[1-9]\d{0,6}(x[1-9]\d{0,6})*", text) is None:
        raise InputError(f"the shape of an input must be like 1x28x28 or 784, not {text!r}")
    return tuple(map(int, text.split("x")))


def set_parameters(function: Callable[..., Any], parameters: Iterable[inspect.Parameter]) -> None:
    """Let a function that takes ``**values`` be seen as one with ``parameters``, all by name."""
    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    function.__dict__["__signature__"] = inspect.Signature(keywords)
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in keywords}
