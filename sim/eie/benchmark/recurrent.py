"""Recurrent layers of the papers as whole cells: cycles of a step on the cycle model."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from scipy.sparse import csc_array

from zeroskip.base.tables import Report, Table
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.eie.presets import PRESETS
from zeroskip.compiler.ir.cells import SUMS
from zeroskip.compiler.ir.graph import (
    INPUT,
    QuantCell,
    QuantGraph,
    QuantLayer,
    QuantLinear,
)
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.cycles.image import image_segments, run_image

__all__ = ["CELLS", "CellBench", "PublishedCell", "RecurrentBench", "bench_recurrent"]

Pruning = Literal["plain", "balanced"]
"""``plain``: one threshold for a matrix. ``balanced``: one for each PE's share of interleaved rows,
so that all have as many weights (ESE's load-balance-aware pruning)."""

_SPREAD = 0.15
"""Deviation of the logarithm of how large the weights of a hidden unit are: units are not alike,
and a threshold for all prunes some more than others."""

_STEPS = 2
"""Steps of a sequence: the second is counted, whose outputs of the step before are no zeros."""


@dataclass(frozen=True)
class PublishedCell:
    """An LSTM whose sizes and densities were published.

    Parameters
    ----------
    name : of it.
    inputs, units : values of an input, and hidden units.
    projection : outputs of a projection, which are what the next step reads; 0 if there is none.
    peepholes : its gates see its state.
    densities : of the matrices of inputs, of earlier outputs, and of the projection.
    num_pes : PEs of the machine that it was run on.
    cycles : that it took there.
    source : of the numbers.
    """

    name: str
    inputs: int
    units: int
    projection: int
    peepholes: bool
    densities: tuple[float, ...]
    num_pes: int
    cycles: int
    source: str


CELLS = (
    PublishedCell(
        # 18,280, 59,696 and 52,416 weights a matrix on average.
        "ESE", 153, 1024, 512, True, (0.1167, 0.1139, 0.1000), 32, 16540,
        "FPGA 2017: 82.7 us at 200 MHz",
    ),
    PublishedCell(
        "NT-LSTM", 600, 600, 0, False, (0.10, 0.10), 64, 6000, "ISCA 2016: 7.5 us at 800 MHz"
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
        """Return the evaluation as a dictionary that JSON can have."""
        return {"cells": [asdict(cell) for cell in self.cells]}

    def report(self) -> Report:
        """Return the evaluation as a table."""
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
        PRESETS["best"].params, num_pes=cell.num_pes, cells=True, num_accs=256, num_states=64,
        peepholes=cell.peepholes,
    )  # fmt: skip
    options = {"placement": placement}
    network = _network(cell, pruning, p)
    part = compile_quantized(network, {"eie": p}, options=options, name=cell.name).part("eie")
    vectors = [np.ones((_STEPS, len(positions)), np.int64) for positions in part.placement]
    cycles = int(run_image(part, vectors)[0][-1])
    ((passes, _),) = image_segments(part)
    nnz = sum(layer.nonzeros for layer in part.layers)
    weights = sum(layer.num_weights for layer in part.layers)
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


def _network(cell: PublishedCell, pruning: Pruning, p: EieParams) -> QuantGraph[QuantLayer]:
    """Draw a network of the cell, and of its projection if it has one."""
    rng = np.random.default_rng(len(cell.name))
    rows, past = SUMS * cell.units, cell.projection or cell.units
    shapes = [(rows, cell.inputs), (rows, past), (cell.projection, cell.units)]
    matrices = [
        _draw(rng, shape, density, cell.units if shape[0] == rows else shape[0], pruning, p)
        for shape, density in zip(shapes, cell.densities, strict=False)
    ]
    codebook, in_shape = np.arange(p.num_codes), (cell.inputs, 1, 1)
    frac = p.act_bits - 1
    layers: list[QuantLayer] = [
        QuantCell(
            name=cell.name,
            kind="lstm",
            inputs=(INPUT,),
            in_shape=in_shape,
            matrix=matrices[0],
            recurrent=matrices[1],
            codebook=codebook,
            recurrent_codebook=codebook,
            bias=np.zeros(rows, np.int64),
            in_frac=frac,
            weight_frac=0,
            recurrent_frac=0,
            out_frac=frac,
            steps=_STEPS,
            projection="projection" if cell.projection else None,
            peepholes=np.zeros((3, cell.units), np.int64) if cell.peepholes else None,
        )
    ]
    if cell.projection:
        layers.append(
            QuantLinear(
                name="projection",
                inputs=(cell.name,),
                in_shape=layers[0].out_shape,
                codes=matrices[2],
                codebook=codebook,
                bias=np.zeros(cell.projection, np.int64),
                relu=False,
                in_frac=frac,
                weight_frac=0,
                out_frac=frac,
            )
        )
    sample = _STEPS, cell.inputs
    return QuantGraph(in_shape, tuple(layers), (layers[-1].name,), sample, steps=_STEPS)


def _draw(
    rng: np.random.Generator,
    shape: tuple[int, int],
    density: float,
    outputs: int,
    pruning: Pruning,
    p: EieParams,
) -> csc_array:
    """Draw the codes of a matrix, whose row ``r`` is a sum of output ``r % outputs``."""
    rows = shape[0]
    scale = np.exp(_SPREAD * rng.standard_normal(outputs))
    weights = np.abs(rng.standard_normal(shape))
    weights *= np.tile(scale, rows // outputs)[:, None]
    kept = np.zeros(shape, np.bool_)
    shares = np.arange(rows) % outputs % p.num_pes
    for group in range(p.num_pes) if pruning == "balanced" else [None]:
        here = np.ones(rows, np.bool_) if group is None else shares == group
        part = weights[here]
        most = np.sort(part, axis=None)[::-1][round(density * part.size) - 1]
        kept[here] = part >= most
    codes = rng.integers(1, p.num_codes, shape) * kept
    return csc_array(codes.astype(np.uint8))
