from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.tiers import examples
from zeroskip.compiler.eie.place import Placement, Strategy
from zeroskip.compiler.eie.program import build
from zeroskip.compiler.ir.fixed import run_layer
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.decode import DecodedLayer, decode
from zeroskip.sim.eie.streams import Loading, column_streams, read_program

DrawNetwork = Callable[..., QuantGraph[QuantLinear]]
CompileSrams = Callable[..., tuple[dict[str, NDArray[np.uint64]], Placement]]
OneLayer = Callable[[NDArray[np.uint8]], QuantGraph[QuantLinear]]


def assert_same(decoded: Sequence[DecodedLayer], layers: Sequence[QuantLinear]) -> None:
    for got, layer in zip(decoded, layers, strict=True):
        assert np.array_equal(got.codes.toarray(), layer.codes.toarray())
        assert got.codes.dtype == np.uint8
        assert np.array_equal(got.codebook, layer.codebook)
        assert np.array_equal(got.bias, layer.bias)
        assert (got.shift, got.relu) == (layer.shift, layer.relu)


@examples(150)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=2, max_size=4),
    num_pes=st.integers(1, 12) | st.sampled_from([16, 64, 255, 256]),
    run_bits=st.integers(1, 8),
    code_bits=st.integers(1, 8),
    word_bits=st.integers(16, 128),
    num_accs=st.integers(2, 40),
    acc_bits=st.sampled_from([20, 32, 64]),
    density=st.sampled_from([0.0, 0.03, 0.3, 1.0]),
    shift=st.integers(0, 20),
    strategy=st.sampled_from(["interleave", "balance"]),
    seed=st.integers(0, 10_000),
)
def test_what_is_encoded_is_decoded(
    draw_network: DrawNetwork,
    sizes: list[int],
    num_pes: int,
    run_bits: int,
    code_bits: int,
    word_bits: int,
    num_accs: int,
    acc_bits: int,
    density: float,
    shift: int,
    strategy: Strategy,
    seed: int,
    compile_srams: CompileSrams,
) -> None:
    params = EieParams(
        num_pes=num_pes,
        run_bits=run_bits,
        code_bits=code_bits,
        word_bits=word_bits,
        num_accs=num_accs,
        acc_bits=acc_bits,
        num_descriptors=128,
    )
    network = draw_network(sizes, seed=seed, density=density, code_bits=code_bits, shift=shift)
    srams, placement = compile_srams(network, params, strategy)
    assert_same(decode([Loading(srams)], params, placement), network.layers)


@given(seed=st.integers(0, 1000), num_pes=st.integers(1, 7))
def test_any_placement_is_decoded(draw_network: DrawNetwork, seed: int, num_pes: int) -> None:
    rng = np.random.default_rng(seed)
    network = draw_network([9, 14, 5], seed=seed)
    placement = tuple(rng.permutation(size + 4)[:size] for size in (9, 14, 5))
    params = EieParams(num_pes=num_pes, num_accs=3)
    (segment,) = build(network, placement, params)
    words = {name: sram.words for name, sram in segment.srams.items()}
    assert_same(decode([Loading(words)], params, placement), network.layers)


def corner(rows: int, cols: int, *entries: tuple[int, int]) -> NDArray[np.uint8]:
    dense = np.zeros((rows, cols), np.uint8)
    for row, col in entries:
        dense[row, col] = 1 + (row + col) % 15
    return dense


@pytest.mark.parametrize(
    "dense",
    [
        pytest.param(corner(9, 9), id="empty matrix"),
        pytest.param(corner(9, 9, (4, 0), (4, 8)), id="run of empty columns"),
        pytest.param(corner(8, 3, *((row, 1) for row in (0, 2, 4, 6))), id="PE without entries"),
        pytest.param(corner(64, 2, (32, 0), (34, 1)), id="gap of 2**run_bits"),
        pytest.param(corner(200, 2, (199, 0), (199, 1)), id="last row, after padding"),
        pytest.param(corner(1, 1, (0, 0)), id="one weight"),
        pytest.param(np.full((16, 4), 15, np.uint8), id="dense"),
    ],
)
@pytest.mark.parametrize("num_pes", [1, 2, 3])
def test_corner_cases_are_decoded(
    dense: NDArray[np.uint8], num_pes: int, compile_srams: CompileSrams, one_layer: OneLayer
) -> None:
    network, params = one_layer(dense), EieParams(num_pes=num_pes)
    srams, placement = compile_srams(network, params)
    assert_same(decode([Loading(srams)], params, placement), network.layers)


def test_the_largest_pointer_is_decoded(compile_srams: CompileSrams, one_layer: OneLayer) -> None:
    # 16 full rows of one column fill both words, so that the end lies past the SRAM.
    params = EieParams(num_pes=1, spmat_words=2)
    network = one_layer(np.full((16, 1), 7, np.uint8))
    srams, placement = compile_srams(network, params)
    assert_same(decode([Loading(srams)], params, placement), network.layers)
    streams = column_streams(srams, params, read_program(srams["program"], params))
    assert streams[0][0].pointers.tolist() == [0, params.spmat_entries]


def test_streams_are_the_papers_worked_example(
    compile_srams: CompileSrams, one_layer: OneLayer
) -> None:
    dense = np.array([[0, 0, 1, 2, *[0] * 18, 3]], np.uint8).T
    params = EieParams(num_pes=1)
    srams, _ = compile_srams(one_layer(dense), params)
    [[stream]] = column_streams(srams, params, read_program(srams["program"], params))
    assert stream.pointers.tolist() == [0, 4]
    assert stream.codes[:4].tolist() == [1, 2, 0, 3]
    assert stream.runs[:4].tolist() == [2, 0, 15, 2]


def test_a_decoded_network_runs_on_golden(
    draw_network: DrawNetwork, compile_srams: CompileSrams
) -> None:
    params = EieParams(num_pes=4, acc_bits=48)
    network = draw_network([20, 30, 6], shift=16)
    srams, placement = compile_srams(network, params, "balance")
    x = np.random.default_rng(0).integers(-1000, 1000, (20, 5))
    decoded, y = decode([Loading(srams)], params, placement), x.T
    for made, layer in zip(decoded, network.layers, strict=True):
        then, _ = run_layer(made, y, act_bits=16, acc_bits=48)
        y, _ = run_layer(layer, y, act_bits=16, acc_bits=48)
        assert np.array_equal(y, then)


@given(where=st.integers(0, 10_000), bit=st.integers(0, 63))
def test_no_flipped_bit_of_an_sram_is_decoded_to_the_same_network(
    draw_network: DrawNetwork, where: int, bit: int, compile_srams: CompileSrams
) -> None:
    params = EieParams(num_pes=2)
    network = draw_network([7, 40], density=0.2)
    srams, placement = compile_srams(network, params)
    # Unused slots of the last words, and fields that only order the passes, carry nothing.
    names = [name for name in srams if not name.endswith("spmat") and name != "program"]
    name = names[where % len(names)]
    row = where % len(srams[name])
    width = {"codebook": 16, "bias": 32}.get(name.split("/")[-1], 17 if "ptr" in name else 0)
    assume(bit < width)
    # The last column may end later, among the unused slots: they are padding.
    assume(not name.endswith("ptr_even") or row < len(srams[name]) - 1)
    srams[name][row, 0] ^= np.uint64(1 << bit)
    try:
        decoded = decode([Loading(srams)], params, placement)
    except ValueError:
        return
    with pytest.raises(AssertionError):
        assert_same(decoded, network.layers)
