"""Count the changes of signals while an array runs, in waves that a simulation left."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from zeroskip.base.errors import SimulationError
from zeroskip.sim.rtl.declared import declared_signals

__all__ = ["Toggles", "count_toggles"]

_CLOCK, _PHASE = "clk", "control__phase"

Wanted = Callable[[tuple[str, ...], str], bool]
"""Tells of a signal if it is wanted, by the instances that it is in and its name."""


@dataclass(frozen=True)
class Toggles:
    """Changes of signals.

    Parameters
    ----------
    nets : number of the net that each signal is part of; two of a number are one wire.
    changes : of each net.
    cycles : of the clock.
    """

    nets: Mapping[tuple[tuple[str, ...], str], str]
    changes: Mapping[str, int]
    cycles: int


def count_toggles(waves: Path, wanted: Wanted) -> Toggles:
    """Count changes of signals of one bit in runs: while the array's phase is not 0, which is IDLE.

    Parameters
    ----------
    waves : a VCD file of an array.
    wanted : signals to count.

    Raises
    ------
    SimulationError
        If the file has no clock or no phase.
    """
    nets: dict[tuple[tuple[str, ...], str], str] = {}
    tops: dict[str, str] = {}
    changes: Counter[str] = Counter()
    with waves.open() as file:
        for signal in declared_signals(file):
            if signal.name in (_CLOCK, _PHASE):
                tops.setdefault(signal.name, signal.net)
            if signal.width == 1 and wanted(signal.scopes, signal.name):
                nets[signal.scopes, signal.name] = signal.net
        if missing := {_CLOCK, _PHASE} - tops.keys():
            raise SimulationError(f"the waves lack {min(missing)}, so that no change counts")
        watched = {*nets.values(), tops[_CLOCK]}
        runs = False
        for line in file:
            if line[0] in "01":
                if runs and (net := line[1:-1]) in watched:
                    changes[net] += 1
            elif line[0] == "b" and line.endswith(f" {tops[_PHASE]}\n"):
                runs = "1" in line.split()[0]
    return Toggles(nets, changes, changes[tops[_CLOCK]] // 2)
