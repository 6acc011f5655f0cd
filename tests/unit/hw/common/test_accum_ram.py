from collections.abc import Sequence
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from amaranth.hdl import Fragment, signed

from zeroskip.hw.common.accum_ram import AccumRam
from zeroskip.sim.bench.pysim import simulate

BITS = 10
DEPTH = 5


def wrap(value: int) -> int:
    half = 1 << BITS - 1
    return (value + half) % (2 * half) - half


def sums_of(adds: Sequence[tuple[int, int] | None], *, short: bool = False) -> list[int]:
    """Clear every row, add one item per cycle (None: nothing), and read every row back."""
    dut = AccumRam(signed(BITS), DEPTH, 3)
    rows: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.clear, 1)
        for row in range(DEPTH):
            ctx.set(dut.clear_row, row)
            await ctx.tick()
        ctx.set(dut.clear, 0)
        for item in adds:
            ctx.set(dut.add, item is not None)
            if item is not None:
                ctx.set(dut.add_row, item[0])
            await ctx.tick()
            # Of no consequence while nothing is read.
            ctx.set(dut.read_row, 1)
            assert ctx.get(dut.busy) == (item is not None)
            ctx.set(dut.addend, item[1] if item else 77)
        ctx.set(dut.add, 0)
        if ctx.get(dut.busy):
            await ctx.tick()
        ctx.set(dut.read, 1)
        for row in range(DEPTH):
            ctx.set(dut.read_row, row)
            await ctx.tick()
            rows.append(ctx.get(dut.read_data))

    simulate(Fragment.get(dut, SimpleNamespace(short_paths=short)), bench)
    return rows


def expected(adds: Sequence[tuple[int, int] | None]) -> list[int]:
    sums = [0] * DEPTH
    for item in adds:
        if item is not None:
            sums[item[0]] = wrap(sums[item[0]] + item[1])
    return sums


@pytest.mark.parametrize("distance", [1, 2, 3, 4])
@pytest.mark.parametrize("between", ["gap", "other row"])
def test_same_row_again(distance: int, between: str) -> None:
    filler = None if between == "gap" else (3, 100)
    adds = []
    for value in (1, 20, -300):
        adds += [(2, value), *[filler] * (distance - 1)]
    assert sums_of(adds) == expected(adds)


def test_same_row_back_to_back() -> None:
    adds = [(1, 7)] * 9 + [(4, 1), (1, 2), (4, 3), (1, 4)]
    assert sums_of(adds) == [0, 69, 0, 0, 4]


def test_sum_wraps() -> None:
    assert sums_of([(0, 511), (0, 1), (1, -512), None, (1, -1)]) == [-512, 511, 0, 0, 0]


@pytest.mark.parametrize("short", [False, True], ids=["gates", "fpga"])
@pytest.mark.parametrize("seed", range(4))
def test_random_adds(seed: int, short: bool) -> None:
    rng = Random(seed)
    adds: list[tuple[int, int] | None] = [
        None if rng.random() < seed / 5 else (rng.randrange(DEPTH), rng.randrange(-512, 512))
        for _ in range(300)
    ]
    assert sums_of(adds, short=short) == expected(adds)


def test_clear_of_one_row_keeps_the_others() -> None:
    dut = AccumRam(signed(BITS), DEPTH, 3)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.add, 1)
        for row in range(DEPTH):
            ctx.set(dut.add_row, row)
            await ctx.tick()
            ctx.set(dut.addend, row + 1)
        ctx.set(dut.add, 0)
        await ctx.tick()
        ctx.set(dut.clear, 1)
        ctx.set(dut.clear_row, 3)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        ctx.set(dut.read, 1)
        for row, value in enumerate([1, 2, 3, 0, 5]):
            ctx.set(dut.read_row, row)
            await ctx.tick()
            assert ctx.get(dut.read_data) == value

    simulate(dut, bench)


def test_row_is_read_and_cleared_in_adjacent_cycles() -> None:
    """The drain reads row after row, and clears each one cycle after it read it."""
    dut = AccumRam(signed(BITS), DEPTH, 3)
    drained: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.add, 1)
        for row in range(DEPTH):
            ctx.set(dut.add_row, row)
            await ctx.tick()
            ctx.set(dut.addend, 10 * row - 3)
        ctx.set(dut.add, 0)
        await ctx.tick()
        for _ in range(2):
            for row in range(DEPTH + 1):
                ctx.set(dut.read, row < DEPTH)
                ctx.set(dut.read_row, row)
                if row:
                    drained.append(ctx.get(dut.read_data))
                    ctx.set(dut.clear, 1)
                    ctx.set(dut.clear_row, row - 1)
                await ctx.tick()
            ctx.set(dut.clear, 0)

    simulate(dut, bench)
    assert drained == [-3, 7, 17, 27, 37, 0, 0, 0, 0, 0]
