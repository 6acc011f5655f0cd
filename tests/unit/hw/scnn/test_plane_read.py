from typing import Any

import pytest

from tests.unit.hw.scnn.plane_host import PARAMS, Shape, answer_reads, draw, reader
from zeroskip.hw.scnn.formats import plane_layout
from zeroskip.hw.scnn.plane_read import PlaneRead
from zeroskip.sim.bench.pysim import get, random_gaps, simulate

SHAPES = [
    Shape(2, 1, 3, 2, 5, 5, 2),  # one block of all PEs, ragged to both sides
    Shape(2, 1, 2, 2, 4, 2, 0),  # columns of PEs with nothing, the last one's, too
    Shape(0, 0, 3, 4, 3, 4, 1),  # each PE a block
    Shape(0, 1, 2, 5, 3, 4, 3),
    Shape(2, 1, 1, 1, 1, 1, 0),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_gives_every_position_in_order(shape: Shape, density: float) -> None:
    values = draw(shape, density)
    dut = PlaneRead(PARAMS)
    seed = shape.block_x + 10 * shape.tile_h + 100 * shape.width
    read = reader(shape, values, first=9, base=4)

    async def array(ctx: Any) -> None:
        await answer_reads(ctx, dut.cmd, dut.rsp, read, seed)

    async def bench(ctx: Any) -> None:
        fields: Any = shape.fields(4, len(values))
        ctx.set(dut.plane, plane_layout(PARAMS).const(fields))
        ctx.set(dut.spread.as_value(), -1)
        expected = shape.flattened(values)
        for run in range(2):  # again: nothing is left of the first time
            ctx.set(dut.go, 1)
            await ctx.tick()
            ctx.set(dut.go, 0)
            given = await get(ctx, dut.o, len(expected), random_gaps(seed + run, 3))
            assert [one.value for one in given] == expected
            assert [one.last for one in given] == [0] * (len(expected) - 1) + [1]
            await ctx.tick()
            assert not ctx.get(dut.busy)
            assert not ctx.get(dut.o.valid)

    simulate(dut, bench, monitors=(array,))
