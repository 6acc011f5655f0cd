from collections import Counter
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Fragment

from tests.support.assembly import Watch, count_reads
from zeroskip.hw.eie.codebook_load import CodebookLoad
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.pysim import simulate

P = EieParams(num_descriptors=4, code_bits=3, weight_bits=10)


class Bench:
    """A loader of four random codebooks, whose first weights are 0, and what the PEs see."""

    def __init__(self, p: EieParams) -> None:
        rng = Random(1)
        self.p = p
        self.dut = CodebookLoad(p)
        self.books = [
            [0, *rng.sample(range(-512, 512), p.num_codes - 1)] for _ in range(p.num_descriptors)
        ]

    def held(self, ctx: Any) -> list[int]:
        word, bits = ctx.get(self.dut.weights), self.p.weight_bits
        weights = [word >> bits * code & (1 << bits) - 1 for code in range(self.p.num_codes)]
        return [weight - (weight >> bits - 1 << bits) for weight in weights]

    def has(self, ctx: Any, number: int) -> bool:
        return self.held(ctx) == self.books[number]

    async def fill(self, ctx: Any) -> None:
        ctx.set(self.dut.load_en, 1)
        ctx.set(self.dut.forget, 1)
        for number, book in enumerate(self.books):
            for code, weight in enumerate(book):
                ctx.set(self.dut.load_row, number << self.p.code_bits | code)
                ctx.set(self.dut.load_data, weight)
                await ctx.tick()
        ctx.set(self.dut.load_en, 0)
        ctx.set(self.dut.forget, 0)

    async def ask(self, ctx: Any, number: int, last_code: int | None = None) -> int:
        """Have a codebook loaded ahead; return the cycles until it is there."""
        cycles = 0
        before = self.held(ctx)
        ctx.set(self.dut.codebook, number)
        ctx.set(self.dut.last_code, self.p.num_codes - 1 if last_code is None else last_code)
        ctx.set(self.dut.valid, 1)
        while not ctx.get(self.dut.ready):
            await ctx.tick()
            cycles += 1
            assert self.held(ctx) == before
            assert cycles < 100
        return cycles

    async def turn(self, ctx: Any) -> None:
        """Give the PEs what is there."""
        ctx.set(self.dut.turn, 1)
        await ctx.tick()
        ctx.set(self.dut.turn, 0)
        ctx.set(self.dut.valid, 0)
        assert not ctx.get(self.dut.ready)


@pytest.mark.parametrize("code_bits", [1, 3, 5])
def test_every_codebook(code_bits: int) -> None:
    p = EieParams(num_descriptors=4, code_bits=code_bits, weight_bits=10)
    bench = Bench(p)

    async def run(ctx: Any) -> None:
        await bench.fill(ctx)
        for number in (0, 3, 1, 2):
            # A weight per cycle, but none for code 0, and two for the pipeline.
            assert await bench.ask(ctx, number) == p.num_codes - 1 + 2
            await bench.turn(ctx)
            assert bench.has(ctx, number)

    simulate(bench.dut, run)


def test_no_more_is_loaded_than_the_layer_has() -> None:
    bench = Bench(P)
    reads: Counter[str] = Counter()
    watch = Watch()
    whole = Fragment.get(bench.dut, watch)

    async def monitor(ctx: Any) -> None:
        await count_reads(ctx, watch.memories, reads)

    async def run(ctx: Any) -> None:
        await bench.fill(ctx)
        for number, last_code in ((1, 3), (0, 7), (2, 1), (3, 0), (1, 5)):
            await ctx.tick()
            reads.clear()
            # Without weights there is nothing to wait for.
            cycles = await bench.ask(ctx, number, last_code)
            assert cycles == (last_code + 2 if last_code else 1)
            await bench.turn(ctx)
            assert bench.held(ctx)[: last_code + 1] == bench.books[number][: last_code + 1]
            assert +reads == +Counter({"codebooks": last_code})

    simulate(whole, run, monitors=[monitor])


def test_codebook_that_is_there_is_not_loaded_again() -> None:
    bench = Bench(P)

    async def run(ctx: Any) -> None:
        await bench.fill(ctx)
        await bench.ask(ctx, 2)
        for _ in range(3):
            assert await bench.ask(ctx, 2) == 0
            await bench.turn(ctx)
            for _ in range(5):
                await ctx.tick()
                assert not ctx.get(bench.dut.ready)
            assert bench.has(ctx, 2)

    simulate(bench.dut, run)


def test_load_that_is_under_way_ends_before_another_begins() -> None:
    """Whoever asks for another codebook waits for the rest of the first one."""
    bench = Bench(P)

    async def run(ctx: Any) -> None:
        await bench.fill(ctx)
        for after in range(1, P.num_codes + 1):
            await bench.ask(ctx, 0)
            ctx.set(bench.dut.codebook, 3)
            for _ in range(after):
                assert not ctx.get(bench.dut.ready)
                await ctx.tick()
            assert await bench.ask(ctx, 1) == 2 * (P.num_codes + 1) - after
            await bench.turn(ctx)
            assert bench.has(ctx, 1)

    simulate(bench.dut, run)


@pytest.mark.parametrize("after", range(12))
def test_a_weight_that_is_written_makes_all_be_loaded_again(after: int) -> None:
    bench = Bench(P)
    dut, changed = bench.dut, bench.books[1]

    async def run(ctx: Any) -> None:
        await bench.fill(ctx)
        ctx.set(dut.codebook, 1)
        ctx.set(dut.last_code, P.num_codes - 1)
        ctx.set(dut.valid, 1)
        for _ in range(after):
            await ctx.tick()
        changed[2] = 5
        ctx.set(dut.load_en, 1)
        ctx.set(dut.forget, 1)
        ctx.set(dut.load_row, 1 << P.code_bits | 2)
        ctx.set(dut.load_data, 5)
        await ctx.tick()
        ctx.set(dut.load_en, 0)
        ctx.set(dut.forget, 0)
        assert await bench.ask(ctx, 1) >= P.num_codes + 1
        await bench.turn(ctx)
        assert bench.has(ctx, 1)

    simulate(dut, run)
