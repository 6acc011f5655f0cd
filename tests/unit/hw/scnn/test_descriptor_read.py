from random import Random
from typing import Any

import pytest
from amaranth.hdl import Shape

from zeroskip.hw.scnn.descriptor_read import DescriptorRead
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORD_BITS, DESCRIPTOR_WORDS, descriptor_layout
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.sim.bench.pysim import simulate

SIZES = [PRESETS["tiny"], ScnnParams(num_descriptors=5), PRESETS["paper"]]


def draw_program(p: ScnnParams) -> list[int]:
    rng, bits = Random(p.num_descriptors), Shape.cast(descriptor_layout(p)).width
    return [rng.getrandbits(bits) for _ in range(min(6, p.num_descriptors))]


async def load(ctx: Any, dut: DescriptorRead, program: list[int]) -> None:
    """Write a program; between its words, what is offered for other memories is not written."""
    mask = (1 << DESCRIPTOR_WORD_BITS) - 1
    for number, descriptor in enumerate(program):
        for word in range(DESCRIPTOR_WORDS):
            ctx.set(dut.load_row, DESCRIPTOR_WORDS * number + word)
            data = descriptor >> DESCRIPTOR_WORD_BITS * word
            ctx.set(dut.load_data, data & mask)
            await pulse(ctx, dut.load_en)
            ctx.set(dut.load_data, ~data & mask)
            await ctx.tick()


async def pulse(ctx: Any, signal: Any) -> None:
    ctx.set(signal, 1)
    await ctx.tick()
    ctx.set(signal, 0)


async def expect(ctx: Any, dut: DescriptorRead, descriptor: int) -> None:
    """Check that ``descriptor`` is there six cycles after it was asked for, and stays."""
    for _ in range(DESCRIPTOR_WORDS + 1):
        assert not ctx.get(dut.valid)
        await ctx.tick()
    for _ in range(3):
        assert ctx.get(dut.valid)
        assert ctx.get(dut.descriptor.as_value()) == descriptor
        await ctx.tick()


@pytest.mark.parametrize("p", SIZES, ids=["tiny", "five", "paper"])
def test_whole_program_twice(p: ScnnParams) -> None:
    dut, program = DescriptorRead(p), draw_program(p)

    async def bench(ctx: Any) -> None:
        await load(ctx, dut, program)
        assert not ctx.get(dut.valid)
        for _ in range(2):
            await pulse(ctx, dut.first)
            await expect(ctx, dut, program[0])
            for descriptor in program[1:]:
                await pulse(ctx, dut.next)
                await expect(ctx, dut, descriptor)

    simulate(dut, bench)


@pytest.mark.parametrize("after", range(8))
@pytest.mark.parametrize("flush", [False, True])
def test_start_over_at_any_time(after: int, flush: bool) -> None:
    """What was being read never shows up, and the program starts anew."""
    dut, program = DescriptorRead(SIZES[1]), draw_program(SIZES[1])

    async def bench(ctx: Any) -> None:
        await load(ctx, dut, program)
        await pulse(ctx, dut.first)
        await expect(ctx, dut, program[0])
        await pulse(ctx, dut.next)
        for _ in range(after):
            await ctx.tick()
        if flush:
            await pulse(ctx, dut.flush)
            for _ in range(8):
                assert not ctx.get(dut.valid)
                await ctx.tick()
        await pulse(ctx, dut.first)
        await expect(ctx, dut, program[0])
        await pulse(ctx, dut.next)
        await expect(ctx, dut, program[1])

    simulate(dut, bench)
