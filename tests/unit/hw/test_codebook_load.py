import operator
from collections import Counter
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Fragment

from zeroskip.hw.eie.codebook_load import CodebookLoad
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.assembly import Watch, count_reads
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
        self.writes = 0

    def held(self, ctx: Any) -> list[int]:
        word, bits = ctx.get(self.dut.weights), self.p.weight_bits
        weights = [word >> bits * code & (1 << bits) - 1 for code in range(self.p.num_codes)]
        return [weight - (weight >> bits - 1 << bits) for weight in weights]

    def has(self, ctx: Any, number: int) -> bool:
        return self.held(ctx) == self.books[number]

    async def fill(self, ctx: Any) -> None:
        ctx.set(self.dut.load_en, 1)
        for number, book in enumerate(self.books):
            for code, weight in enumerate(book):
                ctx.set(self.dut.load_row, number << self.p.code_bits | code)
                ctx.set(self.dut.load_data, weight)
                await ctx.tick()
        ctx.set(self.dut.load_en, 0)

    async def tick(self, ctx: Any) -> None:
        """Go on by a cycle, and count the weights that change."""
        before = self.held(ctx)
        await ctx.tick()
        self.writes += sum(map(operator.ne, before, self.held(ctx)))

    async def ask(self, ctx: Any, number: int, last_code: int | None = None) -> int:
        """Ask for a codebook for one cycle, and wait for it. Return the cycles that took."""
        cycles = 0
        ctx.set(self.dut.codebook, number)
        ctx.set(self.dut.last_code, self.p.num_codes - 1 if last_code is None else last_code)
        ctx.set(self.dut.load, 1)
        while True:
            await self.tick(ctx)
            cycles += 1
            ctx.set(self.dut.load, 0)
            if ctx.get(self.dut.ready):
                return cycles


@pytest.mark.parametrize("code_bits", [1, 3, 5])
def test_every_codebook(code_bits: int) -> None:
    p = EieParams(num_descriptors=4, code_bits=code_bits, weight_bits=10)
    bench = Bench(p)

    async def run(ctx: Any) -> None:
        await bench.fill(ctx)
        assert not ctx.get(bench.dut.ready)
        for number in (0, 3, 1, 2):
            bench.writes = 0
            # A weight per cycle, but none for code 0, and two for the pipeline.
            assert await bench.ask(ctx, number) == p.num_codes - 1 + 2
            assert bench.has(ctx, number)
            assert bench.writes == p.num_codes - 1

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
        expected = [0] * P.num_codes
        for number, last_code in ((1, 3), (0, 7), (2, 1), (3, 0), (1, 5)):
            bench.writes = 0
            await ctx.tick()
            reads.clear()
            # Without weights there is nothing to wait for.
            cycles = await bench.ask(ctx, number, last_code)
            assert cycles == (last_code + 2 if last_code else 1)
            expected[1 : last_code + 1] = bench.books[number][1 : last_code + 1]
            await ctx.tick()
            assert bench.held(ctx) == expected
            assert bench.writes == last_code
            assert +reads == +Counter({"codebooks": last_code})

    simulate(whole, run, monitors=[monitor])


def test_codebook_that_is_there_is_not_loaded_again() -> None:
    bench = Bench(P)

    async def run(ctx: Any) -> None:
        await bench.fill(ctx)
        await bench.ask(ctx, 2)
        bench.writes = 0
        assert await bench.ask(ctx, 2) == 1
        ctx.set(bench.dut.codebook, 1)
        assert not ctx.get(bench.dut.ready)
        ctx.set(bench.dut.codebook, 2)
        assert ctx.get(bench.dut.ready)
        for _ in range(10):
            await bench.tick(ctx)
        assert bench.writes == 0

    simulate(bench.dut, run)


def test_asking_again_on_the_way_does_not_start_anew() -> None:
    bench = Bench(P)

    async def run(ctx: Any) -> None:
        await bench.fill(ctx)
        ctx.set(bench.dut.codebook, 3)
        ctx.set(bench.dut.last_code, P.num_codes - 1)
        ctx.set(bench.dut.load, 1)
        for _ in range(P.num_codes + 1):
            assert not ctx.get(bench.dut.ready)
            await bench.tick(ctx)
        assert ctx.get(bench.dut.ready)
        await bench.tick(ctx)
        assert bench.has(ctx, 3)
        assert bench.writes == P.num_codes - 1

    simulate(bench.dut, run)


def test_forgotten_codebook_is_loaded_again() -> None:
    bench = Bench(P)

    async def run(ctx: Any) -> None:
        await bench.fill(ctx)
        await bench.ask(ctx, 1)
        ctx.set(bench.dut.forget, 1)
        await bench.tick(ctx)
        ctx.set(bench.dut.forget, 0)
        assert not ctx.get(bench.dut.ready)
        assert await bench.ask(ctx, 1) == P.num_codes + 1
        assert bench.has(ctx, 1)

    simulate(bench.dut, run)


@pytest.mark.parametrize("after", range(1, 12))
def test_forgetting_stops_a_load(after: int) -> None:
    bench = Bench(P)

    async def run(ctx: Any) -> None:
        await bench.fill(ctx)
        ctx.set(bench.dut.codebook, 1)
        ctx.set(bench.dut.last_code, P.num_codes - 1)
        ctx.set(bench.dut.load, 1)
        for _ in range(after):
            await bench.tick(ctx)
            ctx.set(bench.dut.load, 0)
        ctx.set(bench.dut.forget, 1)
        await bench.tick(ctx)
        ctx.set(bench.dut.forget, 0)
        bench.writes = 0
        for _ in range(4):
            assert not ctx.get(bench.dut.ready)
            await bench.tick(ctx)
        assert bench.writes == 0
        for number in (1, 0):
            assert await bench.ask(ctx, number) == P.num_codes + 1
            assert bench.has(ctx, number)

    simulate(bench.dut, run)
