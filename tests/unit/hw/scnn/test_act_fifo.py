from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from tests.unit.hw.scnn.bus_model import Word, fields, word
from zeroskip.hw.scnn.act_fifo import ActFifo
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate

Block = dict[str, Any]
Round = tuple[list[Word], list[Block]]


def make(depth: int = 3) -> ScnnParams:
    return ScnnParams(mult_i=1, num_channels=8, num_streams=1, act_fifo_words=depth)


def draw_round(rng: Random, number: int) -> Round:
    """Draw what a PE receives in a round, and the blocks of weights of the group."""
    words: list[Word] = []
    often = rng.choice([0, 0.3, 0.9])
    for channel in range(8):
        of_channel = rng.randint(1, 3) if rng.random() < often else 0
        for at in range(of_channel):
            final = at == of_channel - 1
            words.append(word(10 * number + len(words), channel, first=at == 0, final=final))
    if words and rng.random() < 0.5:
        words[-1]["last"] = 1
    else:
        words.append(word(0, 0, lanes=0, last=1))
    often = rng.choice([0, 0.3, 0.9])
    channels = [channel for channel in range(8) if rng.random() < often]
    blocks = [
        block(channel, rng.randint(1, 4), last=channel == channels[-1]) for channel in channels
    ]
    return words, blocks or [block(0, 0, last=True)]


def block(channel: int, count: int, *, last: bool) -> Block:
    return {"channel": channel, "place": {"number": 0, "row": 0, "count": count, "last": int(last)}}


def expected(rounds: list[Round]) -> list[tuple[Word, int, int]]:
    """Give the words that meet weights, with count and last of their blocks."""
    found: list[tuple[Word, int, int]] = []
    for words, blocks in rounds:
        for its in blocks:
            channel, place = its["channel"], its["place"]
            of_channel = [w for w in words if w["lanes"] and w["channel"] == channel]
            if not place["count"]:
                of_channel = []
            ends = [place["last"] and at == len(of_channel) - 1 for at in range(len(of_channel))]
            found += [
                ({**w, "last": 0}, place["count"], int(end))
                for w, end in zip(of_channel, ends, strict=True)
            ]
            if place["last"] and not of_channel:
                found.append(({}, 0, 1))
    return found


def run(rounds: list[Round], gaps: tuple[int, int, int], depth: int = 3) -> None:
    dut, meets = ActFifo(make(depth)), expected(rounds)

    async def control(ctx: Any) -> None:
        ctx.set(dut.groups, len(rounds))
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)

    async def words(ctx: Any) -> None:
        await ctx.tick()
        every = [w for of_round, _ in rounds for w in of_round]
        await put(ctx, dut.i, every, random_gaps(1, gaps[0]))

    async def headers(ctx: Any) -> None:
        await ctx.tick()
        await put(ctx, dut.header, [b for _, of in rounds for b in of], random_gaps(2, gaps[1]))

    async def sink(ctx: Any) -> None:
        for found in await get(ctx, dut.o, len(meets), random_gaps(3, gaps[2])):
            its, count, last = meets.pop(0)
            assert (found.place.count, found.place.last) == (count, last)
            if count:
                assert fields(found.word) == its

    simulate(dut, control, words, headers, sink)
    assert not meets


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("gaps", [(0, 0, 0), (4, 0, 0), (0, 4, 0), (0, 0, 4), (3, 3, 3)])
def test_words_meet_their_weights(depth: int, gaps: tuple[int, int, int]) -> None:
    rng = Random(str(gaps))
    run([draw_round(rng, number) for number in range(12)], gaps, depth)


@simulated(40)
@given(st.integers(0, 1 << 30), st.tuples(*3 * [st.integers(0, 5)]))
def test_any_rounds(seed: int, gaps: tuple[int, int, int]) -> None:
    rng = Random(seed)
    run([draw_round(rng, number) for number in range(rng.randint(1, 4))], gaps)


def test_is_busy_until_the_last_round_has_been_taken() -> None:
    """Also by a group whose weights have no activations, and the other way round."""
    rounds = [([word(1, 3, first=1, final=1, last=1)], [block(5, 2, last=True)])] * 2
    dut = ActFifo(make())

    async def bench(ctx: Any) -> None:
        ctx.set(dut.groups, 2)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        ctx.set(dut.o.ready, 1)
        for words, blocks in rounds:
            assert ctx.get(dut.busy)
            await put(ctx, dut.i, words, [0])
            await put(ctx, dut.header, blocks, [0])
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.busy)

    simulate(dut, bench)


def test_a_word_or_a_block_is_dropped_every_cycle() -> None:
    """Words 0 to 3 have no weights, blocks 4 to 6 no words; then both have channel 7."""
    dut, cycles = ActFifo(make(8)), 0
    words = [word(n, n, first=1, final=1) for n in range(4)]
    words.append(word(9, 7, first=1, final=1, last=1))
    blocks = [block(channel, 1, last=channel == 7) for channel in (4, 5, 6, 7)]

    async def source(ctx: Any) -> None:
        await put(ctx, dut.i, words, 5 * [0])

    async def headers(ctx: Any) -> None:
        await put(ctx, dut.header, blocks, 4 * [0])

    async def sink(ctx: Any) -> None:
        nonlocal cycles
        ctx.set(dut.o.ready, 1)
        valid = False
        while not valid:
            _, _, valid = await ctx.tick().sample(dut.o.valid)
            cycles += 1

    simulate(dut, source, headers, sink)
    # Two cycles through the SRAM.
    assert cycles == 2 + 4 + 3 + 1
