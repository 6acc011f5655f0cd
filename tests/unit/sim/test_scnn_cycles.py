"""The SCNN cycle model's parts; that it equals the RTL is for the co-simulation to show."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.tiers import examples
from zeroskip.compiler.image.words import signed_field, unpack_lanes
from zeroskip.compiler.ir.graph import INPUT, QuantConv
from zeroskip.compiler.scnn.cost import row_steps
from zeroskip.compiler.scnn.layer import layer_runs
from zeroskip.compiler.scnn.plan import plan_layer
from zeroskip.compiler.scnn.run import ScnnDescriptor, ScnnRun, TileLayout
from zeroskip.compiler.scnn.tiles import encode_tiles
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORDS, StallClass
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.sim.scnn.cycles.acts import ActStorage
from zeroskip.sim.scnn.cycles.bus import bus_work, hops_of_bus
from zeroskip.sim.scnn.cycles.passes import drain_exchanges, pe_streams
from zeroskip.sim.scnn.cycles.program import RunCount, ScnnCycles

TINY, TILE = PRESETS["tiny"], PRESETS["tile"]


def conv(weight: NDArray[np.int64], plane: tuple[int, int], padding: int = 0) -> QuantConv:
    """Make a layer of stride 1 without groups."""
    depth, channels, *kernel = weight.shape
    rows, columns = (
        size + 2 * padding - k + 1 for size, k in zip(plane, kernel, strict=True)
    )  # fmt: skip
    return QuantConv(
        name="layer",
        kind="conv",
        inputs=(INPUT,),
        in_shape=(channels, *plane),
        out_shape=(depth, rows, columns),
        weight=weight,
        codebook=None,
        bias=np.zeros(depth, np.int64),
        stride=(1, 1),
        padding=(padding, padding),
        groups=1,
        relu=True,
        op="add",
        signed_input=False,
        in_frac=0,
        weight_frac=0,
        out_frac=0,
    )


def count(
    layer: QuantConv, x: NDArray[np.int64], p: ScnnParams, kc: int | None = None
) -> tuple[list[ScnnRun], Any]:
    """Compile a layer, in groups of ``kc``, and count the cycles of its runs."""
    plan = plan_layer(layer, p)
    plan = replace(plan, mapping=replace(plan.mapping, kc=kc or plan.mapping.kc))
    runs = layer_runs(layer, plan, p)
    model = ScnnCycles(p, runs)
    return runs, [model.count(number, {INPUT: x}) for number in range(len(runs))]


def test_one_pair_takes_what_the_document_says() -> None:
    layer = conv(np.ones((1, 1, 1, 1), np.int64), (2, 2))
    runs, (found,) = count(layer, np.ones((1, 2, 2), np.int64), TILE)
    (descriptor,) = runs[0].program
    assert (descriptor.wo, descriptor.ho, descriptor.kc) == (2, 2, 1)
    setup = 1 + DESCRIPTOR_WORDS + 2 + TILE.bank_entries + 1
    # The first item in cycle 5 of RUN; its pair is issued four cycles later; the group is ready
    # five after that; then comes the drain's first of two steps, and after the last the PPU's
    # six cycles and one in which all is done.
    issued = 5 + 4
    run = issued + 5 + 1 + 2 + 6 + 1
    assert found.cycles == setup + run
    counters = found.counters[0, 0] // TILE.mults
    assert counters[StallClass.SETUP] == setup
    assert counters[StallClass.STARVED] == issued
    assert counters[StallClass.DRAIN] == 2 + 6
    assert counters[StallClass.BARRIER] == 5 + 1
    assert found.counters[0, 0, StallClass.USEFUL] == 4
    assert found.counters[0, 0, StallClass.FRAGMENTATION] == TILE.mults - 4


def test_products_for_one_bank_wait() -> None:
    # One output of each channel: products of a pair are as many as weights, all for one bank.
    p = replace(TILE, banks=1, bank_entries=64, scatter_depth=1)
    layer = conv(np.ones((4, 1, 1, 1), np.int64), (1, 4))
    _, (found,) = count(layer, np.ones((1, 1, 4), np.int64), p, kc=4)
    # Sixteen products; the first enters at once, and each later one when the one before leaves.
    assert found.counters[0, 0, StallClass.USEFUL] == 16
    _, (wide,) = count(layer, np.ones((1, 1, 4), np.int64), TILE, kc=4)
    # They are drained one by one, not four at a time.
    drained = 16 - 4
    assert found.cycles - (p.bank_entries - TILE.bank_entries) - wide.cycles == 15 + drained


@examples(60)
@given(st.integers(0, 1 << 32))
def test_counters_sum_to_all_cycles(seed: int) -> None:
    rng = np.random.default_rng(seed)
    depth, channels, kernel = (int(v) for v in rng.integers(1, (9, 7, 4)))
    plane = tuple(int(v) for v in rng.integers(3, 12, 2))
    weight = rng.integers(-9, 10, (depth, channels, kernel, kernel))
    weight[rng.random(weight.shape) < rng.random()] = 0
    x = rng.integers(0, 9, (channels, *plane)) * (rng.random((channels, *plane)) < rng.random())
    layer = conv(weight, (plane[0], plane[1]), padding=int(rng.integers(0, kernel)))
    runs, found = count(layer, x, TINY)
    for run, one in zip(runs, found, strict=True):
        assert (one.counters.sum(axis=(0, 2)) == one.cycles * TINY.mults).all()
        for descriptor, counters, references in zip(
            run.program, one.counters, one.references, strict=True
        ):
            assert references.accumulators == counters[:, StallClass.USEFUL].sum()
            issued = counters[:, : StallClass.FRAGMENTATION + 1].sum()
            assert references.weight_fifo_reads * TINY.mults == issued
            channels_out = (descriptor.groups - 1) * descriptor.kc + descriptor.kc_last
            places = (descriptor.wo + descriptor.halo_left + descriptor.halo_right) * (
                descriptor.ho + descriptor.halo_top + descriptor.halo_bottom
            )
            steps = channels_out * places if descriptor.drain else 0
            assert references.drained == steps * TINY.num_pes
    # Each weight meets each activation of its channel, if the whole plane is done at once.
    if sum(len(run.program) for run in runs) == 1:
        pairs = (x != 0).sum(axis=(1, 2)) @ (weight != 0).sum(axis=(0, 2, 3))
        assert found[0].counters[..., StallClass.USEFUL].sum() == pairs


@pytest.mark.parametrize("dense", [False, True])
@examples(40)
@given(seed=st.integers(0, 1 << 32))
def test_acts_are_stored_as_the_compiler_stores_them(seed: int, dense: bool) -> None:
    rng = np.random.default_rng(seed)
    sy, sx = (int(v) for v in rng.integers(1, 4, 2))
    block_x, block_y = (int(v) for v in rng.integers(0, 2, 2))
    tile_h, tile_w = sy * int(rng.integers(1, 5)), sx * int(rng.integers(1, 5))
    layout = TileLayout(
        block_x=block_x,
        block_y=block_y,
        tile_h=tile_h,
        tile_w=tile_w,
        sy=sy,
        sx=sx,
        y_stride=tile_w // sx + int(rng.integers(0, 6)),
        y0=0,
        x0=0,
        height=int(rng.integers(1, (tile_h << block_y) + 1)),
        width=int(rng.integers(1, (tile_w << block_x) + 1)),
        dense=dense,
    )
    channels = int(rng.integers(1, 4))
    values = rng.integers(-9, 10, (channels, layout.height, layout.width))
    values[rng.random(values.shape) < rng.random()] = 0
    p = replace(TINY, act_words=1024, run_bits=3)
    base = int(rng.integers(0, 4))

    ram = ActStorage(p)
    streams = (p.pes_x >> block_x) * (p.pes_y >> block_y)
    ram.put(layout, base, [values] * streams)
    encoded = encode_tiles(p, layout, values)
    entries = slice(base, base + channels * sy * sx)
    for keep_zeros in (False, True):
        banks = ram.banks(keep_zeros=keep_zeros)
        for pe in range(p.num_pes):
            place = (pe // p.pes_x % (1 << block_y) << block_x) + pe % p.pes_x % (1 << block_x)
            counts = encoded.counts[place]
            assert (ram.count[pe, entries] == counts).all()
            lanes = unpack_lanes(encoded.words[place], p.act_bits + p.run_bits, p.mult_i)
            runs = (lanes >> np.uint64(p.act_bits)).astype(np.int64)
            stored = signed_field(lanes, 0, p.act_bits)
            for entry, (first, length) in enumerate(
                zip(encoded.starts[place], counts, strict=True)
            ):
                words = -(-length // p.mult_i)
                mine = slice(first, first + words)
                positions = np.cumsum(runs[mine].reshape(-1)[:length] + 1) - 1
                wanted = positions % p.banks
                if not keep_zeros:
                    wanted = np.where(stored[mine].reshape(-1)[:length] != 0, wanted, -1)
                start = ram.start[pe, base + entry]
                got = banks[start : start + words].reshape(-1)
                assert (got[:length] == wanted).all()
                assert (got[length:] == -1).all()


def test_drain_follows_the_documented_order() -> None:
    layer = conv(np.ones((1, 1, 3, 3), np.int64), (4, 6), padding=1)
    runs, _ = count(layer, np.ones((1, 4, 6), np.int64), TINY)
    descriptor = replace(
        runs[0].program[0], wo=3, ho=2, halo_left=1, halo_right=1, halo_top=0, halo_bottom=1,
        out_sx=1, out_sy=1,
    )  # fmt: skip
    own, theirs = [False], [True]
    # Row 0 has parts of the PE above, row 1 none; columns 0 and 2 of those beside. Columns 0 and 1
    # go together, unless there is one bank for both.
    first, second = 2 * (own + 3 * theirs), 2 * (own + theirs)
    assert drain_exchanges(TINY, descriptor).tolist() == first + second
    first = own + 3 * theirs + own + theirs + own + 3 * theirs
    second = own + theirs + own + own + theirs
    few = replace(TINY, banks=1, bank_entries=128)
    assert drain_exchanges(few, descriptor).tolist() == first + second


@pytest.mark.parametrize("mult_i", [1, 3, 4])
@pytest.mark.parametrize("halos", [(0, 0), (1, 1), (0, 2), (5, 3), (6, 6)])
def test_the_compiler_counts_the_steps_of_a_row(mult_i: int, halos: tuple[int, int]) -> None:
    p = replace(TINY, mult_i=mult_i)
    layer = conv(np.ones((1, 1, 1, 1), np.int64), (4, 4))
    runs, _ = count(layer, np.ones((1, 4, 4), np.int64), TINY)
    for out_sx in (1, 2, 3):
        for wo in range(6, 13, out_sx):
            descriptor = replace(
                runs[0].program[0], wo=wo, ho=1, halo_left=halos[0], halo_right=halos[1],
                halo_top=0, halo_bottom=0, out_sx=out_sx, out_sy=1,
            )  # fmt: skip
            width = p.drain_width(out_sx)
            assert row_steps(width, wo, halos, out_sx) == len(drain_exchanges(p, descriptor))
    for pool_x in range(2, mult_i + 1):
        for wo in range(6 * pool_x, 12 * pool_x, pool_x):
            pooled = replace(
                runs[0].program[0], wo=wo, ho=2, halo_left=halos[0], halo_right=halos[1],
                halo_top=0, halo_bottom=0, pool_x=pool_x, pool_y=2,
            )  # fmt: skip
            width = p.drain_width(1, pool_x, halos=any(halos))
            assert 2 * row_steps(width, wo, halos) == len(drain_exchanges(p, pooled))


@pytest.mark.parametrize("out_sx", range(1, 8))
@pytest.mark.parametrize("banks", [1, 2, 8, 32])
def test_lanes_of_a_step_are_in_different_banks(out_sx: int, banks: int) -> None:
    p = replace(TINY, mult_i=8, banks=banks)
    lanes = p.drain_lanes(out_sx)
    assert len({lane * out_sx % banks for lane in range(lanes)}) == lanes
    # And no more are.
    assert lanes == p.mult_i or lanes * out_sx % banks == 0


@pytest.mark.parametrize("mult_i", [2, 3, 4, 8])
@pytest.mark.parametrize("banks", [4, 8, 32])
def test_pairs_are_in_different_banks_and_never_fewer_columns(mult_i: int, banks: int) -> None:
    p = replace(TINY, mult_i=mult_i, banks=banks)
    for pool_x in (2, 4):
        one, two = (p.drain_width(1, pool_x, halos=halos) for halos in (True, False))
        assert two % pool_x == 0
        assert one <= two <= min(2 * mult_i, banks)
        # Twice as many, where there are banks for them.
        assert banks < 2 * mult_i or two >= 2 * one


def test_pes_listen_to_their_block() -> None:
    layer = conv(np.ones((1, 1, 1, 1), np.int64), (4, 4))
    runs, _ = count(layer, np.ones((1, 4, 4), np.int64), TINY)
    p = replace(TINY, pes_x=3, pes_y=2, num_streams=6)
    by_block = {
        (0, 0): [0, 1, 2, 3, 4, 5],
        (1, 0): [0, 0, 1, 2, 2, 3],
        (1, 1): [0, 0, 1, 0, 0, 1],
        (2, 1): [0] * 6,
    }
    for (x, y), streams in by_block.items():
        descriptor = replace(runs[0].program[0], block_x=x, block_y=y)
        assert pe_streams(p, descriptor).tolist() == streams


def test_a_stream_that_ends_early_is_told() -> None:
    layer = conv(np.ones((1, 1, 1, 1), np.int64), (2, 2))
    (run,) = layer_runs(layer, plan_layer(layer, TILE), TILE)
    longer = replace(run, program=(replace(run.program[0], groups=9),))
    with pytest.raises(ValueError, match="stream 0 must not have an empty block before"):
        ScnnCycles(TILE, [longer])
    weights = run.srams["weights"]
    cut = replace(run, srams={**run.srams, "weights": replace(weights, words=weights.words[:1])})
    with pytest.raises(ValueError, match="weights must have 1 beats behind beat 0, as it says"):
        ScnnCycles(TILE, [cut])


@pytest.mark.parametrize("seed", range(6))
def test_weights_always_come_to_their_stream(seed: int) -> None:
    """However little FIFOs hold, no stream waits for ever for what stands behind another's."""
    rng = np.random.default_rng(seed)
    size, depth = int(rng.integers(2, 9)), int(rng.integers(1, 40))
    p = replace(TINY, num_streams=4, stream_beats=2, weight_depth=int(rng.choice([4, 16])))
    # Some channels and outputs have far more weights than others.
    weight = rng.integers(1, 99, (depth, int(rng.integers(1, 20)), 3, 3))
    weight[rng.random(weight.shape) > rng.random(depth)[:, None, None, None]] = 0
    weight[rng.random(weight.shape) > rng.random(weight.shape[1])[None, :, None, None]] = 0
    layer = conv(weight, (size, size), padding=1)
    x = rng.integers(0, 99, layer.in_shape) * (rng.random(layer.in_shape) < 0.6)
    runs = layer_runs(layer, plan_layer(layer, p), p)
    alone, streamed = (
        [model.count(number, {INPUT: x}).cycles for number in range(len(runs))]
        for model in (ScnnCycles(p, runs, streamed=False), ScnnCycles(p, runs))
    )
    assert all(one <= other for one, other in zip(alone, streamed, strict=True))


def test_weights_come_when_they_are_said_to() -> None:
    """A run waits for the last beat, and not for one that comes before it is needed."""
    layer = conv(np.ones((4, 2, 3, 3), np.int64), (4, 4), padding=1)
    (run,) = layer_runs(layer, plan_layer(layer, TILE), TILE)
    words = run.srams["weights"].words
    last = len(words) - 1
    work = {INPUT: np.ones((2, 4, 4), np.int64)}
    soon = ScnnCycles(TILE, [run]).count(0, work)
    late = np.where(np.arange(last + 1) == last, 5000, -99)
    assert ScnnCycles(TILE, [run]).count(0, work, arrives=late).cycles > 5000
    early = ScnnCycles(TILE, [run]).count(0, work, arrives=np.full(last + 1, -99))
    assert early.cycles == soon.cycles


def test_run_counts_are_of_one_run() -> None:
    layer = conv(np.ones((1, 1, 1, 1), np.int64), (2, 2))
    _, (found,) = count(layer, np.zeros((1, 2, 2), np.int64), TILE)
    assert isinstance(found, RunCount)
    assert found.references[0].act_ram == 0
    assert found.references[0].accumulators == 0


def test_hops_of_the_bus_by_hand() -> None:
    """Each of 2 x 2 PEs reads what all send: words pass a sender, two in a row, four in columns."""
    p = replace(PRESETS["tiny"], pes_x=2, pes_y=2, act_fifo_words=8)
    values: Any = dict.fromkeys((field.name for field in fields(ScnnDescriptor)), 0)
    d = ScnnDescriptor(**{**values, "src_entries": 2, "groups": 1, "bus": True})
    # 2 activations a word: 2, 1, 2 and 3 words.
    count = np.array([[1, 2], [0, 1], [3, 0], [4, 2]])
    start = np.zeros_like(count)
    assert p.mult_i == 2
    # The third PE's last entry is empty: a word ends its round; the row's last end is merged.
    work = bus_work(p, d, start, count, 8)
    words, ends = 2 + 1 + 2 + 3, 1
    assert hops_of_bus(p, work) == words + ends + 2 * words + 4 * words
