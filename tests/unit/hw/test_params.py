import dataclasses
import re
from typing import Any

import pytest
from amaranth.hdl import Shape

from zeroskip.base.errors import ParameterError
from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS
from zeroskip.hw.eie.formats import DESCRIPTOR_WORDS, descriptor_layout
from zeroskip.hw.eie.params import EieParams

RANGES = {
    "num_pes": (1, 256),
    "queue_depth": (1, 256),
    "run_bits": (1, 8),
    "code_bits": (1, 8),
    "weight_bits": (2, 32),
    "act_bits": (2, 32),
    "acc_bits": (8, 64),
    "word_bits": (16, 512),
    "spmat_words": (2, 1048576),
    "num_pointers": (4, 1048576),
    "num_acts": (2, 32768),
    "num_accs": (2, 32768),
    "num_biases": (2, 65536),
    "num_descriptors": (2, 4096),
    "act_files": (2, 3),
    "num_states": (2, 2048),
    "num_references": (2, 16384),
}
SWITCHES = ["pointers_first", "skip_padding", "counters", "cells", "peepholes", "delta", "plain"]


def refusal(**values: Any) -> str:
    with pytest.raises(ParameterError) as error:
        EieParams(**values)
    return str(error.value)


def test_every_parameter_is_tested() -> None:
    assert {field.name for field in dataclasses.fields(EieParams)} == {*RANGES, *SWITCHES}


@pytest.mark.parametrize("name", RANGES)
def test_range_of_a_size(name: str) -> None:
    low, high = RANGES[name]
    # An accumulator must hold an activation, so both are small at the low end.
    beside = {"act_bits": 2} if name == "acc_bits" else {}
    for value in (low, high):
        assert getattr(EieParams.from_dict({**beside, name: value}), name) == value
    for value in (low - 1, high + 1, -high, float(high), True, str(low), None):
        assert refusal(**{**beside, name: value}) == (
            f"{name} must be a whole number from {low} to {high}, not {value!r}"
        )


@pytest.mark.parametrize("name", SWITCHES)
def test_switch_is_a_bool(name: str) -> None:
    for value in (False, True):
        assert (
            getattr(EieParams.from_dict({"cells": True, "weight_bits": 12, name: value}), name)
            is value
        )
    for value in (0, 1, "yes", None):
        assert refusal(**{name: value}) == f"{name} must be true or false, not {value!r}"


def test_pointers_fill_two_banks() -> None:
    assert refusal(num_pointers=7) == "num_pointers must be even (two banks), not 7"


@pytest.mark.parametrize(
    ("name", "most"), [("act_bits", 16), ("num_acts", 2048), ("num_accs", 2048)]
)
def test_sizes_of_an_array_with_cells(name: str, most: int) -> None:
    assert EieParams.from_dict({"cells": True, name: most}).cells
    assert refusal(**{"cells": True, name: most + 1}) == (
        f"{name} must be at most {most} in an array with cells, not {most + 1}"
    )


def test_plain_weights() -> None:
    p = EieParams(plain=True, weight_bits=12, run_bits=5, code_bits=3)
    assert (p.entry_bits, p.num_codes, p.codebook_bits) == (17, 4096, 0)
    assert refusal(plain=True, weight_bits=13) == (
        "weight_bits must be at most 12 in an array of plain weights, not 13"
    )
    assert refusal(plain=True, weight_bits=12, run_bits=5, word_bits=16) == (
        "word_bits must be at least 17, the bits of an entry, not 16"
    )


def test_peepholes_are_of_cells() -> None:
    assert refusal(peepholes=True) == "peepholes must be false in an array without cells, not True"
    assert refusal(cells=True, peepholes=True, acc_bits=15, act_bits=8) == (
        "acc_bits must be at least 16 in an array with peepholes, not 15"
    )


def test_delta_is_of_cells() -> None:
    assert refusal(delta=True) == "delta must be false in an array without cells, not True"
    largest = {"num_acts": 1024, "num_pointers": 65536, "num_biases": 4096, "num_descriptors": 256}
    widest = {"num_accs": 2048, "num_states": 2048, "code_bits": 8, "acc_bits": 64}
    p = EieParams.from_dict({"cells": True, "delta": True, **largest, **widest})
    # A descriptor has no bit to spare.
    assert Shape.cast(descriptor_layout(p)).width == DESCRIPTOR_WORDS * DESCRIPTOR_WORD_BITS
    for name, most in largest.items():
        assert refusal(**{"cells": True, "delta": True, name: most + 2}) == (
            f"{name} must be at most {most} in an array with delta, not {most + 2}"
        )


def test_accumulator_holds_an_activation() -> None:
    assert EieParams(acc_bits=24, act_bits=24).acc_bits == 24
    assert refusal(acc_bits=23, act_bits=24) == "acc_bits must be at least act_bits = 24, not 23"


def test_widest_entry_fits_the_narrowest_word() -> None:
    params = EieParams(code_bits=8, run_bits=8, word_bits=16)
    assert (params.entry_bits, params.entries_per_word, params.slot_bits) == (16, 1, 1)


def test_dictionary_round_trip() -> None:
    params = EieParams(num_pes=5, run_bits=5, skip_padding=True)
    assert EieParams.from_dict(dataclasses.asdict(params)) == params
    assert EieParams.from_dict({"num_pes": 5, "run_bits": 5, "skip_padding": True}) == params


def test_unknown_name_in_a_dictionary() -> None:
    names = ", ".join(field.name for field in dataclasses.fields(EieParams))
    text = f"a parameter must be one of {names}, not 'num_pe': did you mean 'num_pes'?"
    with pytest.raises(ParameterError, match=f"^{re.escape(text)}$"):
        EieParams.from_dict({"num_pe": 4, "queue_depth": 2, "zeros": 1})


def test_parameters_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        EieParams().num_pes = 4  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("values", "derived"),
    [
        (
            {},
            {
                "entry_bits": 8,
                "entries_per_word": 8,
                "max_run": 15,
                "spmat_entries": 131072,
                "pe_bits": 3,
                "slot_bits": 3,
                "word_addr_bits": 14,
                "pointer_addr_bits": 14,
                "act_addr_bits": 9,
                "acc_addr_bits": 8,
                "bias_addr_bits": 10,
                "descriptor_addr_bits": 5,
                "num_codes": 16,
                "max_act": 32767,
                "min_act": -32768,
            },
        ),
        (
            {"num_pes": 1, "run_bits": 5, "act_bits": 2, "num_accs": 2, "num_descriptors": 3},
            {
                "entry_bits": 9,
                "entries_per_word": 7,
                "max_run": 31,
                "spmat_entries": 114688,
                "pe_bits": 1,
                "acc_addr_bits": 1,
                "descriptor_addr_bits": 2,
                "max_act": 1,
                "min_act": -2,
            },
        ),
        (
            {"num_pes": 65, "num_accs": 257, "num_acts": 32768, "spmat_words": 1048576},
            {"pe_bits": 7, "acc_addr_bits": 9, "act_addr_bits": 15, "word_addr_bits": 20},
        ),
    ],
)
def test_derived_sizes(values: dict[str, Any], derived: dict[str, int]) -> None:
    params = EieParams(**values)
    assert {name: getattr(params, name) for name in derived} == derived
