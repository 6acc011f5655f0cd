from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csc_array

from compiler.eie.place import Placement, Strategy, place
from compiler.eie.program import build
from compiler.network import QuantLayer, QuantNetwork
from hw.eie.formats import descriptor_layout, entry_shifts, pointer_layout
from hw.eie.params import EieParams
from sim.golden.decode import DecodedLayer, decode
from sim.golden.eie import run_network
from sim.golden.streams import column_streams, read_program

DrawNetwork = Callable[..., QuantNetwork]
Srams = dict[str, NDArray[np.uint64]]


def compile_srams(
    network: QuantNetwork, params: EieParams, strategy: Strategy = "interleave"
) -> tuple[Srams, Placement]:
    placement = place(network, params, strategy)
    _, _, srams = build(network, placement, params)
    return {name: sram.words.copy() for name, sram in srams.items()}, placement


def assert_same(decoded: Sequence[DecodedLayer], layers: Sequence[QuantLayer]) -> None:
    for got, layer in zip(decoded, layers, strict=True):
        assert np.array_equal(got.codes.toarray(), layer.codes.toarray())
        assert got.codes.dtype == np.uint8
        assert np.array_equal(got.codebook, layer.codebook)
        assert np.array_equal(got.bias, layer.bias)
        assert (got.shift, got.relu) == (layer.shift, layer.relu)


@settings(max_examples=150)
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
    assert_same(decode(srams, params, placement), network.layers)


@given(seed=st.integers(0, 1000), num_pes=st.integers(1, 7))
def test_any_placement_is_decoded(draw_network: DrawNetwork, seed: int, num_pes: int) -> None:
    rng = np.random.default_rng(seed)
    network = draw_network([9, 14, 5], seed=seed)
    placement = tuple(rng.permutation(size + 4)[:size] for size in (9, 14, 5))
    params = EieParams(num_pes=num_pes, num_accs=3)
    _, _, srams = build(network, placement, params)
    words = {name: sram.words for name, sram in srams.items()}
    assert_same(decode(words, params, placement), network.layers)


def one_layer(dense: NDArray[np.uint8]) -> QuantNetwork:
    rows, cols = dense.shape
    layer = QuantLayer(
        name="fc",
        codes=csc_array(dense),
        codebook=np.arange(16) * 3,
        bias=np.arange(rows) - rows // 2,
        relu=False,
        in_frac=0,
        weight_frac=2,
        out_frac=0,
    )
    return QuantNetwork((cols,), (layer,))


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
def test_corner_cases_are_decoded(dense: NDArray[np.uint8], num_pes: int) -> None:
    network, params = one_layer(dense), EieParams(num_pes=num_pes)
    srams, placement = compile_srams(network, params)
    assert_same(decode(srams, params, placement), network.layers)


def test_the_largest_pointer_is_decoded() -> None:
    # 16 full rows of one column fill both words, so that the end lies past the SRAM.
    params = EieParams(num_pes=1, spmat_words=2)
    network = one_layer(np.full((16, 1), 7, np.uint8))
    srams, placement = compile_srams(network, params)
    assert_same(decode(srams, params, placement), network.layers)
    streams = column_streams(srams, params, read_program(srams["program"], params))
    assert streams[0][0].pointers.tolist() == [0, params.spmat_entries]


def test_streams_are_the_papers_worked_example() -> None:
    dense = np.array([[0, 0, 1, 2, *[0] * 18, 3]], np.uint8).T
    params = EieParams(num_pes=1)
    srams, _ = compile_srams(one_layer(dense), params)
    [[stream]] = column_streams(srams, params, read_program(srams["program"], params))
    assert stream.pointers.tolist() == [0, 4]
    assert stream.codes[:4].tolist() == [1, 2, 0, 3]
    assert stream.runs[:4].tolist() == [2, 0, 15, 2]


def test_a_decoded_network_runs_on_golden(draw_network: DrawNetwork) -> None:
    params = EieParams(num_pes=4, acc_bits=48)
    network = draw_network([20, 30, 6], shift=16)
    srams, placement = compile_srams(network, params, "balance")
    x = np.random.default_rng(0).integers(-1000, 1000, (20, 5))
    got, expected = (
        run_network(layers, x, act_bits=16, acc_bits=48)
        for layers in (decode(srams, params, placement), network.layers)
    )
    for y, then in zip(got.outputs, expected.outputs, strict=True):
        assert np.array_equal(y, then)


PARAMS = EieParams(num_pes=2)


@pytest.fixture
def srams() -> Srams:
    """Give contents of a full 6 x 4 matrix on two PEs."""
    network = one_layer(np.full((6, 4), 5, np.uint8))
    return compile_srams(network, PARAMS)[0]


def refuse(srams: Srams, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(srams, PARAMS, (np.arange(4), np.arange(6)))


def set_entry(srams: Srams, entry: int, field: str, value: int) -> None:
    at = entry_shifts(PARAMS)
    word, slot = divmod(entry, PARAMS.entries_per_word)
    shift = slot * at["stride"] + at[field]
    words = srams["pe_0/spmat"]
    words[word, 0] = int(words[word, 0]) & ~(15 << shift) | value << shift


def set_pointer(srams: Srams, number: int, *, word: int, slot: int) -> None:
    layout = pointer_layout(PARAMS)
    bank = srams["pe_0/ptr_odd" if number % 2 else "pe_0/ptr_even"]
    bank[number >> 1, 0] = word << layout["word"].offset | slot << layout["slot"].offset


def set_field(srams: Srams, name: str, value: int) -> None:
    at = descriptor_layout(PARAMS)[name]
    half, offset = divmod(at.offset, 64)
    mask = ((1 << at.width) - 1) << offset
    words = srams["program"]
    words[half, 0] = int(words[half, 0]) & ~mask | value << offset


def test_the_unspoilt_contents_decode(srams: Srams) -> None:
    assert len(decode(srams, PARAMS, (np.arange(4), np.arange(6)))) == 1


def test_entries_past_the_rows_are_refused(srams: Srams) -> None:
    set_entry(srams, 2, "run", 1)
    refuse(srams, r"^entries of pe_0 must stay below local row 3, but one is at 3$")


def test_padding_past_the_rows_is_refused(srams: Srams) -> None:
    set_entry(srams, 2, "code", 0)
    set_entry(srams, 2, "run", 15)
    refuse(srams, r"^entries of pe_0 must stay below local row 3, but one is at 17$")


def test_falling_pointers_are_refused(srams: Srams) -> None:
    set_pointer(srams, 2, word=0, slot=2)
    refuse(srams, r"^pointers of pe_0 must not fall, but do in pass 0$")


def test_pointers_past_the_stored_words_are_refused(srams: Srams) -> None:
    set_pointer(srams, 4, word=2, slot=1)
    refuse(srams, r"^pointers of pe_0 must end at entry 16, not 17, in pass 0$")


def test_impossible_slots_are_refused() -> None:
    params = EieParams(num_pes=1, word_bits=24)
    srams, placement = compile_srams(one_layer(np.ones((2, 2), np.uint8)), params)
    srams["pe_0/ptr_even"][0, 0] = 3 << pointer_layout(params)["slot"].offset
    with pytest.raises(ValueError, match=r"^slots of pointers of pe_0 must be below 3, not 3$"):
        decode(srams, params, placement)


def test_missing_pointers_are_refused(srams: Srams) -> None:
    srams["pe_1/ptr_even"] = srams["pe_1/ptr_even"][:-1]
    refuse(srams, r"^pe_1/ptr_even and ptr_odd must hold 5 pointers for pass 0, not 4$")


def test_banks_of_different_lengths_are_refused(srams: Srams) -> None:
    srams["pe_1/ptr_odd"] = srams["pe_1/ptr_odd"][:-1]
    refuse(
        srams,
        r"^pe_1/ptr_even must have as many rows as ptr_odd, or one more, not 3 and 1$",
    )


def test_a_program_without_end_is_refused(srams: Srams) -> None:
    set_field(srams, "last", 0)
    refuse(srams, r"^program must have a last descriptor, but none of 1 is it$")


def test_a_program_of_other_layers_is_refused(srams: Srams) -> None:
    set_field(srams, "swap", 0)
    refuse(srams, r"^program must swap after each of 1 layers, but 0 of its 1 passes do$")


def test_columns_that_are_not_scanned_are_refused(srams: Srams) -> None:
    set_field(srams, "src_rows", 1)
    refuse(srams, r"^src_rows must reach position 3, not only 1 rows$")


def test_entries_where_no_row_or_column_is_are_refused(srams: Srams) -> None:
    with pytest.raises(ValueError, match=r"^no row is at position 4, but an entry is$"):
        decode(srams, PARAMS, (np.arange(4), np.array([0, 1, 2, 3, 5])))
    with pytest.raises(ValueError, match=r"^no column is at position 2, but an entry is$"):
        decode(srams, PARAMS, (np.array([0, 1, 3]), np.arange(6)))


def test_rows_without_an_output_are_refused(srams: Srams) -> None:
    set_field(srams, "drain", 0)
    refuse(srams, r"^row 0 must be written by one pass, not 0$")


def test_missing_biases_are_refused(srams: Srams) -> None:
    srams["pe_1/bias"] = srams["pe_1/bias"][:2]
    refuse(srams, r"^pe_1/bias must have 3 rows, not 2$")


def test_biases_of_absent_rows_must_be_zero() -> None:
    srams, placement = compile_srams(one_layer(np.ones((3, 1), np.uint8)), PARAMS)
    srams["pe_1/bias"][1, 0] = 1
    with pytest.raises(ValueError, match=r"^biases of pe_1 must be 0 where it has no row$"):
        decode(srams, PARAMS, placement)


def test_a_missing_codebook_is_refused(srams: Srams) -> None:
    srams["codebook"] = srams["codebook"][:10]
    refuse(srams, r"^codebook 0 must have 16 weights, not 10$")


def test_padding_must_decode_to_zero(srams: Srams) -> None:
    srams["codebook"][0, 0] = 1
    refuse(srams, r"^codebook 0 must start with 0, not 1: padding decodes to it$")


def test_passes_of_a_layer_must_agree() -> None:
    params = EieParams(num_pes=1, num_accs=2)
    srams, placement = compile_srams(one_layer(np.ones((4, 1), np.uint8)), params)
    at = descriptor_layout(params)["shift"]
    srams["program"][at.offset // 64, 0] ^= np.uint64(1 << at.offset % 64)
    with pytest.raises(ValueError, match=r"^passes 0 to 1 must share shift, relu and codebook$"):
        decode(srams, params, placement)


def test_weights_stored_twice_are_refused() -> None:
    params = EieParams(num_pes=1, num_accs=2)
    srams, placement = compile_srams(one_layer(np.ones((4, 1), np.uint8)), params)
    at = descriptor_layout(params)["dst_base"]
    second = srams["program"][2:]
    half, offset = divmod(at.offset, 64)
    second[half, 0] = int(second[half, 0]) & ~(((1 << at.width) - 1) << offset)
    with pytest.raises(ValueError, match=r"^2 weights are stored more than once$"):
        decode(srams, params, placement)


@given(where=st.integers(0, 10_000), bit=st.integers(0, 63))
def test_no_flipped_bit_of_an_sram_is_decoded_to_the_same_network(
    draw_network: DrawNetwork, where: int, bit: int
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
    srams[name][row, 0] ^= np.uint64(1 << bit)
    try:
        decoded = decode(srams, params, placement)
    except ValueError:
        return
    with pytest.raises(AssertionError):
        assert_same(decoded, network.layers)
