"""What commands must do: one after the other, those to memories after the run.

A model executes the commands one by one. All it takes from the hardware is whether a START or a
clearing came while something was under way, which is a matter of time; the rest must follow.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.unit.hw.host_bench import Told
from zeroskip.hw.common.control import Command, Control, StatusBit

__all__ = ["ArrayModel", "check_in_order"]

_KINDS = Command.START | Command.CLEAR | Command.CLEAR_COUNTERS


@dataclass
class ArrayModel(ABC):
    """What every array does with commands; a row of a memory is None if nobody can know it.

    Parameters
    ----------
    readable : as ``readable_rows`` gives it.
    counter : space of the counters.
    version : of the interface.
    num_pes : PEs.
    """

    readable: Mapping[Any, tuple[int, int]]
    counter: Any
    version: int
    num_pes: int
    memory: dict[tuple[Any, int, int], int | None] = field(default_factory=dict)
    source: int = 0
    cycles: int | None = 0
    lost: bool = False
    bad_read: bool = False
    cuts: Iterator[bool] = field(default_factory=lambda: iter(()))
    """For each START or clearing, whether something was under way."""
    under_way: Command = Command.CLEAR
    written: list[tuple[Any, int, int]] = field(default_factory=list)
    """What the last run wrote."""
    now: int = 0
    """Cycle in which the command at hand was taken."""
    seen: dict[str, int] = field(default_factory=dict)
    """How often an answer could be checked, by what was asked."""

    @abstractmethod
    def run(self) -> None:
        """Execute the program: set ``memory``, ``written``, ``source``, ``cycles``, ``lost``."""

    @abstractmethod
    def clear_sums(self) -> None:
        """Set the accumulators to 0."""

    def settle(self) -> None:
        """Wait, as a clearing does, until what is read ahead of a run is there."""
        return

    def write(self, one: Told) -> None:
        """Write a row of a memory."""
        self.memory[one.space, one.pe, one.addr] = one.data

    def count(self, counts: Iterable[tuple[int, int, int | None]]) -> None:
        """Add to counters: PE, row, and how much."""
        for pe, row, count in counts:
            before = self.memory[self.counter, pe, row]
            if before is not None:
                self.memory[self.counter, pe, row] = None if count is None else before + count

    def clear_counters(self) -> None:
        """Set all counters to 0."""
        rows = self.readable[self.counter][0]
        self.memory |= {
            (self.counter, pe, row): 0 for pe in range(self.num_pes) for row in range(rows)
        }

    def command(self, command: Command) -> None:
        """Execute what is written to COMMAND."""
        if not command & _KINDS:
            return
        busy = next(self.cuts)
        cut = busy and self.under_way != Command.CLEAR_COUNTERS
        if busy or command & (Command.CLEAR | Command.CLEAR_COUNTERS):
            self.settle()
        if cut and self.under_way == Command.START:
            self.memory |= dict.fromkeys(self.written)
            self.cycles, self.lost = None, False
        if cut or command & Command.CLEAR:
            self.source, self.lost = 0, False
            self.clear_sums()
            self.clear_counters()
        elif command & Command.CLEAR_COUNTERS:
            self.clear_counters()
        if command & Command.START:
            self.source = self.source if command & Command.KEEP else 0
            self.lost = False
            self.run()
        whole = Command.CLEAR if cut or command & Command.CLEAR else Command.CLEAR_COUNTERS
        self.under_way = Command.START if command & Command.START else whole

    def check(self, one: Told) -> None:
        """Execute a command; compare the answer, where there is one and it can be known."""
        self.now = one.cycle
        if one.space.value == 0:
            self._check_control(one)
        elif one.data is not None:
            self.write(one)
        elif not self._can_read(one):
            self.bad_read = True
            self._compare("bad", one, 0)
        else:
            place = one.space, one.pe, one.addr
            self._compare(one.space.name, one, self.memory.get(place))

    def _check_control(self, one: Told) -> None:
        if one.data is not None:
            if one.addr == Control.COMMAND:
                self.command(Command(one.data))
            elif one.addr == Control.STATUS:
                self.bad_read &= not one.data & StatusBit.BAD_READ
            return
        if one.addr == Control.STATUS:
            assert one.answer is not None
            status = StatusBit(one.answer)
            assert bool(status & StatusBit.BAD_READ) == self.bad_read
            running = bool(status & StatusBit.RUNNING)
            assert running in {one.busy, one.still}
            if not running:
                assert bool(status & StatusBit.SOURCE) == self.source
                assert bool(status & StatusBit.LOST) == self.lost
            self._count("running" if running else "at rest")
        elif one.addr == Control.VERSION:
            self._compare("version", one, self.version | self.num_pes << 16)
        elif one.addr == Control.CYCLES:
            if not one.busy:
                self._compare("cycles", one, self.cycles)
            elif self.cycles is not None:
                assert one.answer is not None
                assert one.answer <= self.cycles
        else:
            self.bad_read = True
            self._compare("bad", one, 0)

    def _can_read(self, one: Told) -> bool:
        rows, files = self.readable.get(one.space, (0, 0))
        file, row = divmod(one.addr, 1 << max(1, (rows - 1).bit_length()))
        return row < rows and file < files and one.pe < self.num_pes

    def _compare(self, what: str, one: Told, expected: int | None) -> None:
        if expected is not None:
            assert one.answer == expected, (what, one)
            self._count(what)

    def _count(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1


def check_in_order(check: Callable[[Told], None], commands: Iterable[Told], seed: int) -> None:
    """Execute all commands, one by one, and compare what was answered."""
    for number, one in enumerate(commands):
        try:
            check(one)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, command {number}, {one}: {error}") from error
