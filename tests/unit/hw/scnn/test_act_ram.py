from typing import Any

import pytest

from zeroskip.hw.scnn.act_ram import ActRam
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.pysim import simulate


@pytest.mark.parametrize("source", [0, 1])
def test_rams_swap_roles(source: int) -> None:
    """Writes go to the RAM that is not the source, reads come from it; the host has both."""
    p = ScnnParams(mult_i=2, act_words=8, num_channels=4)
    dut = ActRam(p)
    word = [{"value": -5, "run": 3}, {"value": 300, "run": 0}]
    bits = (-5 & 0xFFFF) | 3 << 16 | 300 << 20
    entry = {"start": 5, "count": 9}

    async def host_read(ctx: Any, space: Any, addr: int) -> int:
        ctx.set(space, 1)
        ctx.set(dut.host_write, 0)
        ctx.set(dut.host_addr, addr)
        await ctx.tick()
        ctx.set(space, 0)
        return ctx.get(dut.host_answer)

    async def bench(ctx: Any) -> None:
        for addr in range(16):  # both RAMs and directories
            ctx.set(dut.host_act, 1)
            ctx.set(dut.host_dir, 0)
            ctx.set(dut.host_write, 1)
            ctx.set(dut.host_addr, addr)
            ctx.set(dut.host_data, 100 + addr)
            await ctx.tick()
            ctx.set(dut.host_act, 0)
            ctx.set(dut.host_dir, addr < 8)
            ctx.set(dut.host_data, 50 + addr)
            await ctx.tick()
        ctx.set(dut.host_dir, 0)
        ctx.set(dut.source, source)
        ctx.set(dut.act_write, 1)
        ctx.set(dut.act_addr, 6)
        ctx.set(dut.act_data, word)
        ctx.set(dut.dir_write, 1)
        ctx.set(dut.dir_addr, 2)
        ctx.set(dut.dir_data, entry)
        ctx.set(dut.word_en, 1)
        ctx.set(dut.word_row, 6)
        ctx.set(dut.directory_en, 1)
        ctx.set(dut.directory_row, 2)
        await ctx.tick()
        for name in (dut.act_write, dut.dir_write, dut.word_en, dut.directory_en):
            ctx.set(name, 0)
        # What was read stays, whatever is asked for next.
        ctx.set(dut.word_row, 3)
        ctx.set(dut.directory_row, 1)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.word.as_value()) == 100 + 8 * source + 6
        assert ctx.get(dut.directory.as_value()) == 50 + 4 * source + 2
        for addr in range(16):
            written = addr == 8 * (1 - source) + 6
            assert await host_read(ctx, dut.host_act, addr) == (bits if written else 100 + addr)
        for addr in range(8):
            written = addr == 4 * (1 - source) + 2
            assert await host_read(ctx, dut.host_dir, addr) == (
                5 | 9 << 3 if written else 50 + addr
            )

    simulate(dut, bench)
