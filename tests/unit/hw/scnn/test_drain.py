from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.scnn.drain import Drain
from zeroskip.hw.scnn.params import MOST_POOL, ScnnParams
from zeroskip.sim.bench.pysim import simulate

P = ScnnParams(banks=8, bank_entries=32, num_biases=64)
SIZES = [
    P,
    ScnnParams(mult_i=1, banks=8, bank_entries=32, num_biases=64),
    # Fewer banks than lanes, or than what lanes two or four apart are in.
    ScnnParams(mult_i=8, banks=8, bank_entries=32, num_biases=64),
    ScnnParams(mult_i=3, banks=2, bank_entries=128, num_biases=64),
    ScnnParams(mult_i=4, banks=1, bank_entries=256, num_biases=64),
]
FIELDS = (
    "valid", "lanes", "spacing", "pairs", "addr", "dx", "dy", "x", "y", "first", "last",
    "pool_first", "pool_last", "row_end", "channel_end",
)  # fmt: skip
Step = tuple[dict[str, int], int, bool]


def walk(p: ScnnParams, d: dict[str, int]) -> list[list[Step]]:
    """Give what docs/scnn.md says: for each group its steps, their bias row, and the set's end."""
    groups, bias = [], d["bias_base"]
    for group in range(d["groups"]):
        steps: list[Step] = []
        for k in range(d["kc_last"] if group == d["groups"] - 1 else d["kc"]):
            for a in range(d["out_sy"]):
                for b in range(d["out_sx"]):
                    columns = range(b, d["wo"], d["out_sx"])
                    halos = any(d[f"halo_{side}"] for side in ("left", "right", "top", "bottom"))
                    pairs = d["pool_x"] in (2, 4) and not halos
                    width = p.drain_width(d["out_sx"], d["pool_x"], halos=halos) // d["out_sx"]
                    # Lanes have a column each, or the first one of two.
                    places = [
                        (first_y + row, columns[first : first + width : 1 + pairs], row)
                        for first_y in range(a, d["ho"], d["out_sy"] * d["pool_y"])
                        for first in range(0, len(columns), width)
                        for row in range(d["pool_y"])
                    ]
                    for y, xs, row in places:
                        across = [_parts(x, d["wo"], d["halo_right"], d["halo_left"]) for x in xs]
                        parts = [
                            (dx, dy)
                            for dy in _parts(y, d["ho"], d["halo_bottom"], d["halo_top"])
                            for dx in (0, -1, 1)
                            if any(dx in of_lane for of_lane in across)
                        ]
                        for dx, dy in parts:
                            end = (dx, dy) == parts[-1]
                            down, column = y - dy * d["ho"], xs[0] - dx * d["wo"]
                            addr = k * d["k_stride"] + d["origin"] + down * d["y_stride"] + column
                            whole = end and row == d["pool_y"] - 1
                            steps.append((
                                {
                                    "valid": 1, "addr": addr % p.accs, "dx": dx, "dy": dy,
                                    "spacing": 2 if pairs else d["out_sx"], "pairs": pairs,
                                    "lanes": sum((dx in of) << at for at, of in enumerate(across)),
                                    "x": xs[0], "y": y, "first": (dx, dy) == (0, 0), "last": end,
                                    "pool_first": row == 0, "pool_last": row == d["pool_y"] - 1,
                                    "row_end": whole and xs[-1] == columns[-1 - pairs],
                                    "channel_end": end and (y, xs, row) == places[-1],
                                },
                                bias + k,
                                False,
                            ))  # fmt: skip
        bias += d["kc"]
        steps[-1] = (*steps[-1][:2], True)
        groups.append(steps)
    return groups


def _parts(place: int, size: int, low: int, high: int) -> list[int]:
    return [0] + [-1] * (place < low) + [1] * (place >= size - high)


def run(p: ScnnParams, passes: list[tuple[dict[str, int], list[int]]]) -> None:
    """Drain ``passes``, whose groups are ready after some cycles, and check every cycle."""
    dut = Drain(p)

    async def bench(ctx: Any) -> None:
        assert ctx.get(dut.done)
        for fields, gaps in passes:
            ctx.set(dut.descriptor, fields)
            ctx.set(dut.start, 1)
            ctx.set(dut.ready, 0)
            await ctx.tick()
            ctx.set(dut.start, 0)
            groups = walk(p, fields) if fields["drain"] else [[]] * fields["groups"]
            held = None
            for gap, steps in zip(gaps, groups, strict=False):
                for _ in range(gap):
                    assert not ctx.get(dut.step.valid)
                    assert not ctx.get(dut.drained)
                    assert not ctx.get(dut.done)
                    await ctx.tick()
                ctx.set(dut.ready, 1)
                assert not ctx.get(dut.step.valid)
                assert not ctx.get(dut.drained)
                if not fields["drain"]:
                    await ctx.tick()
                    assert ctx.get(dut.drained)
                    assert not ctx.get(dut.step.valid)
                for expected, bias, end in steps:
                    # Once for an output channel.
                    assert ctx.get(dut.bias_read) == (bias != held)
                    held = ctx.get(dut.bias_row) if bias != held else held
                    assert held == bias
                    await ctx.tick()
                    got = {name: ctx.get(getattr(dut.step, name)) for name in FIELDS}
                    assert got == expected
                    assert ctx.get(dut.drained) == end
                    assert not ctx.get(dut.done)
                await ctx.tick()
                # PEs that have finished the next group keep it ready.
                ctx.set(dut.ready, 0)
            for _ in range(3):
                assert ctx.get(dut.done)
                assert not ctx.get(dut.step.valid)
                assert not ctx.get(dut.drained)
                assert not ctx.get(dut.bias_read)
                # Ready or not: the pass is over.
                ctx.set(dut.ready, 1)
                await ctx.tick()

    simulate(dut, bench)


BASE = {
    "groups": 1, "kc": 1, "kc_last": 1, "k_stride": 0, "y_stride": 1, "origin": 0, "wo": 1,
    "ho": 1, "halo_left": 0, "halo_right": 0, "halo_top": 0, "halo_bottom": 0, "out_sx": 1,
    "out_sy": 1, "bias_base": 0, "drain": 1, "pool_x": 1, "pool_y": 1,
}  # fmt: skip
HALOS = {
    "kc": 2, "kc_last": 2, "k_stride": 63, "y_stride": 7, "origin": 8, "wo": 5, "ho": 4,
    "halo_left": 1, "halo_right": 1, "halo_top": 1, "halo_bottom": 3,
}  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        BASE,
        BASE | HALOS,
        BASE | HALOS | {"groups": 3, "kc_last": 1, "bias_base": 5},
        BASE | HALOS | {"wo": 6, "out_sx": 2, "out_sy": 4},
        BASE | HALOS | {"groups": 2, "wo": 6, "pool_x": 2, "pool_y": 2},
        # Two columns a lane, in the last step of a row fewer lanes.
        BASE | {"groups": 2, "kc": 2, "kc_last": 2, "k_stride": 63, "y_stride": 13, "origin": 8,
                "wo": 12, "ho": 4, "pool_x": 2, "pool_y": 2},
        BASE | {"kc": 2, "kc_last": 2, "k_stride": 63, "y_stride": 13, "wo": 12, "pool_x": 4},
        # Every output belongs to three columns and three rows of PEs.
        BASE | {"halo_left": 1, "halo_right": 1, "halo_top": 1, "halo_bottom": 1, "origin": 4,
                "y_stride": 3, "k_stride": 9, "kc": 3, "kc_last": 3},
        BASE | HALOS | {"drain": 0},
    ],
)  # fmt: skip
def test_walk(fields: dict[str, int]) -> None:
    run(P, [(fields, [3, 0, 2])])


@st.composite
def descriptors(draw: st.DrawFn) -> dict[str, int]:
    out_sx, out_sy, pool_x, pool_y = 1, 1, 1, 1
    if draw(st.booleans()):
        out_sx, out_sy = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    else:
        pool_x, pool_y = draw(st.integers(1, MOST_POOL)), draw(st.integers(1, MOST_POOL))
    wo = out_sx * pool_x * draw(st.integers(1, 5))
    ho = out_sy * pool_y * draw(st.integers(1, 3))
    # Of one PE, tiles have none.
    halos = draw(st.booleans())
    left, right = draw(st.integers(0, halos * wo)), draw(st.integers(0, halos * wo))
    top, bottom = draw(st.integers(0, halos * ho)), draw(st.integers(0, halos * ho))
    y_stride = wo + left + right + draw(st.integers(0, 3))
    kc = draw(st.integers(1, 3))
    return BASE | {
        "groups": draw(st.integers(1, 3)),
        "kc": kc,
        "kc_last": draw(st.integers(1, kc)),
        "k_stride": y_stride * (ho + top + bottom),
        "y_stride": y_stride,
        "origin": top * y_stride + left,
        "wo": wo, "ho": ho, "out_sx": out_sx, "out_sy": out_sy, "pool_x": pool_x, "pool_y": pool_y,
        "halo_left": left, "halo_right": right, "halo_top": top, "halo_bottom": bottom,
        "bias_base": draw(st.integers(0, 9)),
        "drain": draw(st.integers(0, 3)) != 0,
    }  # fmt: skip


@simulated(25)
@given(st.sampled_from(SIZES), st.lists(descriptors(), min_size=1, max_size=3), st.integers(0, 99))
def test_any_walk(p: ScnnParams, passes: list[dict[str, int]], seed: int) -> None:
    rng = Random(seed)
    for fields in passes:
        if not fields["drain"]:
            fields["groups"] = 1
        if fields["pool_x"] > p.drain_lanes(1):
            fields["pool_x"] = 1
    run(p, [(fields, [rng.choice([0, 0, 1, 5]) for _ in range(3)]) for fields in passes])


def test_no_loops() -> None:
    assert "module drain" in emit_verilog(Drain(P), "drain")
