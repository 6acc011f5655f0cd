"""``zeroskip verilog``: an engine as one Verilog file, for other flows."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.base.staging import staged_directory
from zeroskip.cli.arrays import DEFAULT_ENGINE, PresetOption, SetOption, choose_arrays
from zeroskip.cli.files import read_npy
from zeroskip.cli.options import JsonOption, PortOption
from zeroskip.cli.output import print_json, print_line
from zeroskip.compiler.image.image import Image, load
from zeroskip.compiler.image.manifest import zeroskip_version
from zeroskip.flow.bus.top import TOPS, TopFlow, chip_of
from zeroskip.flow.flow import FLOWS, flow
from zeroskip.hw.common.bundle import Port
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.machine import machine
from zeroskip.sim.run import run

__all__ = ["EXAMPLES", "write_verilog"]

EXAMPLES = """Examples:

zeroskip verilog -o out/verilog

zeroskip verilog --preset paper --set num_pes=16 -o out/eie16

zeroskip verilog --engine system --preset scnn=paper --prefix my_ -o out/system

zeroskip verilog --top axi --set num_pes=4 -o out/eie_axi

zeroskip verilog --engine scnn --preset tiny --top wishbone --port-bits 64 -o out/scnn_wishbone

zeroskip verilog --image out/digits --top axi -o out/chip

zeroskip verilog --image out/digits --input x.npy -o out/array
"""

_MARK = "ports.json"


def write_verilog(
    folder: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="ENGINE",
            help=f"One of {', '.join(FLOWS.names())}; {DEFAULT_ENGINE} unless given.",
        ),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            "--image", metavar="IMAGE", help="Write the engines, and the arrays, that IMAGE is for."
        ),
    ] = None,
    preset: PresetOption = None,
    settings: SetOption = None,
    prefix: Annotated[
        str, typer.Option("--prefix", help="What the names of all modules begin with.")
    ] = "",
    top: Annotated[
        str | None,
        typer.Option(
            "--top",
            metavar="BUS",
            help=f"Write the chip that runs command lists, behind a bus: {' or '.join(TOPS)}.",
        ),
    ] = None,
    data_bits: PortOption = SystemParams.data_bits,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            metavar="X.npy",
            help="With --image, of an array by itself: write a testbench, and to the folder srams "
            "what its memories hold, these inputs, and what the models make of them.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Write an array and a PE, or the chip, as Verilog files that need nothing else.

    Beside them a header of macros for the host port's fields, and the ports as JSON; with --top
    also what integrators need: FuseSoC core, constraints, waivers of lint, table of SRAMs, a
    testbench, and registers in SystemRDL, C, Markdown and HTML. A folder that an
    earlier call wrote is replaced.
    """
    from zeroskip.flow.export import export

    if inputs is not None and (image is None or top is not None):
        raise InputError(
            "--input needs --image, and no --top: what the testbench of a top reads, zeroskip "
            "system writes"
        )
    if image is not None and (engine or preset or settings):
        raise InputError(
            "--image says which arrays to write: leave --engine, --preset and --set out"
        )
    params: Mapping[str, Any] | None = None
    compiled = None if image is None else load(image)
    if compiled is not None:
        params = {part.engine: part.params for part in compiled.parts}
        engine = chip_of(params)
    engine = engine or DEFAULT_ENGINE
    chip = None if top is None else TopFlow(engine, top, SystemParams(data_bits=data_bits))
    design = chip or flow(engine)
    if params is None:
        arrays = choose_arrays(preset, settings, design.arrays)
        params = {name: array.params for name, array in arrays.items()}
    if prefix and not re.fullmatch(r"[A-Za-z_]\w*", prefix, re.ASCII):
        raise ParameterError("prefix", prefix, "a letter or _, and then letters, digits and _")
    # What is refused is so before the Verilog is made, which takes longer.
    vectors = None
    if compiled is not None and inputs is not None:
        vectors = _bench_files(compiled, inputs)
    exported = export(design, params, zeroskip_version(), prefix)
    files = {name: text.encode() for name, text in exported.files.items()}
    if chip is not None:
        files |= chip.files(exported, chip.params(params), zeroskip_version())
    if compiled is not None and vectors is not None:
        (*_, (name, listed)) = exported.ports.items()
        bench = flow(engine).testbench(name, listed, compiled.alone().params)
        files |= {f"{name}_tb.v": bench.encode(), **vectors}
    document = {
        "engine": engine,
        "top": top,
        "modules": {
            name: [_describe_port(port) for port in found] for name, found in exported.ports.items()
        },
    }
    files[_MARK] = (json.dumps(document, indent=1) + "\n").encode()
    _write(folder, files)
    if as_json:
        print_json({"folder": str(folder), "files": sorted(files), **document})
    else:
        for name, contents in files.items():
            if "/" not in name:
                print_line(f"{folder / name}: {len(contents.splitlines())} lines")
    return 0


def _describe_port(port: Port) -> Mapping[str, Any]:
    """Return what the JSON document has of a port."""
    fields = [{"name": field, "lsb": low, "width": width} for field, low, width in port.fields]
    return {
        "name": port.name,
        "direction": port.direction,
        "width": port.width,
        "fields": fields,
    }


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files or none; a folder that an earlier call wrote is replaced."""
    target = folder.resolve()
    if target.exists() and not (target / _MARK).is_file():
        raise InputError(f"{folder} is not a folder that this command wrote: name another")
    try:
        with staged_directory(target) as stage:
            for name, contents in files.items():
                (stage / name).parent.mkdir(parents=True, exist_ok=True)
                (stage / name).write_bytes(contents)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}") from error


def _bench_files(image: Image, inputs: Path) -> Mapping[str, bytes]:
    """Write what the testbench of the only array of an image reads, by name."""
    if len(image.parts) > 1:
        raise InputError(
            f"{image.name!r} has parts for {', '.join(part.engine for part in image.parts)}, and "
            "--input is for an array by itself: use --top axi for a chip of both"
        )
    found = run(image, read_npy(inputs, "input"), "cycles")
    part = found.image.alone()
    contents = machine(part.engine).bench_files(part, found)
    return {f"srams/{file}": text for file, text in contents.items()}
