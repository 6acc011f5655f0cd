"""Waves: how large they will be, and the files that open them with signals and states named."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from vcd.gtkw import GTKWSave, make_translation_filter

from zeroskip.flow.flow import FLOWS
from zeroskip.sim.rtl.declared import DeclaredSignal, declared_signals
from zeroskip.sim.rtl.enums import Modules, read_modules

__all__ = ["Waves", "expected_bytes", "expected_waves", "save_paths", "write_save_files"]

# Measured, per 32 bits of signals: their declaration and first value; their changes in a cycle of
# a run, and in one of the host's. A command of the host takes about 4 cycles.
_DECLARED_BYTES, _RUN_BYTES, _HOST_BYTES = 100, 2.7, 0.85
_COMMAND_CYCLES = 4.2


@dataclass(frozen=True)
class Waves:
    """Waves to record.

    Parameters
    ----------
    path : where to leave them (VCD).
    samples : how many inputs are run.
    run_cycles : that the cycle model says the runs take.
    reload_cycles : that the host's moves between runs take.
    commands : about how many more of the host load inputs, and read results and counters.
    """

    path: Path
    samples: int
    run_cycles: int
    reload_cycles: int
    commands: int


class Counted(Protocol):
    """What the cycle model says of an array."""

    @property
    def run_cycles(self) -> NDArray[np.int64] | None:
        """(n, runs) cycles of each run."""
        ...

    @property
    def reload_cycles(self) -> NDArray[np.int64] | None:
        """(n,) cycles of the host between runs."""
        ...

    @property
    def counters(self) -> NDArray[np.int64] | None:
        """(n, layers, num_pes, stall classes)."""
        ...


def expected_waves(path: Path, counted: Sequence[Counted], moved: int) -> Waves:
    """Return the waves of arrays that run one after the other.

    Parameters
    ----------
    path : of the waves.
    counted : what the cycle models say of each array.
    moved : words that the host writes and reads.
    """
    runs = [part.run_cycles for part in counted if part.run_cycles is not None]
    reloads = [part.reload_cycles for part in counted if part.reload_cycles is not None]
    counters = [part.counters.size for part in counted if part.counters is not None]
    return Waves(
        path,
        len(runs[0]),
        sum(int(cycles.sum()) for cycles in runs),
        sum(int(cycles.sum()) for cycles in reloads),
        moved + sum(counters),
    )


def expected_bytes(program: Path, waves: Waves) -> int:
    """Estimate the bytes of the file of waves, to within a factor of 2."""
    model = (program.parent / "Vtop.cpp").read_text()
    found = re.search(r"addInitCb\(&trace_init, .*, (\d+)\);", model)
    assert found is not None, f"{program} is built without waves"
    host_cycles = waves.reload_cycles + _COMMAND_CYCLES * waves.commands
    changes = _RUN_BYTES * waves.run_cycles + _HOST_BYTES * host_cycles
    return int(int(found[1]) * (_DECLARED_BYTES + changes))


def save_paths(waves: Path) -> tuple[Path, Path]:
    """Return where the files of GTKWave and of Surfer lie that go with ``waves``."""
    return _beside(waves, ".gtkw"), _beside(waves, ".sucl")


def write_save_files(program: Path, waves: Path) -> None:
    """Write what opens ``waves`` of ``program`` in GTKWave and in Surfer.

    Both show the signals that flows name, and enumerations by their members' names. GTKWave reads
    the names from ``NAME.SIGNAL.txt``; Surfer from ``.surfer/mappings`` in the folder that it is
    started in, so that folder has to be the one of the waves.
    """
    waves = waves.resolve()
    modules = read_modules(program.parent.glob("*.v"))
    gtkw, sucl = save_paths(waves)
    commands = [f"load_file {waves}"]
    with gtkw.open("w") as file:
        save = GTKWSave(file)
        save.dumpfile(str(waves))
        for scope, signals in _groups(modules, program.name, waves):
            commands.append(f"divider_add {scope}")
            with save.group(scope):
                for signal in signals:
                    members = modules.members((*signal.scopes, signal.name), program.name)
                    names = _write_names(waves, signal, members) if members else None
                    save.trace(
                        signal.path + signal.bits,
                        translate_filter_file=None if names is None else str(names),
                    )
                    commands.append(f"variable_add {signal.path}")
                    if names is not None:
                        commands.append(f"item_set_format {names.stem}")
    sucl.write_text("".join(f"{command}\n" for command in [*commands, "zoom_fit"]))


def _beside(waves: Path, ending: str) -> Path:
    name = waves.stem if waves.suffix == ".vcd" else waves.name
    return waves.with_name(name + ending)


def _write_names(waves: Path, signal: DeclaredSignal, members: Mapping[int, str]) -> Path:
    """Write the names of an enumeration for both programs; return the file of GTKWave's."""
    # One file for all PEs: they have the same enumeration.
    ending = re.sub(r"\bpe_\d+\b", "pe", signal.path) + ".txt"
    # Surfer takes formats of one word only.
    path = _beside(waves, f".{ending}")
    path = path.with_name("_".join(path.name.split()))
    high = int(signal.bits.strip("[]").partition(":")[0] or 0)
    path.write_text(make_translation_filter(list(members.items()), size=high + 1) + "\n")
    mapping = path.parent / ".surfer" / "mappings" / path.name
    mapping.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{number} {name}" for number, name in members.items()]
    mapping.write_text("\n".join([f"Name = {path.stem}", f"Bits = {high + 1}", *rows, ""]))
    return path


def _groups(modules: Modules, top: str, waves: Path) -> Iterator[tuple[str, list[DeclaredSignal]]]:
    """Give the engines' scopes in the waves, with the signals of them to show."""
    with waves.open() as file:
        header = list(declared_signals(file))
    every = {
        name: patterns for flow in FLOWS.all().values() for name, patterns in flow.waves.items()
    }
    for scopes in dict.fromkeys(signal.scopes for signal in header):
        patterns = every.get(modules.module(scopes, top) or "", ())
        shown = [
            signal
            for pattern in patterns
            for signal in header
            if signal.scopes[: len(scopes)] == scopes
            and _matches((*signal.scopes[len(scopes) :], signal.name), pattern.split("."))
        ]
        if shown:
            yield ".".join(scopes), shown


def _matches(path: tuple[str, ...], pattern: list[str]) -> bool:
    return len(path) == len(pattern) and all(map(fnmatchcase, path, pattern))
