# amaranth: UnusedElaboratable=no
"""The memory of the simulations: what it answers, and when."""

import itertools
from random import Random
from typing import Any

import pytest

from zeroskip.hw.system.memory import MemoryModel, MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.bench.pysim import simulate

P = SystemParams(data_bits=64, burst_beats=8)
SIZE = 1 << 13
ROWS = [*range(128), *range(SIZE // 8 - 32, SIZE // 8)]
"""Rows that tests look at; to write all takes Amaranth's simulator a second."""
OKAY, SLVERR, DECERR = 0, 2, 3


async def begin(ctx: Any, dut: MemoryModel, settings: MemorySettings, rows: dict[int, int]) -> None:
    """Set the memory up; the next cycle is cycle 0."""
    for name, value in settings.ports().items():
        ctx.set(getattr(dut.settings, name), value)
    ctx.set(dut.host_en, 1)
    ctx.set(dut.host_write, 1)
    for row, word in rows.items():
        ctx.set(dut.host_row, row)
        ctx.set(dut.host_data, word)
        await ctx.tick()
    ctx.set(dut.host_en, 0)
    ctx.set(dut.restart, 1)
    await ctx.tick()
    ctx.set(dut.restart, 0)


async def contents(ctx: Any, dut: MemoryModel, rows: list[int]) -> list[int]:
    words = []
    ctx.set(dut.host_en, 1)
    ctx.set(dut.host_write, 0)
    for row in rows:
        ctx.set(dut.host_row, row)
        await ctx.tick()
        words.append(ctx.get(dut.host_answer))
    ctx.set(dut.host_en, 0)
    return words


async def ask(ctx: Any, port: Any, addr: int, beats: int) -> int:
    """Send a burst's address; return how many cycles that took."""
    ctx.set(port.payload.addr, addr)
    ctx.set(port.payload.len, beats - 1)
    ctx.set(port.valid, 1)
    cycles = 1
    while not ctx.get(port.ready):
        await ctx.tick()
        cycles += 1
    await ctx.tick()
    ctx.set(port.valid, 0)
    return cycles


def read(
    settings: MemorySettings, bursts: list[tuple[int, int]], rows: dict[int, int]
) -> list[tuple[int, int, int, int]]:
    """Read bursts; return of every beat its cycle, its data, how it ended and whether it is last.

    Addresses are sent one after the other from cycle 0 on; every beat is taken at once.
    """
    dut = MemoryModel(P, SIZE)
    beats: list[tuple[int, int, int, int]] = []

    async def bench(ctx: Any) -> None:
        await begin(ctx, dut, settings, rows)
        for addr, count in bursts:
            await ask(ctx, dut.read.ar, addr, count)

    async def sink(ctx: Any) -> None:
        r, now = dut.read.r, 0
        ctx.set(r.ready, 1)
        await ctx.tick().until(dut.restart)
        while len(beats) < sum(count for _, count in bursts):
            payload = r.payload
            _, _, valid, word, resp, last, broken = await ctx.tick().sample(
                r.valid, payload.data, payload.resp, payload.last, dut.broken
            )
            assert not broken
            if valid:
                beats.append((now, word, resp.value, last))
            now += 1

    simulate(dut, bench, sink)
    return beats


def noise(seed: int) -> dict[int, int]:
    rng = Random(seed)
    return {row: rng.getrandbits(64) for row in ROWS}


@pytest.mark.parametrize("latency", [0, 2, 3, 20])
def test_reads_after_the_latency(latency: int) -> None:
    """Bursts wait for their memory side by side; in line, they leave no gap."""
    rows = noise(1)
    bursts = [(0x100, 8), (0x8, 3), (0x1F00, 8)]
    beats = read(MemorySettings(read_latency=latency), bursts, rows)
    first = max(2, latency)
    assert [now for now, *_ in beats] == list(range(first, first + 19))
    at = [addr // 8 + k for addr, count in bursts for k in range(count)]
    assert [word for _, word, *_ in beats] == [rows[row] for row in at]
    assert [last for *_, last in beats] == [0] * 7 + [1] + [0, 0, 1] + [0] * 7 + [1]
    assert {resp for _, _, resp, _ in beats} == {OKAY}


def test_rate() -> None:
    """Beats come evenly, and as many as the rate says."""
    beats = read(MemorySettings(rate=96), [(0x40 * k, 8) for k in range(12)], noise(1))
    cycles = [now for now, *_ in beats]
    gaps = [later - sooner for sooner, later in itertools.pairwise(cycles)]
    assert set(gaps) == {2, 3}
    assert sum(gaps[:48]) == 128


def test_stalls_are_drawn_by_seed_alone() -> None:
    bursts = [(0x40 * k, 8) for k in range(12)]
    first, again, other = (
        [now for now, *_ in read(MemorySettings(stall=128, seed=seed), bursts, {})]
        for seed in (1, 1, 2)
    )
    assert first == again != other
    # Half of all cycles: 96 beats in about 192.
    assert 150 < first[-1] < 240


def test_errors_by_address() -> None:
    settings = MemorySettings(error_first=0x108, error_bytes=16)
    beats = read(settings, [(0x100, 4), (SIZE - 8, 1), (SIZE, 2), (0xFFFF_FFF8, 1)], {})
    assert [resp for _, _, resp, _ in beats] == [
        OKAY, SLVERR, SLVERR, OKAY,
        OKAY, DECERR, DECERR, DECERR,
    ]  # fmt: skip


@pytest.mark.parametrize("stall", [0, 150])
def test_writes(stall: int) -> None:
    """What is good is written; of a burst that is not good throughout, the answer says so."""
    dut = MemoryModel(P, SIZE)
    bursts = [(0x100, 8), (0x78, 1), (0x200, 4), (SIZE - 8, 1), (SIZE, 1), (0x300, 2)]
    settings = MemorySettings(
        write_latency=9, stall=stall, seed=3, error_first=0x208, error_bytes=8
    )
    old, new = noise(1), noise(2)
    answers: list[tuple[int, int]] = []
    sent: list[int] = []

    async def addresses(ctx: Any) -> None:
        await begin(ctx, dut, settings, old)
        for addr, count in bursts:
            await ask(ctx, dut.write.aw, addr, count)

    async def words(ctx: Any) -> None:
        w, now = dut.write.w, 0
        await ctx.tick().until(dut.restart)
        ctx.set(w.payload.strb, 0xFF)
        for addr, count in bursts:
            for k in range(count):
                ctx.set(w.payload.data, new.get(addr // 8 + k, 0))
                ctx.set(w.payload.last, k == count - 1)
                ctx.set(w.valid, 1)
                taken = False
                while not taken:
                    taken = bool(ctx.get(w.ready))
                    await ctx.tick()
                    now += 1
            sent.append(now - 1)
        ctx.set(w.valid, 0)

    async def sink(ctx: Any) -> None:
        b, now = dut.write.b, 0
        ctx.set(b.ready, 1)
        await ctx.tick().until(dut.restart)
        while len(answers) < len(bursts):
            _, _, valid, payload = await ctx.tick().sample(b.valid, b.payload)
            if valid:
                answers.append((now, payload.value))
            now += 1
        written = {addr // 8 + k for addr, count in bursts[:-2] for k in range(count)} - {
            0x208 // 8
        }
        written |= {0x300 // 8, 0x300 // 8 + 1}
        want = [(new if row in written else old)[row] for row in ROWS]
        assert await contents(ctx, dut, ROWS) == want
        assert not ctx.get(dut.broken)

    simulate(dut, addresses, words, sink)
    assert [resp for _, resp in answers] == [OKAY, OKAY, SLVERR, OKAY, DECERR, OKAY]
    delays = [now - last for (now, _), last in zip(answers, sent, strict=True)]
    assert min(delays) >= 9
    assert stall or set(delays) == {9}


@pytest.mark.parametrize(
    ("addr", "beats", "broken"),
    [(0x0, 8, 0), (0x0, 9, 1), (0x4, 1, 1), (0xFC8, 7, 0), (0xFC8, 8, 1), (0x1FF8, 1, 0)],
)
@pytest.mark.parametrize("write", [False, True])
def test_bursts_that_are_not_allowed(addr: int, beats: int, broken: int, write: bool) -> None:
    dut = MemoryModel(P, SIZE)

    async def bench(ctx: Any) -> None:
        await begin(ctx, dut, MemorySettings(), {})
        await ask(ctx, dut.write.aw if write else dut.read.ar, addr, beats)
        assert ctx.get(dut.broken) == broken

    simulate(dut, bench)


@pytest.mark.parametrize(("strb", "last", "broken"), [(0xFF, 1, 0), (0x00, 1, 0), (0xFF, 0, 1)])
def test_beats_that_are_not_allowed(strb: int, last: int, broken: int) -> None:
    dut = MemoryModel(P, SIZE)

    async def bench(ctx: Any) -> None:
        await begin(ctx, dut, MemorySettings(), {})
        await ask(ctx, dut.write.aw, 0, 1)
        ctx.set(dut.write.w.payload.strb, strb)
        ctx.set(dut.write.w.payload.last, last)
        ctx.set(dut.write.w.valid, 1)
        await ctx.tick().until(dut.write.w.ready)
        assert ctx.get(dut.broken) == broken

    simulate(dut, bench)


def test_bytes_that_are_not_written_stay() -> None:
    dut = MemoryModel(P, SIZE)

    async def bench(ctx: Any) -> None:
        await begin(ctx, dut, MemorySettings(), {0: 0x1122334455667788})
        await ask(ctx, dut.write.aw, 0, 1)
        ctx.set(dut.write.w.payload, {"data": 0xAABBCCDDEEFF0099, "strb": 0x0C, "last": 1})
        ctx.set(dut.write.w.valid, 1)
        await ctx.tick().until(dut.write.w.ready)
        ctx.set(dut.write.w.valid, 0)
        assert await contents(ctx, dut, [0]) == [0x11223344EEFF7788]
        assert not ctx.get(dut.broken)

    simulate(dut, bench)


def test_at_most_sixteen_bursts() -> None:
    """With nobody who takes what was read, the line fills up."""
    dut = MemoryModel(P, SIZE)

    async def bench(ctx: Any) -> None:
        await begin(ctx, dut, MemorySettings(), {})
        for port in (dut.read.ar, dut.write.aw):
            for _ in range(16):
                assert await ask(ctx, port, 0x100, 8) == 1
            await ctx.tick().repeat(20)
            assert not ctx.get(port.ready)

    simulate(dut, bench)


def test_size_of_whole_beats() -> None:
    with pytest.raises(ValueError, match="size must be whole beats, two at least, not 100 bytes"):
        MemoryModel(P, 100)
