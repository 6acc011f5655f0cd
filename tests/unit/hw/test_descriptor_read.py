from random import Random
from typing import Any

import pytest
from amaranth.hdl import Shape

from zeroskip.hw.eie.descriptor_read import DescriptorRead
from zeroskip.hw.eie.formats import DESCRIPTOR_HALF_BITS, descriptor_layout
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.pysim import simulate

# Descriptors of less than a half, of more, and the widest.
SMALL = EieParams(num_descriptors=4, num_pointers=4, num_acts=2, num_accs=2, num_biases=2)
SIZES = [
    SMALL,
    EieParams(num_descriptors=6),
    EieParams(num_descriptors=8, num_pointers=1 << 20, num_acts=1 << 15, num_accs=1 << 15),
]


def draw_program(p: EieParams) -> list[int]:
    rng = Random(p.num_descriptors)
    bits = Shape.cast(descriptor_layout(p)).width
    return [rng.getrandbits(bits) for _ in range(p.num_descriptors)]


async def load(ctx: Any, dut: DescriptorRead, program: list[int]) -> None:
    """Write a program; between its words, what is offered for other memories is not written."""
    for number, word in enumerate(program):
        for half, data in enumerate(reversed(divmod(word, 1 << DESCRIPTOR_HALF_BITS))):
            ctx.set(dut.load_row, 2 * number + half)
            ctx.set(dut.load_data, data)
            await pulse(ctx, dut.load_en)
            ctx.set(dut.load_data, ~data & (1 << DESCRIPTOR_HALF_BITS) - 1)
            await ctx.tick()


async def pulse(ctx: Any, signal: Any) -> None:
    ctx.set(signal, 1)
    await ctx.tick()
    ctx.set(signal, 0)


async def expect(ctx: Any, dut: DescriptorRead, word: int) -> None:
    """Check that ``word`` is there three cycles after it was asked for, and stays."""
    for _ in range(2):
        assert not ctx.get(dut.valid)
        await ctx.tick()
    for _ in range(3):
        assert ctx.get(dut.valid)
        assert ctx.get(dut.descriptor.as_value()) == word
        await ctx.tick()


@pytest.mark.parametrize("p", SIZES)
def test_whole_program_twice(p: EieParams) -> None:
    dut = DescriptorRead(p)
    program = draw_program(p)

    async def bench(ctx: Any) -> None:
        await load(ctx, dut, program)
        assert not ctx.get(dut.valid)
        for _ in range(2):
            await pulse(ctx, dut.first)
            await expect(ctx, dut, program[0])
            for word in program[1:]:
                await pulse(ctx, dut.next)
                await expect(ctx, dut, word)

    simulate(dut, bench)


@pytest.mark.parametrize("after", range(4))
def test_flush_at_any_time(after: int) -> None:
    """What was being read never shows up, and the program starts anew."""
    dut = DescriptorRead(SIZES[1])
    program = draw_program(SIZES[1])

    async def bench(ctx: Any) -> None:
        await load(ctx, dut, program)
        await pulse(ctx, dut.first)
        await expect(ctx, dut, program[0])
        await pulse(ctx, dut.next)
        for _ in range(after):
            await ctx.tick()
        await pulse(ctx, dut.flush)
        for _ in range(6):
            assert not ctx.get(dut.valid)
            await ctx.tick()
        await pulse(ctx, dut.first)
        await expect(ctx, dut, program[0])
        await pulse(ctx, dut.next)
        await expect(ctx, dut, program[1])

    simulate(dut, bench)


def test_start_over_in_the_middle() -> None:
    dut = DescriptorRead(SIZES[1])
    program = draw_program(SIZES[1])

    async def bench(ctx: Any) -> None:
        await load(ctx, dut, program)
        await pulse(ctx, dut.first)
        await expect(ctx, dut, program[0])
        await pulse(ctx, dut.next)
        await expect(ctx, dut, program[1])
        await pulse(ctx, dut.first)
        await expect(ctx, dut, program[0])

    simulate(dut, bench)
