"""``zeroskip verilog``: an engine as one Verilog file, for other flows."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from compiler.errors import InputError
from compiler.manifest import zeroskip_version
from compiler.staging import staged_directory
from hw.eie.params import EieParams
from hw.scnn.params import ScnnParams
from scripts.cli.options import JsonOption, with_params
from scripts.cli.output import print_json, print_line
from scripts.cli.scnn_options import with_scnn_params

__all__ = ["EXAMPLES", "write_verilog"]

EXAMPLES = """Examples:

zeroskip verilog -o out/verilog

zeroskip verilog --preset paper --pes 16 -o out/eie16

zeroskip verilog --engine scnn --scnn-preset tile -o out/scnn
"""

_MARK = "ports.json"


@with_scnn_params
@with_params
def write_verilog(
    folder: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    params: EieParams,
    placement: Any,
    scnn_params: ScnnParams | None,
    engine: Annotated[Literal["eie", "scnn"], typer.Option("--engine", help="Which.")] = "eie",
    as_json: JsonOption = False,
) -> int:
    """Write the array, and a PE, as Verilog files that need nothing else.

    Beside them a header of macros for the host port's fields, and the ports as JSON. A folder
    that an earlier call wrote is replaced.
    """
    del placement
    from hw.common.bundle import bundle, constants, ports

    sizes: Any
    if engine == "eie":
        from hw.eie import formats
        from hw.eie.array import ARRAY_MODULE, PE_MODULE, EieArray
        from hw.eie.pe import Pe

        sizes, pe, array = params, Pe(params), EieArray(params)
    else:
        from hw.scnn import formats
        from hw.scnn.array import ARRAY_MODULE, PE_MODULE, ScnnArray
        from hw.scnn.pe import ScnnPe

        sizes = scnn_params or ScnnParams()
        pe, array = ScnnPe(sizes), ScnnArray(sizes)
    designs = [(PE_MODULE, pe), (ARRAY_MODULE, array)]
    version = zeroskip_version()
    listed = {name: ports(component) for name, component in designs}
    enums = (formats.Space, formats.Control, formats.Command, formats.StallClass)
    texts = {
        f"{PE_MODULE}.sv": bundle(designs[:1], sizes, version),
        f"{ARRAY_MODULE}.sv": bundle(designs, sizes, version),
        f"{ARRAY_MODULE}.vh": constants(engine.upper(), listed[ARRAY_MODULE], enums),
    }
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
            for name, found in listed.items()
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
