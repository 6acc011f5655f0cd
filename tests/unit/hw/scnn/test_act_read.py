from itertools import repeat
from random import Random
from typing import Any

import pytest

from zeroskip.hw.scnn.act_read import ACT_QUEUE_DEPTH, ActRead
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate


class Channels:
    """Compressed channels in rows of a RAM, with what must come out for them."""

    def __init__(self, p: ScnnParams, counts: list[int], seed: int) -> None:
        rng = Random(seed)
        self.p = p
        self.words: list[list[dict[str, int]]] = []
        self.directory: list[dict[str, int]] = []
        self.acts: list[list[tuple[int, int]]] = []
        for count in counts:
            entries = [
                {"value": rng.choice([0, rng.randrange(p.min_act, 0), p.max_act]), "run": run}
                for run in (rng.randint(0, p.max_run) for _ in range(count))
            ]
            self.directory.append({"start": len(self.words), "count": count})
            for first in range(0, count, p.mult_i):
                word = entries[first : first + p.mult_i]
                self.words.append(word + [{"value": 7, "run": 1}] * (p.mult_i - len(word)))
            position, acts = -1, []
            for entry in entries:
                position += entry["run"] + 1
                acts.append((entry["value"], position % p.accs))
            self.acts.append(acts)

    async def serve(self, ctx: Any, dut: ActRead) -> None:
        """Be the RAMs; rows of other channels hold rubbish."""
        while True:
            _, _, directory_en, row, word_en, word_row = await ctx.tick().sample(
                dut.directory_en, dut.directory_row, dut.word_en, dut.word_row
            )
            if directory_en:
                ctx.set(dut.directory, self.directory[row])
            if word_en:
                here = self.words[word_row] if word_row < len(self.words) else None
                ctx.set(dut.word, here or [{"value": 9, "run": 3}] * self.p.mult_i)

    def vectors(self, block: dict[str, Any], *, keep_zeros: bool) -> list[Any]:
        """Give what comes out for a block of weights: used activations, and the block's place."""
        place, acts = block["place"], self.acts[block["channel"]]
        if not acts or not place["count"]:
            return [([], {**place, "count": 0})] if place["last"] else []
        words = [
            acts[first : first + self.p.mult_i] for first in range(0, len(acts), self.p.mult_i)
        ]
        return [
            (
                [act if act[0] or keep_zeros else None for act in word],
                {**place, "last": int(place["last"] and word is words[-1])},
            )
            for word in words
        ]


def draw_blocks(p: ScnnParams, channels: int, rng: Random, number: int) -> list[dict[str, Any]]:
    """Draw ``number`` blocks of weights; some end a group, some of these without weights."""
    blocks, begin = [], 0
    for _ in range(number):
        last = int(rng.random() < 0.3)
        count = 0 if last and rng.random() < 0.3 else rng.randint(1, 4)
        place = {
            "number": begin % (1 << p.weight_depth.bit_length() + 1),
            "row": begin % p.weight_depth,
            "count": count,
            "last": last,
        }
        begin += count
        blocks.append({"channel": rng.randrange(channels), "place": place})
    return blocks


def run(
    p: ScnnParams,
    channels: Channels,
    blocks: list[dict[str, Any]],
    gaps: tuple[int, int],
    *,
    keep_zeros: bool = False,
    src_base: int = 0,
) -> None:
    """Compare all vectors that come out, with gaps of up to ``gaps`` cycles on either side."""
    dut = ActRead(p)
    expected = [v for block in blocks for v in channels.vectors(block, keep_zeros=keep_zeros)]
    sent = [{**block, "channel": block["channel"] - src_base} for block in blocks]

    async def source(ctx: Any) -> None:
        ctx.set(dut.descriptor.src_base, src_base)
        ctx.set(dut.descriptor.keep_zeros, keep_zeros)
        await put(ctx, dut.i, sent, random_gaps(1, gaps[0]))

    async def sink(ctx: Any) -> None:
        vectors = await get(ctx, dut.o, len(expected), random_gaps(2, gaps[1]))
        for vector, (acts, place) in zip(vectors, expected, strict=True):
            assert {name: vector.place[name] for name in place} == place
            if not place["count"]:
                continue
            got = [(act.value, act.position) if act.used else None for act in vector.acts]
            assert got == acts + [None] * (p.mult_i - len(acts))
            assert not any(act.value for act in vector.acts[len(acts) :])
        await ctx.tick().repeat(5)
        assert not ctx.get(dut.o.valid)

    async def rams(ctx: Any) -> None:
        await channels.serve(ctx, dut)

    simulate(dut, source, sink, monitors=[rams])


def test_waits_for_channels_that_have_not_come() -> None:
    """A channel is looked up once it is there, whatever comes out before."""
    p = ScnnParams()
    dut = ActRead(p)
    channels = Channels(p, COUNTS, seed=4)
    place = {"number": 0, "row": 0, "count": 1, "last": 0}
    blocks = [{"channel": channel, "place": place} for channel in range(len(COUNTS))]
    expected = [v for block in blocks for v in channels.vectors(block, keep_zeros=True)]
    came = 0

    async def source(ctx: Any) -> None:
        ctx.set(dut.descriptor.keep_zeros, 1)
        await put(ctx, dut.i, blocks, repeat(0))

    async def sink(ctx: Any) -> None:
        nonlocal came
        for number in range(len(COUNTS)):
            # All of the channels before has come out, and no more.
            before = [v for b in blocks[:number] for v in channels.vectors(b, keep_zeros=True)]
            vectors = await get(ctx, dut.o, len(before) - sum(seen), repeat(0))
            seen.append(len(vectors))
            await ctx.tick().repeat(6)
            assert not ctx.get(dut.o.valid)
            came = number + 1
        await get(ctx, dut.o, len(expected) - sum(seen), repeat(0))

    async def gate(ctx: Any) -> None:
        while True:
            ctx.set(dut.absent, ctx.get(dut.directory_row) >= came)
            await ctx.delay(1e-8)

    async def rams(ctx: Any) -> None:
        await channels.serve(ctx, dut)

    seen: list[int] = []
    simulate(dut, source, sink, monitors=[rams, gate])
    assert sum(seen) < len(expected)


COUNTS = [0, 1, 4, 5, 0, 0, 13, 2, 8, 0, 1, 16, 3]


@pytest.mark.parametrize("lanes", [1, 2, 4, 8])
@pytest.mark.parametrize("gaps", [(0, 0), (4, 0), (0, 9), (4, 4)])
@pytest.mark.parametrize("keep_zeros", [False, True])
def test_vectors_of_channels(lanes: int, gaps: tuple[int, int], *, keep_zeros: bool) -> None:
    p = ScnnParams(mult_i=lanes)
    channels = Channels(p, COUNTS, seed=lanes)
    blocks = draw_blocks(p, len(COUNTS), Random(str(gaps)), 60)
    run(p, channels, blocks, gaps, keep_zeros=keep_zeros)


def test_channels_are_relative_to_the_base() -> None:
    p = ScnnParams()
    channels = Channels(p, COUNTS, seed=1)
    blocks = draw_blocks(p, len(COUNTS) - 6, Random(1), 30)
    run(p, channels, [{**b, "channel": b["channel"] + 6} for b in blocks], (0, 0), src_base=6)


def test_all_channels_empty() -> None:
    p = ScnnParams()
    channels = Channels(p, [0] * 4, seed=1)
    run(p, channels, draw_blocks(p, 4, Random(3), 40), (0, 0))


def measure(counts: list[int]) -> int:
    """Count cycles from the first block in to the last vector out, one block a channel."""
    p = ScnnParams()
    dut = ActRead(p)
    channels = Channels(p, counts, seed=5)
    place = {"number": 0, "row": 0, "count": 1, "last": 0}
    blocks = [{"channel": channel, "place": place} for channel in range(len(counts))]
    vectors = sum(-(-count // p.mult_i) for count in counts)
    cycles = 0

    async def source(ctx: Any) -> None:
        await put(ctx, dut.i, blocks, repeat(0))

    async def sink(ctx: Any) -> None:
        nonlocal cycles
        ctx.set(dut.o.ready, 1)
        got = 0
        while got < vectors:
            _, _, valid = await ctx.tick().sample(dut.o.valid)
            cycles += 1
            got += valid

    async def rams(ctx: Any) -> None:
        await channels.serve(ctx, dut)

    simulate(dut, source, sink, monitors=[rams])
    return cycles


@pytest.mark.parametrize("count", [1, 4, 5, 40])
def test_a_word_every_cycle(count: int) -> None:
    words = -(-count // 4)
    assert measure([count] * 50) == 50 * words + 3


def test_an_empty_channel_costs_a_cycle() -> None:
    assert measure([0, 0, 0, 1] * 20) == 80 + 3


def test_reads_ahead_until_the_queue_is_full() -> None:
    """Behind a consumer that stalls there are the queue, and a word in each of two stages."""
    p = ScnnParams()
    dut = ActRead(p)
    channels = Channels(p, [1] * 20, seed=5)
    taken = 0

    async def bench(ctx: Any) -> None:
        nonlocal taken
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.i.payload.place.count, 1)
        for _ in range(20):
            _, _, ready = await ctx.tick().sample(dut.i.ready)
            taken += ready

    async def rams(ctx: Any) -> None:
        await channels.serve(ctx, dut)

    simulate(dut, bench, monitors=[rams])
    assert taken == ACT_QUEUE_DEPTH + 2


def test_needs_the_weights_of_all_it_holds() -> None:
    p = ScnnParams()
    dut = ActRead(p)
    channels = Channels(p, [1] * 20 + [0], seed=5)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.next_block, 40)
        assert ctx.get(dut.needed) == 40
        ctx.set(dut.i.valid, 1)
        for number in range(3):
            place = {"number": 10 + number, "row": 0, "count": 1, "last": 0}
            ctx.set(dut.i.payload, {"channel": number, "place": place})
            await ctx.tick()
            assert ctx.get(dut.needed) == 10
        ctx.set(dut.i.valid, 0)
        await ctx.tick().repeat(4)
        ctx.set(dut.o.ready, 1)
        for needed in [10, 11, 12, 40, 40]:
            assert ctx.get(dut.needed) == needed
            await ctx.tick()
        # A channel without activations is needed only while it is looked up.
        place = {"number": 20, "row": 0, "count": 1, "last": 0}
        ctx.set(dut.i.payload, {"channel": 20, "place": place})
        ctx.set(dut.i.valid, 1)
        await ctx.tick()
        ctx.set(dut.i.valid, 0)
        assert ctx.get(dut.needed) == 20
        await ctx.tick()
        assert ctx.get(dut.needed) == 40

    async def rams(ctx: Any) -> None:
        await channels.serve(ctx, dut)

    simulate(dut, bench, monitors=[rams])
