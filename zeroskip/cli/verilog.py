"""``zeroskip verilog``: an engine as one Verilog file, for other flows."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from zeroskip.base.errors import InputError
from zeroskip.base.staging import staged_directory
from zeroskip.cli.options import JsonOption, with_params
from zeroskip.cli.output import print_json, print_line
from zeroskip.cli.scnn_options import with_scnn_params
from zeroskip.compiler.image.manifest import zeroskip_version
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["EXAMPLES", "write_verilog"]

EXAMPLES = """Examples:

zeroskip verilog -o out/verilog

zeroskip verilog --preset paper --pes 16 -o out/eie16

zeroskip verilog --engine scnn --scnn-preset tile -o out/scnn

zeroskip verilog --engine chip --prefix my_ -o out/chip
"""

_MARK = "ports.json"


@with_scnn_params
@with_params
def write_verilog(
    folder: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    params: EieParams,
    placement: Any,
    scnn_params: ScnnParams | None,
    engine: Annotated[
        Literal["eie", "scnn", "chip"],
        typer.Option("--engine", help="Which; chip: both, and what joins them."),
    ] = "eie",
    prefix: Annotated[
        str, typer.Option("--prefix", help="What the names of all modules begin with.")
    ] = "",
    as_json: JsonOption = False,
) -> int:
    """Write an array and a PE, or the chip, as Verilog files that need nothing else.

    Beside them a header of macros for the host port's fields, and the ports as JSON. A folder
    that an earlier call wrote is replaced.
    """
    del placement
    from zeroskip.hw.export import export

    if prefix and not re.fullmatch(r"[A-Za-z_]\w*", prefix, re.ASCII):
        raise InputError(
            f"--prefix must be a letter or _, and then letters, digits and _, not {prefix!r}"
        )
    exported = export(engine, params, scnn_params or ScnnParams(), zeroskip_version(), prefix)
    texts = dict(exported.files)
    document = {
        "engine": engine,
        "modules": {
            name: [
                {
                    "name": port.name,
                    "direction": port.direction,
                    "width": port.width,
                    "fields": [
                        {"name": field, "lsb": low, "width": width}
                        for field, low, width in port.fields
                    ],
                }
                for port in found
            ]
            for name, found in exported.ports.items()
        },
    }
    texts[_MARK] = json.dumps(document, indent=1) + "\n"
    target = folder.resolve()
    if target.exists() and not (target / _MARK).is_file():
        raise InputError(f"{folder} is not a folder that this command wrote: name another")
    try:
        with staged_directory(target) as stage:
            for name, text in texts.items():
                (stage / name).write_text(text)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}") from error
    if as_json:
        print_json({"folder": str(folder), "files": sorted(texts), **document})
    else:
        for name, text in texts.items():
            print_line(f"{folder / name}: {len(text.splitlines())} lines")
    return 0
