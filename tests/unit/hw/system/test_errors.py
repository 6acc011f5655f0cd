"""Whatever is wrong ends in a status that names the command, and the next inference succeeds."""

from dataclasses import dataclass

import pytest

from tests.unit.hw.system.lists import (
    AREA,
    DATA,
    END,
    RUN,
    SIZE,
    Expected,
    Fields,
    control,
    encoded,
    fresh_memory,
    load,
    rows_in,
    rows_out,
)
from tests.unit.hw.system.system_bench import (
    MEMORIES,
    ROWS,
    Dram,
    EngineModel,
    Processor,
    place_list,
    run_system,
)
from zeroskip.hw.common.control import Command
from zeroskip.hw.system.check import DESTINATION
from zeroskip.hw.system.formats import Error
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import Event, Register, State

LISTS = 0x1000
GOOD = LISTS + 0x400
P = SystemParams(data_bits=128, burst_beats=4, outstanding=3)
FIRST, SECOND = DATA + AREA * 4, DATA + AREA * 6
INFERENCE = [rows_in(0, ROWS, FIRST), control(RUN), rows_out(0, ROWS, FIRST + AREA), END]
WORDS = load(4, 1, 0, 20, DATA)


@dataclass
class Case:
    """A command list with an error, and what ERROR must say then.

    Attributes
    ----------
    number : of the command that is named.
    addr, size : of the list, where it is not what it should be.
    bad : addresses of beats that the memory answers with errors.
    endless : the run does not end by itself.
    """

    commands: list[Fields]
    error: Error
    number: int
    addr: int = LISTS
    size: int | None = None
    bad: frozenset[int] = frozenset()
    endless: bool = False


def wrong(fields: Fields, error: Error, before: int = 2) -> Case:
    """Put a command that cannot be carried out behind others."""
    return Case([*([WORDS] * before), fields, *INFERENCE], error, before)


CASES = {
    "fetch": Case([WORDS] * 9 + INFERENCE, Error.FETCH, 6, bad=frozenset({LISTS + 6 * 16})),
    "fetch first": Case(INFERENCE, Error.FETCH, 0, bad=frozenset({LISTS})),
    "cut": Case([WORDS] * 6, Error.CUT, 6),
    "cut in a chunk": Case([WORDS] * 4, Error.CUT, 4),
    "cut in a command": Case([WORDS, END], Error.CUT, 1, size=31),
    "empty": Case([END], Error.CUT, 0, size=0),
    "shorter than a command": Case([END], Error.CUT, 0, size=15),
    "zeros": wrong({}, Error.UNKNOWN),
    "unknown": wrong({"op": 7}, Error.UNKNOWN),
    "ones": wrong({"op": 255}, Error.UNKNOWN, 0),
    "another engine": wrong(WORDS | {"engine": 1}, Error.UNKNOWN),
    "not zero": wrong(WORDS | {"zero": 8}, Error.UNKNOWN),
    "no base": wrong(WORDS | {"base": 3}, Error.UNKNOWN),
    "misaligned load": wrong(load(4, 1, 0, 20, DATA + 8), Error.MISALIGNED),
    "misaligned input": wrong(rows_in(0, 1, DATA + 1), Error.MISALIGNED),
    "misaligned output": wrong(rows_out(0, 1, DATA + 4), Error.MISALIGNED),
    "misaligned list": Case(INFERENCE, Error.MISALIGNED, 0, addr=LISTS + 8),
    "list below the window": Case(INFERENCE, Error.WINDOW, 0, addr=LISTS - 16),
    "list beyond the window": Case(INFERENCE, Error.WINDOW, 0, addr=LISTS + SIZE - 48),
    "list far beyond": Case(INFERENCE, Error.WINDOW, 0, addr=1 << 60 | LISTS),
    "below the window": wrong(load(4, 1, 0, 20, LISTS - 16), Error.WINDOW),
    "beyond the window": wrong(rows_in(0, 2, LISTS + SIZE - 48), Error.WINDOW),
    "output beyond the window": wrong(rows_out(0, 1, LISTS + SIZE - 16), Error.WINDOW),
    "far beyond the window": wrong(rows_out(0, 1, 1 << 39 | DATA), Error.WINDOW),
    "no space": wrong(load(7, 0, 0, 1, DATA), Error.RANGE),
    "control space": wrong(load(0, 0, 0, 1, DATA), Error.RANGE),
    "no PE": wrong(load(4, MEMORIES[4].pes, 0, 1, DATA), Error.RANGE),
    "no row": wrong(load(4, 0, MEMORIES[4].rows, 1, DATA), Error.RANGE),
    "too many words": wrong(load(4, 0, 1, MEMORIES[4].rows, DATA), Error.RANGE),
    "most words": wrong(load(4, 0, 1, (1 << 24) - 1, DATA), Error.RANGE),
    "no words": wrong(load(4, 0, 0, 0, DATA), Error.RANGE),
    "high row": wrong(load(4, 0, 1 << DESTINATION, 1, DATA), Error.RANGE),
    "too many rows in": wrong(rows_in(1, ROWS, DATA), Error.RANGE),
    "no rows in": wrong(rows_in(1, 0, DATA), Error.RANGE),
    "rows in of a destination": wrong(rows_in(1 << DESTINATION, 1, DATA), Error.RANGE),
    "too many rows out": wrong(rows_out(ROWS, 1, DATA, dest=True), Error.RANGE),
    "no rows out": wrong(rows_out(0, 0, DATA), Error.RANGE),
    "no such control": wrong(control(sum(Command) + 1), Error.RANGE),
    "read of words": Case(
        [WORDS, load(4, 1, 0, 20, SECOND), *INFERENCE],
        Error.READ, 1, bad=frozenset({SECOND + 64}),
    ),
    "read of rows": Case(
        [WORDS, rows_in(0, 9, SECOND), *INFERENCE[1:]],
        Error.READ, 1, bad=frozenset({SECOND + 17 * 16}),
    ),
    "write": Case(
        [WORDS, *INFERENCE[:2], rows_out(0, ROWS, SECOND), END],
        Error.WRITE, 3, bad=frozenset({SECOND + 64}),
    ),
    "write, and more behind it": Case(
        [*INFERENCE[:2], rows_out(0, ROWS, SECOND), *INFERENCE],
        Error.WRITE, 2, bad=frozenset({SECOND}),
    ),
    "endless": Case(INFERENCE, Error.STOPPED, 0, endless=True),
}  # fmt: skip


@pytest.mark.long("40 lists; the short tier has those of tests/cosim/test_system_errors.py")
@pytest.mark.parametrize(("busy", "latency"), [(0.0, 2), (0.5, 12)])
def test_errors(busy: float, latency: int) -> None:
    """What is queued behind a list that fails is dropped, and the next start is a good one."""
    memory = Dram(P, 3, busy=busy, latency=latency)
    engine = EngineModel(4, busy=busy)
    good = place_list(memory, GOOD, encoded([WORDS, *INFERENCE]))
    expected = Expected(fresh_memory(P, memory))
    expected.run([WORDS, *INFERENCE])

    async def bench(cpu: Processor) -> None:
        await cpu.window(LISTS, SIZE)
        for number, case in enumerate(CASES.values()):
            size = place_list(memory, LISTS, encoded(case.commands))
            memory.bad, engine.endless = case.bad, case.endless
            await cpu.start(case.addr, size if case.size is None else case.size)
            await cpu.start(GOOD, good)
            if case.endless:
                await cpu.ctx.tick().repeat(300)
                assert await cpu.read(Register.CONTROL) & State.AP_START
                await cpu.write(Register.CONTROL, State.STOP)
            assert await cpu.interrupted() == Event.ERROR
            assert await cpu.read(Register.ERROR) == case.error.value | case.number << 8
            assert await cpu.read(Register.DONE) == number
            assert await cpu.read(Register.CONTROL) == State.AP_IDLE | State.AP_READY
            memory.written.clear()
            engine.words.clear()
            memory.bad, engine.endless = frozenset(), False
            await cpu.start(GOOD, good)
            assert await cpu.interrupted() == Event.DONE
            assert await cpu.read(Register.CONTROL) & State.AP_DONE
            assert await cpu.read(Register.ERROR) == 0
            assert engine.words == expected.words
            assert memory.written == expected.memory.written

    run_system(P, memory, engine, bench)


def test_failure_of_the_next_inference_lets_this_one_end() -> None:
    memory = Dram(P, 5, bad=frozenset({SECOND}))
    engine = EngineModel(6, shortest=800, longest=900)
    lists = [INFERENCE, [rows_in(0, ROWS, SECOND), *INFERENCE[1:]]]
    sizes = [place_list(memory, LISTS + k * 1024, encoded(one)) for k, one in enumerate(lists)]
    expected = Expected(fresh_memory(P, memory))

    async def bench(cpu: Processor) -> None:
        await cpu.window(LISTS, SIZE)
        for k, size in enumerate(sizes):
            await cpu.start(LISTS + k * 1024, size)
        assert await cpu.interrupted() == Event.DONE
        assert await cpu.interrupted() == Event.ERROR
        assert await cpu.read(Register.ERROR) == Error.READ.value

    run_system(P, memory, engine, bench)
    expected.run(INFERENCE)
    assert memory.written == expected.memory.written
    assert [what for _, what in engine.log] == ["input", "run", "input", "output", "clear"]


def test_failure_of_this_inference_is_told_rather_than_that_of_the_next() -> None:
    """The next one's comes first, while this one still runs."""
    memory = Dram(P, 5, bad=frozenset({SECOND, FIRST + AREA}))
    engine = EngineModel(6, shortest=800, longest=900)
    lists = [INFERENCE, [rows_in(0, ROWS, SECOND), *INFERENCE[1:]]]
    sizes = [place_list(memory, LISTS + k * 1024, encoded(one)) for k, one in enumerate(lists)]

    async def bench(cpu: Processor) -> None:
        await cpu.window(LISTS, SIZE)
        for k, size in enumerate(sizes):
            await cpu.start(LISTS + k * 1024, size)
        assert await cpu.interrupted() == Event.ERROR
        assert await cpu.read(Register.ERROR) == Error.WRITE.value | 2 << 8
        assert await cpu.read(Register.DONE) == 0

    run_system(P, memory, engine, bench)


def test_nothing_may_be_read_before_a_window_is_set() -> None:
    memory = Dram(P, 7)
    size = place_list(memory, LISTS, encoded([END]))

    async def bench(cpu: Processor) -> None:
        await cpu.start(LISTS, size)
        while await cpu.read(Register.CONTROL) & State.AP_START:
            pass
        assert await cpu.read(Register.ERROR) == Error.WINDOW.value
        assert not cpu.ctx.get(cpu.dut.interrupt)

    run_system(P, memory, EngineModel(8), bench)
    assert not memory.bursts
