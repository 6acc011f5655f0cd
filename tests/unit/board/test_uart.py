from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from zeroskip.hw.board.uart import UartRx, UartTx, check_divisor
from zeroskip.sim.bench.pysim import simulate

BYTES = [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, 0xC0, 0xDB]


class Loop:
    """A transmitter and a receiver on one line."""

    def __init__(self, divisor: int, receive: int) -> None:
        self.tx, self.rx = UartTx(divisor), UartRx(receive)
        self.module = Module()
        self.module.submodules.tx = self.tx
        self.module.submodules.rx = self.rx
        self.module.d.comb += self.rx.rx.eq(self.tx.tx)


# The receiver's clock is off by up to 4 %, which is what ten bits can stand.
@pytest.mark.parametrize(("divisor", "receive"), [(4, 4), (5, 5), (7, 7), (50, 48), (48, 50)])
@pytest.mark.parametrize("gap", [0, 3])
def test_bytes_arrive(divisor: int, receive: int, gap: int) -> None:
    loop = Loop(divisor, receive)
    got: list[int] = []

    async def send(ctx: Any) -> None:
        await ctx.tick().repeat(5)
        for byte in BYTES:
            ctx.set(loop.tx.i.payload, byte)
            ctx.set(loop.tx.i.valid, 1)
            await ctx.tick().until(loop.tx.i.ready)
            ctx.set(loop.tx.i.valid, 0)
            if gap:
                await ctx.tick().repeat(gap)
        await ctx.tick().repeat(12 * divisor)

    async def receiver(ctx: Any) -> None:
        async for _, _, valid, byte, broken in ctx.tick().sample(
            loop.rx.valid, loop.rx.byte, loop.rx.broken
        ):
            assert not broken
            if valid:
                got.append(byte)

    simulate(loop.module, send, monitors=[receiver])
    assert got == BYTES


def test_line_is_as_long_as_it_must_be() -> None:
    """A start bit, eight bits, lowest first, a stop bit, each of ``divisor`` cycles."""
    dut = UartTx(4)
    levels: list[int] = []

    async def bench(ctx: Any) -> None:
        assert ctx.get(dut.tx) == 1
        ctx.set(dut.i.payload, 0b01101001)
        ctx.set(dut.i.valid, 1)
        await ctx.tick()
        ctx.set(dut.i.valid, 0)
        for _ in range(44):
            levels.append(ctx.get(dut.tx))
            await ctx.tick()

    simulate(dut, bench)
    bits = [0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1]
    assert levels == [bit for bit in bits for _ in range(4)]


def receive(levels: list[int]) -> list[int | None]:
    """Give the receiver levels, one per cycle; return bytes, None for one without stop bit."""
    dut, got = UartRx(4), list[int | None]()

    async def bench(ctx: Any) -> None:
        ctx.set(dut.rx, 1)
        await ctx.tick().repeat(4)
        for level in [*levels, *[1] * 60]:
            ctx.set(dut.rx, level)
            await ctx.tick()
            if ctx.get(dut.valid):
                got.append(ctx.get(dut.byte))
            if ctx.get(dut.broken):
                got.append(None)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return got


def line_of(byte: int) -> list[int]:
    bits = [0, *(byte >> k & 1 for k in range(8)), 1]
    return [bit for bit in bits for _ in range(4)]


def test_noise_is_no_byte() -> None:
    assert receive([0, *[1] * 10, *line_of(0x5A)]) == [0x5A]


def test_break_is_one_broken_byte() -> None:
    """A line that stays low is told once; the next byte after it is sound."""
    assert receive([*[0] * 200, *[1] * 8, *line_of(0xA7)]) == [None, 0xA7]


@pytest.mark.parametrize("divisor", [0, 3, 65537])
def test_divisor_is_checked(divisor: int) -> None:
    with pytest.raises(ValueError, match=f"^divisor must be from 4 to 65536, not {divisor}$"):
        check_divisor(divisor)
