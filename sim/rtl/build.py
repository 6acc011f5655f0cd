"""Build a Verilator simulation of a design, once per design and set of parameters."""

import contextlib
import fcntl
import hashlib
import inspect
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import cocotb_tools.config

from zeroskip.base.cache import cache_dir, writing_cache
from zeroskip.flow.flow import Flow
from zeroskip.hw.common import emit
from zeroskip.hw.common.emit import SRAM_VERILOG, emit_verilog
from zeroskip.sim.rtl import library, tools
from zeroskip.sim.rtl.tools import LINKS, verilate

__all__ = ["build_array", "build_design", "build_model", "keep_inputs", "source_digest"]

# Yosys writes unsized constants, partial cases and [-1:0] for zero-width signals.
_LINT = ["-Wno-WIDTH", "-Wno-CASEINCOMPLETE", "-Wno-ASCRANGE"]
# Both name temporary variables by where in the whole design they are.
_ALIKE = ("-fno-dfg", "-fno-table")
_MANY = 16
"""Instances from which on it pays that a module is a library: each copies what enters and leaves
it several times a cycle."""
_COMMON = (SRAM_VERILOG.parent, Path(emit.__file__).parent)
"""Folders that all Verilog is generated from."""


@cache
def source_digest(folders: tuple[Path, ...]) -> str:
    """Digest of all that Verilog is generated from, so that a changed design is built anew."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in (*_COMMON, *folders) for path in folder.rglob("*")):
        if path.suffix in (".py", ".sv", ".v"):
            digest.update(path.name.encode() + path.read_bytes())
    for path in (Path(__file__), Path(tools.__file__), Path(library.__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def build_array(flow: Flow[Any], params: Any, *, alike: bool = False, waves: bool = False) -> Path:
    """Build an array, or another design; return the program, which runs any image of ``params``.

    Parameters
    ----------
    flow : of the design.
    params : that it is made from.
    alike, waves : see :func:`build_design`.

    Raises
    ------
    ToolError
        If a tool is missing or the compilation fails.
    """
    modules = flow.modules(params)
    *inner, top = modules
    return build_design(
        f"{flow.engine}_array",
        asdict(params),
        tuple(sorted({Path(inspect.getfile(make.func)).parent for make in modules.values()})),
        lambda: {f"{name}.v": emit_verilog(make(), name) for name, make in modules.items()},
        top,
        tuple(inner),
        alike=alike,
        waves=waves,
    )


def build_design(
    name: str,
    params: Mapping[str, Any],
    folders: tuple[Path, ...],
    convert: Callable[[], Mapping[str, str]],
    top: str,
    shared: tuple[str, ...],
    *,
    alike: bool = False,
    apart: bool = False,
    waves: bool = False,
    optimize: bool = True,
) -> Path:
    """Build a design unless it has been built; return the program.

    Parameters
    ----------
    name : begins the name of the build's folder.
    params : that the design depends on.
    folders : that it is made from, beside those of all designs.
    convert : makes its Verilog, text by file name.
    top : its top module.
    shared : modules that are compiled once for all their instances.
    alike : give up optimisations that make code of instances differ: with many instances of much
        logic, building is several times faster, and simulating almost twice; with few instances,
        simulating is slower by half.
    apart : make a library of each shared module with many instances, so that there is its code
        once, whatever it is connected with: what an array of 64 PEs of SCNN takes to build becomes
        a fifth. No file gives the SRAMs in such a module their contents.
    waves : record waves.
    optimize : for speed of simulation, which takes most of the time to build.

    Raises
    ------
    ToolError
        If a tool is missing or the compilation fails.
    """
    key = f"{sorted(params.items())}{alike}{apart}{waves}{source_digest(folders)}"
    folder = cache_dir() / f"{name}_{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    program = folder / top
    with writing_cache(), _lock(folder):
        if not program.exists():
            verilog = convert()
            libraries = _often(verilog, shared) if apart else ()
            # Verilator would otherwise inline what has many instances, and compile it as often.
            control = "".join(
                f'no_inline -module "{module}"\n' for module in shared if module not in libraries
            )
            if alike:
                control += "".join(keep_inputs(verilog, module) for module in shared)
            options = _ALIKE if alike else ()
            build_model(
                verilog,
                top,
                folder,
                waves=waves,
                control=control,
                options=options,
                libraries=libraries,
                optimize=optimize,
            )
    return program


def _often(verilog: Mapping[str, str], modules: Sequence[str]) -> tuple[str, ...]:
    """Return those of ``modules`` that the Verilog has :data:`_MANY` instances of, or more."""
    return tuple(
        module
        for module in modules
        if sum(len(re.findall(rf"^  {module} ", text, re.MULTILINE)) for text in verilog.values())
        >= _MANY
    )


def keep_inputs(verilog: Mapping[str, str], module: str) -> str:
    """Keep Verilator from replacing a module's inputs by what each instance has there."""
    pattern = re.compile(rf"^module {module} ?\(.*?^endmodule", re.DOTALL | re.MULTILINE)
    (body,) = (found.group() for text in verilog.values() for found in pattern.finditer(text))
    names = re.findall(r"^  input (?:\[[^]]*\] )?(\w+);", body, re.MULTILINE)
    return "".join(
        f'public_flat_rw -module "{module}" -var "{name}"\n'
        for name in names
        if name not in ("clk", "rst")  # the same for all, and no clocks of their own
    )


def build_model(
    verilog: Mapping[str, str],
    top: str,
    folder: Path,
    *,
    waves: bool = False,
    control: str = "",
    options: Sequence[str] = (),
    libraries: Sequence[str] = (),
    optimize: bool = True,
) -> Path:
    """Compile ``verilog`` (text by file name) and the SRAM for cocotb; return the program.

    Only the ports of ``top`` are public: with every signal public, as cocotb's own runner has
    it, an array of 64 PEs takes many minutes to compile and runs several times slower.

    ``libraries`` are modules in files of their names, see :func:`build_design`.

    Raises
    ------
    ToolError
        If a tool is missing or the compilation fails.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in verilog.items():
        (folder / name).write_text(text)
    # What leaves a library is taken to depend on all that enters it.
    loops = ["-Wno-UNOPTFLAT"] if libraries else []
    settings = f'`verilator_config\npublic_flat_rw -module "{top}" -var "*"\n{control}'
    (folder / "settings.vlt").write_text(settings)
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    for path in (main, SRAM_VERILOG):
        shutil.copy(path, folder)
    common = ["--timescale", "1ns/1ps", *_LINT, *options, *loops]
    arguments = [
        "--vpi", "--top-module", top, "-o", top, *common,
        *(["--trace"] if waves else []),
        # When it runs, `launch` says where the library is.
        "-LDFLAGS", f"-L{LINKS['cocotb']} -lcocotbvpi_verilator",
        main.name, "settings.vlt", SRAM_VERILOG.name,
    ]  # fmt: skip
    files = {name.removesuffix(".v"): name for name in verilog}
    parts = {module: [*common, SRAM_VERILOG.name, files.pop(module)] for module in libraries}
    # -O2 compiles for twice the time of -O1, and simulates no faster. Of a large design only what
    # runs every cycle is optimised: constructors would take minutes.
    level = "-O1" if optimize else "-O0"
    flags = [f"VM_TRACE={int(waves)}", f"OPT_FAST={level}", "OPT_GLOBAL=-O2"]
    verilate(folder, [*arguments, *files.values()], flags, folder / "build.log", parts)
    return folder / top


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Let one process build ``folder`` while others wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{folder.name}.lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
