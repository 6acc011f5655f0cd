from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.common.formats import bias_word
from zeroskip.hw.scnn.params import MOST_POOL, ScnnParams
from zeroskip.hw.scnn.ppu import NEIGHBOURS, Ppu
from zeroskip.sim.bench.pysim import simulate

P = ScnnParams(
    pes_x=3,
    pes_y=4,
    mult_i=3,
    banks=8,
    bank_entries=16,
    run_bits=2,
    act_bits=6,
    acc_bits=12,
    act_words=96,
    num_channels=32,
)
ENDS = ("first", "last", "pool_first", "pool_last", "channel_end")
Fields = dict[str, int]


@dataclass
class Ram:
    """What a PE should have in its RAM, written as docs/scnn.md says."""

    words: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    directory: dict[int, tuple[int, int]] = field(default_factory=dict)
    row: int = 0
    lost: bool = False

    def channel(self, number: int, rows: list[list[tuple[int, bool]]], d: Fields) -> None:
        """Store a channel of rows of (value, inside the plane)."""
        entries, run = [], 0
        for row in rows:
            gap = d["out_y_stride"] - len(row)
            for at, (value, inside) in enumerate(row):
                end = at == len(row) - 1
                keep = value or (d["out_dense"] and inside) or run == P.max_run
                if keep or (end and run + 1 + gap > P.max_run):
                    entries.append((value, run))
                    run = 0
                else:
                    run += 1
            run += gap
        if number < P.num_channels:
            self.directory[number] = (self.row, len(entries))
        else:
            self.lost = True
        for at in range(0, len(entries), P.mult_i):
            word = entries[at : at + P.mult_i]
            if self.row < d["dst_limit"]:
                self.words[self.row] = word + [(0, 0)] * (P.mult_i - len(word))
                self.row += 1
            else:
                self.lost = True


def wrap(value: int) -> int:
    half = 1 << P.acc_bits - 1
    return (value + half) % (2 * half) - half


def output(parts: list[int], bias: int, d: Fields) -> int:
    """Give the output that a PE makes of the parts of a sum."""
    total = max(parts) if d["maximum"] else wrap(sum(parts))
    shifted = wrap(total + bias) >> d["shift"]
    return max(0 if d["activation"] else P.min_act, min(P.max_act, shifted))


def outputs_of(parts: list[Any], bias: int, d: Fields) -> list[int]:
    """Give the output of a lane, or both of one that has read two sums."""
    (first, second), *halos = parts
    sums = (first, second) if d["pairs"] else (first,)
    return [output([own, *halos], bias, d) for own in sums]


def draw_walk(rng: Random, d: Fields) -> list[Any]:
    """Draw steps of a few channels: (step, bias, own, halo_in).

    Which lanes have a part, and how many there are, is up to the drain.

    Returns
    -------
    Of each, own parts are a pair of numbers a lane, of which the second is only looked at with
    pairs.
    """
    steps = []
    scale = rng.choice([1, 40, 1000])
    for _ in range(rng.randint(1, 3)):
        bias = bias_word(rng.randint(-scale, scale), d["shift"])
        for a in range(d["out_sy"]):
            for b in range(d["out_sx"]):
                ys, xs = range(a, d["ho"], d["out_sy"]), range(b, d["wo"], d["out_sx"])
                pairs = d["pairs"]
                of_window = d["pool_x"] // (1 + pairs)
                for first_y in ys[:: d["pool_y"]]:
                    lanes = of_window * rng.randint(1, P.mult_i // of_window)
                    places = [
                        (
                            xs[at : at + lanes * (1 + pairs) : 1 + pairs],
                            first_y + d["out_sy"] * row,
                            row,
                        )
                        for at in range(0, len(xs), lanes * (1 + pairs))
                        for row in range(d["pool_y"])
                    ]
                    for here, y, row in places:
                        row_end = (here, y, row) == places[-1]
                        parts = [(0, 0)]
                        parts += rng.sample(NEIGHBOURS, 0 if pairs else rng.choice([0, 0, 1, 3]))
                        for dx, dy in parts:
                            first, last = (dx, dy) == (0, 0), (dx, dy) == parts[-1]
                            there = (1 << len(here)) - 1
                            step = {
                                "valid": 1, "dx": dx, "dy": dy, "x": here[0], "y": y,
                                "spacing": 2 if pairs else d["out_sx"], "pairs": pairs,
                                "lanes": there if first else rng.randint(1, there),
                                "first": int(first), "last": int(last),
                                "pool_first": int(row == 0),
                                "pool_last": int(row == d["pool_y"] - 1),
                                "row_end": int(last and row_end),
                                "channel_end": int(last and row_end and y == ys[-1]),
                            }  # fmt: skip
                            zero = rng.random() < 0.5
                            sums = [
                                [0 if zero else rng.randint(-scale, scale) for _ in range(P.mult_i)]
                                for _ in range(10)
                            ]
                            own = list(zip(sums[8], sums[9], strict=True))
                            steps.append((step, 0 if zero else bias, own, sums[:8]))
    return steps


def expect(steps: list[Any], d: Fields, place: tuple[int, int], ram: Ram) -> list[int]:
    """Give the outputs of the PE at ``place``, and write them to ``ram``."""
    outputs: list[int] = []
    lanes: list[list[Any]] = []  # the parts of each, the first with what lies behind it
    rows: list[list[tuple[int, bool]]] = [[]]
    windows: list[tuple[int, bool]] = []  # the largest so far of each
    limits, there = [], []
    for at, axis, size, pes in zip(place, "xy", ("wo", "ho"), (P.pes_x, P.pes_y), strict=True):
        across, full = 1 << d[f"block_{axis}"], d[f"full_{axis}"]
        inside = at % across
        limits.append(d[size] if inside < full else d[f"rem_{axis}"] if inside == full else 0)
        there.append({-1: inside > 0, 0: True, 1: inside < across - 1 and at < pes - 1})
    channel = d["dst_base"]
    for step, bias, own, halos in steps:
        dx, dy = step["dx"], step["dy"]
        if there[0][dx] and there[1][dy]:
            sums = halos[NEIGHBOURS.index((dx, dy))] if (dx, dy) in NEIGHBOURS else own
            if step["first"]:
                lanes = [[] for _ in range(step["lanes"].bit_length())]
            for lane, parts in enumerate(lanes):
                if step["lanes"] >> lane & 1:
                    parts.append(sums[lane])
        if step["last"]:
            of_window = d["pool_x"] // (1 + d["pairs"])
            if step["pool_first"]:
                windows = [(P.min_act, True)] * (len(lanes) // of_window)
            for lane, parts in enumerate(lanes):
                column = step["x"] + lane * step["spacing"]
                inside = column < limits[0] and step["y"] < limits[1]
                made = max(outputs_of(parts, bias, d)) if inside else 0
                of = lane // of_window
                windows[of] = max(windows[of][0], made), inside
            if step["pool_last"]:
                outputs += [value for value, _ in windows]
                rows[-1] += windows
            if step["channel_end"]:
                ram.channel(channel, rows, d)
                channel, rows = channel + 1, [[]]
            elif step["row_end"]:
                rows.append([])
    return outputs


def check(passes: list[tuple[Fields, list[Any]]], place: tuple[int, int], rng: Random) -> Ram:
    """Run passes on a PE and compare what it makes and writes; return what it should hold."""
    dut, ram = Ppu(P), Ram()
    seen: list[int] = []
    words: dict[int, list[tuple[int, int]]] = {}
    directory: dict[int, tuple[int, int]] = {}
    lost: list[bool] = []

    async def watch(ctx: Any) -> None:
        while True:
            lanes = ctx.get(dut.output_lanes)
            seen.extend(ctx.get(dut.output_data[lane]) for lane in range(lanes.bit_length()))
            assert lanes & lanes + 1 == 0  # from lane 0 up
            if ctx.get(dut.act_write):
                word = ctx.get(dut.act_data)
                words[ctx.get(dut.act_addr)] = [(one.value, one.run) for one in word]
            if ctx.get(dut.dir_write):
                entry = ctx.get(dut.dir_data)
                directory[ctx.get(dut.dir_addr)] = (entry.start, entry.count)
            lost.append(bool(ctx.get(dut.overflow)))
            await ctx.tick()

    async def bench(ctx: Any) -> None:
        ctx.set(dut.pe_x, place[0])
        ctx.set(dut.pe_y, place[1])
        for d, steps in passes:
            seen.clear()
            if not d["append"]:
                ram.row = d["dst_word"]
            expected = expect(steps, d, place, ram)
            ctx.set(dut.descriptor, {name: d[name] for name in d if name != "pairs"})
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for step, bias, own, halos in steps:
                while rng.random() < 0.2:
                    ended = dict.fromkeys(ENDS, 1) | {"valid": 0, "lanes": 1}
                    ctx.set(dut.step, ended)
                    await ctx.tick()
                ctx.set(dut.step, step)
                ctx.set(dut.bias, bias)
                # Of steps without pairs, nobody looks at the greater, and the other way round.
                ctx.set(dut.own, [rng.randint(-9, 9) if step["pairs"] else one for one, _ in own])
                ctx.set(dut.greater, [max(two) for two in own])
                ctx.set(dut.halo_in, halos)
                assert ctx.get(dut.busy)
                await ctx.tick()
            ctx.set(dut.step, {"valid": 0})
            pooled = max(d["pool_x"], d["pool_y"]) > 1
            for left in range(5 + 2 * pooled, -1, -1):
                assert ctx.get(dut.busy) == (left > 0)
                await ctx.tick()
            assert seen == expected

    simulate(dut, bench, monitors=[watch])
    assert words == ram.words
    if not ram.lost:
        assert directory == ram.directory
    assert any(lost) == ram.lost
    return ram


def fields(rng: Random) -> Fields:
    out_sx, out_sy = rng.choice([1, 1, 2]), rng.choice([1, 1, 2])
    pool_x, pool_y = 1, 1
    if out_sx == out_sy == 1:
        pool_x, pool_y = rng.randint(1, min(P.mult_i, MOST_POOL)), rng.randint(1, MOST_POOL)
    pairs = pool_x % 2 == 0 and rng.random() < 0.7
    wo, ho = out_sx * pool_x * rng.randint(1, 4), out_sy * pool_y * rng.randint(1, 3)
    return {
        "pool_x": pool_x, "pool_y": pool_y, "pairs": pairs,
        "wo": wo, "ho": ho, "out_sx": out_sx, "out_sy": out_sy,
        "out_y_stride": wo // out_sx // pool_x + rng.randint(0, P.max_run),
        "full_x": rng.randint(0, 3), "full_y": rng.randint(0, 4),
        "rem_x": rng.randrange(0, wo, pool_x), "rem_y": rng.randrange(0, ho, pool_y),
        "block_x": rng.randrange(4), "block_y": rng.randrange(4),
        "dst_base": rng.randrange(8), "dst_word": rng.randrange(16),
        "dst_limit": P.act_words, "append": rng.randrange(2), "shift": rng.randrange(6),
        "activation": rng.randrange(2), "maximum": rng.randrange(2), "out_dense": rng.randrange(2),
    }  # fmt: skip


@simulated(40)
@given(st.integers(0, 1 << 30))
def test_against_encoder(seed: int) -> None:
    rng = Random(seed)
    passes = []
    small = rng.random() < 0.3
    for _ in range(rng.randint(1, 3)):
        d = fields(rng)
        if small:
            d["dst_limit"] = d["dst_word"] + rng.randrange(8)
        passes.append((d, draw_walk(rng, d)))
    ram = check(passes, (rng.randrange(P.pes_x), rng.randrange(P.pes_y)), rng)
    assert small or not ram.lost


@pytest.mark.parametrize("place", [(x, y) for y in range(4) for x in range(3)])
def test_missing_neighbours(place: tuple[int, int]) -> None:
    """Every neighbour, of blocks of 2 x 2 PEs in a grid of 3 x 4."""
    rng = Random(str(place))
    d = fields(rng) | {
        "wo": 4, "ho": 4, "out_sx": 1, "out_sy": 1, "out_y_stride": 5, "full_x": 2, "full_y": 2,
        "pool_x": 1, "pool_y": 1, "pairs": 0,
        "block_x": 1, "block_y": 1, "shift": 0, "activation": 0, "maximum": 0, "append": 0,
    }  # fmt: skip
    steps = []
    for at, neighbour in enumerate([*NEIGHBOURS] * 2):
        y, x = divmod(at, 4)
        for part in ((0, 0), neighbour):
            last = int(part == neighbour)
            step = {
                "valid": 1, "lanes": 1, "dx": part[0], "dy": part[1], "x": x, "y": y,
                "spacing": 1, "pairs": 0,
                "first": 1 - last, "last": last, "pool_first": 1, "pool_last": 1,
                "row_end": int(last and x == 3), "channel_end": int(last and at == 15),
            }  # fmt: skip
            steps.append((step, 0, [(1, 0)] * P.mult_i, [[9] * P.mult_i] * 8))
    check([(d, steps)], place, rng)


@pytest.mark.parametrize("base", [0, P.num_channels - 2])
def test_no_room(base: int) -> None:
    """What finds no room in the RAM or the directory is lost, and nothing wraps around."""
    rng = Random(base)
    d = fields(rng) | {
        "wo": 16, "ho": 4, "out_sx": 1, "out_sy": 1, "out_y_stride": 16, "full_x": 9, "full_y": 9,
        "pool_x": 1, "pool_y": 1, "pairs": 0,
        "dst_base": base, "append": 0, "out_dense": 1,
    }  # fmt: skip
    steps = []
    while len([step for step, *_ in steps if step["channel_end"]]) < 5:
        steps += draw_walk(rng, d)
    ram = check([(d, steps)], (0, 0), rng)
    assert ram.lost


def test_verilog() -> None:
    assert "module ppu" in emit_verilog(Ppu(P), "ppu")
