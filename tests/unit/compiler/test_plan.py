"""Networks that do not fit the memories at once, cut to segments that do."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.images import eie_image
from tests.support.tiers import examples
from zeroskip.compiler.eie.coverage import covered_rows
from zeroskip.compiler.eie.place import Strategy, place
from zeroskip.compiler.eie.program import build
from zeroskip.compiler.eie.segment import Segment
from zeroskip.compiler.image.image import load
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.hw.eie.formats import sram_files
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.decode import decode
from zeroskip.sim.eie.streams import Loading

DrawNetwork = Callable[..., QuantGraph[QuantLinear]]

TINY = EieParams(
    num_pes=2,
    spmat_words=16,
    num_pointers=16,
    num_acts=4,
    num_accs=3,
    num_biases=8,
    num_descriptors=4,
    acc_bits=40,
)


def assert_decoded(
    segments: Sequence[Segment],
    network: QuantGraph[QuantLinear],
    placement: Sequence[NDArray[np.int64]],
    params: EieParams,
) -> None:
    loadings = [
        Loading({name: sram.words for name, sram in one.srams.items()}, one.load, one.store)
        for one in segments
    ]
    for got, layer in zip(decode(loadings, params, placement), network.layers, strict=True):
        assert np.array_equal(got.codes.toarray(), layer.codes.toarray())
        assert np.array_equal(got.codebook, layer.codebook)
        assert np.array_equal(got.bias, layer.bias)
        assert (got.shift, got.relu) == (layer.shift, layer.relu)


def assert_within(segments: Sequence[Segment], params: EieParams) -> None:
    """Check every limit in every segment, from the contents and the descriptors alone."""
    files, p = sram_files(params), params
    held: dict[str, int] = {}
    for segment in segments:
        for name, sram in segment.srams.items():
            assert len(sram.words) <= files[name][0]
            held[name] = len(sram.words)
        assert 1 <= len(segment.program) <= p.num_descriptors
        for rows in (segment.load, segment.store):
            assert rows is None or 0 < rows[1] <= p.num_acts
        for one in segment.program:
            assert one.src_rows > 0
            assert one.src_base + one.src_rows <= p.num_acts
            assert 0 < one.drain_rows <= p.num_accs
            assert (one.codebook + 1) * p.num_codes <= held["codebook"]
            last_pointer = one.ptr_base + one.src_rows * p.num_pes
            assert last_pointer < held["pe_0/ptr_even"] + held["pe_0/ptr_odd"]
            if one.drain:
                assert one.dst_base + one.drain_rows <= p.num_acts
                assert one.bias_base + one.drain_rows <= held["pe_0/bias"]


@examples(80)
@given(
    sizes=st.lists(st.integers(1, 50), min_size=2, max_size=4),
    num_pes=st.integers(1, 5),
    word_bits=st.integers(16, 80),
    spmat_words=st.integers(5, 40),
    num_pointers=st.integers(3, 30).map(lambda half: 2 * half),
    num_acts=st.integers(2, 12),
    num_accs=st.integers(2, 12),
    num_biases=st.integers(2, 24),
    num_descriptors=st.integers(2, 8),
    run_bits=st.integers(1, 5),
    density=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    strategy=st.sampled_from(["interleave", "balance", "schedule"]),
    seed=st.integers(0, 1000),
)
def test_any_network_is_cut_to_what_the_memories_hold(
    draw_network: DrawNetwork,
    sizes: list[int],
    density: float,
    strategy: Strategy,
    seed: int,
    **memories: Any,
) -> None:
    params = EieParams(acc_bits=40, **memories)
    network = draw_network(sizes, seed=seed, density=density)
    placement = place(network, params, strategy)
    segments = build(network, placement, params)
    assert_within(segments, params)
    assert_decoded(segments, network, placement, params)
    heights = [-(-size // params.num_pes) for size in sizes]
    assert covered_rows(segments) == heights
    # Memories that hold what is cut here need no cut: the same network is one segment then.
    ample = dataclasses.replace(
        params,
        spmat_words=4096,
        num_pointers=4096,
        num_acts=64,
        num_biases=256,
        num_descriptors=128,
    )
    (segment,) = build(network, placement, ample)
    assert (segment.load, segment.store) == ((0, heights[0]), (0, heights[-1]))


@pytest.mark.parametrize("num_pes", [1, 2])
@pytest.mark.parametrize("sizes", [*itertools.permutations([3, 17, 40])])
def test_tiny_memories_hold_any_order_of_sizes(
    draw_network: DrawNetwork, sizes: tuple[int, ...], num_pes: int
) -> None:
    params = dataclasses.replace(TINY, num_pes=num_pes)
    network = draw_network(sizes)
    placement = place(network, params, "interleave")
    segments = build(network, placement, params)
    assert len(segments) > 1
    assert_within(segments, params)
    assert_decoded(segments, network, placement, params)


def test_entries_stay_while_pointers_are_reloaded(draw_network: DrawNetwork) -> None:
    params = EieParams(num_pes=4, num_pointers=24)
    network = draw_network([60, 16])
    segments = build(network, place(network, params, "interleave"), params)
    assert [[one.src_rows for one in segment.program] for segment in segments] == [[5]] * 3
    assert [[one.drain for one in segment.program] for segment in segments] == [
        [False],
        [False],
        [True],
    ]
    pointers = {f"pe_{pe}/ptr_{bank}" for pe in range(4) for bank in ("even", "odd")}
    for segment in segments[1:]:
        assert set(segment.srams) == pointers | {"program"}


def test_only_the_memory_that_is_full_is_reloaded(draw_network: DrawNetwork) -> None:
    network = draw_network([8, 8, 8, 8, 8], density=0.5)
    for params, reloaded in (
        (EieParams(num_pes=4, num_biases=4), {"program", "bias"}),
        (EieParams(num_pes=4, num_descriptors=2), {"program", "codebook"}),
        (EieParams(num_pes=4, spmat_words=4), {"program", "spmat"}),
    ):
        _, *later = build(network, place(network, params, "interleave"), params)
        assert later
        for segment in later:
            assert {name.split("/")[-1] for name in segment.srams} <= reloaded


def test_windows_shrink_where_a_row_of_the_source_is_too_much(draw_network: DrawNetwork) -> None:
    # 2 words hold 16 entries, but 16 rows of 2 columns are 32.
    params = EieParams(num_pes=2, spmat_words=2)
    network = draw_network([4, 32], density=1.0)
    placement = place(network, params, "interleave")
    segments = build(network, placement, params)
    assert {one.drain_rows for segment in segments for one in segment.program} == {8}
    assert_within(segments, params)
    assert_decoded(segments, network, placement, params)


def test_vectors_longer_than_the_files_stay_with_the_host(draw_network: DrawNetwork) -> None:
    params = EieParams(num_pes=1, num_acts=4)
    network = draw_network([10, 6, 3])
    segments = build(network, place(network, params, "interleave"), params)
    assert [segment.load for segment in segments] == [
        *((0, 4), (4, 4), (8, 2)) * 2,
        *((0, 4), (4, 2)),
    ]
    assert [segment.store for segment in segments] == [
        *(None, None, (0, 4), None, None, (4, 2)),
        *(None, (0, 3)),
    ]
    assert [segment.program[-1].swap for segment in segments] == [False] * 7 + [True]


def test_segments_are_saved_and_loaded(draw_network: DrawNetwork, tmp_path: Path) -> None:
    network = draw_network([20, 30, 10])
    placement = place(network, TINY, "balance")
    image = eie_image("cut", network, TINY, placement)
    part = image.part("eie")
    assert len(part.segments) > 2
    image.save(tmp_path / "cut")
    reloaded = {path.name for path in (tmp_path / "cut" / "0_eie").iterdir() if path.is_dir()}
    assert reloaded == {f"run_{number}" for number in range(len(part.segments))}
    loaded = load(tmp_path / "cut").part("eie")
    assert (loaded.program, loaded.passes) == (part.program, part.passes)
    for got, segment in zip(loaded.segments, part.segments, strict=True):
        assert (got.load, got.store) == (segment.load, segment.store)
        assert list(got.srams) == list(segment.srams)
        for name, sram in segment.srams.items():
            assert np.array_equal(got.srams[name].words, sram.words)
