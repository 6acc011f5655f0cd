from random import Random
from typing import Any

import pytest

from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.scnn.broadcast import Broadcast, stream_numbers
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.pysim import simulate

GRIDS = [(1, 1, 1), (2, 2, 4), (3, 2, 6), (3, 2, 2), (4, 4, 5), (5, 1, 3)]
"""PEs across and down, and streams."""


def make(grid: tuple[int, int, int]) -> tuple[ScnnParams, Broadcast]:
    p = ScnnParams(
        pes_x=grid[0], pes_y=grid[1], num_streams=grid[2], mult_f=1, banks=2, bank_entries=4
    )
    return p, Broadcast(p)


def listeners(p: ScnnParams, block_x: int, block_y: int) -> list[list[int]]:
    """Give the PEs of each block, as docs/scnn.md numbers blocks."""
    blocks: dict[tuple[int, int], list[int]] = {}
    for pe in range(p.num_pes):
        y, x = divmod(pe, p.pes_x)
        blocks.setdefault((y >> block_y, x >> block_x), []).append(pe)
    return [blocks[place] for place in sorted(blocks)]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_blocks_go_on_together(grid: tuple[int, int, int]) -> None:
    """Every PE gets every item of its stream once, when its whole block is ready."""
    p, dut = make(grid)
    rng = Random(str(grid))
    sizes = [(x, y) for x in range(8) for y in range(8) if len(listeners(p, x, y)) <= p.num_streams]

    async def bench(ctx: Any) -> None:
        for block_x, block_y in rng.sample(sizes, min(len(sizes), 12)):
            blocks = listeners(p, block_x, block_y)
            numbers = stream_numbers(p, block_x, block_y)
            for number, pes in enumerate(blocks):
                assert [numbers[pe] for pe in pes] == [number] * len(pes)
            ctx.set(dut.descriptor, {"block_x": block_x, "block_y": block_y})
            ctx.set(dut.start, 1)
            assert ctx.get(dut.used) == (1 << len(blocks)) - 1
            await ctx.tick()
            ctx.set(dut.start, 0)
            for _ in range(20):
                valid = [rng.random() < 0.7 for _ in range(p.num_streams)]
                ready = [rng.random() < 0.8 for _ in range(p.num_pes)]
                for number in range(p.num_streams):
                    ctx.set(dut.items[number].valid, valid[number])
                    ctx.set(dut.items[number].payload, {"channel": 100 + number})
                    ctx.set(dut.biases[number], -5 - number)
                for pe in range(p.num_pes):
                    ctx.set(dut.pe_items[pe].ready, ready[pe])
                for number, pes in enumerate(blocks):
                    goes_on = all(ready[pe] for pe in pes)
                    assert ctx.get(dut.items[number].ready) == goes_on
                    for pe in pes:
                        assert ctx.get(dut.pe_items[pe].valid) == (goes_on and valid[number])
                        assert ctx.get(dut.pe_items[pe].payload.channel) == 100 + number
                        assert ctx.get(dut.pe_biases[pe]) == -5 - number
                await ctx.tick()

    simulate(dut, bench)


def test_verilog() -> None:
    assert "module broadcast" in emit_verilog(make((3, 2, 6))[1], "broadcast")
