from collections import deque
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from tests.unit.hw.system.axi_model import chances
from tests.unit.hw.system.lists import Fields, load, loads, rows_in
from tests.unit.hw.system.system_bench import ENGINE, MEMORIES, ROW_BITS, ROWS
from zeroskip.hw.system.formats import Error, Op, row_bytes, word_bytes
from zeroskip.hw.system.load import LOAD_TAG, Load
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.bench.pysim import simulate

Item = tuple[str, int, int, int]
"""Which, PE, row and value of a word or a row."""


@st.composite
def jobs(draw: st.DrawFn) -> Fields:
    if draw(st.booleans()):
        return draw(loads())
    row = draw(st.integers(0, ROWS - 1))
    return rows_in(row, draw(st.integers(1, ROWS - row)), 64 * draw(st.integers(0, 8)))


def size_of(p: SystemParams, job: Fields) -> int:
    if job["op"] == Op.INPUT.value:
        return row_bytes(ROW_BITS, p)
    return word_bytes(MEMORIES[job["space"]].bits)


def beats_of(p: SystemParams, job: Fields) -> int:
    return -(-job["count"] * size_of(p, job) // p.beat_bytes)


def items_of(p: SystemParams, job: Fields, beats: list[int]) -> list[Item]:
    data = b"".join(beat.to_bytes(p.beat_bytes, "little") for beat in beats)
    size, items = size_of(p, job), []
    rows = job["op"] == Op.INPUT.value
    bits = ROW_BITS if rows else MEMORIES[job["space"]].bits
    for k in range(job["count"]):
        value = int.from_bytes(data[k * size : (k + 1) * size], "little") & (1 << bits) - 1
        what = "row" if rows else str(job["space"])
        items.append((what, job.get("pe", 0), job["row"] + k, value))
    return items


def run_jobs(
    p: SystemParams, told: list[Fields], busy: float, seed: int, bad: set[int]
) -> tuple[list[Item], list[Item], list[tuple[int, Error]], int]:
    """Return items given, those expected, how each job ended, and cycles from ``go`` to the end.

    ``bad`` are beats, counted over all jobs, that come with an error.
    """
    dut = Load(p, [ENGINE])
    rng = Random(seed)
    streams = [chances(seed + k, busy) for k in range(6)]
    contents = [[rng.getrandbits(p.data_bits) for _ in range(beats_of(p, job))] for job in told]
    expected = [item for job, beats in zip(told, contents, strict=True)
                for item in items_of(p, job, beats)]  # fmt: skip
    got: list[Item] = []
    ends: list[tuple[int, Error]] = []
    cycles = 0

    async def bench(ctx: Any) -> None:
        nonlocal cycles
        asked: deque[tuple[int, int]] = deque()  # number of a beat, and its data
        left = list(enumerate(told))
        requested = beat_number = rows_left = 0
        offered, started = False, False
        next_row = 0
        held: tuple[Any, ...] | None = None
        while len(ends) < len(told):
            go = bool(left) and ctx.get(dut.ready) and next(streams[0])
            ctx.set(dut.go, go)
            if go:
                number, job = left.pop(0)
                ctx.set(dut.job, {
                    **{name: job.get(name, 0) for name in ("space", "pe", "row", "addr", "count")},
                    "op": Op(job["op"]), "beats": beats_of(p, job),
                    "failure": {"number": number, "parity": number & 1},
                })  # fmt: skip
                started = True
            ctx.set(dut.request.ready, next(streams[1]))
            offered = offered or (bool(asked) and next(streams[2]))
            ctx.set(dut.i.valid, offered)
            if offered:
                number, value = asked[0]
                ctx.set(dut.i.payload, {"data": value, "error": number in bad, "tag": LOAD_TAG})
            ctx.set(dut.words_out.ready, next(streams[3]))
            ctx.set(dut.rows.ready, next(streams[4]) and rows_left > 0)
            ctx.set(dut.in_busy, rows_left > 0)
            ctx.set(dut.hold, not next(streams[5]))
            _, _, *seen = await ctx.tick().sample(
                *(dut.request.valid, dut.request.ready, dut.request.payload),
                *(
                    dut.i.valid,
                    dut.i.ready,
                    dut.words_out.valid,
                    dut.words_out.ready,
                    dut.words_out.payload,
                ),
                *(dut.rows.valid, dut.rows.ready, dut.rows.payload),
                *(dut.in_start, dut.in_rows, dut.done, dut.failure, dut.hold),
            )
            ask, may, request, give, taken, word, word_ready, command = seen[:8]
            row, row_ready, value, start, rows, done, failure, hold = seen[8:]
            cycles += started
            now = (word, row, command if word else None, value if row else None)
            if held is not None:
                assert now == held, "what is offered changed"
            stalled = (word and not word_ready) or (row and not row_ready)
            held = now if stalled else None
            if ask and may:
                assert request.addr == told[requested]["addr"]
                assert request.beats == len(contents[requested])
                for data in contents[requested]:
                    asked.append((beat_number, data))
                    beat_number += 1
                requested += 1
            if give and taken:
                asked.popleft()
                offered = False
            if word and word_ready:
                space = int(command.space)
                data = command.data & (1 << MEMORIES[space].bits) - 1
                got.append((str(space), command.pe, command.addr, data))
            if row and row_ready:
                got.append(("row", told[len(ends)].get("pe", 0), next_row, value))
                next_row, rows_left = next_row + 1, rows_left - 1
            if start:
                assert not hold
                assert not rows_left
                next_row, rows_left = rows.base, rows.rows
            if done:
                ends.append((failure.number, Error(failure.error)))

    simulate(dut, bench)
    return got, expected, ends, cycles


@simulated(40)
@given(
    told=st.lists(jobs(), min_size=1, max_size=7),
    data_bits=st.sampled_from([64, 128, 256]),
    busy=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 99),
    bad=st.sets(st.integers(0, 60), max_size=2),
)
def test_jobs(told: list[Fields], data_bits: int, busy: float, seed: int, bad: set[int]) -> None:
    p = SystemParams(data_bits=data_bits)
    got, expected, ends, _ = run_jobs(p, told, busy, seed, bad)
    assert got == expected
    first = 0
    wanted = []
    for number, job in enumerate(told):
        beats = range(first, first + beats_of(p, job))
        wanted.append((number, Error.READ if bad & set(beats) else Error.NONE))
        first = beats.stop
    assert ends == wanted


@pytest.mark.parametrize("data_bits", [64, 128, 256])
@pytest.mark.parametrize("space", sorted(MEMORIES))
def test_a_word_a_cycle_or_a_beat(space: int, data_bits: int) -> None:
    """Load writes a word a cycle, or a beat where words are longer; the first after 3 cycles."""
    p = SystemParams(data_bits=data_bits)
    job = load(space, 0, 0, MEMORIES[space].rows, 0)
    *_, cycles = run_jobs(p, [job], 0.0, 0, set())
    each = max(1, size_of(p, job) // p.beat_bytes)
    # `go`, begin; the model of memory has a beat two cycles after `go`.
    assert cycles == 3 + each * job["count"] - 1 + 1


@pytest.mark.parametrize("data_bits", [64, 128, 256])
def test_a_row_in_the_cycles_of_its_beats(data_bits: int) -> None:
    p = SystemParams(data_bits=data_bits)
    *_, cycles = run_jobs(p, [rows_in(0, ROWS, 0)], 0.0, 0, set())
    assert cycles == 3 + ROWS * row_bytes(ROW_BITS, p) // p.beat_bytes
