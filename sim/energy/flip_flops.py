"""Count the flip-flops and the memories of an array, in its RTL."""

import contextlib
import hashlib
import inspect
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from zeroskip.base.cache import cache_dir
from zeroskip.base.errors import InputError
from zeroskip.base.staging import replaced_file
from zeroskip.flow.flow import flow
from zeroskip.hw.common.sram import SRAM_MODULES, SramPlatform
from zeroskip.sim.energy.activity import Array, Clock, Unit
from zeroskip.sim.rtl.build import source_digest

__all__ = ["GATES_PER_FLIP_FLOP", "Counted", "count_array", "make_array"]

GATES_PER_FLIP_FLOP = 10
"""Logic of a design by its flip-flops, in gates of two inputs each: an estimate that needs no
synthesis. Synthesized netlists have 9 (EIE, preset paper) and 11 (SCNN, preset tile)."""

_MODULE = re.compile(
    r"^(?:attribute \\top 1\n)?module \\(\S+)\n(.*?)^end$", re.MULTILINE | re.DOTALL
)
_FLIP_FLOP = re.compile(r"cell \$dff \S+\n\s+parameter \\WIDTH (\d+)")
_ROWS = re.compile(r"memory width (\d+) size (\d+)")
_CELL = re.compile(r"^  cell \\(\S+) \\(\S+)\n(.*?)^  end$", re.MULTILINE | re.DOTALL)
_PARAMETER = re.compile(r"parameter \\(\w+) (\d+)")


@dataclass(frozen=True)
class Counted:
    """What RTL has.

    Parameters
    ----------
    registers : flip-flops of registers, by the name of the module in the PE, or around the PEs,
        that has them; of all PEs.
    rows : flip-flops of queues' rows, likewise.
    sram_bits : of all PEs and around them.
    """

    registers: Mapping[str, int]
    rows: Mapping[str, int]
    sram_bits: int


@lru_cache(maxsize=8)
def count_array(engine: str, params: Any) -> Counted:
    """Count what the array of an engine has, in the RTL as it is generated.

    That takes up to a minute and is kept in the cache, where that can be written.

    Parameters
    ----------
    engine, params : of the array.
    """
    modules = flow(engine).modules(params)
    folders = sorted({Path(inspect.getfile(make.func)).parent for make in modules.values()})
    key = f"{engine}{params}{source_digest(tuple(folders))}{Path(__file__).read_text()}"
    kept = cache_dir() / f"flip_flops_{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"
    if kept.is_file():
        return Counted(**json.loads(kept.read_text()))
    found = _count_rtl(engine, params)
    # It is only slower without.
    with contextlib.suppress(OSError, InputError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with replaced_file(kept) as file:
            file.write(json.dumps(asdict(found)))
    return found


def _count_rtl(engine: str, params: Any) -> Counted:
    design = flow(engine)
    modules = design.modules(params)
    # No types are published for it.
    convert: Any = import_module("amaranth.back.rtlil").convert
    registers: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    sram_bits = 0
    copies = [design.num_pes(params), 1] if len(modules) > 1 else [1]
    for (name, make), times in zip(modules.items(), copies, strict=True):
        text = convert(make(), name=name, platform=SramPlatform(), emit_src=False)
        bodies = dict(_MODULE.findall(text))
        for unit, path in _units(bodies, name):
            found = _below(bodies, path) if unit else _own(bodies[path])
            registers[unit or "control"] += times * found[0]
            rows[unit or "control"] += times * found[1]
            sram_bits += times * found[2]
    return Counted(dict(registers), dict(rows), sram_bits)


def make_array(
    engine: str, params: Any, unit_of: Callable[[str], Unit], without: Collection[str] = ()
) -> Array:
    """Count what an array has, unit by unit.

    Parameters
    ----------
    engine, params : of the array.
    unit_of : says which unit a module is part of.
    without : modules whose flip-flops and gates are left out.
    """
    counted = count_array(engine, params)
    registers: Counter[Unit] = Counter()
    rows: Counter[Unit] = Counter()
    for name in counted.registers:
        if name not in without:
            registers[unit_of(name)] += counted.registers[name]
            rows[unit_of(name)] += counted.rows[name]
    clocks = {unit: Clock(count, rows[unit]) for unit, count in registers.items()}
    every = sum(registers.values()) + sum(rows.values())
    return Array(clocks, GATES_PER_FLIP_FLOP * every, counted.sram_bits)


def _units(bodies: Mapping[str, str], top: str) -> Iterator[tuple[str, str]]:
    """Give the modules in the top by their names there, and the top itself without a name."""
    yield "", top
    for kind, name, _ in _CELL.findall(bodies[top]):
        if kind in bodies:
            yield name, kind


def _below(bodies: Mapping[str, str], name: str) -> tuple[int, int, int]:
    """Count flip-flops of registers and of rows, and bits of SRAMs, of a module and all in it."""
    found = _own(bodies[name])
    for kind, _, _ in _CELL.findall(bodies[name]):
        if kind in bodies:
            more = _below(bodies, kind)
            found = found[0] + more[0], found[1] + more[1], found[2] + more[2]
    return found


def _own(body: str) -> tuple[int, int, int]:
    """Count those of a module itself; a PE among its cells is counted by itself."""
    registers = sum(int(width) for width in _FLIP_FLOP.findall(body))
    rows = sum(int(width) * int(depth) for width, depth in _ROWS.findall(body))
    srams = [
        dict(_PARAMETER.findall(cell))
        for kind, _, cell in _CELL.findall(body)
        if kind in SRAM_MODULES
    ]
    return registers, rows, sum(int(sram["DEPTH"]) * int(sram["WIDTH"]) for sram in srams)
