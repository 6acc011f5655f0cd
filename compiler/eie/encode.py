"""Turn a matrix into each PE's (code, run) entries and column pointers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from zeroskip.compiler.image.words import pack_lanes
from zeroskip.hw.eie.formats import entry_shifts, pointer_layout
from zeroskip.hw.eie.params import EieParams

__all__ = ["EncodedPass", "encode", "pack_entries", "pack_pointers"]


@dataclass(frozen=True, eq=False)
class EncodedPass:
    """One pass over a matrix, for all PEs.

    Parameters
    ----------
    codes : (entries,) as narrow as they can be, the entries of PE 0, then those of PE 1 and so on;
        padding is 0.
    runs : (entries,) uint8, zeros before each entry in PE-local row space.
    starts : (num_pes + 1,) int64, where each PE's entries start.
    pointers : (num_pes, positions + 1) int64, where each column's entries start, counted from
        the PE's first entry; the last is the end of the last column.
    """

    codes: NDArray[np.unsignedinteger]
    runs: NDArray[np.uint8]
    starts: NDArray[np.int64]
    pointers: NDArray[np.int64]


def encode(
    codes: csc_array | csr_array,
    column_positions: NDArray[np.int64],
    row_positions: NDArray[np.int64],
    num_positions: int,
    window: tuple[int, int],
    params: EieParams,
) -> EncodedPass:
    """Encode the rows of ``window`` in the format of Han et al., ISCA 2016, section III.

    A run that does not fit its entry is broken by padding: code 0 after ``max_run`` zeros,
    which stands for ``max_run + 1`` rows. Runs count from the first row of the window and
    start again with every column. Time is linear in the number of non-zero codes.

    Parameters
    ----------
    codes : (rows, cols); only non-zero codes stored.
    column_positions : (cols,) positions of the columns.
    row_positions : (rows,) positions of the rows.
    num_positions : column positions to make pointers for; those without a column are empty.
    window : first local row, and the one after the last; other rows are left out.
    params : number of PEs and width of a run.

    Raises
    ------
    ValueError
        If a code 0 is stored.
    """
    if not codes.data.all():
        raise ValueError("codes must hold non-zero codes only, but a 0 is stored")
    first, after = window
    num_pes = params.num_pes

    by_position = np.argsort(row_positions, kind="stable")
    bounds = np.searchsorted(row_positions[by_position], [first * num_pes, after * num_pes])
    selected = by_position[bounds[0] : bounds[1]]
    local, pe = np.divmod(row_positions[selected], num_pes)
    by_row = codes.tocsr()[selected]

    # Seen as a matrix of local rows by (PE, column), rows now stand in order: conversion to
    # compressed columns, a counting sort, gives every PE's columns one after another.
    lengths = np.diff(by_row.indptr)
    groups = np.repeat(pe * num_positions, lengths) + column_positions[by_row.indices]
    row_ends = np.searchsorted(local, np.arange(first, after + 1))
    grouped = csr_array(
        (by_row.data, groups, by_row.indptr[row_ends]),
        shape=(after - first, num_pes * num_positions),
    ).tocsc()

    rows = grouped.indices.astype(np.int64)
    gaps = np.diff(rows, prepend=-1) - 1
    heads = grouped.indptr[:-1][np.diff(grouped.indptr) > 0]
    gaps[heads] = rows[heads]

    padding = np.concatenate([[0], np.cumsum(gaps >> params.run_bits)])
    entry = np.arange(len(rows)) + padding[1:]
    out_codes = np.zeros(len(rows) + padding[-1], np.min_scalar_type(params.num_codes - 1))
    out_runs = np.full(len(out_codes), params.max_run, np.uint8)
    out_codes[entry] = grouped.data
    out_runs[entry] = gaps & params.max_run

    flat = (grouped.indptr + padding[grouped.indptr]).astype(np.int64)
    starts = flat[::num_positions]
    columns = np.empty((num_pes, num_positions + 1), np.int64)
    columns[:, :-1] = flat[:-1].reshape(num_pes, num_positions)
    columns[:, -1] = starts[1:]
    return EncodedPass(out_codes, out_runs, starts, columns - starts[:-1, None])


def pack_entries(
    codes: NDArray[np.unsignedinteger], runs: NDArray[np.uint8], params: EieParams
) -> NDArray[np.uint64]:
    """Pack one PE's entries to words of its Spmat SRAM.

    Parameters
    ----------
    codes, runs : (entries,) of one PE.
    params : the widths.

    Returns
    -------
    (words, limbs) uint64, limbs of 64 bits, lowest first; unused entries are 0.
    """
    shifts = entry_shifts(params)
    per_word = params.entries_per_word
    entries = np.zeros(-(-len(codes) // per_word) * per_word, np.uint64)
    entries[: len(codes)] = codes.astype(np.uint64) << np.uint64(shifts["code"])
    entries[: len(codes)] |= runs.astype(np.uint64) << np.uint64(shifts["run"])
    return pack_lanes(entries.reshape(-1, per_word), shifts["stride"], params.word_bits)


def pack_pointers(pointers: NDArray[np.int64], params: EieParams) -> NDArray[np.uint64]:
    """Pack pointers, given as numbers of entries, to (word, slot).

    Parameters
    ----------
    pointers : any shape.
    params : the widths.
    """
    layout = pointer_layout(params)
    word, slot = np.divmod(pointers.astype(np.uint64), np.uint64(params.entries_per_word))
    return word << np.uint64(layout["word"].offset) | slot << np.uint64(layout["slot"].offset)
