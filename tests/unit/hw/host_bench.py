"""Host commands back to back, and what they must do: one after the other, memories after the run.

A model executes the commands one by one. All it takes from the hardware is whether a START or a
clearing came while something was under way, which is a matter of time; the rest must follow.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring

from hw.common.control import Command, Control, StatusBit
from sim.bench.assembly import assemble
from sim.bench.pysim import simulate

__all__ = ["ArrayModel", "Told", "check_in_order", "play"]

_KINDS = Command.START | Command.CLEAR | Command.CLEAR_COUNTERS


@dataclass
class Told:
    """A command, and what the array did with it.

    Parameters
    ----------
    space, addr, pe, data : of the command; ``data`` is None to read.
    gap : cycles without a command before it.
    busy : the array was running in the cycle after it took the command.
    answer : to a read; ``still`` if the array was running when it came.
    cut : of a write to COMMAND: whether the array was at work when it took effect.
    """

    space: Any
    addr: int
    pe: int = 0
    data: int | None = None
    gap: int = 0
    busy: bool = False
    answer: int | None = None
    still: bool = False
    cut: bool = False

    @property
    def is_control(self) -> bool:
        """Whether it is given to the sequencer."""
        return self.space.value == 0 and self.addr == Control.COMMAND and self.data is not None


def play(
    kind: type[Any],
    params: Any,
    modules: Mapping[str, Callable[[], wiring.Component]],
    sequencer_name: str,
    commands: Sequence[Told],
    seed: int,
) -> None:
    """Give the commands to an array, and fill in what happens; answers are taken with stalls.

    Checks that an answer stays until it is taken, and that a command to a memory is taken only
    while nothing runs.

    Parameters
    ----------
    kind, params, modules : of the array, see :func:`sim.bench.assembly.assemble`.
    sequencer_name : of the submodule that runs the program.
    commands, seed : what is told, and of the stalls.
    """
    found: list[Any] = []

    class Watched(kind):
        def elaborate(self, platform: object) -> Module:
            m = super().elaborate(platform)
            found.append(getattr(m.submodules, sequencer_name))
            return m

    port: Any = Watched(params)
    dut, _ = assemble(port, modules)
    rng = Random(seed)
    done = [False]

    async def host(ctx: Any) -> None:
        for one in commands:
            if one.gap:
                await ctx.tick().repeat(one.gap)
            payload = port.cmd.payload
            ctx.set(payload.command.space, one.space)
            ctx.set(payload.command.addr, one.addr)
            ctx.set(payload.command.write, one.data is not None)
            ctx.set(payload.command.data, one.data or 0)
            ctx.set(payload.pe, one.pe)
            ctx.set(port.cmd.valid, 1)
            await ctx.tick().until(port.cmd.ready)
            ctx.set(port.cmd.valid, 0)
        while ctx.get(port.running) or ctx.get(port.rsp.valid):
            await ctx.tick()
        await ctx.tick().repeat(8)
        done[0] = True

    async def watch(ctx: Any) -> None:
        (sequencer,) = found
        signals = (
            port.cmd.valid, port.cmd.ready, port.running, port.rsp.valid, port.rsp.ready,
            port.rsp.payload, sequencer.running, sequencer.start, sequencer.clear,
            sequencer.clear_counters,
        )  # fmt: skip
        coming, given = iter(commands), iter([one for one in commands if one.is_control])
        asked: list[Told] = []
        taken: Told | None = None
        offered: int | None = None
        while not done[0]:
            ctx.set(port.rsp.ready, rng.random() < 0.6)
            (
                _,
                _,
                valid,
                ready,
                running,
                answers,
                takes,
                answer,
                at_work,
                *told,
            ) = await ctx.tick().sample(*signals)
            if taken is not None:
                taken.busy = bool(running)
                taken = None
            if valid and ready:
                taken = next(coming)
                assert taken.space.value == 0 or not running, "a memory was reached during a run"
                if taken.data is None:
                    asked.append(taken)
            if any(told):
                one = next(given)
                while not (one.data or 0) & (
                    Command.START | Command.CLEAR | Command.CLEAR_COUNTERS
                ):
                    one = next(given)
                one.cut = bool(at_work)
            if offered is not None:
                assert (answers, answer) == (1, offered), "an answer did not wait to be taken"
            if answers and offered is None:
                (mine,) = asked
                mine.answer, mine.still = answer, bool(running)
            offered = answer if answers and not takes else None
            if answers and takes:
                asked.clear()
        assert next(coming, None) is None
        assert not asked

    simulate(dut, host, watch)


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
    under_way: Command = Command.CLEAR
    written: list[tuple[Any, int, int]] = field(default_factory=list)
    """What the last run wrote."""
    seen: dict[str, int] = field(default_factory=dict)
    """How often an answer could be checked, by what was asked."""

    @abstractmethod
    def run(self) -> None:
        """Execute the program: set ``memory``, ``written``, ``source``, ``cycles``, ``lost``."""

    @abstractmethod
    def clear_sums(self) -> None:
        """Set the accumulators to 0."""

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

    def command(self, command: Command, *, cut: bool) -> None:
        """Execute what is written to COMMAND; ``cut`` if something was under way."""
        if not command & _KINDS:
            return
        cut = cut and self.under_way != Command.CLEAR_COUNTERS
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
                self.command(Command(one.data), cut=one.cut)
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


def check_in_order(model: ArrayModel, commands: Iterable[Told], seed: int) -> None:
    """Execute all commands, one by one, and compare what was answered."""
    for number, one in enumerate(commands):
        try:
            model.check(one)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, command {number}, {one}: {error}") from error
