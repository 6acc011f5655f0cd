"""Compression of up to I outputs a cycle, against what docs/scnn.md says is stored."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from zeroskip.hw.scnn.compress import Compress
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.pysim import simulate

Row = list[tuple[int, bool]]
"""Values, and whether they are inside the plane."""


def stored(p: ScnnParams, rows: list[Row], y_stride: int, *, dense: bool) -> list[tuple[int, int]]:
    """Give the entries of a channel: value, and zeros before it."""
    entries, run = [], 0
    for row in rows:
        gap = y_stride - len(row)
        for at, (value, inside) in enumerate(row):
            end = at == len(row) - 1 and run + 1 + gap > p.max_run
            if value or (dense and inside) or run == p.max_run or end:
                entries.append((value, run))
                run = 0
            else:
                run += 1
        run += gap
    return entries


def check(
    p: ScnnParams,
    lanes: int,
    channels: list[list[Row]],
    y_stride: int,
    rng: Random,
    *,
    dense: bool,
    limits: range | None = None,
) -> int:
    """Compress channels, ``lanes`` outputs a cycle, and compare; return the most words held.

    What is before a limit is as it were without.
    """
    room = limits or range(p.act_words)
    dut = Compress(p, lanes)
    words: list[tuple[int, list[tuple[int, int]]]] = []
    directory: list[tuple[int, int, int]] = []
    waited = lost = 0

    async def watch(ctx: Any) -> None:
        nonlocal waited, lost
        while True:
            lost += ctx.get(dut.overflow)
            if ctx.get(dut.act_write):
                word = [(entry.value, entry.run) for entry in ctx.get(dut.act_data)]
                words.append((ctx.get(dut.act_addr), word))
            if ctx.get(dut.dir_write):
                entry = ctx.get(dut.dir_data)
                directory.append((ctx.get(dut.dir_addr), entry.start, entry.count))
                waited += entry.count > p.mult_i * (len(words) - entry.start)
            await ctx.tick()

    async def bench(ctx: Any) -> None:
        ctx.set(dut.base, 1)
        ctx.set(dut.word, room.start)
        ctx.set(dut.limit, room.stop)
        ctx.set(dut.y_stride, y_stride)
        ctx.set(dut.dense, dense)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for rows in channels:
            for at, row in enumerate(rows):
                for first in range(0, len(row), lanes):
                    part = row[first : first + lanes]
                    while rng.random() < 0.1:
                        ctx.set(dut.there, 0)
                        await ctx.tick()
                    ends = first + lanes >= len(row)
                    ctx.set(dut.there, (1 << len(part)) - 1)
                    # What is in lanes without an output means nothing.
                    for lane in range(lanes):
                        ctx.set(dut.values[lane], part[lane][0] if lane < len(part) else 1)
                    there = sum(inside << lane for lane, (_, inside) in enumerate(part))
                    ctx.set(dut.inside, there | rng.randrange(1 << lanes) & -1 << len(part))
                    ctx.set(dut.row_end, ends)
                    ctx.set(dut.channel_end, ends and at == len(rows) - 1)
                    await ctx.tick()
        ctx.set(dut.there, 0)
        for left in range(3, -1, -1):
            assert ctx.get(dut.busy) == (left > 0)
            await ctx.tick()

    simulate(dut, bench, monitors=[watch])
    expected: list[list[tuple[int, int]]] = []
    entries = []
    for number, rows in enumerate(channels, 1):
        found = stored(p, rows, y_stride, dense=dense)
        entries.append((number, min(room.start + len(expected), room.stop), len(found)))
        for at in range(0, len(found), p.mult_i):
            word = found[at : at + p.mult_i]
            expected.append(word + [(0, 0)] * (p.mult_i - len(word)))
    # Nothing that is lost moves what comes behind it.
    assert words == list(zip(room, expected, strict=False))
    assert lost == max(0, len(expected) - len(room))
    assert [entry[0::2] for entry in directory] == [entry[0::2] for entry in entries]
    if not lost:
        assert directory == entries
    return waited


@simulated(40)
@given(st.integers(0, 1 << 30))
def test_any_channels(seed: int) -> None:
    rng = Random(seed)
    mult_i = rng.randint(1, 8)
    p = ScnnParams(mult_i=mult_i, run_bits=rng.choice([1, 2, 4]), act_bits=8, num_channels=32)
    lanes, columns = rng.randint(1, mult_i), rng.randint(1, 12)
    density, overhang = rng.choice([0, 0.1, 0.5, 0.9, 1]), rng.choice([0, 0, 2])
    channels = []
    for _ in range(rng.randint(1, 5)):
        rows = []
        for _ in range(rng.randint(1, 4)):
            inside = [at < columns - overhang for at in range(columns)]
            values = [rng.randint(-9, 9) if rng.random() < density else 0 for _ in inside]
            rows.append([(v if i else 0, i) for v, i in zip(values, inside, strict=True)])
        channels.append(rows)
    y_stride = columns + rng.randint(0, p.max_run)
    # Half of them get fewer rows than they may need.
    room = range(rng.randrange(9), 9 + rng.randrange(20))
    room = rng.choice([range(p.act_words), room])
    check(p, lanes, channels, y_stride, rng, dense=rng.random() < 0.2, limits=room)


@pytest.mark.parametrize("steps", [2, 3])
def test_the_rest_of_a_channel_waits(steps: int) -> None:
    """Channel after channel ends with a full word and a rest: the rest is written later."""
    p = ScnnParams(act_bits=8, num_channels=32)
    rows = [[(5, True)] * (p.mult_i - 1), *[[(5, True)] * p.mult_i] * (steps - 1)]
    assert check(p, p.mult_i, [rows] * 6, p.mult_i, Random(0), dense=False) == 6
