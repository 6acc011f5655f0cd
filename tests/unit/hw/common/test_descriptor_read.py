from random import Random
from typing import Any

import pytest
from amaranth.hdl import Shape
from amaranth.lib import data

from zeroskip.hw.common.descriptor_read import DescriptorRead
from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS
from zeroskip.hw.eie import formats as eie
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn import formats as scnn
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.sim.bench.pysim import simulate

Size = tuple[data.StructLayout, int, int]
"""Layout of a descriptor, words of it, and descriptors."""


def eie_size(p: EieParams) -> Size:
    return eie.descriptor_layout(p), eie.DESCRIPTOR_WORDS, p.num_descriptors


def scnn_size(p: ScnnParams) -> Size:
    return scnn.descriptor_layout(p), scnn.DESCRIPTOR_WORDS, p.num_descriptors


SMALL = EieParams(num_descriptors=4, num_pointers=4, num_acts=2, num_accs=2, num_biases=2)
WIDE = EieParams(num_descriptors=8, num_pointers=1 << 20, num_acts=1 << 15, num_accs=1 << 15)
SIZES = {
    "one word": (data.StructLayout({"only": 64}), 1, 3),
    # Descriptors of less than a word, of more, and the widest.
    "eie small": eie_size(SMALL),
    "eie": eie_size(EieParams(num_descriptors=6)),
    "eie wide": eie_size(WIDE),
    "three words": (data.StructLayout({"low": 100, "high": 60}), 3, 4),
    "scnn tiny": scnn_size(PRESETS["tiny"]),
    "scnn five": scnn_size(ScnnParams(num_descriptors=5)),
    "scnn paper": scnn_size(PRESETS["paper"]),
}
SOME = [SIZES[name] for name in ("one word", "eie", "scnn five")]
LONGEST = 5
"""Cycles that the largest of them takes to be read."""


def draw_program(size: Size) -> list[int]:
    layout, _, count = size
    rng, bits = Random(count), Shape.cast(layout).width
    return [rng.getrandbits(bits) for _ in range(min(8, count))]


async def load(ctx: Any, dut: DescriptorRead, program: list[int], words: int) -> None:
    """Write a program; between its words, what is offered for other memories is not written."""
    mask = (1 << DESCRIPTOR_WORD_BITS) - 1
    for number, descriptor in enumerate(program):
        for word in range(words):
            ctx.set(dut.load_row, words * number + word)
            bits = descriptor >> DESCRIPTOR_WORD_BITS * word
            ctx.set(dut.load_data, bits & mask)
            await pulse(ctx, dut.load_en)
            ctx.set(dut.load_data, ~bits & mask)
            await ctx.tick()


async def pulse(ctx: Any, signal: Any) -> None:
    ctx.set(signal, 1)
    await ctx.tick()
    ctx.set(signal, 0)


async def expect(ctx: Any, dut: DescriptorRead, descriptor: int, words: int) -> None:
    """Check that it is there ``words + 1`` cycles after it was asked for, and stays."""
    for _ in range(words):
        assert not ctx.get(dut.valid)
        await ctx.tick()
    for _ in range(3):
        assert ctx.get(dut.valid)
        assert ctx.get(dut.descriptor.as_value()) == descriptor
        await ctx.tick()


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_whole_program_twice(size: Size) -> None:
    dut, program, words = DescriptorRead(*size), draw_program(size), size[1]

    async def bench(ctx: Any) -> None:
        await load(ctx, dut, program, words)
        assert not ctx.get(dut.valid)
        for _ in range(2):
            await pulse(ctx, dut.first)
            await expect(ctx, dut, program[0], words)
            for descriptor in program[1:]:
                await pulse(ctx, dut.next)
                await expect(ctx, dut, descriptor, words)

    simulate(dut, bench)


@pytest.mark.parametrize("size", SOME, ids=["one word", "eie", "scnn"])
@pytest.mark.parametrize("after", range(LONGEST + 2))
@pytest.mark.parametrize("flush", [False, True])
def test_start_over_at_any_time(size: Size, after: int, flush: bool) -> None:
    """What was being read never shows up, and the program starts anew."""
    dut, program, words = DescriptorRead(*size), draw_program(size), size[1]

    async def bench(ctx: Any) -> None:
        await load(ctx, dut, program, words)
        await pulse(ctx, dut.first)
        await expect(ctx, dut, program[0], words)
        await pulse(ctx, dut.next)
        for _ in range(after):
            await ctx.tick()
        if flush:
            await pulse(ctx, dut.flush)
            for _ in range(LONGEST + 2):
                assert not ctx.get(dut.valid)
                await ctx.tick()
        await pulse(ctx, dut.first)
        await expect(ctx, dut, program[0], words)
        await pulse(ctx, dut.next)
        await expect(ctx, dut, program[1], words)

    simulate(dut, bench)


@pytest.mark.parametrize("size", SOME, ids=["one word", "eie", "scnn"])
@pytest.mark.parametrize("ask", ["first", "next"])
def test_flush_forgets_what_is_asked_for_in_its_cycle(size: Size, ask: str) -> None:
    dut, program, words = DescriptorRead(*size), draw_program(size), size[1]

    async def bench(ctx: Any) -> None:
        await load(ctx, dut, program, words)
        await pulse(ctx, dut.first)
        await expect(ctx, dut, program[0], words)
        ctx.set(getattr(dut, ask), 1)
        await pulse(ctx, dut.flush)
        ctx.set(getattr(dut, ask), 0)
        for _ in range(LONGEST + 2):
            assert not ctx.get(dut.valid)
            await ctx.tick()

    simulate(dut, bench)
