"""``zeroskip driver``: C sources that run a network on a chip, from any processor."""

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.base.errors import InputError
from zeroskip.base.staging import staged_directory
from zeroskip.cli.options import BaseOption, ImageArgument, JsonOption, PortOption
from zeroskip.cli.output import print_json, print_line
from zeroskip.compiler.image.image import load
from zeroskip.compiler.system.build import build_system, check_folder
from zeroskip.hw.system.params import SystemParams

__all__ = ["EXAMPLES", "write_driver"]

EXAMPLES = """Examples:

zeroskip driver out/model -o out/driver

zeroskip driver out/model --port-bits 64 --base 2147483648 -o out/driver
"""


def write_driver(
    image: ImageArgument,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder to write; one is replaced."),
    ],
    data_bits: PortOption = SystemParams.data_bits,
    base: BaseOption = 0,
    as_json: JsonOption = False,
) -> int:
    """Write a driver in C for a network: code, registers, and the memory image.

    The code allocates nothing and needs no library but memcpy. It refuses a chip of another
    version, or of another array than the image is for.
    """
    from zeroskip.flow.driver.generate import driver_files

    check_folder(output)
    compiled = load(image)
    system = build_system(compiled, SystemParams(data_bits=data_bits), base=base)
    files = driver_files(compiled, system)
    try:
        with staged_directory(output.resolve()) as stage:
            for name, contents in files.items():
                (stage / name).write_bytes(contents)
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror or error}") from error
    if as_json:
        print_json({"image": str(image), "folder": str(output), "files": sorted(files)})
    else:
        for name, contents in files.items():
            print_line(f"{output / name}: {len(contents):,} bytes")
    return 0
