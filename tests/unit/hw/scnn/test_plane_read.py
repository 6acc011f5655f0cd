from typing import Any

import pytest

from tests.unit.hw.scnn.plane_host import PARAMS, Shape, answer_reads, draw, reader
from zeroskip.hw.scnn.formats import plane_phases_layout
from zeroskip.hw.scnn.plane_read import PlaneRead
from zeroskip.sim.bench.pysim import get, random_gaps, simulate

SHAPES = [
    Shape(2, 1, 3, 2, 5, 5, 2),  # one block of all PEs, ragged to both sides
    Shape(2, 1, 2, 2, 4, 2, 0),  # columns of PEs with nothing, the last one's, too
    Shape(0, 0, 3, 4, 3, 4, 1),  # each PE a block
    Shape(0, 1, 2, 5, 3, 4, 3),
    Shape(2, 1, 1, 1, 1, 1, 0),
    Shape(2, 1, 4, 4, 7, 9, 1, sy=2, sx=2),
    Shape(1, 0, 4, 6, 4, 10, 0, sy=1, sx=3),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("lanes", [1, 2])
def test_gives_every_position_in_order(shape: Shape, lanes: int, density: float) -> None:
    values = draw(shape, density)
    dut = PlaneRead(PARAMS, lanes)
    seed = shape.block_x + 10 * shape.tile_h + 100 * shape.width
    read = reader(shape, values, first=9, base=4)

    async def array(ctx: Any) -> None:
        await answer_reads(ctx, dut.cmd, dut.rsp, read, seed)

    async def bench(ctx: Any) -> None:
        fields: Any = shape.fields(4, len(values))
        ctx.set(dut.plane, plane_phases_layout(PARAMS).const(fields))
        ctx.set(dut.spread.as_value(), -1)
        rows = shape.rows(values)
        for run in range(2):  # again: nothing is left of the first time
            ctx.set(dut.go, 1)
            await ctx.tick()
            ctx.set(dut.go, 0)
            for row in rows:
                found: list[int] = []
                while len(found) < len(row):
                    (group,) = await get(ctx, dut.o, 1, random_gaps(seed + run + len(found), 3))
                    found += list(group.values)[: group.count]
                assert found == row
            await ctx.tick().until(~dut.busy)
            assert not ctx.get(dut.o.valid)

    simulate(dut, bench, monitors=(array,))


def test_gives_a_group_a_cycle() -> None:
    """From an array that answers in three cycles, as ours does."""
    shape = Shape(0, 0, 5, 6, 5, 6, 0)
    values = draw(shape, 0.4)
    dut = PlaneRead(PARAMS, PARAMS.mult_i)
    read = reader(shape, values, first=9, base=4)

    async def array(ctx: Any) -> None:
        coming: list[tuple[int, int]] = []
        now = 0
        ctx.set(dut.cmd.ready, 1)
        while True:
            _, _, valid, ready, asks, payload = await ctx.tick().sample(
                dut.rsp.valid, dut.rsp.ready, dut.cmd.valid, dut.cmd.payload
            )
            now += 1
            if valid and ready:
                coming.pop(0)
            if asks:
                command = payload.command
                coming.append((now + 2, read(command.space, payload.pe, command.addr)))
            ctx.set(dut.rsp.valid, bool(coming) and coming[0][0] <= now)
            if coming:
                ctx.set(dut.rsp.payload, coming[0][1])

    async def bench(ctx: Any) -> None:
        fields: Any = shape.fields(4, len(values))
        ctx.set(dut.plane, plane_phases_layout(PARAMS).const(fields))
        ctx.set(dut.spread.as_value(), -1)
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.go, 1)
        await ctx.tick()
        ctx.set(dut.go, 0)
        cycles = 0
        while ctx.get(dut.busy):
            await ctx.tick()
            cycles += 1
        assert cycles <= PARAMS.num_pes * (values.size // 2 * 1.25 + 12)

    simulate(dut, bench, monitors=(array,))
