from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise, repeat
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Const
from amaranth.lib import data

from tests.support.tiers import cases
from zeroskip.hw.scnn.control import Phase
from zeroskip.hw.scnn.formats import (
    Space,
    StallClass,
    act_word_layout,
    counter_row,
    directory_layout,
)
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.pe import ScnnPe
from zeroskip.sim.bench.pysim import put, random_gaps, simulate

Plane = dict[int, int]  # value by position, zeros that are stored included


def params(**sizes: Any) -> ScnnParams:
    small: dict[str, Any] = {
        "mult_f": 2,
        "mult_i": 2,
        "banks": 4,
        "bank_entries": 8,
        "scatter_depth": 2,
        "weight_depth": 5,
        "block_depth": 2,
        "field_bits": 8,
        "weight_bits": 8,
        "act_bits": 8,
        "acc_bits": 16,
        "act_words": 32,
        "num_channels": 16,
        "num_descriptors": 4,
    }
    return ScnnParams(**(small | sizes))


@dataclass(kw_only=True)
class Pass:
    """A pass: the descriptor's fields that matter here, and blocks of weights of each group."""

    groups: list[list[tuple[int, list[tuple[int, int]]]]]  # channel, (value, offset)
    src_base: int = 0
    drain: bool = True
    maximum: bool = False
    keep_zeros: bool = False
    wipe: bool = True
    channels: dict[int, Plane] = field(default_factory=dict)

    def items(self, p: ScnnParams) -> Iterable[dict[str, Any]]:
        """Give the broadcast of the pass."""
        none = [{"value": 0, "offset": 0}] * p.mult_f
        for blocks in self.groups:
            if not blocks:
                yield {"weights": none, "channel": 0, "first": 1, "last": 1, "empty": 1, "count": 0}
            for channel, weights in blocks:
                entries = [{"value": value, "offset": offset} for value, offset in weights]
                entries += none[: -len(entries) % p.mult_f]
                count = len(entries) // p.mult_f
                for vector in range(count):
                    yield {
                        "weights": entries[vector * p.mult_f : (vector + 1) * p.mult_f],
                        "channel": channel - self.src_base,
                        "count": count,
                        "first": int(vector == 0),
                        "last": int(channel == blocks[-1][0]),
                        "empty": 0,
                    }

    def accumulate(self, p: ScnnParams, sums: list[int], group: int) -> int:
        """Add the products of a group to ``sums``; returns how many there are."""
        products = 0
        for channel, weights in self.groups[group]:
            for position, act in self.channels.get(channel, {}).items():
                for value, offset in weights:
                    if value and (act or self.keep_zeros):
                        addr = (position + offset) % p.accs
                        new = value * act + (0 if self.maximum else sums[addr])
                        sums[addr] = max(sums[addr], new) if self.maximum else wrap(p, new)
                        products += 1
        return products

    def pairs(self, p: ScnnParams) -> int:
        """Count pairs of vectors."""
        return sum(
            -(-len(self.channels.get(channel, {})) // p.mult_i) * -(-len(weights) // p.mult_f)
            for blocks in self.groups
            for channel, weights in blocks
        )


def bits(layout: data.Layout, value: Any) -> int:
    return Const.cast(layout.const(value)).value


def wrap(p: ScnnParams, value: int) -> int:
    return (value - p.min_acc) % (1 << p.acc_bits) + p.min_acc


def draw_pass(p: ScnnParams, rng: Random, **fields: Any) -> Pass:
    """Draw activations of some channels, and weights for any."""
    space = p.accs // 2
    channels = {
        channel: {
            position: rng.choice([0, rng.randint(p.min_act, p.max_act)])
            for position in sorted(rng.sample(range(space), rng.choice([0, 1, 1, 3, space // 3])))
        }
        for channel in range(p.num_channels)
    }
    channels = {c: plane for c, plane in channels.items() if gaps_fit(p, plane)}
    base = rng.randrange(4)
    most = p.mult_f * p.weight_depth
    groups = []
    for _ in range(rng.randint(1, 4) if fields.get("drain", True) else 1):
        blocks = sorted(rng.sample(range(base, p.num_channels), rng.randint(0, 8)))
        groups.append([
            (
                channel,
                [
                    (rng.choice([0, rng.randint(-128, 127)]), rng.randrange(p.accs))
                    for _ in range(min(rng.choice([1, p.mult_f, 5, most]), most))
                ],
            )
            for channel in blocks
        ])
    return Pass(groups=groups, src_base=base, channels=channels, **fields)


def gaps_fit(p: ScnnParams, plane: Plane) -> bool:
    ends = [-1, *plane]
    return all(b - a - 1 <= p.max_run for a, b in pairwise(ends))


async def wait(ctx: Any, cycles: int) -> None:
    if cycles:
        await ctx.tick().repeat(cycles)


class Bench:
    """Loads a PE, lets it run passes, and drains and checks its accumulators."""

    def __init__(self, p: ScnnParams, passes: list[Pass], rng: Random, gaps: int) -> None:
        self.p, self.passes, self.rng, self.gaps = p, passes, rng, gaps
        self.dut = ScnnPe(p)
        self.cycles = 0
        self.started = self.finished = 0
        self.counts: dict[tuple[int, StallClass], int] = {}
        self.abandoned: list[tuple[Pass, int]] = []

    def run(self) -> None:
        simulate(self.dut, self.control, self.broadcast, monitors=[self.count])
        for number, work in enumerate(self.passes):
            useful = self.counts[number, StallClass.USEFUL]
            rest = self.counts[number, StallClass.FRAGMENTATION]
            assert useful + rest == work.pairs(self.p) * self.p.mults
        assert sum(self.counts.values()) == self.cycles * self.p.mults

    async def count(self, ctx: Any) -> None:
        while True:
            _, _, phase = await ctx.tick().sample(self.dut.control.phase)
            self.cycles += phase != Phase.IDLE

    async def command(self, ctx: Any, space: Space, addr: int, word: int | None = None) -> int:
        """Write, or read, as the host."""
        command = {"space": space, "addr": addr, "data": word or 0, "write": word is not None}
        ctx.set(self.dut.host, command)
        ctx.set(self.dut.host_en, 1)
        await ctx.tick()
        ctx.set(self.dut.host_en, 0)
        return ctx.get(self.dut.host_data)

    async def load(self, ctx: Any, work: Pass) -> None:
        """Write the activations of a pass to the RAM."""
        p, row = self.p, 0
        for channel in range(p.num_channels):
            plane = work.channels.get(channel, {})
            before = [-1, *plane]
            entries = [
                {"value": value, "run": position - last - 1}
                for (position, value), last in zip(plane.items(), before, strict=False)
            ]
            entry = bits(directory_layout(p), {"start": row, "count": len(entries)})
            await self.command(ctx, Space.DIRECTORY, channel, entry)
            for first in range(0, len(entries), p.mult_i):
                word = entries[first : first + p.mult_i]
                word += [{"value": 0, "run": 0}] * (p.mult_i - len(word))
                await self.command(ctx, Space.ACT, row, bits(act_word_layout(p), word))
                row += 1

    async def abandon(self, ctx: Any, work: Pass, cycles: int) -> None:
        """Begin a pass, and flush after ``cycles`` cycles."""
        dut = self.dut
        await self.load(ctx, work)
        self.describe(ctx, 0, work)
        ctx.set(dut.control.start, 1)
        await ctx.tick()
        ctx.set(dut.control.start, 0)
        items = list(work.items(self.p))
        for _ in range(cycles):
            ctx.set(dut.weights.valid, bool(items))
            ctx.set(dut.weights.payload, items[0] if items else {})
            _, _, ready = await ctx.tick().sample(dut.weights.ready)
            del items[: int(ready)]
        ctx.set(dut.weights.valid, 0)
        ctx.set(dut.control.flush, 1)
        await ctx.tick()
        ctx.set(dut.control.flush, 0)
        assert not ctx.get(dut.group_ready)

    def describe(self, ctx: Any, number: int, work: Pass) -> None:
        """Set the descriptor."""
        dut = self.dut
        ctx.set(dut.control.number, number)
        for name, value in {
            "groups": len(work.groups),
            "dst_limit": self.p.act_words,
            "src_base": work.src_base,
            "maximum": work.maximum,
            "init_min": work.maximum,
            "keep_zeros": work.keep_zeros,
            "drain": work.drain,
        }.items():
            ctx.set(getattr(dut.control.descriptor, name), value)

    async def control(self, ctx: Any) -> None:
        """Be the sequencer and the drain."""
        dut, p = self.dut, self.p
        for work, cycles in self.abandoned:
            await self.abandon(ctx, work, cycles)
        ctx.set(dut.control.counter_clear, 1)
        for row in range(counter_row(p.num_descriptors, 0)):
            ctx.set(dut.control.counter_row, row)
            await ctx.tick()
        ctx.set(dut.control.counter_clear, 0)
        sums: list[int] = []
        for number, work in enumerate(self.passes):
            await self.load(ctx, work)
            ctx.set(dut.control.phase, Phase.SETUP)
            self.describe(ctx, number, work)
            initial = p.min_acc if work.maximum else 0
            if work.wipe:
                for entry in range(p.bank_entries):
                    ctx.set(dut.control.wipe, 1)
                    ctx.set(dut.control.wipe_entry, entry)
                    await ctx.tick()
                ctx.set(dut.control.wipe, 0)
                sums = [initial] * p.accs
            ctx.set(dut.control.start, 1)
            await ctx.tick()
            ctx.set(dut.control.start, 0)
            ctx.set(dut.control.phase, Phase.RUN)
            self.started = number + 1
            products = 0
            for group in range(len(work.groups)):
                products += work.accumulate(p, sums, group)
                await ctx.tick().until(dut.group_ready)
                await wait(ctx, self.rng.randint(0, self.gaps))
                if work.drain:
                    await self.drain(ctx, sums)
                    sums = [initial] * p.accs
                ctx.set(dut.drained, 1)
                await ctx.tick()
                ctx.set(dut.drained, 0)
            assert not ctx.get(dut.group_ready)
            ctx.set(dut.control.phase, Phase.IDLE)
            await ctx.tick().repeat(3)
            for stall in StallClass:
                read = await self.command(ctx, Space.COUNTER, counter_row(number, stall))
                self.counts[number, stall] = read
            assert self.counts[number, StallClass.USEFUL] == products

    async def drain(self, ctx: Any, sums: list[int]) -> None:
        """Read all accumulators, in any order and with gaps, and compare them."""
        dut = self.dut
        ctx.set(dut.draining, 1)
        for addr in self.rng.sample(range(self.p.accs), self.p.accs):
            step = {"valid": 1, "lanes": 1, "addr": addr, "dx": self.rng.choice([0, 1])}
            ctx.set(dut.step, step)
            await ctx.tick()
            assert ctx.get(dut.halo_out[0]) == sums[addr]
            ctx.set(dut.step.valid, 0)
            await wait(ctx, self.rng.choice([0, 0, 0, self.gaps]))
        ctx.set(dut.draining, 0)

    async def broadcast(self, ctx: Any) -> None:
        for number, work in enumerate(self.passes):
            while self.started <= number:
                await ctx.tick()
            await put(ctx, self.dut.weights, work.items(self.p), self.gap_source(number))

    def gap_source(self, number: int) -> Iterable[int]:
        return random_gaps(number, self.gaps) if self.gaps else repeat(0)


SIZES: list[dict[str, Any]] = [
    {},
    {"banks": 1, "bank_entries": 32},
    {"mult_f": 4, "mult_i": 4, "banks": 32, "bank_entries": 4, "weight_depth": 8, "act_words": 64},
    {"mult_f": 1, "mult_i": 3, "scatter_depth": 1, "acc_bits": 24, "weight_depth": 2},
    {"mult_f": 3, "mult_i": 1, "scatter_depth": 5, "block_depth": 3, "act_words": 128},
]


@pytest.mark.parametrize(
    "sizes", cases(SIZES, [SIZES[2]], "simulates a large PE in Python"), ids=str
)
@pytest.mark.parametrize("gaps", [0, 3])
def test_passes(sizes: dict[str, Any], gaps: int) -> None:
    """Random passes, one after the other, in sums and maxima, with wipes and without."""
    p = params(**sizes)
    rng = Random(f"{sizes} {gaps}")
    passes = [
        draw_pass(p, rng),
        draw_pass(p, rng, maximum=True, keep_zeros=True),
        draw_pass(p, rng, drain=False),
        draw_pass(p, rng, wipe=False, keep_zeros=True),
    ]
    Bench(p, passes, rng, gaps).run()


@pytest.mark.parametrize("seed", range(6))
def test_more_passes(seed: int) -> None:
    p = params()
    rng = Random(seed)
    passes = [draw_pass(p, rng, maximum=rng.random() < 0.3, keep_zeros=rng.random() < 0.3)]
    passes += [draw_pass(p, rng, drain=False), draw_pass(p, rng, wipe=False)]
    Bench(p, passes, rng, gaps=seed % 3).run()


@pytest.mark.parametrize(
    ("weights", "ready"), [([(3, 1)], 9), ([(3, 1), (2, 1), (4, 1)], 11), ([], 5)]
)
def test_cycles_of_a_group(weights: list[tuple[int, int]], ready: int) -> None:
    """From weights to a finished group, as ``docs/scnn.md`` has it; all products for one bank.

    A pair is issued 4 cycles after its weights came; its only product is added after 4 more. The
    second of two pairs waits a cycle for the second product of the first, in the bank's queue.
    """
    p = params()
    blocks = [(0, weights)] if weights else []
    bench = Bench(p, [Pass(groups=[blocks], channels={0: {2: 5}})], Random(0), gaps=0)
    dut, work = bench.dut, bench.passes[0]
    rising: list[int] = []

    async def run(ctx: Any) -> None:
        await bench.load(ctx, work)
        bench.describe(ctx, 0, work)
        for entry in range(p.bank_entries):
            ctx.set(dut.control.wipe, 1)
            ctx.set(dut.control.wipe_entry, entry)
            await ctx.tick()
        ctx.set(dut.control.wipe, 0)
        ctx.set(dut.control.start, 1)
        await ctx.tick()
        ctx.set(dut.control.start, 0)
        items = list(work.items(p))
        for cycle in range(20):
            ctx.set(dut.weights.valid, cycle < len(items))
            ctx.set(dut.weights.payload, items[min(cycle, len(items) - 1)])
            assert ctx.get(dut.weights.ready) or cycle >= len(items)
            if ctx.get(dut.group_ready):
                rising.append(cycle)
            await ctx.tick()
        ctx.set(dut.step, {"valid": 1, "lanes": 1, "addr": 3})
        await ctx.tick()
        assert ctx.get(dut.halo_out[0]) == 5 * sum(value for value, _ in weights)

    simulate(dut, run)
    assert rising == list(range(ready, 20))


def test_flush_in_every_cycle(flushed: Callable[[str], Any]) -> None:
    """Nothing is left of what a flush finds, whenever it comes: in the pass and in its drain."""
    p, rng = params(), Random(9)
    parts = flushed("zeroskip.hw.scnn.pe")
    bench = Bench(p, [], rng, gaps=0)
    dut = bench.dut
    assert parts.kinds == []  # The PE has not been elaborated.
    weights = [(1 + k, 4 * k) for k in range(7)]
    blocks = [(channel, weights) for channel in (0, 1, 2)]
    planes = {0: dict.fromkeys(range(7), 5), 2: {3: 9}}
    work = Pass(groups=[blocks, [], blocks], channels=planes)
    items = list(work.items(p))

    async def run(ctx: Any) -> None:
        await bench.load(ctx, work)
        bench.describe(ctx, 0, work)
        ctx.set(dut.control.descriptor.wo, 4)
        ctx.set(dut.control.descriptor.full_x, 1)
        ctx.set(dut.control.descriptor.ho, 1)
        ctx.set(dut.control.descriptor.full_y, 1)
        for cycles in range(60):
            left, drain = list(items), 0
            ctx.set(dut.control.start, cycles > 0)
            for _ in range(cycles):
                await ctx.tick()
                ctx.set(dut.control.start, 0)
                if ctx.get(dut.group_ready) and not drain:
                    drain = 4
                step = {"valid": drain > 0, "lanes": 1, "addr": drain, "x": 4 - drain, "first": 1,
                        "last": 1, "pool_first": 1, "pool_last": 1,
                        "row_end": drain == 1, "channel_end": drain == 1}  # fmt: skip
                ctx.set(dut.step, step)
                ctx.set(dut.drained, drain == 1)
                drain = max(0, drain - 1)
                ctx.set(dut.weights.valid, bool(left))
                ctx.set(dut.weights.payload, left[0] if left else {})
                del left[: int(ctx.get(dut.weights.ready))]
            ctx.set(dut.control.start, 0)
            ctx.set(dut.weights.valid, 0)
            ctx.set(dut.step, {})
            ctx.set(dut.drained, 0)
            await parts.flush(ctx, dut.control.flush)
            for port in (dut.group_ready, dut.ppu_busy, dut.overflow, dut.output_lanes):
                assert not ctx.get(port)

    simulate(dut, run)
    assert parts.kinds == [
        "WeightFifo", "ActRead", "MultiplierArray", "Scatter", "Accumulators", "Groups", "Ppu"
    ]  # fmt: skip
    told = {
        "WeightFifo header.valid", "WeightFifo coming", "WeightFifo next_block", "ActRead o.valid",
        "ActRead directory_en", "ActRead word_en", "MultiplierArray valid",
        "MultiplierArray waiting", "Scatter waiting", "Accumulators waiting", "Groups done",
        "Groups group_ready", "Ppu busy", "Ppu output_lanes", "Ppu act_write", "Ppu dir_write",
    }  # fmt: skip
    assert told <= parts.seen


@pytest.mark.parametrize("row", [8, 25])
def test_outputs_go_where_the_descriptor_says(row: int) -> None:
    """Sums that are drained become words from a row on, and directory entries."""
    p, rng = params(), Random(row)
    bench = Bench(p, [], rng, gaps=0)
    dut, base = bench.dut, 11
    wo, channels = 5, 3
    plane = {position: rng.choice([-9, 7, 30]) for position in range(0, wo, 2)}
    weights = [(1, 0), (-2, 8)]  # channels 0 and 1; 2 has none
    work = Pass(groups=[[(4, weights)]], channels={4: plane})

    async def run(ctx: Any) -> None:
        await bench.load(ctx, work)
        bench.describe(ctx, 0, work)
        for name, value in {
            "wo": wo, "ho": 1, "full_x": 1, "full_y": 1, "dst_base": base, "dst_word": row,
            "shift": 1, "out_y_stride": wo, "pool_x": 1, "pool_y": 1,
        }.items():  # fmt: skip
            ctx.set(getattr(dut.control.descriptor, name), value)
        ctx.set(dut.control.start, 1)
        await ctx.tick()
        ctx.set(dut.control.start, 0)
        await put(ctx, dut.weights, work.items(p), repeat(0))
        await ctx.tick().until(dut.group_ready)
        for channel in range(channels):
            for x in range(wo):
                ctx.set(dut.bias, 1)
                ctx.set(dut.step, {
                    "valid": 1, "lanes": 1, "addr": 8 * channel + x, "x": x, "first": 1, "last": 1,
                    "pool_first": 1, "pool_last": 1,
                    "row_end": x == wo - 1, "channel_end": x == wo - 1,
                })  # fmt: skip
                await ctx.tick()
        ctx.set(dut.step, {})
        ctx.set(dut.drained, 1)
        await ctx.tick()
        ctx.set(dut.drained, 0)
        while ctx.get(dut.ppu_busy):
            await ctx.tick()
        width, end = p.act_bits + p.run_bits, row
        for channel, (weight, _) in enumerate([*weights, (0, 0)]):
            entry = await bench.command(ctx, Space.DIRECTORY, base + channel)
            start, count = entry & p.act_words - 1, entry >> p.act_addr_bits
            assert start == end
            end += -(-count // p.mult_i)
            found, position = {}, -1
            for at in range(count):
                word = start + at // p.mult_i
                one = await bench.command(ctx, Space.ACT, word) >> at % p.mult_i * width
                position += 1 + (one >> p.act_bits & p.max_run)
                found[position] = (one & 0xFF ^ 0x80) - 0x80
            outputs = {x: (act * weight + 1) >> 1 for x, act in plane.items()}
            assert found == {x: output for x, output in outputs.items() if output}

    simulate(dut, run)


def test_flush_leaves_nothing_behind() -> None:
    p = params()
    rng = Random(5)
    bench = Bench(p, [draw_pass(p, rng), draw_pass(p, rng, maximum=True)], rng, gaps=0)
    bench.abandoned = [(draw_pass(p, rng), cycles) for cycles in [1, 4, 7, 20, 33, 60]]
    bench.run()


@pytest.mark.parametrize("words", [1, 3])
def test_a_pair_every_cycle(words: int) -> None:
    """Blocks of a vector for channels of a word; or of three, with two empty channels between.

    A channel without activations takes a cycle, and so does its vector of weights, which nobody
    notices while there are as many pairs for the others.
    """
    p = params(banks=16, num_channels=64, act_words=64, weight_depth=8, block_depth=8)
    channels = {c: dict.fromkeys(range(2 * words), 5) for c in range(0, 64, words)}
    weights = [(1 + k, 8 * k) for k in range(p.mult_f)]
    work = Pass(groups=[[(c, weights) for c in range(64)]], channels=channels)
    bench = Bench(p, [work], Random(1), gaps=0)
    bench.run()
    pairs = work.pairs(p)
    starved = bench.counts[0, StallClass.STARVED] // p.mults
    conflict = bench.counts[0, StallClass.CONFLICT] // p.mults
    print(f"{pairs} pairs, {starved} cycles starved, {conflict} in conflict")
    assert conflict == 0
    # The first pair is issued four cycles after its weights have come.
    assert starved == 4
