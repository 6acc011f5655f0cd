import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from amaranth.lib import data
from scipy.sparse import csc_array

from compiler.eie.place import Strategy, place
from compiler.eie.program import Descriptor, SramData, build
from compiler.errors import CompileError
from compiler.network import QuantNetwork
from hw.eie.formats import bias_word, descriptor_layout, pointer_layout, sram_files
from hw.eie.params import EieParams

DrawNetwork = Callable[..., QuantNetwork]
Built = tuple[tuple[Descriptor, ...], tuple[int, ...], dict[str, SramData]]


def build_placed(
    network: QuantNetwork, params: EieParams, strategy: Strategy = "interleave"
) -> Built:
    return build(network, place(network, params, strategy), params)


def rows_of(srams: dict[str, SramData], name: str) -> list[int]:
    """Read an SRAM as whole numbers."""
    return [sum(int(limb) << 64 * i for i, limb in enumerate(word)) for word in srams[name].words]


def test_descriptors_have_the_fields_of_the_layout() -> None:
    layout: data.StructLayout = descriptor_layout(EieParams())
    names = [field.name for field in dataclasses.fields(Descriptor)]
    assert names == [name for name, _ in layout]


def test_a_layer_is_one_pass_where_its_rows_fit(draw_network: DrawNetwork) -> None:
    params = EieParams(num_pes=4)
    program, passes, srams = build_placed(draw_network([10, 6, 3], shift=5), params)
    assert passes == (0, 1)
    first, second = program
    assert first == Descriptor(
        src_base=0,
        src_rows=3,
        ptr_base=0,
        codebook=0,
        drain_rows=2,
        dst_base=0,
        bias_base=0,
        shift=5,
        drain=True,
        relu=True,
        swap=True,
        last=False,
    )
    assert (second.src_rows, second.ptr_base, second.bias_base) == (2, 12, 2)
    assert (second.relu, second.swap, second.last) == (False, True, True)
    # 12 + 8 positions, and the end.
    assert len(rows_of(srams, "pe_0/ptr_even")) == 11
    assert len(rows_of(srams, "pe_0/ptr_odd")) == 10


def test_a_layer_with_more_rows_than_accumulators_runs_in_passes(
    draw_network: DrawNetwork,
) -> None:
    params = EieParams(num_pes=2, num_accs=3)
    program, passes, _ = build_placed(draw_network([5, 16, 4]), params)
    assert passes == (0, 0, 0, 1)
    assert [one.dst_base for one in program] == [0, 3, 6, 0]
    assert [one.drain_rows for one in program] == [3, 3, 2, 2]
    assert [one.bias_base for one in program] == [0, 3, 6, 8]
    assert [one.ptr_base for one in program] == [0, 6, 12, 18]
    assert [one.swap for one in program] == [False, False, True, True]
    assert [one.last for one in program] == [False, False, False, True]
    assert [one.src_rows for one in program] == [3, 3, 3, 8]


def test_srams_have_the_names_and_sizes_of_the_array(draw_network: DrawNetwork) -> None:
    params = EieParams(num_pes=3, word_bits=100, weight_bits=12)
    program, _, srams = build_placed(draw_network([7, 7], weight_bits=12), params)
    files = sram_files(params)
    assert list(srams) == list(files)
    for name, (depth, width) in files.items():
        sram = srams[name]
        assert sram.width == width
        assert sram.words.dtype == np.uint64
        assert sram.words.shape[1] == -(-width // 64)
        assert len(sram.words) <= depth
        assert all(row < 1 << width for row in rows_of(srams, name))
    assert len(srams["program"].words) == 2 * len(program)


def test_the_program_sram_holds_the_descriptors_low_half_first(draw_network: DrawNetwork) -> None:
    params = EieParams(num_pes=2, num_accs=2)
    program, _, srams = build_placed(draw_network([5, 9, 4], shift=7), params)
    halves = rows_of(srams, "program")
    layout = descriptor_layout(params)
    for index, one in enumerate(program):
        bits = halves[2 * index] | halves[2 * index + 1] << 64
        for name, at in layout:
            assert bits >> at.offset & ((1 << at.width) - 1) == getattr(one, name)


def test_pointers_alternate_between_the_banks(draw_network: DrawNetwork) -> None:
    params = EieParams(num_pes=1, word_bits=24)
    network = draw_network([6, 8], density=0.8)
    _, _, srams = build_placed(network, params)
    layout = pointer_layout(params)
    entries: list[int] = []
    for number in range(7):
        bank = rows_of(srams, "pe_0/ptr_odd" if number % 2 else "pe_0/ptr_even")
        word, slot = (
            bank[number >> 1] >> layout[field].offset & ((1 << width) - 1)
            for field, width in (("word", params.word_addr_bits + 1), ("slot", params.slot_bits))
        )
        assert slot < params.entries_per_word
        entries.append(word * params.entries_per_word + slot)
    # Eight rows need no padding, so that a column has as many entries as the matrix has.
    assert entries == network.layers[0].codes.indptr.tolist()


def test_biases_are_rounded_and_zero_where_a_pe_has_no_row(draw_network: DrawNetwork) -> None:
    params = EieParams(num_pes=4, acc_bits=40)
    network = draw_network([3, 5], shift=6, bias_bits=30)
    _, _, srams = build_placed(network, params)
    bias = [bias_word(value, 6) % (1 << 40) for value in network.layers[0].bias.tolist()]
    assert rows_of(srams, "pe_0/bias") == [bias[0], bias[4]]
    for pe in (1, 2, 3):
        assert rows_of(srams, f"pe_{pe}/bias") == [bias[pe], 0]


def test_codebooks_follow_one_another(draw_network: DrawNetwork) -> None:
    params = EieParams(num_pes=2, code_bits=2, weight_bits=9)
    network = draw_network([3, 3, 3], code_bits=2, weight_bits=9)
    _, _, srams = build_placed(network, params)
    weights = [weight % 512 for layer in network.layers for weight in layer.codebook.tolist()]
    assert rows_of(srams, "codebook") == weights


def test_progress_counts_the_passes(draw_network: DrawNetwork) -> None:
    network, params = draw_network([4, 8]), EieParams(num_pes=1, num_accs=4)
    seen: list[tuple[int, int]] = []
    build(
        network,
        place(network, params, "interleave"),
        params,
        lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]


REFUSALS: list[tuple[dict[str, Any], list[int], str]] = [
    (
        {"num_acts": 4},
        [40, 8],
        (
            "layer 'fc1' needs 10 rows of the activation files, but num_acts is 4: "
            "compile with num_acts=10 or num_pes=10"
        ),
    ),
    (
        {"num_acts": 4},
        [8, 8, 20],
        (
            "layer 'fc2' needs 5 rows of the activation files, but num_acts is 4: "
            "compile with num_acts=5 or num_pes=5"
        ),
    ),
    (
        {"num_pointers": 8},
        [6, 4],
        (
            "layer 'fc1' needs 9 column pointers, but num_pointers is 8: "
            "compile with num_pointers=10 or num_pes=6"
        ),
    ),
    (
        {"num_pointers": 24, "num_accs": 2},
        [12, 16, 4],
        (
            "layer 'fc1' needs 25 column pointers, but num_pointers is 24: "
            "compile with num_pointers=42"
        ),
    ),
    (
        {"num_pointers": 24, "num_accs": 2},
        [12, 16],
        (
            "layer 'fc1' needs 25 column pointers, but num_pointers is 24: "
            "compile with num_pointers=26 or num_accs=4 or num_pes=8"
        ),
    ),
    (
        {"num_biases": 5},
        [4, 16, 8],
        (
            "layer 'fc2', with the layers before it, needs 6 biases per PE, but num_biases is 5: "
            "compile with num_biases=6 or num_pes=6"
        ),
    ),
    (
        {"num_descriptors": 3, "num_accs": 2},
        [4, 32],
        (
            "layer 'fc1' needs 4 descriptors, but num_descriptors is 3: "
            "compile with num_descriptors=4 or num_accs=8 or num_pes=6"
        ),
    ),
]


@pytest.mark.parametrize(("changes", "sizes", "message"), REFUSALS)
def test_a_network_too_large_is_told_what_would_fit(
    draw_network: DrawNetwork, changes: dict[str, Any], sizes: list[int], message: str
) -> None:
    network, params = draw_network(sizes), EieParams(num_pes=4, **changes)
    with pytest.raises(CompileError) as caught:
        build_placed(network, params)
    assert str(caught.value) == message
    for name, value in re.findall(r"(\w+)=(\d+)", message):
        build_placed(network, dataclasses.replace(params, **{name: int(value)}))


@pytest.mark.parametrize("strategy", ["interleave", "balance"])
def test_too_many_entries_are_told_what_would_fit(
    draw_network: DrawNetwork, strategy: Strategy
) -> None:
    network = draw_network([40, 60, 80], density=0.5, seed=3)
    params = EieParams(num_pes=4, spmat_words=50)
    with pytest.raises(CompileError) as caught:
        build_placed(network, params, strategy)
    message = str(caught.value)
    assert re.fullmatch(
        r"layer 'fc2', with the layers before it, needs \d+ words of Spmat SRAM in PE \d, "
        r"but spmat_words is 50: compile with spmat_words=\d+ or num_pes=\d+",
        message,
    )
    for name, value in re.findall(r"(\w+)=(\d+)", message):
        build_placed(network, dataclasses.replace(params, **{name: int(value)}), strategy)


def test_a_network_beyond_every_array_is_told_so(draw_network: DrawNetwork) -> None:
    with pytest.raises(
        CompileError,
        match=r"^layer 'fc1' needs 65537 rows of the activation files, but num_acts is 2: "
        r"no single parameter can be raised far enough$",
    ):
        build_placed(draw_network([65537, 1], density=0.0), EieParams(num_pes=1, num_acts=2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"codebook": np.array([0, 8, *[1] * 14])},
            r"^weights of layer 'fc1' must be from -8 to 7 \(4 bits\), not 0 to 8$",
        ),
        (
            {"bias": np.array([0, -(1 << 19) - 1])},
            (
                r"^biases of layer 'fc1' must be from -524288 to 524287 \(20 bits\), "
                r"not -524289 to 0$"
            ),
        ),
        (
            {"codebook": np.ones(16, np.int64)},
            (
                r"^the codebook of layer 'fc1' must be 16 weights \(code_bits = 4\), the first 0, "
                r"not 16 weights, the first 1$"
            ),
        ),
        (
            {"codebook": np.zeros(8, np.int64)},
            (
                r"^the codebook of layer 'fc1' must be 16 weights \(code_bits = 4\), the first 0, "
                r"not 8 weights, the first 0$"
            ),
        ),
        (
            {"codes": csc_array(np.full((2, 2), 16, np.uint8))},
            r"^codes of layer 'fc1' must be below 16 \(code_bits = 4\), not 16$",
        ),
        (
            {"weight_frac": -1},
            (
                r"^the shift of layer 'fc1' \(in_frac \+ weight_frac - out_frac\) must be "
                r"from 0 to 63, not -1$"
            ),
        ),
        ({"weight_frac": 64}, r"must be from 0 to 63, not 64$"),
    ],
)
def test_numbers_without_enough_bits_are_refused(
    draw_network: DrawNetwork, changes: dict[str, Any], message: str
) -> None:
    network = draw_network([2, 2], weight_bits=4, bias_bits=8)
    layer = dataclasses.replace(network.layers[0], **changes)
    with pytest.raises(CompileError, match=message):
        build_placed(
            dataclasses.replace(network, layers=(layer,)), EieParams(weight_bits=4, acc_bits=20)
        )
