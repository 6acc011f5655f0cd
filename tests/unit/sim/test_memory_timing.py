"""The timing model of the memory ports, compared with their RTL in every cycle."""

from collections.abc import Iterator
from random import Random
from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import connect
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from zeroskip.hw.system.memory import MemoryModel, MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.read_dma import ReadDma
from zeroskip.hw.system.write_dma import WriteDma
from zeroskip.sim.bench.pysim import simulate
from zeroskip.sim.system import timing

SIZE = 1 << 13
CYCLES = 400


def coins(rng: Random, often: float) -> Iterator[bool]:
    """Say of every cycle whether it is a busy one; they come in runs."""
    while True:
        busy = rng.random() < often
        yield from [busy] * rng.choice([1, 1, 3, 9])


def requests(p: SystemParams, rng: Random, most: int) -> Iterator[tuple[int, int, int]]:
    """Draw address and beats, in beats, and tag."""
    rows = SIZE // p.beat_bytes
    while True:
        beats = rng.randint(1, most)
        yield rng.randrange(rows - beats), beats, rng.randrange(4)


@st.composite
def systems(draw: st.DrawFn) -> SystemParams:
    return SystemParams(
        data_bits=draw(st.sampled_from([64, 128, 256])),
        addr_bits=16,
        burst_beats=draw(st.sampled_from([1, 2, 8, 16])),
        outstanding=draw(st.sampled_from([1, 2, 4, 16])),
    )


@st.composite
def memories(draw: st.DrawFn) -> MemorySettings:
    return MemorySettings(
        read_latency=draw(st.sampled_from([0, 2, 3, 12, 60])),
        write_latency=draw(st.sampled_from([0, 2, 3, 12, 60])),
        stall=draw(st.sampled_from([0, 0, 60, 200])),
        rate=draw(st.sampled_from([256, 256, 255, 128, 77])),
        seed=draw(st.integers(0, 1 << 32)),
    )


def compare(p: SystemParams, settings: MemorySettings, seed: int) -> dict[str, int]:
    """Run both, with requests and stalls of ``seed``; return how often something happened."""
    rng = Random(seed)
    most = rng.choice([1, 5, 40, 120])
    reads, writes = requests(p, rng, most), requests(p, rng, most)
    busy = [coins(rng, rng.choice([0.1, 0.5, 0.9, 1.0])) for _ in range(4)]
    m = Module()
    m.submodules.memory = memory = MemoryModel(p, SIZE)
    m.submodules.reader = reader = ReadDma(p)
    m.submodules.writer = writer = WriteDma(p)
    connect(m, reader.axi, memory.read)
    connect(m, writer.axi, memory.write)
    seen: dict[str, int] = dict.fromkeys(("read", "beat", "write", "word", "done"), 0)

    async def bench(ctx: Any) -> None:
        for name, value in settings.ports().items():
            ctx.set(getattr(memory.settings, name), value)
        ctx.set(memory.restart, 1)
        await ctx.tick()
        ctx.set(memory.restart, 0)
        shared = timing.memory_state(settings)
        read, write = timing.read_state(p), timing.write_state(p)
        r, w = read[0][0], write[0]
        asked, wanted = next(reads), next(writes)
        # What is offered stays until it is taken; beats to write, until all are.
        read_offered = write_offered = word_offered = False
        words = 0
        for cycle in range(CYCLES):
            read_offered = read_offered or next(busy[0])
            write_offered = write_offered or next(busy[1])
            word_offered = word_offered or (words > 0 and next(busy[2]))
            take = next(busy[3])
            for port, offered, (addr, beats, tag) in (
                (reader.request, read_offered, asked),
                (writer.request, write_offered, wanted),
            ):
                ctx.set(port.valid, offered)
                ctx.set(port.payload.addr, addr * p.beat_bytes)
                ctx.set(port.payload.beats, beats)
                if port is reader.request:
                    ctx.set(port.payload.tag, tag)
            ctx.set(writer.i.valid, word_offered)
            ctx.set(reader.o.ready, take)

            timing.draw(shared)
            timing.look_read(shared, read)
            timing.look_write(shared, write)
            o = reader.o
            for name, port, value in (
                ("request.ready", reader.request.ready, r["ready"]),
                ("o.valid", o.valid, r["valid"]),
                ("idle", reader.idle, r["idle"]),
                ("ar.valid", reader.axi.ar.valid, r["ar_valid"]),
                ("r.valid", reader.axi.r.valid, r["r_valid"]),
                ("request.ready of writes", writer.request.ready, w["ready"]),
                ("i.ready", writer.i.ready, w["i_ready"]),
                ("done", writer.done, w["done"]),
                ("idle of writes", writer.idle, w["idle"]),
                ("aw.valid", writer.axi.aw.valid, w["aw_valid"]),
                ("w.valid", writer.axi.w.valid, w["w_valid"]),
                ("b.valid", writer.axi.b.valid, w["b_valid"]),
            ):
                assert ctx.get(port) == value, f"{name} in cycle {cycle}"
            if r["valid"]:
                assert (ctx.get(o.payload.tag), ctx.get(o.payload.last)) == (r["tag"], r["last"])
            seen["beat"] += r["valid"] and take
            seen["done"] += w["done"]

            read_taken, write_taken = r["ready"], w["ready"]
            word_taken = word_offered and bool(w["i_ready"])
            timing.step_read(shared, read, read_offered, *asked, take)
            timing.step_write(shared, write, write_offered, *wanted[:2], word_offered)
            if read_offered and read_taken:
                seen["read"] += 1
                asked, read_offered = next(reads), False
            words -= word_taken
            if write_offered and write_taken:
                seen["write"] += 1
                words += wanted[1]
                wanted, write_offered = next(writes), False
            seen["word"] += word_taken
            word_offered = word_offered and not word_taken
            await ctx.tick()
        assert not ctx.get(memory.broken)

    simulate(m, bench)
    return seen


@simulated(40)
@given(systems(), memories(), st.integers(0, 1 << 32))
def test_every_cycle(p: SystemParams, settings: MemorySettings, seed: int) -> None:
    compare(p, settings, seed)


def test_much_happens() -> None:
    """Were nothing taken and given, all cycles would be alike as well."""
    settings = MemorySettings(read_latency=9, stall=30, rate=200, seed=4)
    seen = compare(SystemParams(addr_bits=16), settings, 5)
    assert min(seen.values()) > 3
    assert seen["beat"] > 100
    assert seen["word"] > 100
