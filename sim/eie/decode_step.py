"""Read recurrent networks back from SRAM contents, to show that an image says what they say."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.ir.graph import QuantCell
from zeroskip.hw.common.formats import Activation, CellKind, bias_word
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
        kind = CellKind(drains[0].get("cell"))
        sums = len(_SIGMOIDS[kind])
        height = int(outputs.max()) // p.num_pes + 1
        rows = (np.arange(sums)[:, None] * height * p.num_pes + outputs).ravel()
        bias, written = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
        dense = [
            np.zeros((len(rows), len(part.placement[part.vector(number, past=past)])), np.int64)
            for past in (False, True)[: 1 + (kind != CellKind.NONE)]
        ]
        books: list[Any] = [None] * len(dense)
        seen = np.zeros((3, len(outputs)), np.int64)
        first = 0
        for descriptor, per_pe in steps:
            past = descriptor.get("past")
            vector = part.vector(number, past=bool(past))
            columns = part.placement[vector]
            scanned = descriptor.src_base - bases[vector]
            books[past] = codebook_of(loading.srams, descriptor.codebook, p)
            for pe, stream in enumerate(per_pe):
                codes, position, local = expand(stream)
                real = codes != 0
                row = _places(rows, (local[real] + first) * p.num_pes + pe)
                column = _places(columns, scanned * p.num_pes + position[real])
                dense[past][row, column] = codes[real]
            if descriptor.drain:
                count = descriptor.drain_rows * sums
                local, pe_of = np.divmod(rows, p.num_pes)
                here = np.flatnonzero((local >= first) & (local < first + count))
                halves = np.repeat(
                    [bias_word(0, descriptor.shift + more) for more in _SIGMOIDS[kind]],
                    len(outputs),
                )
                places = local - first
                if kind == CellKind.PEEPHOLE:
                    units, height_here = places[: len(outputs)], descriptor.drain_rows
                    places = (np.array(_OF_SUMS)[:, None] * height_here + units).ravel()
                    of_gates = np.array(_OF_GATES)[:, None] * height_here + units
                    for gate, row in np.ndindex(seen.shape):
                        memory = loading.srams[f"pe_{pe_of[row]}/bias"]
                        word = memory[descriptor.bias_base + of_gates[gate, row], :1]
                        seen[gate, row] = signed(word, p.acc_bits)[0]
                for row in here.tolist():
                    memory = loading.srams[f"pe_{pe_of[row]}/bias"]
                    word = memory[descriptor.bias_base + places[row] :, 0][:1]
                    bias[row] = signed(word - np.uint64(halves[row]), p.acc_bits)[0]
                written[here] += 1
                first += count
        fields = "recur", "past", "state_base", "delta", "threshold"
        flags = [tuple(one.get(name) for name in fields) for one, _ in steps]
        is_cell = isinstance(layer, QuantCell)
        expected = [(int(number > 0), 0, 0, 0, 0)] * len(steps)
        if is_cell:
            delta, (of_input, of_past) = layer.thresholds is not None, layer.thresholds or (0, 0)
            expected[0] = int(number > 0), 0, 0, int(delta), of_input
            expected[-1] = 1, 1, states, int(delta), of_past
        matrices = [layer.matrix, layer.recurrent] if is_cell else [layer.codes]
        codebooks = [layer.codebook, *([layer.recurrent_codebook] if is_cell else [])]
        found[number] = {
            "weights": (np.concatenate(dense, axis=1), _dense(matrices)),
            "weights of the codebook": (_joined(books), _joined(codebooks)),
            "biases": (bias, layer.bias),
            "rows written": (written, np.ones_like(written)),
            "shifts": (drains[0].shift, layer.shift),
            "ReLUs": (drains[0].activation == Activation.RELU, layer.relu),
            "cells": (kind, layer.cell if is_cell else CellKind.NONE),
            "peepholes": (seen, layer.peepholes if kind == CellKind.PEEPHOLE else seen),
            "scans and states": (flags, expected),
        }
        states += height * is_cell
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
