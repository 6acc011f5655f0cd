import random
from typing import Any

import pytest

from zeroskip.hw.common.row_pack import RowPack
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate


def rows_of(values: list[int], p: EieParams) -> list[int]:
    """Pack values as an activation file has them, the last row filled with zeros."""
    mask = (1 << p.act_bits) - 1
    return [
        sum(
            (value & mask) << lane * p.act_bits
            for lane, value in enumerate(values[at:][: p.num_pes])
        )
        for at in range(0, len(values), p.num_pes)
    ]


@pytest.mark.parametrize("num_pes", [1, 3, 8])
@pytest.mark.parametrize(("longest_in", "longest_out"), [(0, 0), (3, 0), (0, 3), (3, 3)])
def test_gathers_rows_in_order(num_pes: int, longest_in: int, longest_out: int) -> None:
    p = EieParams(num_pes=num_pes)
    dut = RowPack(p.act_bits, p.num_pes)
    rng = random.Random(num_pes)
    # Planes of all lengths in line, so that a row's end and a plane's coincide, too.
    planes = [[rng.randint(-(1 << 15), (1 << 15) - 1) for _ in range(n)] for n in range(1, 20)]
    expected = [row for plane in planes for row in rows_of(plane, p)]
    values = [
        {"value": value, "last": at == len(plane) - 1}
        for plane in planes
        for at, value in enumerate(plane)
    ]

    async def source(ctx: Any) -> None:
        await put(ctx, dut.i, values, random_gaps(1, longest_in))

    async def sink(ctx: Any) -> None:
        assert await get(ctx, dut.o, len(expected), random_gaps(2, longest_out)) == expected
        await ctx.tick()
        assert not ctx.get(dut.o.valid)

    simulate(dut, source, sink)


def test_takes_a_value_a_cycle() -> None:
    p = EieParams(num_pes=4)
    dut = RowPack(p.act_bits, p.num_pes)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.valid, 1)
        for _ in range(20):
            assert ctx.get(dut.i.ready)
            await ctx.tick()

    simulate(dut, bench)
