"""Inferences whose runs find no room go on with the other list of their ELSE."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
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
    ROWS,
    Dram,
    EngineModel,
    Processor,
    place_list,
    run_system,
)
from zeroskip.hw.system.formats import COMMAND_BYTES, Error, Op
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import Event, Register, State

P = SystemParams(data_bits=64, burst_beats=4, outstanding=3, starts=3)
LISTS = 0x1000
OTHER = 0x800
"""Where a list's other list is, behind it."""


def inference(number: int, runs: int, first: int) -> list[Fields]:
    """List some runs on an input; words and outputs tell lists of different ``first`` apart."""
    area = DATA + AREA * (2 + 2 * number)
    commands = [load(4, 1, first, 2, DATA + 64 * first), rows_in(0, ROWS, area)]
    commands += [control(RUN)]
    for _ in range(runs - 1):
        commands += [rows_out(0, ROWS, area + AREA), rows_in(0, ROWS, area + AREA, 4), control(RUN)]
    return [*commands, rows_out(first, ROWS - first, area + AREA), END]


def with_other(commands: list[Fields], addr: int, count: int) -> list[Fields]:
    return [{"op": Op.ELSE.value, "addr": addr, "count": count}, *commands]


@pytest.mark.long("many lists")
@simulated(5)
@given(
    busy=st.sampled_from([0.0, 0.3, 0.7]),
    latency=st.sampled_from([0, 2, 30]),
    longest=st.sampled_from([3, 300]),
    seed=st.integers(0, 1 << 32),
)
def test_any_of_some_that_are_queued(busy: float, latency: int, longest: int, seed: int) -> None:
    """Each may find no room in any of its runs; what its first list did is as if it were not."""
    rng = Random(seed)
    memory = Dram(P, seed, busy=busy, latency=latency)
    sizes, done, spoiled, runs = list[int](), list[list[Fields]](), set[int](), 0
    for number in range(3):
        addr = LISTS + 2 * OTHER * number
        plan, other = (inference(number, rng.randint(1, 3), first) for first in (0, 3))
        sizes.append(place_list(memory, addr, encoded(with_other(plan, addr + OTHER, len(other)))))
        place_list(memory, addr + OTHER, encoded(other))
        count = sum(one["op"] == Op.CONTROL.value for one in plan)
        if rng.random() < 0.5:
            spoiled.add(runs + rng.randrange(count))
            runs = max(spoiled) + 1
            done.append(other)
            runs += sum(one["op"] == Op.CONTROL.value for one in other)
        else:
            done.append(plan)
            runs += count
    engine = EngineModel(seed, busy=busy, longest=longest, spoiled=frozenset(spoiled))
    expected = Expected(fresh_memory(P, memory))

    async def bench(cpu: Processor) -> None:
        await cpu.window(LISTS, SIZE)
        for number, size in enumerate(sizes):
            await cpu.start(LISTS + 2 * OTHER * number, size)
            # An inference that recovers keeps nobody from queueing another.
            assert not await cpu.read(Register.CONTROL) & State.REFUSED
        while await cpu.read(Register.CONTROL) & State.AP_START:
            pass
        assert await cpu.read(Register.ERROR) == 0
        assert await cpu.read(Register.DONE) == len(sizes)
        assert await cpu.read(Register.RERUNS) == len(spoiled)

    run_system(P, memory, engine, bench)
    for one in done:
        expected.run(one)
    written, wanted = dict(memory.written), dict(expected.memory.written)
    assert {at: written[at] for at in wanted} == wanted


def run_case(
    spoiled: set[int],
    bench: Any,
    *,
    other: list[Fields] | None = None,
    count: int | None = None,
    bad: int | None = None,
    endless: bool = False,
) -> None:
    """Start an inference of one run, whose other list has two, and then a good one.

    Parameters
    ----------
    spoiled : runs that find no room.
    bench : what happens to the first inference.
    other, count : the other list, and of how many commands the ELSE speaks, if not of all.
    bad : address that the memory answers with an error.
    endless : all further runs find no room, either.
    """
    memory, engine = Dram(P, 1), EngineModel(1, spoiled=frozenset(spoiled))
    if endless:
        engine.spoiled = frozenset(range(1 << 10))
    memory.bad = frozenset() if bad is None else frozenset({bad})
    other = other or inference(0, 2, 3)
    plan = with_other(inference(0, 1, 0), LISTS + OTHER, count or len(other))
    sizes = [place_list(memory, LISTS, encoded(plan))]
    place_list(memory, LISTS + OTHER, encoded(other))
    good = inference(1, 1, 0)
    sizes.append(place_list(memory, LISTS + 2 * OTHER, encoded(good)))
    expected = Expected(fresh_memory(P, memory))
    expected.run(good)

    async def main(cpu: Processor) -> None:
        await cpu.window(LISTS, SIZE)
        await cpu.start(LISTS, sizes[0])
        await bench(cpu, engine)
        engine.spoiled, memory.bad = frozenset(), frozenset()
        memory.written.clear()
        await cpu.start(LISTS + 2 * OTHER, sizes[1])
        assert await cpu.interrupted() == Event.DONE
        assert await cpu.read(Register.ERROR) == 0
        assert memory.written == expected.memory.written

    run_system(P, memory, engine, main)


@pytest.mark.parametrize(("run", "number"), [(1, 2), (2, 5)])
def test_no_room_for_the_other_list(run: int, number: int) -> None:
    """It is an error, as for a list that has no other."""

    async def bench(cpu: Processor, engine: EngineModel) -> None:
        del engine
        assert await cpu.interrupted() == Event.ERROR
        assert await cpu.read(Register.ERROR) == Error.LOST.value | number << 8
        assert await cpu.read(Register.RERUNS) == 1
        assert await cpu.read(Register.DONE) == 0

    run_case({0, run}, bench)


@pytest.mark.parametrize("after", [1, 30, 60, 80])
def test_stopped_while_it_begins_again(after: int) -> None:
    """A STOP while an inference is begun again is reported as STOPPED; the next START works."""

    async def bench(cpu: Processor, engine: EngineModel) -> None:
        del engine
        await cpu.ctx.tick().repeat(after)
        assert await cpu.read(Register.CONTROL) & State.AP_START
        await cpu.write(Register.CONTROL, State.STOP)
        assert await cpu.interrupted() == Event.ERROR
        assert await cpu.read(Register.ERROR) == Error.STOPPED.value

    run_case({0}, bench)


_SPARE = DATA + AREA * 8
_LAST = _SPARE + (ROWS - 1) * 24 + 16
"""The last beat of all rows there: a row takes three."""


@pytest.mark.parametrize(
    ("error", "number", "case"),
    [
        (Error.FETCH, 4, {"bad": LISTS + OTHER + 4 * COMMAND_BYTES}),
        (Error.FETCH, 0, {"bad": LISTS + OTHER}),
        (Error.CUT, 5, {"count": 5}),
        (Error.UNKNOWN, 1, {"other": [load(4, 1, 3, 2, DATA), {"op": 7}, END]}),
        # The last beats of the input, and of the output.
        (Error.READ, 1, {"bad": _LAST, "other": [
            load(4, 1, 3, 2, DATA), rows_in(0, ROWS, _SPARE), control(RUN), END,
        ]}),
        (Error.WRITE, 2, {"bad": _LAST, "other": [
            *inference(0, 1, 3)[1:3], rows_out(0, ROWS, _SPARE), END,
        ]}),
    ],
)  # fmt: skip
def test_failure_of_the_other_list(error: Error, number: int, case: dict[str, Any]) -> None:
    """It is reported as that of any list, and the next START works."""

    async def bench(cpu: Processor, engine: EngineModel) -> None:
        del engine
        assert await cpu.interrupted() == Event.ERROR
        assert await cpu.read(Register.ERROR) == error.value | number << 8
        assert await cpu.read(Register.RERUNS) == 1
        assert await cpu.read(Register.DONE) == 0

    run_case({0}, bench, **case)


def test_an_else_that_leads_back() -> None:
    """The other list begins with an ELSE, to itself: without end, if that did anything."""
    other = inference(0, 1, 3)

    async def bench(cpu: Processor, engine: EngineModel) -> None:
        del engine
        assert await cpu.interrupted() == Event.ERROR
        assert await cpu.read(Register.ERROR) == Error.LOST.value | 3 << 8
        assert await cpu.read(Register.RERUNS) == 1

    run_case(set(), bench, other=with_other(other, LISTS + OTHER, len(other) + 1), endless=True)


@pytest.mark.parametrize(
    ("commands", "error", "number"),
    [
        ([rows_in(0, ROWS, _SPARE), control(RUN), END], Error.READ, 0),
        ([load(4, 1, 0, 2, DATA), {"op": 7}, END], Error.UNKNOWN, 1),
    ],
)
def test_failure_of_the_next_inference(commands: list[Fields], error: Error, number: int) -> None:
    """It has begun when the one before finds no room, which is done with its other list first."""
    memory, engine = Dram(P, 1), EngineModel(1, longest=200, spoiled=frozenset({0}))
    memory.bad = frozenset({_LAST})
    other = inference(0, 2, 3)
    lists = [with_other(inference(0, 1, 0), LISTS + OTHER, len(other)), other, commands]
    sizes = [place_list(memory, LISTS + OTHER * k, encoded(one)) for k, one in enumerate(lists)]
    expected = Expected(fresh_memory(P, memory))
    expected.run(other)

    async def bench(cpu: Processor) -> None:
        await cpu.window(LISTS, SIZE)
        await cpu.start(LISTS, sizes[0])
        await cpu.start(LISTS + 2 * OTHER, sizes[2])
        assert await cpu.interrupted() == Event.DONE
        assert await cpu.interrupted() == Event.ERROR
        assert await cpu.read(Register.ERROR) == error.value | number << 8
        assert await cpu.read(Register.RERUNS) == 1
        assert await cpu.read(Register.DONE) == 1
        memory.bad = frozenset()
        await cpu.start(LISTS + OTHER, sizes[1])
        assert await cpu.interrupted() == Event.DONE

    run_system(P, memory, engine, bench)
    assert memory.written == 2 * expected.memory.written
