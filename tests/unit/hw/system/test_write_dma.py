from random import Random
from typing import Any

import pytest
from amaranth.hdl import ResetInserter, Signal
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from tests.unit.hw.system.axi_model import Memory
from tests.unit.hw.system.draw import request_lists, systems
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.write_dma import UNANSWERED, WriteDma
from zeroskip.sim.bench.pysim import put, random_gaps, simulate

Request = tuple[int, int]
"""Address, beats."""


def draw_words(p: SystemParams, requests: list[Request], seed: int) -> list[int]:
    rng = Random(seed)
    return [rng.getrandbits(p.data_bits) for _, beats in requests for _ in range(beats)]


def payloads(requests: list[Request]) -> list[dict[str, int]]:
    return [{"addr": addr, "beats": beats} for addr, beats in requests]


def places(memory: Memory, requests: list[Request]) -> list[int]:
    return [addr for first, beats in requests for addr in memory.addresses(first, beats)]


def run_requests(
    memory: Memory, requests: list[Request], words: list[int], gap: int = 0, word_gap: int = 0
) -> list[int]:
    """Return whether each request failed; at the end there is nothing more, and the DMA is idle."""
    dut = WriteDma(memory.p)
    failed: list[int] = []

    async def source(ctx: Any) -> None:
        await put(ctx, dut.request, payloads(requests), random_gaps(1, gap))

    async def data(ctx: Any) -> None:
        await put(ctx, dut.i, words, random_gaps(2, word_gap))

    async def sink(ctx: Any) -> None:
        assert ctx.get(dut.idle)
        await ctx.tick().until(dut.request.valid & dut.request.ready)
        while len(failed) < len(requests):
            assert ctx.get(dut.done) or not ctx.get(dut.idle)
            if ctx.get(dut.done):
                failed.append(ctx.get(dut.error))
                assert len(memory.written) >= sum(beats for _, beats in requests[: len(failed)])
            assert ctx.get(dut.done) or not ctx.get(dut.error)
            await ctx.tick()
        assert ctx.get(dut.idle)
        for _ in range(40):
            assert not ctx.get(dut.done | dut.axi.aw.valid | dut.axi.w.valid)
            await ctx.tick()

    async def serve(ctx: Any) -> None:
        await memory.serve_writes(ctx, dut.axi)

    simulate(dut, source, data, sink, monitors=[serve])
    return failed


@simulated(40)
@given(st.data())
def test_any_requests(data: st.DataObject) -> None:
    p = data.draw(systems())
    requests = [(addr, beats) for addr, beats, _ in data.draw(request_lists(p))]
    memory = Memory(
        p,
        data.draw(st.integers(0, 999)),
        busy=data.draw(st.sampled_from([0.0, 0.3, 0.8])),
        latency=data.draw(st.sampled_from([0, 1, 7, 40])),
        order=data.draw(st.sampled_from(["", "aw", "w"])),
    )
    at = places(memory, requests)
    memory.bad = frozenset(data.draw(st.lists(st.sampled_from(at), max_size=2)))
    words = draw_words(p, requests, memory.seed)
    gaps = data.draw(st.tuples(st.sampled_from([0, 5]), st.sampled_from([0, 5])))
    failed = run_requests(memory, requests, words, *gaps)
    assert memory.written == list(zip(at, words, strict=True))
    bad = [memory.bad & set(memory.addresses(*request)) for request in requests]
    assert failed == [int(bool(found)) for found in bad]
    assert memory.outstanding <= UNANSWERED


def test_one_bad_burst_of_many() -> None:
    """The request that it belongs to failed, and no other."""
    p = SystemParams(burst_beats=4)
    memory = Memory(p, 1, bad=frozenset([0x1050]))
    requests = [(0x0, 4), (0x1000, 20), (0x2000, 5)]
    assert run_requests(memory, requests, draw_words(p, requests, 1)) == [0, 1, 0]


@pytest.mark.parametrize("data_bits", [64, 128, 256])
@pytest.mark.parametrize("beats", [1, 5, 16, 60])
def test_a_beat_a_cycle(data_bits: int, beats: int) -> None:
    p = SystemParams(data_bits=data_bits)
    memory = Memory(p, 1, latency=3)
    dut = WriteDma(p)
    requests = [(0x1000 * k, beats) for k in range(12)]
    words = draw_words(p, requests, 1)
    taken: list[int] = []

    async def source(ctx: Any) -> None:
        await put(ctx, dut.request, payloads(requests), random_gaps(1, 0))

    async def data(ctx: Any) -> None:
        await put(ctx, dut.i, words, random_gaps(1, 0))

    async def sink(ctx: Any) -> None:
        now = 0
        while len(taken) < len(words):
            _, _, valid, ready = await ctx.tick().sample(dut.axi.w.valid, dut.axi.w.ready)
            now += 1
            if valid and ready:
                taken.append(now)

    async def serve(ctx: Any) -> None:
        await memory.serve_writes(ctx, dut.axi)

    simulate(dut, source, data, sink, monitors=[serve])
    assert taken == list(range(taken[0], taken[0] + len(taken)))


def test_addresses_go_ahead_of_beats() -> None:
    """Four bursts are announced before their first beat comes, and no beat is made up."""
    p = SystemParams(burst_beats=4)
    memory = Memory(p, 1)
    dut = WriteDma(p)

    async def bench(ctx: Any) -> None:
        await put(ctx, dut.request, payloads([(0x0, 40)]), random_gaps(1, 0))
        await ctx.tick().repeat(50)

    async def serve(ctx: Any) -> None:
        await memory.serve_writes(ctx, dut.axi)

    simulate(dut, bench, monitors=[serve])
    assert memory.bursts == [(0x40 * k, 4) for k in range(4)]
    assert not memory.written


def test_nobody_answers() -> None:
    """Sixteen bursts go out, and no more."""
    p = SystemParams(burst_beats=1)
    memory = Memory(p, 1, latency=100_000)
    dut = WriteDma(p)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.i.valid, 1)
        await put(ctx, dut.request, payloads([(0x0, 40)]), random_gaps(1, 0))
        await ctx.tick().repeat(100)

    async def serve(ctx: Any) -> None:
        await memory.serve_writes(ctx, dut.axi)

    simulate(dut, bench, monitors=[serve])
    assert len(memory.bursts) == len(memory.written) == UNANSWERED


@pytest.mark.parametrize("cycles", [1, 2, 3, 9, 20, 33])
def test_reset_forgets(cycles: int) -> None:
    """After a reset, of the memory as well, only what is requested then is written."""
    p = SystemParams(burst_beats=4)
    reset, started = Signal(), Signal()
    dut = WriteDma(p)
    rng = Random(cycles)
    before, after = (
        [(0x40 * rng.randrange(99), rng.randint(1, 9)) for _ in range(8)] for _ in range(2)
    )
    words = draw_words(p, after, 1)
    memory = Memory(p, 3, busy=0.3)
    failed: list[int] = []

    async def bench(ctx: Any) -> None:
        for k in range(cycles):
            ctx.set(dut.request.payload, payloads(before)[k % 8])
            for port in (dut.request, dut.i):
                ctx.set(port.valid, 1)
            ctx.set(dut.axi.aw.ready, 1)
            ctx.set(dut.axi.w.ready, k % 3 == 0)
            await ctx.tick()
        for port in (dut.request, dut.i):
            ctx.set(port.valid, 0)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        assert ctx.get(dut.idle)
        assert not ctx.get(dut.axi.aw.valid | dut.axi.w.valid | dut.done)
        ctx.set(started, 1)
        await put(ctx, dut.request, payloads(after), random_gaps(1, 2))

    async def data(ctx: Any) -> None:
        await ctx.tick().until(started)
        await put(ctx, dut.i, words, random_gaps(2, 2))

    async def sink(ctx: Any) -> None:
        await ctx.tick().until(started)
        while len(failed) < len(after):
            _, _, done, error = await ctx.tick().sample(dut.done, dut.error)
            failed.extend([error] * done)

    async def serve(ctx: Any) -> None:
        await ctx.tick().until(started)
        await memory.serve_writes(ctx, dut.axi)

    simulate(ResetInserter(reset)(dut), bench, data, sink, monitors=[serve])
    assert memory.written == list(zip(places(memory, after), words, strict=True))
    assert failed == [0] * len(after)
