from typing import Any

from zeroskip.hw.scnn.act_ram import ActRam
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.pysim import simulate


def test_reads_and_writes_at_a_time() -> None:
    """A word and an entry are read while others are written; the host has all of them."""
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
        for addr in range(8):
            ctx.set(dut.host_act, 1)
            ctx.set(dut.host_dir, 0)
            ctx.set(dut.host_write, 1)
            ctx.set(dut.host_addr, addr)
            ctx.set(dut.host_data, 100 + addr)
            await ctx.tick()
            ctx.set(dut.host_act, 0)
            ctx.set(dut.host_dir, addr < 4)
            ctx.set(dut.host_data, 50 + addr)
            await ctx.tick()
        ctx.set(dut.host_dir, 0)
        ctx.set(dut.act_write, 1)
        ctx.set(dut.act_addr, 6)
        ctx.set(dut.act_data, word)
        ctx.set(dut.dir_write, 1)
        ctx.set(dut.dir_addr, 2)
        ctx.set(dut.dir_data, entry)
        ctx.set(dut.word_en, 1)
        ctx.set(dut.word_row, 5)
        ctx.set(dut.directory_en, 1)
        ctx.set(dut.directory_row, 3)
        await ctx.tick()
        for name in (dut.act_write, dut.dir_write, dut.word_en, dut.directory_en):
            ctx.set(name, 0)
        # What was read stays, whatever is asked for next.
        ctx.set(dut.word_row, 3)
        ctx.set(dut.directory_row, 1)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.word.as_value()) == 100 + 5
        assert ctx.get(dut.directory.as_value()) == 50 + 3
        for addr in range(8):
            assert await host_read(ctx, dut.host_act, addr) == (bits if addr == 6 else 100 + addr)
        for addr in range(4):
            assert await host_read(ctx, dut.host_dir, addr) == (
                5 | 9 << 3 if addr == 2 else 50 + addr
            )

    simulate(dut, bench)


def test_a_run_reads_while_the_host_writes() -> None:
    """Entries are there up to the last one written; a word is its own row's beside a write."""
    p = ScnnParams(mult_i=2, act_words=8, num_channels=4)
    dut = ActRam(p)

    async def there(ctx: Any) -> list[int]:
        found = []
        for entry in range(4):
            ctx.set(dut.directory_row, entry)
            await ctx.delay(1e-9)
            found.append(1 - ctx.get(dut.absent))
        return found

    async def bench(ctx: Any) -> None:
        assert await there(ctx) == [1, 1, 1, 1]
        ctx.set(dut.host_write, 1)
        ctx.set(dut.loading, 1)
        assert await there(ctx) == [0, 0, 0, 0]
        for entry in range(3):
            ctx.set(dut.host_act, 1)
            ctx.set(dut.host_addr, entry + 4)
            ctx.set(dut.host_data, 100 + entry)
            # Of the word before, once there is one.
            ctx.set(dut.word_en, entry > 0)
            ctx.set(dut.word_row, entry + 3)
            await ctx.tick()
            ctx.set(dut.host_act, 0)
            ctx.set(dut.word_en, 0)
            if entry:
                assert ctx.get(dut.word.as_value()) == 100 + entry - 1
            # A word is no entry.
            assert await there(ctx) == [int(number < entry) for number in range(4)]
            ctx.set(dut.host_dir, 1)
            ctx.set(dut.host_addr, entry)
            await ctx.tick()
            ctx.set(dut.host_dir, 0)
            assert await there(ctx) == [int(number <= entry) for number in range(4)]
        ctx.set(dut.loading, 0)
        assert await there(ctx) == [1, 1, 1, 1]
        await ctx.tick()
        # What comes next begins anew.
        ctx.set(dut.loading, 1)
        assert await there(ctx) == [0, 0, 0, 0]

    simulate(dut, bench)
