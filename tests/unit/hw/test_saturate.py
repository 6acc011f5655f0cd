from typing import Any

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.saturate import saturate
from zeroskip.sim.bench.pysim import simulate


class Clip(wiring.Component):
    """A register of a clipped number."""

    a: Signal
    clipped: Signal

    def __init__(self, bits: int, to: int) -> None:
        self._to = to
        super().__init__({"a": In(signed(bits)), "clipped": Out(signed(to))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.clipped.eq(saturate(self.a, self._to))
        return m


@pytest.mark.parametrize(("bits", "to"), [(2, 3), (3, 3), (3, 2), (4, 3), (9, 2), (9, 8), (10, 6)])
def test_every_number(bits: int, to: int) -> None:
    dut = Clip(bits, to)
    most = (1 << to - 1) - 1

    async def bench(ctx: Any) -> None:
        for a in range(-(1 << bits - 1), 1 << bits - 1):
            ctx.set(dut.a, a)
            await ctx.tick()
            assert ctx.get(dut.clipped) == min(max(a, -most - 1), most)

    simulate(dut, bench)
