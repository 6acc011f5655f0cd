"""Read layers back from SRAM contents, to show that an image says what its network says."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csc_array

from zeroskip.hw.common.formats import Activation, bias_word
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.streams import (
    ColumnStream,
    Loading,
    codebook_of,
    column_streams,
    held,
    read_program,
)
from zeroskip.sim.golden.words import Descriptor, Srams, signed

__all__ = ["DecodedLayer", "decode", "expand"]


@dataclass(frozen=True, eq=False)
class DecodedLayer:
    """A layer as the hardware will compute it; :func:`.run_layer` takes it.

    Parameters
    ----------
    codes : (rows, cols), without padding.
    codebook : (codes,) int64 weights.
    bias : (rows,) int64, without the half step for rounding.
    shift : right shift from accumulator to output.
    relu : clip negative outputs to 0.
    """

    codes: csc_array
    codebook: NDArray[np.int64]
    bias: NDArray[np.int64]
    shift: int
    relu: bool


@dataclass(frozen=True, eq=False)
class _Step:
    """A pass with what it reads, and the rows of the vectors that it is about."""

    descriptor: Descriptor
    srams: Srams
    streams: Sequence[ColumnStream]
    src_first: int
    dst_first: int


def decode(
    loadings: Sequence[Loading], params: EieParams, placement: Sequence[NDArray[np.int64]]
) -> tuple[DecodedLayer, ...]:
    """Decode every layer of a program.

    Parameters
    ----------
    loadings : what the host does, run by run.
    params : sizes of the array.
    placement : positions (local row * num_pes + PE) of the input's elements, then of each
        layer's rows.

    Raises
    ------
    ValueError
        If the contents are no program over these positions: entries run past a pass's rows or
        stand where no row or column is, pointers fall, passes of a layer disagree, a row has no
        output.
    """
    steps, ends = _steps(loadings, params, placement)
    if len(ends) != len(placement) - 1 or ends[-1] != len(steps):
        raise ValueError(
            f"program must end each of {len(placement) - 1} layers, "
            f"but {len(ends)} of its {len(steps)} passes do"
        )
    layers: list[DecodedLayer] = []
    for index, (begin, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        of_layer = steps[begin:end]
        cols, rows = placement[index], placement[index + 1]
        books = [_codebook(step.srams, step.descriptor, params) for step in of_layer]
        kinds = {
            (step.descriptor.shift, step.descriptor.activation, *book)
            for step, book in zip(of_layer, books, strict=True)
        }
        if len(kinds) > 1:
            raise ValueError(
                f"passes {begin} to {end - 1} must share shift, activation and codebook"
            )
        layers.append(
            DecodedLayer(
                codes=_codes(of_layer, cols, rows, params),
                codebook=books[0],
                bias=_bias(of_layer, rows, params),
                shift=of_layer[0].descriptor.shift,
                relu=of_layer[0].descriptor.activation == Activation.RELU,
            )
        )
    return tuple(layers)


def _steps(
    loadings: Sequence[Loading], params: EieParams, placement: Sequence[NDArray[np.int64]]
) -> tuple[list[_Step], list[int]]:
    """Go through the runs; return the passes, and where in them layers end.

    A layer ends where the files swap, or where the host has stored its last row.
    """
    steps: list[_Step] = []
    ends: list[int] = []
    src_first = 0
    for loading, srams in zip(loadings, held(loadings), strict=True):
        if loading.load is not None:
            src_first = loading.load[0]
        dst_first, after = 0, None
        if loading.store is not None:
            dst_first, after = loading.store[0], sum(loading.store)
        program = read_program(srams["program"], params)
        streams = column_streams(srams, params, program)
        for descriptor, per_pe in zip(program, streams, strict=True):
            steps.append(
                _Step(
                    descriptor,
                    srams,
                    per_pe,
                    src_first + descriptor.src_base,
                    dst_first + descriptor.dst_base,
                )
            )
            if descriptor.swap:
                ends.append(len(steps))
                src_first = 0
        if after is not None and not program[-1].swap and len(ends) + 1 < len(placement):
            last_row = int(placement[len(ends) + 1].max()) // params.num_pes
            if after > last_row:
                ends.append(len(steps))
                src_first = 0
    return steps, ends


def _codes(
    steps: Sequence[_Step],
    cols: NDArray[np.int64],
    rows: NDArray[np.int64],
    params: EieParams,
) -> csc_array:
    """Collect a layer's codes from its passes and PEs."""
    found: list[tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]] = []
    scanned = 0
    for step, drain in zip(steps, _drains(steps), strict=True):
        descriptor = step.descriptor
        if step.src_first != scanned:
            raise ValueError(f"a pass must scan from row {scanned}, not {step.src_first}")
        scanned += descriptor.src_rows
        if descriptor.drain:
            if int(cols.max()) >= scanned * params.num_pes:
                raise ValueError(
                    f"src_rows must reach position {cols.max()}, not only {scanned} rows"
                )
            scanned = 0
        for pe, stream in enumerate(step.streams):
            codes, position, local = expand(stream)
            if codes.max(initial=0) > descriptor.last_code:
                raise ValueError(
                    f"codes of pe_{pe} must be at most {descriptor.last_code}, as no more weights "
                    f"are loaded, but one is {codes.max()}"
                )
            if len(local) and local.max() >= drain.descriptor.drain_rows:
                raise ValueError(
                    f"entries of pe_{pe} must stay below local row {drain.descriptor.drain_rows}, "
                    f"but one is at {local.max()}"
                )
            real = codes != 0
            row_position = (drain.dst_first + local[real]) * params.num_pes + pe
            col_position = step.src_first * params.num_pes + position[real]
            found.append((
                codes[real],
                _index(row_position, rows, "row"),
                _index(col_position, cols, "column"),
            ))
    codes, row, col = (np.concatenate(part) for part in zip(*found, strict=True))
    matrix = coo_array((codes, (row, col)), shape=(len(rows), len(cols))).tocsc()
    if matrix.nnz != len(codes):
        raise ValueError(f"{len(codes) - matrix.nnz} weights are stored more than once")
    matrix.sort_indices()
    return matrix


def _drains(steps: Sequence[_Step]) -> list[_Step]:
    """Find, for each pass of a layer, the one that drains its sums."""
    drains: list[_Step] = []
    for step in reversed(steps):
        if not step.descriptor.drain and not drains:
            raise ValueError("the last pass of a layer must drain, but keeps its sums")
        drains.append(step if step.descriptor.drain else drains[-1])
    return drains[::-1]


def expand(
    stream: ColumnStream,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Return code, column position and local row of each entry, padding included."""
    first, last = int(stream.pointers[0]), int(stream.pointers[-1])
    taken = np.concatenate([[0], np.cumsum(stream.runs[first:last].astype(np.int64) + 1)])
    lengths = np.diff(stream.pointers)
    before = np.repeat(taken[stream.pointers[:-1] - first], lengths)
    return (
        stream.codes[first:last],
        np.repeat(np.arange(len(lengths)), lengths),
        taken[1:] - before - 1,
    )


def _index(positions: NDArray[np.int64], placed: NDArray[np.int64], what: str) -> NDArray[np.int64]:
    """Find which row or column stands at each position."""
    index = np.full(int(placed.max()) + 1, -1, np.int64)
    index[placed] = np.arange(len(placed))
    inside = positions < len(index)
    result = index[np.where(inside, positions, 0)]
    wrong = ~inside | (result < 0)
    if wrong.any():
        raise ValueError(f"no {what} is at position {positions[wrong][0]}, but an entry is")
    return result


def _codebook(srams: Srams, descriptor: Descriptor, params: EieParams) -> NDArray[np.int64]:
    """Read the codebook of a pass."""
    weights = codebook_of(srams, descriptor.codebook, params)
    if len(weights) != params.num_codes:
        raise ValueError(
            f"codebook {descriptor.codebook} must have {params.num_codes} weights, "
            f"not {len(weights)}"
        )
    if weights[0] != 0:
        raise ValueError(
            f"codebook {descriptor.codebook} must start with 0, not {weights[0]}: "
            "padding decodes to it"
        )
    return weights


def _bias(steps: Sequence[_Step], rows: NDArray[np.int64], params: EieParams) -> NDArray[np.int64]:
    """Read a layer's biases; each row must be written by just one pass."""
    bias = np.zeros(len(rows), np.int64)
    written = np.zeros(len(rows), np.int64)
    half = np.uint64(bias_word(0, steps[0].descriptor.shift))
    local, pe_of_row = np.divmod(rows, params.num_pes)
    for step in steps:
        descriptor, srams, first = step.descriptor, step.srams, step.dst_first
        if not descriptor.drain:
            continue
        here = (local >= first) & (local < first + descriptor.drain_rows)
        written += here
        for pe in range(params.num_pes):
            words = srams[f"pe_{pe}/bias"][
                descriptor.bias_base : descriptor.bias_base + descriptor.drain_rows, 0
            ]
            if len(words) != descriptor.drain_rows:
                raise ValueError(
                    f"pe_{pe}/bias must have {descriptor.bias_base + descriptor.drain_rows} rows, "
                    f"not {len(srams[f'pe_{pe}/bias'])}"
                )
            rows_here = np.flatnonzero(here & (pe_of_row == pe))
            slots = local[rows_here] - first
            bias[rows_here] = signed(words[slots] - half, params.acc_bits)
            if np.delete(words, slots).any():
                raise ValueError(f"biases of pe_{pe} must be 0 where it has no row")
    if (written != 1).any():
        row = int(np.flatnonzero(written != 1)[0])
        raise ValueError(f"row {row} must be written by one pass, not {written[row]}")
    return bias
