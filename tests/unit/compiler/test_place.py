from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csc_array

from zeroskip.base.errors import CompileError
from zeroskip.compiler.eie.place import is_interleaved, local_rows, place
from zeroskip.compiler.ir.graph import INPUT, QuantGraph, QuantLinear, linear_chain
from zeroskip.hw.eie.params import EieParams

DrawNetwork = Callable[..., QuantGraph[QuantLinear]]


def network_of(dense: list[list[int]]) -> QuantGraph[QuantLinear]:
    codes = np.array(dense, np.uint8)
    layer = QuantLinear(
        name="fc",
        inputs=(INPUT,),
        in_shape=(codes.shape[1], 1, 1),
        codes=csc_array(codes),
        codebook=np.zeros(16, np.int64),
        bias=np.zeros(len(codes), np.int64),
        relu=False,
        in_frac=0,
        weight_frac=0,
        out_frac=0,
    )
    return linear_chain([layer])


def test_interleaving_puts_every_element_at_its_index(draw_network: DrawNetwork) -> None:
    placement = place(draw_network([5, 9, 3]), EieParams(num_pes=4), "interleave")
    assert [positions.tolist() for positions in placement] == [
        list(range(5)),
        list(range(9)),
        list(range(3)),
    ]
    assert is_interleaved(placement)


def test_balance_gives_the_longest_row_a_pe_of_its_own() -> None:
    network = network_of([[1, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 0]])
    _, positions = place(network, EieParams(num_pes=2), "balance")
    # Row 1 goes first, to PE 0; rows 0 and 2 fill PE 1, and row 3 takes the room left.
    assert (positions % 2).tolist() == [1, 0, 1, 0]
    assert (positions // 2).tolist() == [0, 0, 1, 1]


def test_balance_evens_out_rows_that_interleaving_piles_up() -> None:
    # Every fourth row is full, so that interleaving over four PEs gives one PE everything.
    network = network_of([[1] * 8 if row % 4 == 0 else [0] * 8 for row in range(32)])
    params = EieParams(num_pes=4)
    _, positions = place(network, params, "balance")
    entries = np.diff(network.layers[0].codes.tocsr().indptr)
    assert np.bincount(positions % 4, entries).tolist() == [16, 16, 16, 16]


@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    num_pes=st.integers(1, 256),
    seed=st.integers(0, 1000),
    density=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_every_placement_is_one_the_hardware_can_hold(
    draw_network: DrawNetwork, sizes: list[int], num_pes: int, **options: Any
) -> None:
    network = draw_network(sizes, **options)
    params = EieParams(num_pes=num_pes)
    for strategy in ("interleave", "balance", "schedule"):
        placement = place(network, params, strategy)
        assert [len(positions) for positions in placement] == sizes
        if strategy != "schedule":
            assert np.array_equal(placement[0], np.arange(sizes[0]))
        for positions, size in zip(placement, sizes, strict=True):
            assert len(np.unique(positions)) == size
            assert positions.min() >= 0
            assert local_rows(positions, params) == -(-size // num_pes)
            for pe in range(num_pes):
                mine = positions[positions % num_pes == pe]
                mine = np.sort(mine) if strategy == "schedule" else mine
                assert mine.tolist() == list(range(pe, pe + num_pes * len(mine), num_pes))


@given(seed=st.integers(0, 1000), num_pes=st.integers(1, 64))
def test_balance_is_within_a_row_of_the_best(
    draw_network: DrawNetwork, seed: int, num_pes: int
) -> None:
    # Holds wherever no PE runs out of room: greedy never lifts a PE above the mean by more
    # than the row it adds last.
    network = draw_network([30, num_pes * 8], seed=seed, density=0.5)
    _, positions = place(network, EieParams(num_pes=num_pes), "balance")
    lengths = np.diff(network.layers[0].codes.tocsr().indptr)
    loads = np.bincount(positions % num_pes, lengths, minlength=num_pes)
    assert loads.max() <= loads.mean() + lengths.max()


def test_balance_counts_what_is_broadcast() -> None:
    # Rows 0 and 1 have most entries, but in columns that are always 0.
    network = network_of([[1, 1, 1, 0]] * 2 + [[0, 0, 0, 1]] * 2)
    params = EieParams(num_pes=2)
    _, positions = place(network, params, "balance", [np.array([0.0, 0.0, 0.0, 1.0])])
    assert sorted((positions[2:] % 2).tolist()) == [0, 1]


@given(seed=st.integers(0, 1000), middle=st.integers(1, 200))
def test_scheduling_moves_rows_inside_their_pe_only(
    draw_network: DrawNetwork, seed: int, middle: int
) -> None:
    network = draw_network([30, middle, 40], seed=seed, density=0.2)
    params = EieParams(num_pes=8)
    balanced = place(network, params, "balance")
    scheduled = place(network, params, "schedule")
    for before, after in zip(balanced[1:], scheduled[1:], strict=True):
        assert np.array_equal(before % 8, after % 8)


def test_scheduling_keeps_the_pes_abreast() -> None:
    # First come all columns of PE 0, then all of PE 1; in turns, neither gets ahead.
    network = network_of([[1] * 16 + [0] * 16, [0] * 16 + [1] * 16])
    positions, rows = place(network, EieParams(num_pes=2), "schedule")
    order = np.argsort(positions)
    work = np.array([1 if column < 16 else -1 for column in order])
    assert np.abs(np.cumsum(work)).max() == 1
    assert sorted((rows % 2).tolist()) == [0, 1]


def test_an_unknown_strategy_is_refused_by_name(draw_network: DrawNetwork) -> None:
    strategy: Any = "best"
    with pytest.raises(
        CompileError, match=r"^placement must be one of interleave, balance, schedule, not 'best'$"
    ):
        place(draw_network([2, 2]), EieParams(), strategy)
