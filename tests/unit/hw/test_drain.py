from typing import Any

import pytest
from amaranth.hdl import Fragment

from zeroskip.hw.common.sram import SramPlatform
from zeroskip.hw.eie.drain import Drain
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.pysim import simulate

P = EieParams(num_accs=8, num_acts=16, num_biases=32)

SHORT = pytest.mark.parametrize("short", [False, True], ids=["gates", "fpga"])


async def drain(
    ctx: Any,
    dut: Drain,
    rows: int,
    bias_base: int,
    dst_base: int,
    *,
    cycles: int = 99,
    short: bool = False,
) -> list[dict[str, tuple[int, ...]]]:
    """Drain for at most ``cycles``; return what is asked for in each, from the one after start."""
    ctx.set(dut.rows, rows)
    ctx.set(dut.bias_base, bias_base)
    ctx.set(dut.dst_base, dst_base)
    if short:
        await ctx.tick()
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)
    # What the drain was told is needed in that one cycle only; with short paths, of the row to
    # write, in the next, too.
    for port in (dut.rows, dut.bias_base, *([] if short else [dut.dst_base])):
        ctx.set(port, 1)
    trace = []
    for _ in range(cycles):
        trace.append(asked(ctx, dut))
        done = ctx.get(dut.done)
        await ctx.tick()
        ctx.set(dut.dst_base, 1)
        if done:
            break
    return trace


def asked(ctx: Any, dut: Drain) -> dict[str, tuple[int, ...]]:
    seen: dict[str, tuple[int, ...]] = {}
    if ctx.get(dut.acc_read):
        seen["read"] = ctx.get(dut.acc_row), ctx.get(dut.bias_row)
    if ctx.get(dut.clear):
        seen["clear"] = (ctx.get(dut.clear_row),)
    if ctx.get(dut.write):
        seen["write"] = (ctx.get(dut.write_row),)
    return seen


def expected(rows: int, bias_base: int, dst_base: int) -> list[dict[str, tuple[int, ...]]]:
    trace: list[dict[str, tuple[int, ...]]] = [{} for _ in range(rows + 2)]
    for row in range(rows):
        trace[row]["read"] = row, bias_base + row
        trace[row + 1]["clear"] = (row,)
        trace[row + 2]["write"] = (dst_base + row,)
    return trace


@SHORT
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8])
def test_stages(rows: int, short: bool) -> None:
    dut = Drain(P)
    whole = Fragment.get(dut, SramPlatform(short_paths=short))

    async def bench(ctx: Any) -> None:
        assert ctx.get(dut.done)
        for bias_base, dst_base in ((0, 0), (24, 8), (5, 3)):
            trace = await drain(ctx, dut, rows, bias_base, dst_base, short=short)
            assert trace == expected(rows, bias_base, dst_base)
            for _ in range(bias_base % 3):
                assert ctx.get(dut.done)
                assert asked(ctx, dut) == {}
                await ctx.tick()

    simulate(whole, bench)


@SHORT
@pytest.mark.parametrize("cycles", range(8))
def test_flush_at_any_time(cycles: int, short: bool) -> None:
    dut = Drain(P)
    whole = Fragment.get(dut, SramPlatform(short_paths=short))

    async def bench(ctx: Any) -> None:
        trace = await drain(ctx, dut, 6, 1, 2, cycles=cycles, short=short)
        assert trace == expected(6, 1, 2)[:cycles]
        ctx.set(dut.flush, 1)
        await ctx.tick()
        ctx.set(dut.flush, 0)
        for _ in range(4):
            assert ctx.get(dut.done)
            assert asked(ctx, dut) == {}
            await ctx.tick()
        assert await drain(ctx, dut, 8, 3, 4, short=short) == expected(8, 3, 4)

    simulate(whole, bench)
