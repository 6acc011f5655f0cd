from fractions import Fraction
from math import floor
from typing import Any

import pytest
from amaranth.hdl import Shape
from amaranth.lib import data
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.hw.common.control import Control
from zeroskip.hw.common.formats import ADDR_BITS, DESCRIPTOR_WORD_BITS, bias_word, pack
from zeroskip.hw.eie.formats import (
    broadcast_layout,
    command_layout,
    descriptor_layout,
    entry_layout,
    entry_shifts,
    host_bits,
    host_layout,
    pointer_layout,
    sram_files,
    work_layout,
)
from zeroskip.hw.eie.host import Space, stall_classes
from zeroskip.hw.eie.params import EieParams

PARAMS = [
    EieParams(),
    EieParams(num_pes=1, code_bits=1, run_bits=1, word_bits=16, act_bits=2, acc_bits=8),
    EieParams(num_pes=64, run_bits=5, word_bits=512, act_bits=32, acc_bits=64, code_bits=8),
]
LARGEST = EieParams(
    spmat_words=1 << 20,
    num_pointers=1 << 20,
    num_acts=1 << 15,
    num_accs=1 << 15,
    num_biases=1 << 16,
    num_descriptors=1 << 12,
    code_bits=8,
)


def bounds(shape: Any) -> tuple[int, int]:
    shape = Shape.cast(shape)
    if shape.signed:
        return -(1 << shape.width - 1), (1 << shape.width - 1) - 1
    return 0, (1 << shape.width) - 1


@st.composite
def layouts_and_fields(draw: st.DrawFn) -> tuple[data.StructLayout, dict[str, int]]:
    make = draw(
        st.sampled_from([entry_layout, pointer_layout, broadcast_layout, descriptor_layout])
    )
    layout = make(draw(st.sampled_from([*PARAMS, LARGEST])))
    fields = {name: draw(st.integers(*bounds(layout[name].shape))) for name, _ in layout}
    return layout, fields


@given(layouts_and_fields())
def test_packing_round_trip(drawn: tuple[data.StructLayout, dict[str, int]]) -> None:
    layout, fields = drawn
    word = pack(layout, **fields)
    assert 0 <= word < 1 << Shape.cast(layout).width
    unpacked = layout.from_bits(word)
    assert {name: unpacked[name] for name in fields} == fields
    # And by arithmetic alone: fields stand side by side, the first in the low bits.
    offset, by_hand = 0, 0
    for name, field in layout:
        by_hand |= (fields[name] & ((1 << field.width) - 1)) << offset
        offset += field.width
    assert word == by_hand


@given(layouts_and_fields(), st.data())
def test_value_out_of_bounds_is_refused(
    drawn: tuple[data.StructLayout, dict[str, int]], choose: st.DataObject
) -> None:
    layout, fields = drawn
    name = choose.draw(st.sampled_from(sorted(fields)))
    low, high = bounds(layout[name].shape)
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match=f"^{name} must be from {low} to {high}, not {value}$"):
            pack(layout, **{**fields, name: value})


def test_unknown_field_is_refused() -> None:
    with pytest.raises(ValueError, match="zeros must be 0, as there is no such field"):
        pack(entry_layout(PARAMS[0]), zeros=3)


def test_unnamed_fields_are_zero() -> None:
    layout = descriptor_layout(PARAMS[0])
    assert pack(layout) == 0
    assert pack(layout, last=1) == 1 << Shape.cast(layout).width - 1


def test_nested_fields() -> None:
    p = EieParams(spmat_words=16, act_bits=8)
    layout = work_layout(p)
    start, end = {"slot": 7, "word": 3}, {"slot": 0, "word": 16}
    word = pack(layout, value=-2, start=start, end=end)
    assert word == 0xFE | (7 | 3 << 3) << 8 | (0 | 16 << 3) << 16


@pytest.mark.parametrize("p", PARAMS)
def test_entries_stand_at_their_shifts(p: EieParams) -> None:
    at = entry_shifts(p)
    assert at == {"code": 0, "run": p.code_bits, "stride": p.entry_bits}
    code, run = p.num_codes - 1, p.max_run - 1
    assert pack(entry_layout(p), code=code, run=run) == code << at["code"] | run << at["run"]


@pytest.mark.parametrize("p", [*PARAMS, LARGEST])
def test_pointer_reaches_one_past_the_last_word(p: EieParams) -> None:
    pack(pointer_layout(p), word=p.spmat_words, slot=p.entries_per_word - 1)


@pytest.mark.parametrize("p", [*PARAMS, LARGEST])
def test_descriptor_fits_and_counts_whole_memories(p: EieParams) -> None:
    layout = descriptor_layout(p)
    assert Shape.cast(layout).width <= 2 * DESCRIPTOR_WORD_BITS
    pack(
        layout,
        src_rows=p.num_acts,
        src_base=p.num_acts - 1,
        ptr_base=p.num_pointers - 1,
        codebook=p.num_descriptors - 1,
        drain_rows=p.num_accs,
        dst_base=p.num_acts - 1,
        bias_base=p.num_biases - 1,
        shift=63,
    )


@pytest.mark.parametrize("p", [*PARAMS, LARGEST])
def test_host_reaches_every_memory(p: EieParams) -> None:
    layout = host_layout(p)
    assert host_bits(p) == max(64, p.word_bits)
    rows = [
        2 * p.num_descriptors,
        p.num_descriptors * p.num_codes,
        p.spmat_words,
        p.num_pointers,
        p.num_biases,
        2 << p.act_addr_bits,
        p.num_descriptors * len(stall_classes(p)),
        len(Control),
    ]
    assert len(rows) == len(Space)
    assert max(rows) <= 1 << ADDR_BITS
    command = {"data": (1 << p.word_bits) - 1, "addr": 5, "space": Space.COUNTER, "write": 1}
    assert layout.from_bits(pack(layout, **command)).space == Space.COUNTER
    whole = command_layout(p)
    assert whole.from_bits(pack(whole, command=command, pe=255)).pe == 255


def test_srams_of_an_array() -> None:
    p = EieParams(num_pes=2, spmat_words=100, num_pointers=50, num_biases=7, num_descriptors=3)
    pe = {"spmat": (100, 64), "ptr_even": (25, 11), "ptr_odd": (25, 11), "bias": (7, 32)}
    assert sram_files(p) == {
        "program": (6, 64),
        "codebook": (48, 16),
        **{f"pe_0/{name}": size for name, size in pe.items()},
        **{f"pe_1/{name}": size for name, size in pe.items()},
    }


@given(st.integers(-(1 << 40), 1 << 40), st.integers(-(1 << 40), 1 << 40), st.integers(0, 63))
def test_bias_word_rounds_half_up(acc: int, bias: int, shift: int) -> None:
    rounded = floor(Fraction(acc + bias, 1 << shift) + Fraction(1, 2))
    assert (acc + bias_word(bias, shift)) >> shift == rounded
