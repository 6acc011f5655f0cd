"""Turn a placed network into segments: programs and the contents of every SRAM."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.check import check_arithmetic, check_pointers
from zeroskip.compiler.eie.encode import pack_entries, pack_pointers
from zeroskip.compiler.eie.place import Placement, local_rows
from zeroskip.compiler.eie.plan import Draft, EntriesPart, Memory, Planner, PointersPart
from zeroskip.compiler.eie.recurrent import build_step, is_recurrent
from zeroskip.compiler.eie.segment import Segment
from zeroskip.compiler.eie.window import Window, windows
from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.runs import only_changes
from zeroskip.compiler.image.words import program_words, unsigned_field
from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.hw.common.formats import bias_word
from zeroskip.hw.eie.formats import DESCRIPTOR_WORDS, descriptor_layout, sram_files
from zeroskip.hw.eie.params import EieParams

__all__ = ["build"]


def build(
    network: QuantGraph,
    placement: Placement,
    params: EieParams,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Segment, ...]:
    """Build the programs and the SRAMs.

    A layer is one pass, or several where it has more local rows than ``num_accs``, each of
    which then scans the same source and writes its own rows of the destination. What the
    memories do not hold at once is split to further passes, and these to segments, see
    :class:`.Planner`.

    Parameters
    ----------
    network : layers in fixed point.
    placement : positions as :func:`.place` gives them.
    params : sizes of the array.
    progress : called with the local rows done, over all layers, and their number.

    Returns
    -------
    The segments; the first loads every SRAM, later ones those whose contents change.

    Raises
    ------
    CompileError
        If a layer does not fit the arithmetic, or not one row of PEs fits a memory.
    """
    check_pointers(params)
    for layer in network.layers:
        check_arithmetic(layer, params)
    if is_recurrent(network):
        return (build_step(network, placement, params, progress),)
    total = sum(local_rows(positions, params) for positions in placement[1:])
    done = 0
    planner = Planner(network, placement, params)
    for window in windows(network, placement, params):
        planner.add(window)
        done += window.rows
        if progress is not None:
            progress(done, total)

    segments: list[Segment] = []
    for draft in planner.finish():
        *others, final = draft.program
        program = (*others, replace(final, last=True))
        words = {"program": program_words(program, descriptor_layout(params), DESCRIPTOR_WORDS)}
        words |= _contents(draft, network, placement, params)
        srams = {
            name: SramData(np.ascontiguousarray(words[name].reshape(-1, -(-width // 64))), width)
            for name, (_, width) in sram_files(params).items()
            if name in words
        }
        segments.append(
            Segment(
                program=program,
                passes=tuple(draft.passes),
                srams=srams,
                load=draft.load,
                store=draft.store,
            )
        )
    return tuple(only_changes(segments))


def _contents(
    draft: Draft, network: QuantGraph, placement: Placement, params: EieParams
) -> dict[str, NDArray[np.uint64]]:
    """Fill the SRAMs, but that of the program, that are loaded before a segment."""
    words: dict[str, NDArray[np.uint64]] = {}
    every = range(params.num_pes)
    if Memory.CODEBOOKS in draft.parts and not params.plain:
        books = [network.layers[layer].codebook for layer in draft.parts[Memory.CODEBOOKS]]
        words["codebook"] = unsigned_field(np.concatenate(books), params.weight_bits)
    if Memory.SPMAT in draft.parts:
        words |= {f"pe_{pe}/spmat": _entries(draft.parts[Memory.SPMAT], pe, params) for pe in every}
    if Memory.POINTERS in draft.parts:
        pointers = pack_pointers(_join_pointers(draft.parts[Memory.POINTERS]), params)
        words |= {f"pe_{pe}/ptr_even": pointers[pe, 0::2] for pe in every}
        words |= {f"pe_{pe}/ptr_odd": pointers[pe, 1::2] for pe in every}
    if Memory.BIASES in draft.parts:
        biases = _bias_words(draft.parts[Memory.BIASES], network, placement, params)
        words |= {f"pe_{pe}/bias": biases[pe] for pe in every}
    return words


def _entries(parts: Sequence[EntriesPart], pe: int, params: EieParams) -> NDArray[np.uint64]:
    """Pack the entries of one PE."""
    codes: list[NDArray[np.unsignedinteger]] = []
    runs: list[NDArray[np.uint8]] = []
    for part in parts:
        start, ends = part.window.encoded.starts[pe], part.window.ends[pe]
        there = slice(start + ends[part.first], start + ends[part.after])
        codes.append(part.window.encoded.codes[there])
        runs.append(part.window.encoded.runs[there])
    return pack_entries(np.concatenate(codes), np.concatenate(runs), params)


def _join_pointers(parts: Sequence[PointersPart]) -> NDArray[np.int64]:
    """Put the parts where they begin: (num_pes, pointers)."""
    final = parts[-1]
    num_pes, count = final.pointers.shape
    joined = np.empty((num_pes, final.base + count), np.int64)
    for part in parts:
        joined[:, part.base : part.base + part.pointers.shape[1]] = part.pointers
    return joined


def _bias_words(
    parts: Sequence[Window], network: QuantGraph, placement: Placement, params: EieParams
) -> NDArray[np.uint64]:
    """Fill the bias SRAMs: (num_pes, biases); local rows that a PE does not have hold 0."""
    words = np.zeros((params.num_pes, sum(window.rows for window in parts)), np.uint64)
    mask, base = (1 << params.acc_bits) - 1, 0
    for window in parts:
        layer = network.layers[window.layer]
        local, pe = np.divmod(placement[window.layer + 1], params.num_pes)
        here = (local >= window.first) & (local < window.after)
        values = [bias_word(bias, int(layer.shift)) & mask for bias in layer.bias[here].tolist()]
        words[pe[here], base + local[here] - window.first] = np.array(values, np.uint64)
        base += window.rows
    return words
