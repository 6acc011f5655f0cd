# amaranth: UnusedElaboratable=no
from itertools import product
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.add import add
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.common.multiply import Multiply
from zeroskip.hw.common.sram import SramPlatform
from zeroskip.sim.bench.pysim import simulate


def numbers(bits: int) -> range:
    return range(-(1 << bits - 1), 1 << bits - 1)


def check(dut: Multiply, pairs: list[tuple[int, int]], module: Module | None = None) -> None:
    async def bench(ctx: Any) -> None:
        for a, b in pairs:
            ctx.set(dut.a, a)
            ctx.set(dut.b, b)
            await ctx.tick()
            assert ctx.get(dut.product) == a * b

    simulate(module or dut, bench)


@pytest.mark.parametrize(("a_bits", "b_bits"), [*product(range(2, 6), repeat=2)])
def test_every_product(a_bits: int, b_bits: int) -> None:
    check(Multiply(a_bits, b_bits), [*product(numbers(a_bits), numbers(b_bits))])


@pytest.mark.parametrize(
    ("a_bits", "b_bits"),
    [
        *((16, 16), (8, 8), (7, 16), (32, 9)),
        pytest.param(32, 32, marks=pytest.mark.long("simulates many digits")),
    ],
)
def test_edges_and_random_products(a_bits: int, b_bits: int) -> None:
    rng = Random(a_bits)
    a, b = numbers(a_bits), numbers(b_bits)
    edges = [*product((a[0], a[1], -1, 0, 1, a[-1]), (b[0], b[1], -1, 0, 1, 2, -3, b[-1]))]
    check(Multiply(a_bits, b_bits), edges + [(rng.choice(a), rng.choice(b)) for _ in range(300)])


def test_fpgas_use_their_multipliers() -> None:
    dut = Multiply(6, 5)
    fpga = SramPlatform(has_multipliers=True)
    assert " * " not in emit_verilog(dut, "gates")
    assert " * " in emit_verilog(Multiply(6, 5), "fpga", fpga)
    check(dut, [*product(numbers(6), numbers(5))], dut.elaborate(fpga))


class Adder(wiring.Component):
    """An adder of two signed numbers of different widths."""

    a: Signal
    b: Signal
    total: Signal

    def __init__(self, bits: int) -> None:
        self._bits = bits
        super().__init__({"a": In(signed(bits)), "b": In(signed(3)), "total": Out(signed(bits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.total.eq(add(m, self.a, self.b, self._bits, platform=platform))
        return m


@pytest.mark.parametrize("fpga", [False, True], ids=["gates", "fpga"])
@pytest.mark.parametrize("bits", [1, 2, 3, 7, 8])
def test_every_sum(bits: int, fpga: bool) -> None:
    dut = Adder(bits)
    whole = dut.elaborate(SramPlatform(has_multipliers=fpga))
    half = 1 << bits - 1

    async def bench(ctx: Any) -> None:
        for a, b in product(numbers(bits), numbers(3)):
            ctx.set(dut.a, a)
            ctx.set(dut.b, b)
            await ctx.tick()
            assert ctx.get(dut.total) == (a + b + half) % (2 * half) - half

    simulate(whole, bench)
