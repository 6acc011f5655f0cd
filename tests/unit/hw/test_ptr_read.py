from dataclasses import replace
from random import Random
from typing import Any

import pytest

from zeroskip.hw.common.formats import pack
from zeroskip.hw.eie.formats import pointer_layout
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.ptr_read import PtrRead
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate

P = EieParams(num_pointers=32, spmat_words=16, act_bits=8)

Pointer = tuple[int, int]
Work = tuple[int, Pointer, Pointer]


async def load(ctx: Any, dut: PtrRead, pointers: list[Pointer]) -> None:
    ctx.set(dut.load_en, 1)
    # In no order, so that a write to the wrong bank is not made good by the next one.
    for addr, (word, slot) in Random(0).sample([*enumerate(pointers)], len(pointers)):
        ctx.set(dut.load_addr, addr)
        ctx.set(dut.load_data, pack(pointer_layout(P), word=word, slot=slot))
        await ctx.tick()
    ctx.set(dut.load_en, 0)


def draw_pointers(rng: Random, empty: float) -> list[Pointer]:
    """Draw pointers that reach, in rising order, one past the end of the SRAM."""
    count = P.num_pointers - 1
    at, positions = 0, [0]
    for _ in range(count):
        at += 0 if rng.random() < empty else rng.randint(1, 4)
        positions.append(min(at, P.spmat_entries))
    positions[-1] = P.spmat_entries
    return [divmod(position, P.entries_per_word) for position in positions]


def read_columns(
    pointers: list[Pointer],
    work: list[tuple[int, int]],
    in_gap: int = 0,
    out_gap: int = 0,
) -> list[Work]:
    """Send (value, column) pairs and return what comes out."""
    dut = PtrRead(P)
    count = sum(pointers[column] != pointers[column + 1] for _, column in work)
    got: list[Any] = []

    async def source(ctx: Any) -> None:
        await load(ctx, dut, pointers)
        # Whatever is read before it is valid does no harm.
        ctx.set(dut.ahead, 1)
        columns = [{"value": value, "column": column} for value, column in work]
        await put(ctx, dut.i, columns, random_gaps(1, in_gap))
        await ctx.tick().repeat(40)
        assert not ctx.get(dut.full)
        assert not ctx.get(dut.o.valid)

    async def sink(ctx: Any) -> None:
        got.extend(await get(ctx, dut.o, count, random_gaps(2, out_gap)))

    simulate(dut, source, sink)
    return [
        (work.value, (work.start.word, work.start.slot), (work.end.word, work.end.slot))
        for work in got
    ]


def expected(pointers: list[Pointer], work: list[tuple[int, int]]) -> list[Work]:
    return [
        (value, pointers[column], pointers[column + 1])
        for value, column in work
        if pointers[column] != pointers[column + 1]
    ]


@pytest.mark.parametrize(("in_gap", "out_gap"), [(0, 0), (3, 0), (0, 3), (2, 2)])
@pytest.mark.parametrize("empty", [0.0, 0.4, 0.9])
def test_random_columns(in_gap: int, out_gap: int, empty: float) -> None:
    rng = Random(round(10 * empty))
    pointers = draw_pointers(rng, empty)
    work = [(rng.randrange(-128, 128), rng.randrange(P.num_pointers - 1)) for _ in range(80)]
    got = read_columns(pointers, work, in_gap, out_gap)
    assert got == expected(pointers, work)


def test_both_parities_in_any_order() -> None:
    pointers = [(0, 0), (0, 3), (1, 1), (1, 2), (4, 0)] + [(4, 0)] * (P.num_pointers - 5)
    work = [(5, 0), (-6, 1), (7, 2), (-8, 3), (1, 2), (2, 0), (3, 3), (4, 1)]
    got = read_columns(pointers, work)
    assert got == expected(pointers, work)
    assert got[:2] == [(5, (0, 0), (0, 3)), (-6, (0, 3), (1, 1))]


def test_last_column_ends_one_past_the_sram() -> None:
    last = P.num_pointers - 2
    pointers = [(0, 0)] * (last + 1) + [(P.spmat_words, 0)]
    got = read_columns(pointers, [(1, last)])
    assert got == [(1, (0, 0), (P.spmat_words, 0))]


def test_pointers_that_differ_in_slot_or_word_alone_are_no_empty_column() -> None:
    pointers = [(2, 0), (2, 1), (3, 1)] + [(3, 1)] * (P.num_pointers - 3)
    got = read_columns(pointers, [(9, 0), (9, 1), (9, 2)])
    assert got == [(9, (2, 0), (2, 1)), (9, (2, 1), (3, 1))]


@pytest.mark.parametrize("word_bits", [64, 24, 16])
@pytest.mark.parametrize("num_accs", [2, 7, 16])
def test_a_column_of_any_length(word_bits: int, num_accs: int) -> None:
    """From every slot, up to an entry for each accumulator, none of which may be lost."""
    p = replace(P, word_bits=word_bits, num_accs=num_accs, num_acts=16, num_pointers=512)
    pairs = [(slot, count) for slot in range(p.entries_per_word) for count in range(num_accs + 1)]
    dut = PtrRead(p)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.ahead, 1)
        for slot, count in pairs:
            for addr, position in enumerate((slot, slot + count)):
                word, rest = divmod(position, p.entries_per_word)
                ctx.set(dut.load_en, 1)
                ctx.set(dut.load_addr, addr)
                ctx.set(dut.load_data, pack(pointer_layout(p), word=word, slot=rest))
                await ctx.tick()
            ctx.set(dut.load_en, 0)
            await ctx.tick()
            assert ctx.get(dut.o.valid) == (count > 0)

    simulate(dut, bench)


@pytest.mark.parametrize("empty", [0.0, 0.5, 1.0])
def test_one_column_per_cycle(empty: float) -> None:
    pointers = draw_pointers(Random(3), empty)
    work = [(k, k % (P.num_pointers - 1)) for k in range(100)]
    dut = PtrRead(P)
    kept: list[int] = []

    async def bench(ctx: Any) -> None:
        await load(ctx, dut, pointers)
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.ahead, 1)
        for value, column in work:
            ctx.set(dut.i.payload, {"value": value, "column": column})
            assert ctx.get(dut.i.ready)
            await ctx.tick()
            assert ctx.get(dut.full)
            # One cycle later, and only then.
            assert ctx.get(dut.o.valid) == (pointers[column] != pointers[column + 1])
            if ctx.get(dut.o.valid):
                kept.append(ctx.get(dut.o.payload.value))
        ctx.set(dut.i.valid, 0)
        await ctx.tick()
        assert not ctx.get(dut.full)

    simulate(dut, bench)
    assert kept == [value for value, _, _ in expected(pointers, work)]


def test_a_column_that_waits_for_room_is_there_when_it_is_valid() -> None:
    """Its pointers are there when it becomes valid."""
    pointers = [(0, 0), (0, 5), (1, 1)] + [(1, 1)] * (P.num_pointers - 3)
    dut = PtrRead(P)

    async def bench(ctx: Any) -> None:
        await load(ctx, dut, pointers)
        ctx.set(dut.o.ready, 1)
        for column in (0, 1):
            ctx.set(dut.i.payload, {"value": 1, "column": column})
            ctx.set(dut.ahead, 1)
            for _ in range(3):
                await ctx.tick()
                assert not ctx.get(dut.full)
            ctx.set(dut.i.valid, 1)
            await ctx.tick()
            assert ctx.get(dut.o.valid)
            word = ctx.get(dut.o.payload)
            assert (word.start.word, word.start.slot) == pointers[column]
            assert (word.end.word, word.end.slot) == pointers[column + 1]
            ctx.set(dut.i.valid, 0)
            ctx.set(dut.ahead, 0)
            await ctx.tick()
            assert not ctx.get(dut.full)

    simulate(dut, bench)


def test_empty_columns_pass_while_the_output_is_stalled() -> None:
    """Columns without entries need no room behind the unit."""
    pointers = [(0, 0), (0, 5)] + [(0, 5)] * (P.num_pointers - 2)
    dut = PtrRead(P)

    async def bench(ctx: Any) -> None:
        await load(ctx, dut, pointers)
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.ahead, 1)
        for column in range(1, 20):
            ctx.set(dut.i.payload, {"value": 1, "column": column})
            assert ctx.get(dut.i.ready)
            await ctx.tick()
        ctx.set(dut.i.payload, {"value": 1, "column": 0})
        await ctx.tick()
        for _ in range(4):
            assert ctx.get(dut.o.valid)
            assert not ctx.get(dut.i.ready)
            await ctx.tick()

    simulate(dut, bench)
