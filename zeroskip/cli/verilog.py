"""``zeroskip verilog``: an engine as one Verilog file, for other flows."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.base.staging import staged_directory
from zeroskip.cli.arrays import DEFAULT_ENGINE, PresetOption, SetOption, choose_arrays
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import print_json, print_line
from zeroskip.compiler.image.manifest import zeroskip_version
from zeroskip.flow.flow import FLOWS, flow

__all__ = ["EXAMPLES", "write_verilog"]

EXAMPLES = """Examples:

zeroskip verilog -o out/verilog

zeroskip verilog --preset paper --set num_pes=16 -o out/eie16

zeroskip verilog --engine chip --preset scnn=paper --prefix my_ -o out/chip
"""

_MARK = "ports.json"


def write_verilog(
    folder: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="ENGINE",
            help=f"One of {', '.join(FLOWS.names())}.",
        ),
    ] = DEFAULT_ENGINE,
    preset: PresetOption = None,
    settings: SetOption = None,
    prefix: Annotated[
        str, typer.Option("--prefix", help="What the names of all modules begin with.")
    ] = "",
    as_json: JsonOption = False,
) -> int:
    """Write an array and a PE, or the chip, as Verilog files that need nothing else.

    Beside them a header of macros for the host port's fields, and the ports as JSON. A folder
    that an earlier call wrote is replaced.
    """
    from zeroskip.flow.export import export

    arrays = choose_arrays(preset, settings, flow(engine).arrays)
    if prefix and not re.fullmatch(r"[A-Za-z_]\w*", prefix, re.ASCII):
        raise ParameterError("prefix", prefix, "a letter or _, and then letters, digits and _")
    params = {name: array.params for name, array in arrays.items()}
    exported = export(engine, params, zeroskip_version(), prefix)
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
