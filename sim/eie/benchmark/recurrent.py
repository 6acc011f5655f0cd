"""Recurrent layers of the papers as whole cells: cycles of a step on the cycle model."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.base.tables import Report, Table
from zeroskip.compiler.eie.encode import encode
from zeroskip.compiler.eie.matrices import Matrix
from zeroskip.compiler.eie.order import order_columns, order_columns_of_pes
from zeroskip.compiler.eie.place import balance_rows, column_counts
from zeroskip.compiler.eie.presets import PRESETS
from zeroskip.compiler.ir.cells import SUMS
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.cycles.program import PassModel, run_program
from zeroskip.sim.eie.cycles.work import column_work
from zeroskip.sim.eie.streams import ColumnStream

__all__ = ["CELLS", "CellBench", "PublishedCell", "RecurrentBench", "bench_recurrent"]

Pruning = Literal["plain", "balanced"]
"""``plain``: one threshold for a matrix. ``balanced``: one for each PE's share of interleaved rows,
so that all have as many weights (ESE's load-balance-aware pruning)."""

_SPREAD = 0.15
"""Deviation of the logarithm of how large the weights of a hidden unit are: units are not alike,
and a threshold for all prunes some more than others."""


@dataclass(frozen=True)
class PublishedCell:
    """An LSTM whose sizes and densities were published.

    Parameters
    ----------
    name : of it.
    inputs, units : values of an input, and hidden units.
    projection : outputs of a projection, which are what the next step reads; 0 if there is none.
    densities : of the matrices of inputs, of earlier outputs, and of the projection.
    num_pes : PEs of the machine that it was run on.
    cycles : that it took there.
    source : of the numbers.
    """

    name: str
    inputs: int
    units: int
    projection: int
    densities: tuple[float, ...]
    num_pes: int
    cycles: int
    source: str


CELLS = (
    PublishedCell(
        # 18,280, 59,696 and 52,416 weights a matrix on average.
        "ESE", 153, 1024, 512, (0.1167, 0.1139, 0.1000), 32, 16540, "FPGA 2017: 82.7 us at 200 MHz"
    ),
    PublishedCell(
        "NT-LSTM", 600, 600, 0, (0.10, 0.10), 64, 6000, "ISCA 2016: 7.5 us at 800 MHz"
    ),
)  # fmt: skip


@dataclass(frozen=True)
class CellBench:
    """A step of a cell.

    Parameters
    ----------
    name : of the cell.
    pruning : see :data:`Pruning`.
    placement : of rows: ``interleave`` or ``schedule``.
    num_pes : of the array.
    weights, nnz : all, and those that are not 0.
    cycles : of a step, from its START, element-wise work included.
    bound : cycles if every PE multiplied by a weight in each.
    over_bound : ``cycles / bound``.
    elementwise : cycles in which cells are drained.
    elementwise_share : of the cycles.
    speedup : over as many multipliers that multiply by every weight.
    published : cycles that were published; None of other prunings.
    """

    name: str
    pruning: str
    placement: str
    num_pes: int
    weights: int
    nnz: int
    cycles: int
    bound: int
    over_bound: float
    elementwise: int
    elementwise_share: float
    speedup: float
    published: int


@dataclass(frozen=True)
class RecurrentBench:
    """All cells, in each way."""

    cells: tuple[CellBench, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"cells": [asdict(cell) for cell in self.cells]}

    def report(self) -> Report:
        """Return it as a table."""
        rows: list[list[object]] = [
            [
                cell.name,
                cell.num_pes,
                cell.pruning,
                cell.placement,
                cell.nnz,
                cell.cycles,
                cell.bound,
                f"{cell.over_bound:.3f} x",
                f"{cell.elementwise} ({100 * cell.elementwise_share:.1f} %)",
                f"{cell.speedup:.2f} x",
                cell.published,
            ]
            for cell in self.cells
        ]
        return [
            Table(
                "Cycles of a step, all activations non-zero",
                [
                    "cell", "PEs", "pruning", "rows", "non-zero", "cycles", "bound", "over it",
                    "element-wise", "over dense", "published",
                ],
                rows,
            )
        ]  # fmt: skip


def bench_recurrent() -> RecurrentBench:
    """Count a step of each published cell, for plain and balanced pruning, in both placements."""
    return RecurrentBench(
        tuple(
            _bench(cell, pruning, placement)
            for cell in CELLS
            for pruning in get_args(Pruning)
            for placement in ("interleave", "schedule")
        )
    )


def _bench(cell: PublishedCell, pruning: Pruning, placement: str) -> CellBench:
    p = replace(
        PRESETS["best"].params, num_pes=cell.num_pes, cells=True, num_accs=256, num_states=64
    )
    drawn = list(_draw(cell, pruning, p))
    made, vectors = _placed(cell, drawn, placement, p)
    passes, scanned = [], []
    for matrix in drawn:
        outputs, columns = made[matrix.layer], vectors[matrix.vector]
        is_cell = not matrix.layer
        height = int(outputs.max()) // p.num_pes + 1
        # Sums of a unit lie one behind the other, as many rows apart as there are units.
        sums = np.arange(SUMS if is_cell else 1)[:, None] * height * p.num_pes
        rows = (sums + outputs).ravel()
        positions = (int(columns.max()) // p.num_pes + 1) * p.num_pes
        window = 0, height * len(sums)
        encoded = encode(matrix.codes.tocsr(), columns, rows, positions, window, p)
        streams = tuple(
            ColumnStream(encoded.codes[start:end], encoded.runs[start:end], encoded.pointers[pe])
            for pe, (start, end) in enumerate(zip(encoded.starts, encoded.starts[1:], strict=False))
        )
        drains = matrix is drawn[1] or not is_cell
        passes.append(
            PassModel(len(passes), p.num_codes - 1, height * drains, column_work(streams, p),
                      is_cell=is_cell)
        )  # fmt: skip
        there = np.zeros(positions, np.bool_)
        there[columns] = True
        scanned.append(there.reshape(-1, p.num_pes))
    cycles, _ = run_program(passes, scanned, p)
    nnz = sum(int(matrix.codes.nnz) for matrix in drawn)
    weights = SUMS * cell.units * (cell.inputs + (cell.projection or cell.units))
    weights += cell.projection * cell.units
    elementwise = sum(one.drain_cycles for one in passes if one.is_cell)
    bound = -(-nnz // p.num_pes)
    return CellBench(
        name=cell.name,
        pruning=pruning,
        placement=placement,
        num_pes=p.num_pes,
        weights=weights,
        nnz=nnz,
        cycles=cycles,
        bound=bound,
        over_bound=cycles / bound,
        elementwise=elementwise,
        elementwise_share=elementwise / cycles,
        speedup=weights / p.num_pes / cycles,
        published=cell.cycles,
    )


def _draw(cell: PublishedCell, pruning: Pruning, p: EieParams) -> Iterator[Matrix]:
    """Draw the matrices: of layer 0, the cell, of inputs and earlier outputs; of layer 1.

    Vectors are the input, what the step before has left, and hidden units.
    """
    rng = np.random.default_rng(len(cell.name))
    past = cell.projection or cell.units
    shapes = [(0, 0, SUMS * cell.units, cell.inputs), (0, 1, SUMS * cell.units, past)]
    if cell.projection:
        shapes.append((1, 2, cell.projection, cell.units))
    for (layer, vector, rows, columns), density in zip(shapes, cell.densities, strict=True):
        outputs = cell.units if not layer else rows
        scale = np.exp(_SPREAD * rng.standard_normal(outputs))
        weights = np.abs(rng.standard_normal((rows, columns)))
        weights *= np.tile(scale, rows // outputs)[:, None]
        kept = np.zeros(weights.shape, np.bool_)
        shares = np.arange(rows) % outputs % p.num_pes
        groups = range(p.num_pes) if pruning == "balanced" else [None]
        for group in groups:
            here = np.ones(rows, np.bool_) if group is None else shares == group
            part = weights[here]
            most = np.sort(part, axis=None)[::-1][round(density * part.size) - 1]
            kept[here] = part >= most
        codes = rng.integers(1, p.num_codes, weights.shape) * kept
        codebook = np.arange(p.num_codes)
        yield Matrix(layer, vector, csc_array(codes.astype(np.uint8)), codebook)


def _placed(
    cell: PublishedCell, drawn: list[Matrix], placement: str, p: EieParams
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Return positions of the outputs of each layer, and of each vector."""
    sizes = [cell.inputs, cell.projection or cell.units, cell.units]
    outputs = [cell.units, cell.projection][: 1 + bool(cell.projection)]
    made = [np.arange(size, dtype=np.int64) for size in outputs]
    often = [np.ones(size) for size in sizes]
    if placement != "interleave":
        for layer in range(len(made)):
            found = [matrix for matrix in drawn if matrix.layer == layer]
            made[layer] = balance_rows(found, outputs[layer], often, p.num_pes)
    # Vector 0 is the input; 1 the outputs of the last layer, and 2 those of the cell.
    vectors = [np.arange(cell.inputs, dtype=np.int64), made[-1], made[0]]
    if placement != "interleave":
        for matrix in drawn:
            pes = made[matrix.layer] % p.num_pes
            work = column_counts(matrix, often[matrix.vector], pes, p.num_pes)
            if matrix.vector == 0:
                vectors[0][order_columns(work)] = np.arange(cell.inputs)
            else:
                own = vectors[matrix.vector] % p.num_pes
                order = order_columns_of_pes(work, own)
                vectors[matrix.vector][:] = order * p.num_pes + own
    return made, vectors
