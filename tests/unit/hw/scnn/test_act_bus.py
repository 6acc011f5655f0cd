from dataclasses import dataclass
from itertools import product, repeat
from random import Random
from typing import Any

import pytest

from tests.unit.hw.scnn.bus_model import Word, draw_round, fields, received, sent
from zeroskip.hw.scnn.act_bus import ActBus
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate


def make(grid: tuple[int, int]) -> ScnnParams:
    return ScnnParams(
        pes_x=grid[0],
        pes_y=grid[1],
        num_streams=grid[0] * grid[1],
        mult_f=1,
        mult_i=1,
        banks=2,
        bank_entries=4,
        act_bits=16,
        num_channels=64,
        act_fifo_words=4,
    )


def geometries(p: ScnnParams) -> list[tuple[int, int, int, int]]:
    """List all sizes of blocks, and of owners' blocks."""
    ways = [
        [(size, size + pair) for size in range(whole + 1) for pair in range(2)]
        for whole in ((p.pes_x - 1).bit_length(), (p.pes_y - 1).bit_length())
    ]
    return [(*x, *y) for x, y in product(*ways)]


def clamp(length: int, block: int, owners: int) -> tuple[int, int]:
    whole = (length - 1).bit_length()
    return min(block, whole), min(owners, whole) - min(block, whole)


@dataclass(frozen=True)
class BusPass:
    """Fields of a descriptor, what each PE sends, its rounds, and what each PE gets in one."""

    fields: dict[str, int]
    sends: list[list[Word]]
    rounds: int
    gets: list[list[Word]]


def draw_pass(p: ScnnParams, rng: Random) -> BusPass:
    block_x, src_block_x, block_y, src_block_y = rng.choice(geometries(p))
    entries, rounds = rng.randint(1, 5), rng.randint(1, 3)
    x, y = clamp(p.pes_x, block_x, src_block_x), clamp(p.pes_y, block_y, src_block_y)
    words = draw_round(rng, p, entries)
    places = [(pe % p.pes_x % (1 << x[0]), pe // p.pes_x % (1 << y[0])) for pe in range(p.num_pes)]
    return BusPass(
        {
            "block_x": block_x,
            "block_y": block_y,
            "src_block_x": src_block_x,
            "src_block_y": src_block_y,
            "src_entries": entries,
            "groups": rounds,
            "bus": 1,
        },
        [rounds * sent(words[pe], entries, pe) for pe in range(p.num_pes)],
        rounds,
        [received(p, words, (x[0], y[0]), (x[1], y[1]), place) for place in places],
    )


def run(p: ScnnParams, passes: list[BusPass], gaps: tuple[int, int]) -> None:
    """Send the words of some passes over the bus; compare what each receiver gets, and the order.

    Parameters
    ----------
    gaps : longest wait, in cycles, before a word is offered, and before one is taken.
    """
    dut = ActBus(p)
    begun, done = 0, [0] * p.num_pes

    async def sequencer(ctx: Any) -> None:
        nonlocal begun
        for work in passes:
            ctx.set(dut.descriptor, work.fields)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            begun += 1
            while min(done) < begun:
                await ctx.tick()
        for _ in range(10):
            assert not any(ctx.get(port.valid) for port in dut.receive)
            await ctx.tick()

    def source(pe: int) -> Any:
        async def bench(ctx: Any) -> None:
            for number, work in enumerate(passes):
                while begun <= number:
                    await ctx.tick()
                words = work.sends[pe]
                await put(ctx, dut.send[pe], words, random_gaps(pe, gaps[0]))

        return bench

    def sink(pe: int) -> Any:
        async def bench(ctx: Any) -> None:
            stalls = random_gaps(0.5 + pe, gaps[1])
            for work in passes:
                for _ in range(work.rounds):
                    found: list[Word] = []
                    last = False
                    while not last:
                        (word,) = await get(ctx, dut.receive[pe], 1, stalls)
                        last = bool(word.last)
                        if word.lanes:
                            found.append(fields(word))
                    assert found == [{**word, "last": 0} for word in work.gets[pe]]
                done[pe] += 1

        return bench

    simulate(
        dut,
        sequencer,
        *(source(pe) for pe in range(p.num_pes)),
        *(sink(pe) for pe in range(p.num_pes)),
    )


@pytest.mark.parametrize(
    ("grid", "gaps"),
    [
        ((2, 2), (3, 3)),
        ((3, 3), (3, 3)),
        *(
            pytest.param(*case, marks=pytest.mark.long("simulates more grids in Python"))
            for case in [
                *((grid, (3, 3)) for grid in [(1, 1), (4, 2), (5, 1), (1, 4)]),
                *(((3, 3), gaps) for gaps in [(5, 0), (0, 5)]),
            ]
        ),
    ],
    ids=str,
)
def test_every_word_to_all_of_its_position_in_order(
    grid: tuple[int, int], gaps: tuple[int, int]
) -> None:
    p, rng = make(grid), Random(str((grid, gaps)))
    run(p, [draw_pass(p, rng) for _ in range(6)], gaps)


def test_a_word_every_cycle_and_position() -> None:
    """From four owners to four readers of one position, over the borders of owners, too."""
    p = make((2, 2))
    dut, words = ActBus(p), 10
    cycles = 0

    def source(pe: int) -> Any:
        async def bench(ctx: Any) -> None:
            await ctx.tick()
            await put(ctx, dut.send[pe], words * sent([1], 1, pe), repeat(0))

        return bench

    async def sink(ctx: Any) -> None:
        nonlocal cycles
        ctx.set(dut.descriptor, {"src_entries": 1, "groups": words, "bus": 1})
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for port in dut.receive:
            ctx.set(port.ready, 1)
        got = 0
        while got < 4 * words:
            _, _, valid = await ctx.tick().sample(dut.receive[3].valid)
            got += valid
            cycles += 1

    simulate(dut, sink, *(source(pe) for pe in range(4)))
    # Through a register of the row and one of the column.
    assert cycles == 4 * words + 2
