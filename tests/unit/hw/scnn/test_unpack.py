"""The unpacker and the route: everything comes out once and in order, whatever stalls."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tests.unit.hw.scnn.packed import Pass
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.scnn.packing import PLACED, Packing, schedule_layout
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.unpack import Unpack
from zeroskip.hw.scnn.weight_route import WeightRoute
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate

P = ScnnParams(
    pes_x=3,
    num_streams=3,
    mult_f=3,
    banks=8,
    bank_entries=16,
    weight_depth=6,
    run_bits=2,
    field_bits=6,
    code_bits=4,
    weight_bits=9,
    num_taps=32,
    num_channels=64,
)
ARRAYS = {
    "small": P,
    "one lane": replace(P, mult_f=1),
    "no common unit": replace(P, field_bits=7, run_bits=3),
    "wide": replace(P, mult_f=8, field_bits=9, run_bits=8),
    "tile": ScnnParams(),
}


def draw_pass(rng: Random, p: ScnnParams, sizes: tuple[int, ...] | None = None) -> Pass:
    made = Pass(p, plain=rng.random() < 0.5)
    field_bits = p.field_bits if made.plain else p.code_bits
    tap_base = 0
    for _ in range(rng.choice([1, 1, 3, 6])):
        made.groups += 1
        counts = rng.choices(sizes or (1, 2, 3, p.mult_f, p.mult_f * p.weight_depth), k=3)
        counts = counts[: rng.choice([0, 1, 2, 3])]
        before = -1
        for number, count in enumerate(counts or [0]):
            skip = rng.randrange(PLACED + 1)
            channel = before + 1 + skip
            if skip == PLACED or channel >= 1 << p.header_channel_bits:
                skip, channel = PLACED, rng.randrange(1 << p.header_channel_bits)
                tap_base = rng.randrange(p.num_taps)
            if not made.vectors:
                # Nothing is known of the header before.
                skip, tap_base = PLACED, rng.randrange(p.num_taps)
            before = channel
            header = {"skip": skip, "channel": channel, "tap_base": tap_base}
            header["last"] = int(number == max(1, len(counts)) - 1)
            entries = [
                (rng.randrange(1 << field_bits), rng.randrange(1 << p.run_bits))
                for _ in range(count)
            ]
            made.block(header, entries)
    return made


def seen(p: ScnnParams, payload: Any) -> dict[str, Any]:
    names = ("channel", "tap_base", "count", "last")
    return {
        "entries": [(payload.entries[n].field, payload.entries[n].run) for n in range(p.mult_f)],
        "header": {name: getattr(payload.header, name) for name in names},
        "first": payload.first,
        "ends": payload.ends,
    }


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize(("seed", "gaps"), [(0, (0, 0)), (1, (3, 0)), (2, (0, 4)), (3, (2, 2))])
def test_every_entry_comes_once(name: str, seed: int, gaps: tuple[int, int]) -> None:
    """Passes begin in beats of their own; what is behind the last bit of one is not looked at."""
    p, rng = ARRAYS[name], Random(seed)
    dut = Unpack(p)
    passes = [draw_pass(rng, p) for _ in range(12)]

    async def send(ctx: Any) -> None:
        beats = [beat for made in passes for beat in made.beats()]
        await put(ctx, dut.i, beats, random_gaps(seed, gaps[0]))

    async def receive(ctx: Any) -> None:
        for made in passes:
            ctx.set(dut.plain, made.plain)
            left = made.groups
            for expected in made.vectors:
                ctx.set(dut.closes, left == 1)
                (got,) = await get(ctx, dut.o, 1, random_gaps(seed + left, gaps[1]))
                assert seen(p, got) == expected
                left -= expected["ends"]

    simulate(dut, send, receive)


@pytest.mark.parametrize("name", ARRAYS)
def test_vector_a_cycle(name: str) -> None:
    """Headers take no cycle of their own, however short blocks are."""
    p, rng = ARRAYS[name], Random(9)
    dut = Unpack(p)
    made = draw_pass(rng, p, (1, p.mult_f))
    while len(made.vectors) < 40:
        more = draw_pass(rng, p, (1, p.mult_f))
        if more.plain == made.plain:
            made.append(more.bits, more.length)
            made.vectors += more.vectors
    valids: list[int] = []

    async def send(ctx: Any) -> None:
        await put(ctx, dut.i, [*made.beats(), 0], random_gaps(0, 0))

    async def receive(ctx: Any) -> None:
        ctx.set(dut.plain, made.plain)
        ctx.set(dut.o.ready, 1)
        for _ in range(len(made.vectors) + 1):
            valids.append(ctx.get(dut.o.valid))
            await ctx.tick()

    simulate(dut, send, receive)
    assert valids == [0] + [1] * len(made.vectors)


@pytest.mark.parametrize("streams", [1, 2, 3, 16])
@pytest.mark.parametrize("longest", [0, 3])
def test_route(streams: int, longest: int) -> None:
    """Each beat comes to its stream, in order, whatever the others do."""
    p = replace(P, pes_x=16, num_streams=streams)
    dut, rng = WeightRoute(p), Random(streams)
    packing, layout = Packing.of(p), schedule_layout(p)
    words: list[int] = []
    sent: list[list[int]] = [[] for _ in range(streams)]
    for count in (1, packing.slots, 3, packing.slots - 1, 2):
        numbers = [rng.randrange(streams) for _ in range(count)]
        packed = sum(number << packing.number * slot for slot, number in enumerate(numbers))
        words.append(layout.const({"count": count, "numbers": packed}).as_bits())
        for number in numbers:
            words.append(rng.randrange(1 << packing.beat))
            sent[number].append(words[-1])

    async def send(ctx: Any) -> None:
        await put(ctx, dut.i, words, random_gaps(1, longest))

    def receiver(number: int) -> Any:
        async def receive(ctx: Any) -> None:
            gaps = random_gaps(number, longest)
            assert await get(ctx, dut.o[number], len(sent[number]), gaps) == sent[number]

        return receive

    simulate(dut, send, *(receiver(number) for number in range(streams)))


def test_route_takes_a_beat_a_cycle() -> None:
    dut, layout = WeightRoute(P), schedule_layout(P)
    words = [layout.const({"count": 3, "numbers": 0b100100}).as_bits(), 5, 6, 7] * 3

    async def send(ctx: Any) -> None:
        for o in dut.o:
            ctx.set(o.ready, 1)
        ctx.set(dut.i.valid, 1)
        for word in words:
            ctx.set(dut.i.payload, word)
            assert ctx.get(dut.i.ready)
            await ctx.tick()

    simulate(dut, send)


def test_verilog() -> None:
    assert "sram" not in emit_verilog(Unpack(P), "unpack")
