import random
from typing import Any

import pytest

from tests.unit.hw.scnn.plane_host import PARAMS, Shape, answer_reads, draw, reader
from zeroskip.hw.chip.formats import handoff_layout
from zeroskip.hw.chip.handoff import Handoff
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.pysim import simulate


@pytest.mark.parametrize("num_pes", [1, 3, 4])
@pytest.mark.parametrize(
    "shape",
    [Shape(2, 1, 3, 2, 5, 5, 2), Shape(2, 1, 2, 2, 4, 2, 0), Shape(0, 0, 3, 4, 3, 4, 1)],
)
def test_writes_every_position_in_order(num_pes: int, shape: Shape) -> None:
    values = draw(shape, 0.3)
    e = EieParams(num_pes=num_pes, num_acts=256)
    dut = Handoff(PARAMS, e)
    written: dict[int, int] = {}
    read = reader(shape, values, first=9, base=4)

    async def engine(ctx: Any) -> None:
        await answer_reads(ctx, dut.scnn_cmd, dut.scnn_rsp, read, num_pes)

    async def sink(ctx: Any) -> None:
        rng = random.Random(num_pes)
        while True:
            ctx.set(dut.eie_cmd.ready, rng.random() < 0.7)
            _, _, valid, ready, payload = await ctx.tick().sample(
                dut.eie_cmd.valid, dut.eie_cmd.ready, dut.eie_cmd.payload
            )
            if valid and ready:
                command = payload.command
                assert command.space == Space.ACT
                assert command.write
                value = command.data & ((1 << e.act_bits) - 1)
                place = command.addr * e.num_pes + payload.pe
                assert place not in written
                written[place] = value - (value >> e.act_bits - 1 << e.act_bits)

    async def bench(ctx: Any) -> None:
        fields: Any = shape.fields(4, len(values))
        ctx.set(
            dut.config,
            handoff_layout(PARAMS).const({
                name: fields[name] for name in handoff_layout(PARAMS).members
            }),
        )
        for _ in range(2):  # again: nothing is left of the first time
            written.clear()
            ctx.set(dut.go, 1)
            await ctx.tick()
            ctx.set(dut.go, 0)
            await ctx.tick().until(~dut.busy)
            expected = sum(shape.rows(values), start=list[int]())
            expected += [0] * (-len(expected) % e.num_pes)
            assert written == dict(enumerate(expected))

    simulate(dut, bench, monitors=(engine, sink))
