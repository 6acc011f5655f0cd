from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from tests.unit.hw.system.axi_model import chances
from tests.unit.hw.system.system_bench import ENGINE, ROW_BITS, ROWS
from zeroskip.hw.system.check import DESTINATION
from zeroskip.hw.system.formats import Error, Op, Wait
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.store import Store
from zeroskip.sim.bench.pysim import simulate


def run_outputs(p: SystemParams, counts: list[int], busy: float, seed: int, bad: set[int]) -> int:
    """Check what becomes of rows; return the cycles from the first ``go`` to the last beat."""
    dut = Store(p, ENGINE)
    rng = Random(seed)
    go, valid, ready, ask, answer = (chances(seed + k, busy) for k in range(5))
    each = ENGINE.row_beats(p)
    cycles = 0

    async def bench(ctx: Any) -> None:
        nonlocal cycles
        for number, count in enumerate(counts):
            rows = [rng.getrandbits(ROW_BITS) for _ in range(count)]
            wanted = [
                row >> k * p.data_bits & (1 << p.data_bits) - 1 for row in rows for k in range(each)
            ]
            got: list[int] = []
            job = {
                "op": Op.OUTPUT, "row": number | (number & 1) << DESTINATION, "count": count,
                "addr": 64 * number, "beats": count * each, "wait": Wait.DRAIN * (number & 1),
                "failure": {"number": number + 5, "parity": number & 1},
            }  # fmt: skip
            while not next(go):
                assert ctx.get(dut.idle)
                await ctx.tick()
            ctx.set(dut.go, 1)
            ctx.set(dut.job, job)
            await ctx.tick()
            cycles += 1
            ctx.set(dut.go, 0)
            ctx.set(dut.job, {})
            assert ctx.get(dut.out_start)
            told = ctx.get(dut.out_rows)
            assert (told.base, told.rows, told.dest) == (number, count, number & 1)
            assert told.follow == number & 1
            offered, asked = False, 0
            while not asked or len(got) < len(wanted):
                offered = offered or (bool(rows) and next(valid))
                ctx.set(dut.rows.valid, offered)
                ctx.set(dut.rows.payload, rows[0] if rows else 0)
                ctx.set(dut.o.ready, next(ready))
                ctx.set(dut.request.ready, next(ask))
                assert ctx.get(dut.reading) == bool(rows)
                assert not ctx.get(dut.idle)
                _, _, taken, beat, may, word, asks, request, now = await ctx.tick().sample(
                    dut.rows.ready, dut.o.valid, dut.o.ready, dut.o.payload,
                    dut.request.valid, dut.request.payload, dut.request.ready,
                )  # fmt: skip
                cycles += 1
                if offered and taken:
                    rows.pop(0)
                    offered = False
                if beat and may:
                    got.append(word)
                if asks and now:
                    asked += 1
                    assert request.addr == 64 * number
                    assert request.beats == count * each
            assert got == wanted
            assert asked == 1
            assert not ctx.get(dut.done)
            while not next(answer):
                await ctx.tick()
            ctx.set(dut.written, 1)
            ctx.set(dut.error, number in bad)
            failure = ctx.get(dut.failure)
            assert ctx.get(dut.done)
            assert (failure.number, failure.parity) == (number + 5, number & 1)
            assert failure.error == (Error.WRITE if number in bad else Error.NONE)
            await ctx.tick()
            ctx.set(dut.written, 0)
            assert ctx.get(dut.idle)

    simulate(dut, bench)
    return cycles


@simulated(30)
@given(
    counts=st.lists(st.integers(1, ROWS), min_size=1, max_size=4),
    data_bits=st.sampled_from([64, 128, 256]),
    busy=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 99),
    bad=st.sets(st.integers(0, 3)),
)
def test_outputs(counts: list[int], data_bits: int, busy: float, seed: int, bad: set[int]) -> None:
    run_outputs(SystemParams(data_bits=data_bits), counts, busy, seed, bad)


@pytest.mark.parametrize("data_bits", [64, 128, 256])
def test_a_beat_a_cycle(data_bits: int) -> None:
    p = SystemParams(data_bits=data_bits)
    # The cycle of `go`, and that of the first row.
    assert run_outputs(p, [ROWS], 0.0, 0, set()) == 2 + ROWS * ENGINE.row_beats(p)


def test_rows_that_do_not_come_are_filled() -> None:
    """When an inference is stopped, the beats that were promised are written all the same."""
    p = SystemParams()
    dut = Store(p, ENGINE)
    beats = 3 * ENGINE.row_beats(p)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.go, 1)
        ctx.set(dut.job, {"op": Op.OUTPUT, "count": 3, "beats": beats})
        await ctx.tick()
        ctx.set(dut.go, 0)
        ctx.set(dut.o.ready, 1)
        for _ in range(20):
            await ctx.tick()
            assert not ctx.get(dut.o.valid)
        ctx.set(dut.fill, 1)
        given = 0
        for _ in range(beats + 5):
            given += ctx.get(dut.o.valid)
            await ctx.tick()
        assert given == beats
        assert not ctx.get(dut.reading)

    simulate(dut, bench)
