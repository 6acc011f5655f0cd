import dataclasses
from collections.abc import Callable

import numpy as np
from amaranth.lib import data

from zeroskip.compiler.eie.place import Strategy, place
from zeroskip.compiler.eie.program import build
from zeroskip.compiler.eie.segment import Descriptor
from zeroskip.compiler.engine import SramData
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.hw.common.formats import Activation, bias_word
from zeroskip.hw.eie.formats import descriptor_layout, pointer_layout, sram_files
from zeroskip.hw.eie.params import EieParams

DrawNetwork = Callable[..., QuantGraph[QuantLinear]]
Built = tuple[tuple[Descriptor, ...], tuple[int, ...], dict[str, SramData]]


def build_placed(
    network: QuantGraph[QuantLinear], params: EieParams, strategy: Strategy = "interleave"
) -> Built:
    """Build a network that fits one segment."""
    (segment,) = build(network, place(network, params, strategy), params)
    assert segment.load is not None
    assert segment.store is not None
    return segment.program, segment.passes, segment.srams


def rows_of(srams: dict[str, SramData], name: str) -> list[int]:
    """Read an SRAM as whole numbers."""
    return [sum(int(limb) << 64 * i for i, limb in enumerate(word)) for word in srams[name].words]


def test_descriptors_have_the_fields_of_the_layout() -> None:
    layout: data.StructLayout = descriptor_layout(EieParams(cells=True, delta=True))
    names = [field.name for field in dataclasses.fields(Descriptor)]
    assert names == [name for name, _ in layout]


def test_a_layer_is_one_pass_where_its_rows_fit(draw_network: DrawNetwork) -> None:
    params = EieParams(num_pes=4)
    network = draw_network([10, 6, 3], shift=5)
    program, passes, srams = build_placed(network, params)
    assert passes == (0, 1)
    first, second = program
    assert first == Descriptor(
        src_base=0,
        src_rows=3,
        ptr_base=0,
        codebook=0,
        last_code=int(network.layers[0].codes.data.max()),
        drain_rows=2,
        dst_base=0,
        bias_base=0,
        shift=5,
        drain=True,
        activation=Activation.RELU,
        swap=True,
        last=False,
    )
    assert (second.src_rows, second.ptr_base, second.bias_base) == (2, 12, 2)
    assert (second.activation, second.swap, second.last) == (Activation.IDENTITY, True, True)
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


def test_progress_counts_the_local_rows(draw_network: DrawNetwork) -> None:
    network, params = draw_network([4, 8]), EieParams(num_pes=1, num_accs=4)
    seen: list[tuple[int, int]] = []
    build(
        network,
        place(network, params, "interleave"),
        params,
        lambda done, total: seen.append((done, total)),
    )
    assert seen == [(4, 8), (8, 8)]
