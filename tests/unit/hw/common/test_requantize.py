from typing import Any

import pytest
from amaranth.hdl import Fragment, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import Activation, bias_word
from zeroskip.hw.common.requantize import requantize, saturate
from zeroskip.hw.common.sram import SramPlatform
from zeroskip.sim.bench.pysim import simulate


class Output(wiring.Component):
    """Registers of a clipped number, and of the output that a sum becomes."""

    total: Signal
    shift: Signal
    activation: Signal
    clipped: Signal
    output: Signal

    def __init__(self, bits: int, to: int) -> None:
        self._to = to
        super().__init__({
            "total": In(signed(bits)),
            "shift": In(6),
            "activation": In(Activation),
            "clipped": Out(signed(to)),
            "output": Out(signed(to)),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        operands = self.total, self.shift, self.activation
        output = requantize(m, *operands, self._to, platform=platform)
        m.d.sync += [self.clipped.eq(saturate(self.total, self._to)), self.output.eq(output)]
        return m


@pytest.mark.parametrize(("bits", "to"), [(2, 3), (3, 3), (3, 2), (4, 3), (9, 2), (9, 8), (10, 6)])
def test_saturate_every_number(bits: int, to: int) -> None:
    dut = Output(bits, to)
    most = (1 << to - 1) - 1

    async def bench(ctx: Any) -> None:
        for number in range(-(1 << bits - 1), 1 << bits - 1):
            ctx.set(dut.total, number)
            await ctx.tick()
            assert ctx.get(dut.clipped) == min(max(number, -most - 1), most)

    simulate(dut, bench)


@pytest.mark.parametrize("short_paths", [False, True], ids=["gates", "fpga"])
@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize("shift", [0, 1, 3, 7, 8, 63])
def test_every_sum(activation: Activation, shift: int, short_paths: bool) -> None:
    dut = Output(8, 4)
    whole = Fragment.get(dut, SramPlatform(short_paths=short_paths))
    low = 0 if activation == Activation.RELU else -8

    async def bench(ctx: Any) -> None:
        ctx.set(dut.shift, shift)
        ctx.set(dut.activation, activation)
        for total in range(-128, 128):
            ctx.set(dut.total, total)
            await ctx.tick()
            assert ctx.get(dut.output) == min(max(total >> shift, low), 7)

    simulate(whole, bench)


def test_half_an_output_step_in_the_bias_rounds_half_up() -> None:
    dut = Output(8, 8)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.shift, 4)
        sums = [-25, -24, -23, -9, -8, -7, 7, 8, 9, 23, 24, 25]
        for total, rounded in zip(sums, [-2, -1, -1, -1, 0, 0, 0, 1, 1, 1, 2, 2], strict=True):
            ctx.set(dut.total, total + bias_word(0, 4))
            await ctx.tick()
            assert ctx.get(dut.output) == rounded

    simulate(dut, bench)
