from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from zeroskip.compiler.eie.place import Placement
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.hw.eie.formats import descriptor_layout, entry_shifts, pointer_layout
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.decode import decode
from zeroskip.sim.eie.streams import Loading

Srams = dict[str, NDArray[np.uint64]]
CompileSrams = Callable[..., tuple[Srams, Placement]]
OneLayer = Callable[[NDArray[np.uint8]], QuantGraph[QuantLinear]]

PARAMS = EieParams(num_pes=2)


@pytest.fixture
def srams(compile_srams: CompileSrams, one_layer: OneLayer) -> Srams:
    """Give contents of a full 6 x 4 matrix on two PEs."""
    network = one_layer(np.full((6, 4), 5, np.uint8))
    return compile_srams(network, PARAMS)[0]


def refuse(srams: Srams, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode([Loading(srams)], PARAMS, (np.arange(4), np.arange(6)))


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
    assert len(decode([Loading(srams)], PARAMS, (np.arange(4), np.arange(6)))) == 1


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


def test_impossible_slots_are_refused(compile_srams: CompileSrams, one_layer: OneLayer) -> None:
    params = EieParams(num_pes=1, word_bits=24)
    srams, placement = compile_srams(one_layer(np.ones((2, 2), np.uint8)), params)
    srams["pe_0/ptr_even"][0, 0] = 3 << pointer_layout(params)["slot"].offset
    with pytest.raises(ValueError, match=r"^slots of pointers of pe_0 must be below 3, not 3$"):
        decode([Loading(srams)], params, placement)


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
    refuse(srams, r"^program must end each of 1 layers, but 0 of its 1 passes do$")


def test_columns_that_are_not_scanned_are_refused(srams: Srams) -> None:
    set_field(srams, "src_rows", 1)
    refuse(srams, r"^src_rows must reach position 3, not only 1 rows$")


def test_entries_where_no_row_or_column_is_are_refused(srams: Srams) -> None:
    with pytest.raises(ValueError, match=r"^no row is at position 4, but an entry is$"):
        decode([Loading(srams)], PARAMS, (np.arange(4), np.array([0, 1, 2, 3, 5])))
    with pytest.raises(ValueError, match=r"^no column is at position 2, but an entry is$"):
        decode([Loading(srams)], PARAMS, (np.array([0, 1, 3]), np.arange(6)))


def test_rows_without_an_output_are_refused(srams: Srams) -> None:
    set_field(srams, "drain", 0)
    refuse(srams, r"^the last pass of a layer must drain, but keeps its sums$")


def test_missing_biases_are_refused(srams: Srams) -> None:
    srams["pe_1/bias"] = srams["pe_1/bias"][:2]
    refuse(srams, r"^pe_1/bias must have 3 rows, not 2$")


def test_biases_of_absent_rows_must_be_zero(
    compile_srams: CompileSrams, one_layer: OneLayer
) -> None:
    srams, placement = compile_srams(one_layer(np.ones((3, 1), np.uint8)), PARAMS)
    srams["pe_1/bias"][1, 0] = 1
    with pytest.raises(ValueError, match=r"^biases of pe_1 must be 0 where it has no row$"):
        decode([Loading(srams)], PARAMS, placement)


def test_a_missing_codebook_is_refused(srams: Srams) -> None:
    srams["codebook"] = srams["codebook"][:10]
    refuse(srams, r"^codebook 0 must have 16 weights, not 10$")


def test_codes_that_are_not_loaded_are_refused(srams: Srams) -> None:
    set_field(srams, "last_code", 4)
    refuse(srams, r"^codes of pe_0 must be at most 4, as no more weights are loaded, but one is 5$")


def test_passes_with_a_codebook_must_load_as_much_of_it(
    compile_srams: CompileSrams, one_layer: OneLayer
) -> None:
    params = EieParams(num_pes=1, num_accs=2)
    srams, placement = compile_srams(one_layer(np.ones((4, 1), np.uint8)), params)
    at = descriptor_layout(params)["last_code"]
    srams["program"][at.offset // 64, 0] ^= np.uint64(2 << at.offset % 64)
    with pytest.raises(ValueError, match=r"codebook 0 must load it up to one code, not 3 and 1$"):
        decode([Loading(srams)], params, placement)


def test_padding_must_decode_to_zero(srams: Srams) -> None:
    srams["codebook"][0, 0] = 1
    refuse(srams, r"^codebook 0 must start with 0, not 1: padding decodes to it$")


def test_passes_of_a_layer_must_agree(compile_srams: CompileSrams, one_layer: OneLayer) -> None:
    params = EieParams(num_pes=1, num_accs=2)
    srams, placement = compile_srams(one_layer(np.ones((4, 1), np.uint8)), params)
    at = descriptor_layout(params)["shift"]
    srams["program"][at.offset // 64, 0] ^= np.uint64(1 << at.offset % 64)
    with pytest.raises(
        ValueError, match=r"^passes 0 to 1 must share shift, activation and codebook$"
    ):
        decode([Loading(srams)], params, placement)


def test_weights_stored_twice_are_refused(compile_srams: CompileSrams, one_layer: OneLayer) -> None:
    params = EieParams(num_pes=1, num_accs=2)
    srams, placement = compile_srams(one_layer(np.ones((4, 1), np.uint8)), params)
    at = descriptor_layout(params)["dst_base"]
    second = srams["program"][2:]
    half, offset = divmod(at.offset, 64)
    second[half, 0] = int(second[half, 0]) & ~(((1 << at.width) - 1) << offset)
    with pytest.raises(ValueError, match=r"^2 weights are stored more than once$"):
        decode([Loading(srams)], params, placement)
