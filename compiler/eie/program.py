"""Turn a placed network into the program and the contents of every SRAM."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.eie.check import check_arithmetic, check_shapes, check_spmat, row_passes
from compiler.eie.encode import EncodedPass, encode, pack_entries, pack_pointers
from compiler.eie.place import Placement, is_interleaved, local_rows, place
from compiler.network import QuantNetwork
from hw.eie.formats import DESCRIPTOR_HALF_BITS, bias_word, descriptor_layout, pack, sram_files
from hw.eie.params import EieParams

__all__ = ["Descriptor", "SramData", "build", "program_words"]


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """One pass over a matrix; the fields are those of :func:`hw.eie.formats.descriptor_layout`."""

    src_base: int
    src_rows: int
    ptr_base: int
    codebook: int
    drain_rows: int
    dst_base: int
    bias_base: int
    shift: int
    drain: bool
    relu: bool
    swap: bool
    last: bool


@dataclass(frozen=True, eq=False)
class SramData:
    """What an SRAM holds from row 0 up; the rows after that never matter.

    Parameters
    ----------
    words : (rows, limbs) uint64, limbs of 64 bits, lowest first.
    width : bits of a row.
    """

    words: NDArray[np.uint64]
    width: int


def build(
    network: QuantNetwork,
    placement: Placement,
    params: EieParams,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[tuple[Descriptor, ...], tuple[int, ...], dict[str, SramData]]:
    """Build the program and the SRAMs.

    A layer is one pass, or several where it has more local rows than ``num_accs``; each then
    scans the same source and writes its own rows of the destination. Entries, pointers and
    biases of the passes follow one another without a gap, so a pass's end pointer is the next
    one's first.

    Parameters
    ----------
    network : layers in fixed point.
    placement : positions as :func:`compiler.eie.place.place` gives them.
    params : sizes of the array.
    progress : called after each pass with the passes done and their number.

    Returns
    -------
    The descriptors, the layer of each, and the SRAMs under the names of
    :func:`hw.eie.formats.sram_files`.

    Raises
    ------
    CompileError
        If a layer does not fit the arithmetic or a memory.
    """
    for layer in network.layers:
        check_arithmetic(layer, params)
    names = [layer.name for layer in network.layers]
    sizes = [len(positions) for positions in placement]
    heights = [local_rows(positions, params) for positions in placement]
    check_shapes(names, sizes, heights, params)

    program, passes = _plan(network, placement, params)
    encoded: list[EncodedPass] = []
    for one in _encode(network, placement, program, passes, params):
        encoded.append(one)
        if progress is not None:
            progress(len(encoded), len(program))

    strategy = "interleave" if is_interleaved(placement) else "balance"

    def fits(other: EieParams) -> bool:
        placed = place(network, other, strategy)
        plan, layers = _plan(network, placed, other)
        words = _words_used(list(_encode(network, placed, plan, layers, other)), other)
        return int(words[-1].max()) <= other.spmat_words

    last_passes = np.flatnonzero([descriptor.swap for descriptor in program])
    words_used = _words_used(encoded, params)[last_passes]
    check_spmat(names, sizes, words_used.tolist(), params, fits)

    codebooks = np.concatenate([layer.codebook for layer in network.layers])
    words = {
        "program": program_words(program, params),
        "codebook": _unsigned(codebooks, params.weight_bits),
    }
    biases = _bias_words(network, placement, program, passes, params)
    pointers = pack_pointers(_join_pointers(encoded), params)
    for pe in range(params.num_pes):
        parts = [slice(one.starts[pe], one.starts[pe + 1]) for one in encoded]
        codes = np.concatenate([one.codes[p] for one, p in zip(encoded, parts, strict=True)])
        runs = np.concatenate([one.runs[p] for one, p in zip(encoded, parts, strict=True)])
        words[f"pe_{pe}/spmat"] = pack_entries(codes, runs, params)
        words[f"pe_{pe}/ptr_even"] = pointers[pe, 0::2]
        words[f"pe_{pe}/ptr_odd"] = pointers[pe, 1::2]
        words[f"pe_{pe}/bias"] = biases[pe]
    srams = {
        name: SramData(np.ascontiguousarray(words[name].reshape(-1, -(-width // 64))), width)
        for name, (_, width) in sram_files(params).items()
    }
    return program, passes, srams


def program_words(program: Sequence[Descriptor], params: EieParams) -> NDArray[np.uint64]:
    """Pack descriptors to words of the program SRAM, two each, low half first.

    Raises
    ------
    ValueError
        If a field does not fit its bits.
    """
    halves: list[int] = []
    for descriptor in program:
        fields = {name: int(value) for name, value in asdict(descriptor).items()}
        high, low = divmod(pack(descriptor_layout(params), **fields), 1 << DESCRIPTOR_HALF_BITS)
        halves += [low, high]
    return np.array(halves, np.uint64)


def _plan(
    network: QuantNetwork, placement: Placement, params: EieParams
) -> tuple[tuple[Descriptor, ...], tuple[int, ...]]:
    """Lay out the passes; return them and the layer of each."""
    program: list[Descriptor] = []
    passes: list[int] = []
    ptr_base = bias_base = 0
    for index, layer in enumerate(network.layers):
        src_rows = local_rows(placement[index], params)
        windows = row_passes(local_rows(placement[index + 1], params), params)
        for first, after in windows:
            swap = after == windows[-1][1]
            program.append(
                Descriptor(
                    src_base=0,
                    src_rows=src_rows,
                    ptr_base=ptr_base,
                    codebook=index,
                    drain_rows=after - first,
                    dst_base=first,
                    bias_base=bias_base,
                    shift=int(layer.shift),
                    drain=True,
                    relu=bool(layer.relu),
                    swap=swap,
                    last=swap and index == len(network.layers) - 1,
                )
            )
            passes.append(index)
            ptr_base += src_rows * params.num_pes
            bias_base += after - first
    return tuple(program), tuple(passes)


def _encode(
    network: QuantNetwork,
    placement: Placement,
    program: Sequence[Descriptor],
    passes: Sequence[int],
    params: EieParams,
) -> Iterator[EncodedPass]:
    """Encode the passes in the program's order."""
    by_row = [layer.codes.tocsr() for layer in network.layers]
    for descriptor, layer in zip(program, passes, strict=True):
        window = descriptor.dst_base, descriptor.dst_base + descriptor.drain_rows
        num_positions = descriptor.src_rows * params.num_pes
        yield encode(
            by_row[layer], placement[layer], placement[layer + 1], num_positions, window, params
        )


def _words_used(encoded: Sequence[EncodedPass], params: EieParams) -> NDArray[np.int64]:
    """Words of Spmat SRAM after each pass: (passes, num_pes)."""
    entries = np.cumsum([np.diff(one.starts) for one in encoded], axis=0)
    return -(-entries // params.entries_per_word)


def _join_pointers(encoded: Sequence[EncodedPass]) -> NDArray[np.int64]:
    """Count the passes' pointers from the start of the SRAM: (num_pes, pointers)."""
    joined: list[NDArray[np.int64]] = []
    end = np.zeros((len(encoded[0].starts) - 1, 1), np.int64)
    for one in encoded:
        joined.append(end + one.pointers[:, :-1])
        end = end + one.pointers[:, -1:]
    return np.concatenate([*joined, end], axis=1)


def _bias_words(
    network: QuantNetwork,
    placement: Placement,
    program: Sequence[Descriptor],
    passes: Sequence[int],
    params: EieParams,
) -> NDArray[np.uint64]:
    """Fill the bias SRAMs: (num_pes, biases); local rows that a PE does not have hold 0."""
    words = np.zeros((params.num_pes, sum(one.drain_rows for one in program)), np.uint64)
    for descriptor, layer in zip(program, passes, strict=True):
        local, pe = np.divmod(placement[layer + 1], params.num_pes)
        row = local - descriptor.dst_base
        here = (row >= 0) & (row < descriptor.drain_rows)
        mask = (1 << params.acc_bits) - 1
        biases = network.layers[layer].bias[here].tolist()
        values = [bias_word(bias, descriptor.shift) & mask for bias in biases]
        words[pe[here], descriptor.bias_base + row[here]] = np.array(values, np.uint64)
    return words


def _unsigned(values: NDArray[np.int64], bits: int) -> NDArray[np.uint64]:
    """Cut two's complement to ``bits``."""
    return values.astype(np.int64).view(np.uint64) & np.uint64((1 << bits) - 1)
