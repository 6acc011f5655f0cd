from random import Random
from typing import Any

import pytest
from amaranth.hdl import ResetInserter, Signal
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from tests.unit.hw.system.axi_model import Memory
from tests.unit.hw.system.draw import Request, request_lists, systems
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.read_dma import ReadDma
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate


def expected(memory: Memory, requests: list[Request]) -> list[dict[str, int]]:
    return [
        {
            "data": memory.row(addr),
            "tag": tag,
            "last": int(k == beats - 1),
            "error": int(addr in memory.bad),
        }
        for first, beats, tag in requests
        for k, addr in enumerate(memory.addresses(first, beats))
    ]


def plain(beat: Any) -> dict[str, int]:
    return {name: getattr(beat, name) for name in ("data", "tag", "last", "error")}


def payloads(requests: list[Request]) -> list[dict[str, int]]:
    return [{"addr": addr, "beats": beats, "tag": tag} for addr, beats, tag in requests]


def run_requests(
    memory: Memory, requests: list[Request], in_gap: int = 0, out_gap: int = 0
) -> list[dict[str, int]]:
    """Return what comes of ``requests``; at the end there is nothing more, and the DMA is idle."""
    dut = ReadDma(memory.p)
    got: list[Any] = []
    beats = sum(beats for _, beats, _ in requests)

    async def source(ctx: Any) -> None:
        await put(ctx, dut.request, payloads(requests), random_gaps(1, in_gap))

    async def sink(ctx: Any) -> None:
        assert ctx.get(dut.idle)
        got.extend(await get(ctx, dut.o, beats, random_gaps(2, out_gap)))
        ctx.set(dut.o.ready, 1)
        assert not ctx.get(dut.o.valid)
        assert ctx.get(dut.idle)
        for _ in range(40):
            await ctx.tick()
            assert not ctx.get(dut.o.valid)

    async def busy(ctx: Any) -> None:
        """See that it is not idle from the first request to the last beat."""
        await ctx.tick().until(dut.request.valid & dut.request.ready)
        left = beats
        while left:
            assert not ctx.get(dut.idle)
            left -= ctx.get(dut.o.valid & dut.o.ready)
            await ctx.tick()

    async def serve(ctx: Any) -> None:
        await memory.serve_reads(ctx, dut.axi)

    simulate(dut, source, sink, busy, monitors=[serve])
    return [plain(beat) for beat in got]


@simulated(40)
@given(st.data())
def test_any_requests(data: st.DataObject) -> None:
    p = data.draw(systems())
    requests = data.draw(request_lists(p))
    memory = Memory(
        p,
        data.draw(st.integers(0, 999)),
        busy=data.draw(st.sampled_from([0.0, 0.3, 0.8])),
        latency=data.draw(st.sampled_from([0, 1, 7, 40])),
    )
    read = sorted({addr for first, beats, _ in requests for addr in memory.addresses(first, beats)})
    memory.bad = frozenset(data.draw(st.lists(st.sampled_from(read), max_size=3)))
    gaps = data.draw(st.tuples(st.sampled_from([0, 5]), st.sampled_from([0, 5])))
    assert run_requests(memory, requests, *gaps) == expected(memory, requests)
    assert memory.outstanding <= p.outstanding


def test_bursts_end_at_multiples_of_their_size() -> None:
    p = SystemParams(data_bits=128, burst_beats=16)
    memory = Memory(p, 1)
    run_requests(memory, [(0x1FF0, 1, 0), (0x0FD0, 40, 1), (0x2000, 16, 2), (0x20F0, 2, 3)])
    assert memory.bursts == [
        (0x1FF0, 1),
        *[(0x0FD0, 3), (0x1000, 16), (0x1100, 16), (0x1200, 5)],
        (0x2000, 16),
        *[(0x20F0, 1), (0x2100, 1)],
    ]


@pytest.mark.parametrize("data_bits", [64, 128, 256])
@pytest.mark.parametrize("beats", [1, 5, 16, 60])
def test_a_beat_a_cycle(data_bits: int, beats: int) -> None:
    """Requests of any length, one behind the other: with room for the latency, nothing waits."""
    p = SystemParams(data_bits=data_bits, outstanding=16)
    memory = Memory(p, 1, latency=3)
    dut = ReadDma(p)
    requests = [(0x1000 * k, beats, k % 4) for k in range(12)]
    taken: list[int] = []

    async def source(ctx: Any) -> None:
        await put(ctx, dut.request, payloads(requests), random_gaps(1, 0))

    async def sink(ctx: Any) -> None:
        ctx.set(dut.o.ready, 1)
        now = 0
        while len(taken) < beats * len(requests):
            _, _, valid = await ctx.tick().sample(dut.o.valid)
            now += 1
            if valid:
                taken.append(now)

    async def serve(ctx: Any) -> None:
        await memory.serve_reads(ctx, dut.axi)

    simulate(dut, source, sink, monitors=[serve])
    assert taken == list(range(taken[0], taken[0] + len(taken)))


def test_nobody_takes_the_beats() -> None:
    """What has been asked for finds room; more is not asked for until somebody takes it."""
    p = SystemParams(burst_beats=4, outstanding=3)
    memory = Memory(p, 5)
    dut = ReadDma(p)
    requests = [(0x100, 64, 2)]
    got: list[Any] = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.request.payload, payloads(requests)[0])
        ctx.set(dut.request.valid, 1)
        await ctx.tick().until(dut.request.ready)
        ctx.set(dut.request.valid, 0)
        await ctx.tick().repeat(100)
        # A beat in the output register has left the room for a burst.
        assert len(memory.bursts) == 3
        await ctx.tick().repeat(100)
        assert len(memory.bursts) == 3
        got.extend(await get(ctx, dut.o, 64, random_gaps(1, 0)))

    async def serve(ctx: Any) -> None:
        await memory.serve_reads(ctx, dut.axi)

    simulate(dut, bench, monitors=[serve])
    assert [plain(beat) for beat in got] == expected(memory, requests)


@pytest.mark.parametrize("cycles", [1, 2, 3, 9, 20, 33])
def test_reset_forgets(cycles: int) -> None:
    """After a reset, of the memory as well, only what is requested then comes."""
    p = SystemParams(burst_beats=4, outstanding=2)
    reset = Signal()
    dut = ReadDma(p)
    rng = Random(cycles)
    before = [(0x40 * rng.randrange(99), rng.randint(1, 9), 1) for _ in range(8)]
    after = [(0x40 * rng.randrange(99), rng.randint(1, 9), 2) for _ in range(8)]
    got: list[Any] = []
    memory = Memory(p, 3, busy=0.3)

    async def bench(ctx: Any) -> None:
        for k in range(cycles):
            ctx.set(dut.request.payload, payloads(before)[k % 8])
            ctx.set(dut.request.valid, 1)
            ctx.set(dut.axi.ar.ready, 1)
            ctx.set(dut.axi.r.valid, 0)
            await ctx.tick()
        ctx.set(dut.request.valid, 0)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        assert ctx.get(dut.idle)
        assert not ctx.get(dut.axi.ar.valid)
        assert not ctx.get(dut.o.valid)
        ctx.set(started, 1)
        await put(ctx, dut.request, payloads(after), random_gaps(1, 2))

    started = Signal()

    async def sink(ctx: Any) -> None:
        await ctx.tick().until(started)
        got.extend(await get(ctx, dut.o, sum(n for _, n, _ in after), random_gaps(2, 2)))

    async def serve(ctx: Any) -> None:
        await ctx.tick().until(started)
        await memory.serve_reads(ctx, dut.axi)

    simulate(ResetInserter(reset)(dut), bench, sink, monitors=[serve])
    assert [plain(beat) for beat in got] == expected(memory, after)
