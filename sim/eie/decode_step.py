"""Read recurrent networks back from SRAM contents, to show that an image says what they say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.ir.graph import QuantCell
from zeroskip.hw.common.formats import Activation, CellKind, bias_word
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.decode import expand
from zeroskip.sim.eie.streams import codebook_of, column_streams, image_loadings, read_program
from zeroskip.sim.golden.words import signed

__all__ = ["decode_step"]

_SIGMOIDS = {
    CellKind.LSTM: (1, 0, 1, 1),
    CellKind.GRU: (1, 0, 1, 0),
    CellKind.PEEPHOLE: (1, 0, 1, 1),
    CellKind.NONE: (0,),
}
_OF_GATES, _OF_SUMS = (0, 3, 5), (1, 2, 4, 6)
"""Of a cell with peepholes, which of its unit's words are weights of its gates, and biases."""


@dataclass(frozen=True)
class _Pass:
    """A pass of a layer, as the SRAMs have it.

    Parameters
    ----------
    descriptor : of the pass.
    streams : entries and column pointers of each PE.
    first : row of the layer's, local to a PE, that the pass begins with.
    """

    descriptor: Any
    streams: Sequence[Any]
    first: int


def decode_step(part: EiePart) -> dict[int, Mapping[str, tuple[Any, Any]]]:
    """Return by layer what the SRAMs say and what the network says, by what it is.

    Raises
    ------
    ValueError
        If the contents are no program.
    """
    p, (loading,) = part.params, image_loadings(part)
    program = read_program(loading.srams["program"], p)
    streams = column_streams(loading.srams, p, program)
    # Where the outputs of each layer begin; the input has a file of its own.
    bases: dict[int, int] = {0: 0}
    for descriptor, number in zip(program, part.passes, strict=True):
        if descriptor.drain:
            bases.setdefault(number + 1, descriptor.dst_base)
    found: dict[int, Mapping[str, tuple[Any, Any]]] = {}
    states = 0
    for number, layer in enumerate(part.layers):
        steps = [
            (descriptor, per_pe)
            for descriptor, per_pe, of in zip(program, streams, part.passes, strict=True)
            if of == number
        ]
        outputs = part.placement[number + 1]
        drains = [descriptor for descriptor, _ in steps if descriptor.drain]
        drain = drains[0]
        kind = CellKind(drain.get("cell"))
        sums = len(_SIGMOIDS[kind])
        height = int(outputs.max()) // p.num_pes + 1
        rows = (np.arange(sums)[:, None] * height * p.num_pes + outputs).ravel()
        passes = _passes(steps, sums)
        pasts = (False,) if kind == CellKind.NONE else (False, True)
        vectors = [part.vector(number, past=past) for past in pasts]
        codes, books = _read_weights(part, vectors, passes, rows, bases, loading.srams)
        bias, written, seen = _read_biases(p, kind, passes, rows, loading.srams)
        fields = "recur", "past", "state_base", "delta", "threshold"
        flags = [tuple(one.get(name) for name in fields) for one, _ in steps]
        is_cell = isinstance(layer, QuantCell)
        matrices = [layer.matrix, layer.recurrent] if is_cell else [layer.codes]
        codebooks = [layer.codebook, *([layer.recurrent_codebook] if is_cell else [])]
        found[number] = {
            "weights": (codes, _dense(matrices)),
            "weights of the codebook": (_joined(books), _joined(codebooks)),
            "biases": (bias, layer.bias),
            "rows written": (written, np.ones_like(written)),
            "shifts": (drain.shift, layer.shift),
            "ReLUs": (drain.activation == Activation.RELU, layer.relu),
            "cells": (kind, layer.cell if is_cell else CellKind.NONE),
            "peepholes": (seen, layer.peepholes if kind == CellKind.PEEPHOLE else seen),
            "scans and states": (flags, _expected_flags(layer, number, len(steps), states)),
        }
        states += height * is_cell
    return found


def _passes(steps: Sequence[tuple[Any, Sequence[Any]]], sums: int) -> list[_Pass]:
    """Give each pass its first row: rows of a pass have ``sums`` sums for each row it drains."""
    found: list[_Pass] = []
    first = 0
    for descriptor, per_pe in steps:
        found.append(_Pass(descriptor, per_pe, first))
        first += descriptor.drain_rows * sums if descriptor.drain else 0
    return found


def _read_weights(
    part: EiePart,
    vectors: Sequence[int],
    passes: Sequence[_Pass],
    rows: NDArray[np.int64],
    bases: Mapping[int, int],
    srams: Mapping[str, Any],
) -> tuple[NDArray[np.int64], list[Any]]:
    """Return (rows, columns) codes of a layer's matrices side by side, and a codebook of each.

    Parameters
    ----------
    part, passes : of the layer.
    vectors : that it reads: its inputs, and its outputs of the step before.
    rows : position of each row of the matrices.
    bases : row of the activations at which each vector begins.
    srams : contents by name.
    """
    p = part.params
    codes = [np.zeros((len(rows), len(part.placement[vector])), np.int64) for vector in vectors]
    books: list[Any] = [None] * len(codes)
    for one in passes:
        past = one.descriptor.get("past")
        columns = part.placement[vectors[past]]
        scanned = one.descriptor.src_base - bases[vectors[past]]
        books[past] = codebook_of(srams, one.descriptor.codebook, p)
        for pe, stream in enumerate(one.streams):
            found, position, local = expand(stream)
            real = found != 0
            row = _places(rows, (local[real] + one.first) * p.num_pes + pe)
            column = _places(columns, scanned * p.num_pes + position[real])
            codes[past][row, column] = found[real]
    return np.concatenate(codes, axis=1), books


def _read_biases(
    p: EieParams,
    kind: CellKind,
    passes: Sequence[_Pass],
    rows: NDArray[np.int64],
    srams: Mapping[str, Any],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return (rows,) biases, (rows,) how often each is drained, and (3, units) peepholes.

    Parameters
    ----------
    p : of the array.
    kind : of the layer's cells; only those of one kind have peepholes, else these are 0.
    passes, rows, srams : as for :func:`_read_weights`.
    """
    sigmoids = _SIGMOIDS[kind]
    units = len(rows) // len(sigmoids)
    local, pe_of = np.divmod(rows, p.num_pes)
    bias, written = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    seen = np.zeros((3, units), np.int64)
    for one in passes:
        d = one.descriptor
        if not d.drain:
            continue
        count = d.drain_rows * len(sigmoids)
        here = np.flatnonzero((local >= one.first) & (local < one.first + count))
        halves = np.repeat([bias_word(0, d.shift + more) for more in sigmoids], units)
        places = local - one.first
        if kind == CellKind.PEEPHOLE:
            of_gates = np.array(_OF_GATES)[:, None] * d.drain_rows + places[:units]
            places = (np.array(_OF_SUMS)[:, None] * d.drain_rows + places[:units]).ravel()
            for gate, row in np.ndindex(seen.shape):
                memory = srams[f"pe_{pe_of[row]}/bias"]
                word = memory[d.bias_base + of_gates[gate, row], :1]
                seen[gate, row] = signed(word, p.acc_bits)[0]
        for row in here.tolist():
            memory = srams[f"pe_{pe_of[row]}/bias"]
            word = memory[d.bias_base + places[row] :, 0][:1]
            bias[row] = signed(word - np.uint64(halves[row]), p.acc_bits)[0]
        written[here] += 1
    return bias, written, seen


def _expected_flags(layer: Any, number: int, passes: int, states: int) -> list[tuple[int, ...]]:
    """Return what the passes of a layer are to say of scans and states; ``states`` are before it.

    The order is that of the fields ``recur``, ``past``, ``state_base``, ``delta``, ``threshold``.
    """
    recurs = int(number > 0)
    found = [(recurs, 0, 0, 0, 0)] * passes
    if isinstance(layer, QuantCell):
        delta, (of_input, of_past) = layer.thresholds is not None, layer.thresholds or (0, 0)
        found[0] = recurs, 0, 0, int(delta), of_input
        found[-1] = 1, 1, states, int(delta), of_past
    return found


def _places(placed: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what stands at each position."""
    order = np.argsort(placed)
    place = np.minimum(np.searchsorted(placed, positions, sorter=order), len(placed) - 1)
    index = order[place]
    if (placed[index] != positions).any():
        raise ValueError("an entry stands where no row or column is")
    return index


def _dense(matrices: list[Any]) -> NDArray[np.int64]:
    return np.concatenate([matrix.toarray().astype(np.int64) for matrix in matrices], axis=1)


def _joined(books: list[Any]) -> NDArray[np.int64]:
    return np.concatenate([np.asarray(book, np.int64) for book in books])
