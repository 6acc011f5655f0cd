from random import Random
from typing import Any

import pytest

from tests.unit.hw.scnn.packed import Pass
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.scnn.formats import Space
from zeroskip.hw.scnn.packing import PLACED
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.weight_stream import WeightStream
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate

P = ScnnParams(
    mult_f=3,
    banks=8,
    bank_entries=16,
    weight_depth=6,
    run_bits=2,
    field_bits=6,
    code_bits=4,
    weight_bits=9,
    stream_beats=4,
    num_taps=32,
    num_biases=16,
    num_codebooks=3,
    num_channels=64,
)
Item = dict[str, Any]


class Memories:
    """What a host writes: tables drawn at random, and blocks of weights as a compiler has them."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.codebook = [rng.randrange(-256, 256) for _ in range(P.num_codebooks * P.num_codes)]
        self.taps = [rng.randrange(P.accs) for _ in range(P.num_taps)]
        self.bias = [rng.randrange(-(1 << 31), 1 << 31) for _ in range(P.num_biases)]
        self.passes: list[Pass] = []

    def draw_pass(self, d: dict[str, int]) -> list[Item]:
        """Add the blocks of a pass; return the items that they make."""
        items = []
        self.passes.append(Pass(P, bool(d["plain"])))
        for _ in range(d["groups"]):
            count = self.rng.choice([0, 1, 1, 2, 5])
            for number in range(count):
                items += self._draw_block(d, last=number == count - 1)
            if not count:
                items += self._draw_block(d, last=True, empty=True)
        return items

    def _draw_block(self, d: dict[str, int], *, last: bool, empty: bool = False) -> list[Item]:
        rng = self.rng
        entries: list[tuple[int, int]] = []
        if not empty:
            wanted = rng.choice([1, 2, 3, 4, 6, 9, P.weight_depth * P.mult_f])
            for _ in range(wanted):
                field = rng.randrange(1, 1 << (P.field_bits if d["plain"] else P.code_bits))
                entries.append((rng.choice([0, field]), rng.choice([0, 0, rng.randrange(4)])))
        header = {
            "skip": PLACED,
            "channel": rng.randrange(P.num_channels),
            "tap_base": rng.randrange(P.num_taps),
            "last": int(last),
        }
        made = self.passes[-1]
        before = len(made.vectors)
        made.block(header, entries)
        header["count"] = made.vectors[before]["header"]["count"]
        vectors = [vector["entries"] for vector in made.vectors[before:]] if entries else []
        return decode(self, d, header, vectors)

    def beats(self, passes: int) -> list[int]:
        """Give what the first passes take."""
        return [beat for made in self.passes[:passes] for beat in made.beats()]

    async def load(self, ctx: Any, dut: WeightStream) -> None:
        """Write everything over the host port."""
        tables = (
            (Space.CODEBOOK, [value & 0x1FF for value in self.codebook]),
            (Space.TAP, self.taps),
            (Space.BIAS, [value & 0xFFFFFFFF for value in self.bias]),
        )
        for space, words in tables:
            for row, word in enumerate(words):
                command = {"space": space, "addr": row, "data": word, "write": 1}
                ctx.set(dut.host, command)
                ctx.set(dut.host_en, 1)
                await ctx.tick()
                # A command for somebody else, and one that reads.
                ctx.set(dut.host, {**command, "data": ~word & 0xFF})
                ctx.set(dut.host_en, 0)
                await ctx.tick()
                ctx.set(dut.host, {**command, "data": ~word & 0xFF, "write": 0})
                ctx.set(dut.host_en, 1)
                await ctx.tick()
        ctx.set(dut.host_en, 0)


def decode(
    memories: Memories, d: dict[str, int], header: dict[str, int], vectors: list[Any]
) -> list[Item]:
    """Decode a block as docs/scnn.md says; offsets of weights of 0 do not matter."""
    head = {name: header[name] for name in ("channel", "count", "last")}
    if not vectors:
        empty = [(0, None)] * P.mult_f
        return [{"weights": empty, "first": 1, "empty": 1, **head}]
    items, place = [], -1
    for number, vector in enumerate(vectors):
        weights: list[tuple[int, int | None]] = []
        for field, run in vector:
            place += run + 1
            tap, k = divmod(place, 1 << d["log_kc"])
            if field == 0:
                weights.append((0, None))
                continue
            offset = memories.taps[(header["tap_base"] + tap) % P.num_taps] + k * d["k_stride"]
            if d["plain"]:
                value = field - (1 << P.field_bits) if field >> P.field_bits - 1 else field
            else:
                value = memories.codebook[d["codebook"] * P.num_codes + field]
            weights.append((value, offset % P.accs))
        items.append({"weights": weights, "first": int(number == 0), "empty": 0, **head})
    return items


def seen(payload: Any) -> Item:
    weights = [(one.value, one.offset if one.value else None) for one in payload.weights]
    names = ("channel", "count", "first", "last", "empty")
    return {"weights": weights, **{name: getattr(payload, name) for name in names}}


def forget(items: list[Item]) -> list[Item]:
    """Forget the offsets of codes whose weight happens to be 0."""
    return [
        {**item, "weights": [(v, o if v else None) for v, o in item["weights"]]} for item in items
    ]


def draw_descriptor(rng: Random) -> dict[str, int]:
    return {
        "groups": rng.choice([1, 1, 2, 4]),
        "log_kc": rng.randrange(4),
        "k_stride": rng.randrange(1, P.accs),
        "codebook": rng.randrange(P.num_codebooks),
        "plain": rng.randrange(2),
    }


async def begin(ctx: Any, dut: WeightStream, d: dict[str, int]) -> None:
    ctx.set(dut.descriptor, d)
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)


@pytest.mark.parametrize(("seed", "longest"), [(0, 0), (1, 0), (2, 3), (3, 1), (4, 20)])
def test_against_decoder(seed: int, longest: int) -> None:
    """Passes go on with the beat behind those of the pass before, whenever that comes."""
    dut, rng = WeightStream(P), Random(seed)
    memories = Memories(rng)
    passes = [draw_descriptor(rng) for _ in range(4)]
    items = [memories.draw_pass(d) for d in passes]
    counts: list[int] = []

    async def watch_busy(ctx: Any) -> None:
        """See that the stream is busy from the first cycle of a pass to its last item."""
        ports = dut.start, dut.busy, dut.o.valid & dut.o.ready
        left = 0
        while True:
            _, _, start, busy, taken = await ctx.tick().sample(*ports)
            assert busy == (left > 0)
            left = counts.pop() if start else left - taken

    async def send(ctx: Any) -> None:
        for some in (4, 2, 4):
            await put(ctx, dut.beats, memories.beats(some), random_gaps(seed, longest))

    async def bench(ctx: Any) -> None:
        await memories.load(ctx, dut)
        for some in (passes, passes[:2], passes):
            for d, expected in zip(some, items, strict=False):
                counts.append(len(expected))
                await begin(ctx, dut, d)
                got = await get(ctx, dut.o, len(expected), random_gaps(seed, longest))
                assert forget([seen(one) for one in got]) == forget(expected)
                ctx.set(dut.o.ready, 1)
                for _ in range(8):
                    assert not ctx.get(dut.o.valid)
                    await ctx.tick()

    simulate(dut, bench, send, monitors=[watch_busy])


def test_one_item_a_cycle() -> None:
    """Six cycles after the start the first item is there, and then there is no bubble."""
    dut, rng = WeightStream(P), Random(5)
    memories = Memories(rng)
    d = {"groups": 30, "log_kc": 2, "k_stride": 3, "codebook": 1, "plain": 0}
    count = len(memories.draw_pass(d))
    counts = {vector["header"]["count"] for vector in memories.passes[0].vectors}
    assert counts >= {0, 1, 2, 6}

    async def send(ctx: Any) -> None:
        await put(ctx, dut.beats, memories.beats(1), random_gaps(0, 0))

    async def bench(ctx: Any) -> None:
        await memories.load(ctx, dut)
        ctx.set(dut.o.ready, 1)
        await begin(ctx, dut, d)
        valids = []
        for _ in range(count + 10):
            valids.append(ctx.get(dut.o.valid))
            await ctx.tick()
        assert valids == [0] * 5 + [1] * count + [0] * 5

    simulate(dut, bench, send)


def test_bias() -> None:
    dut, memories = WeightStream(P), Memories(Random(6))

    async def bench(ctx: Any) -> None:
        await memories.load(ctx, dut)
        for row in (3, 15, 0, 1):
            ctx.set(dut.bias_read, 1)
            ctx.set(dut.bias_row, row)
            await ctx.tick()
            ctx.set(dut.bias_read, 0)
            ctx.set(dut.bias_row, 9)
            for _ in range(2):
                assert ctx.get(dut.bias_data) == memories.bias[row]
                await ctx.tick()

    simulate(dut, bench)


def test_verilog() -> None:
    text = emit_verilog(WeightStream(P), "weight_stream")
    assert text.count("sram_1rw") == 1 + 2 * P.mult_f
    assert text.count("sram_1r1w") == 1
