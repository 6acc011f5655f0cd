"""Recurrent networks in fixed point, drawn."""

from typing import Any, Literal, cast

import numpy as np
from scipy.sparse import csc_array

from zeroskip.compiler.ir.graph import (
    INPUT,
    Pair,
    QuantCell,
    QuantGraph,
    QuantLinear,
    Shape,
    plain_codebook,
)
from zeroskip.compiler.ir.sequences import Sweep
from zeroskip.hw.common.tanh import ARGUMENT_FRAC
from zeroskip.hw.eie.params import EieParams

__all__ = ["draw_cell", "draw_recurrent"]


_SWEEPS: tuple[tuple[Sweep, ...], ...] = (
    ("forward",), ("reverse",), ("forward", "reverse"), ("forward", "final"),
)  # fmt: skip


def _stored(codes: Any, codebook: Any, p: EieParams) -> tuple[Any, Any]:
    """Return codes and codebook as the array has them: plain weights are their own codes."""
    if not p.plain:
        return codes, codebook
    codes.data = (codebook[codes.data] % p.num_codes).astype(np.uint16)
    codes.eliminate_zeros()
    return codes, plain_codebook(p.weight_bits)


def _codes(rng: np.random.Generator, shape: tuple[int, int], p: EieParams, density: float) -> Any:
    codes = rng.integers(1, p.num_codes, shape) * (rng.random(shape) < density)
    return csc_array(codes.astype(np.min_scalar_type(p.num_codes - 1)))


def _codebook(rng: np.random.Generator, p: EieParams, largest: int) -> Any:
    codebook = rng.integers(-largest, largest + 1, p.num_codes)
    codebook[0] = 0
    return codebook


def draw_cell(
    rng: np.random.Generator,
    p: EieParams,
    name: str,
    source: tuple[str, ...],
    shape: Shape,
    units: int,
    kind: Literal["lstm", "gru"],
    steps: int,
    projected: int = 0,
    sweep: Sweep = "forward",
    *,
    peepholes: bool = False,
) -> QuantCell:
    """Draw a recurrent layer whose sums are about as large as the functions' arguments.

    ``projected`` are the outputs of the Linear layer behind it that it reads; 0: it reads its own.
    """
    columns = shape[0]
    frac = int(rng.integers(ARGUMENT_FRAC, ARGUMENT_FRAC + 5))
    in_frac, out_frac = (p.act_bits - 1,) * 2
    # Inputs are below 1, and weights about one over the root of how many there are.
    largest = min(int(3 * 2.0 ** (frac - out_frac) + 2), (1 << p.weight_bits - 1) - 1)
    bias = rng.integers(-(1 << frac), (1 << frac) + 1, 4 * units)
    if kind == "lstm":
        # Forget gates that are open, and candidates of one sign, make states grow.
        bias[: 3 * units] += rng.integers(0, 7 << frac, 3 * units)
    found = [
        _codes(rng, (4 * units, read), p, rng.choice([0.0, 0.2, 0.7]))
        for read in (columns, projected or units)
    ]
    (matrix, codebook), (recurrent, own) = (
        _stored(codes, _codebook(rng, p, largest), p) for codes in found
    )
    return QuantCell(
        name=name,
        kind=kind,
        inputs=source,
        in_shape=shape,
        matrix=matrix,
        recurrent=recurrent,
        codebook=codebook,
        recurrent_codebook=own,
        bias=bias.astype(np.int64),
        in_frac=in_frac,
        weight_frac=frac - in_frac,
        recurrent_frac=frac - out_frac,
        out_frac=out_frac,
        steps=steps,
        sweep=sweep,
        projection=f"projection_of_{name}" if projected else None,
        peepholes=_peepholes(rng, units) if peepholes else None,
        thresholds=_thresholds(rng.spawn(1)[0], p) if p.delta else None,
    )


def _thresholds(rng: np.random.Generator, p: EieParams) -> Pair | None:
    """Draw thresholds: none, all changes count, some do, or hardly any."""
    largest = rng.choice([-1, 0, 1 << p.act_bits - 4, p.max_act - 1])
    if largest < 0:
        return None
    return int(rng.integers(0, largest + 1)), int(rng.integers(0, largest + 1))


def _peepholes(rng: np.random.Generator, units: int) -> Any:
    """Draw weights for states, which are up to 8; forget gates stay open often."""
    largest = 1 << int(rng.integers(8, 16))
    weights = rng.integers(-largest, largest, (3, units))
    weights[1] = np.abs(weights[1])
    return weights


def _draw_linear(
    rng: np.random.Generator,
    p: EieParams,
    name: str,
    source: tuple[str, ...],
    shape: Shape,
    outputs: int,
) -> QuantLinear:
    frac = int(rng.integers(4, 8))
    codes = _codes(rng, (outputs, shape[0]), p, 0.6)
    codes, codebook = _stored(codes, _codebook(rng, p, 1 << frac), p)
    return QuantLinear(
        name=name,
        inputs=source,
        in_shape=shape,
        codes=codes,
        codebook=codebook,
        bias=rng.integers(-999, 999, outputs),
        relu=bool(rng.integers(0, 2)),
        in_frac=p.act_bits - 1,
        weight_frac=frac,
        out_frac=p.act_bits - 1,
    )


def draw_recurrent(
    seed: int, p: EieParams, steps: int | None = None, *, turns: bool = False
) -> tuple[QuantGraph[Any], Any]:
    """Draw a network of one or two recurrent layers, with Linear layers before and behind them.

    With ``turns``, some take steps in the other order, or there are two side by side.

    Returns
    -------
    The network, and (2 * steps, columns, 1, 1) inputs of two sequences.
    """
    rng = np.random.default_rng(seed)
    # States saturate after nine steps at the earliest.
    steps = int(rng.choice([1, 2, 3, 4, 20])) if steps is None else steps
    columns = int(rng.integers(1, 12))
    kinds = ["linear", "lstm", "gru"]
    order = [kinds[n] for n in rng.integers(0, 3, int(rng.integers(0, 3)))]
    order.insert(int(rng.integers(0, len(order) + 1)), kinds[int(rng.integers(1, 3))])
    layers: list[QuantCell | QuantLinear] = []
    source, shape = (INPUT,), (columns, 1, 1)
    for number, kind in enumerate(order):
        outputs = int(rng.integers(1, 9))
        name = f"{kind}_{number}"
        if kind == "linear":
            layers.append(_draw_linear(rng, p, name, source, shape, outputs))
            source, shape = (name,), layers[-1].out_shape
            continue
        cell = cast(Literal["lstm", "gru"], kind)
        projected = int(rng.integers(1, 9)) * (kind == "lstm" and seed % 3 == 1)
        # What reads a final state has no steps of its own.
        ways = _SWEEPS if set(order[number + 1 :]) <= {"linear"} else _SWEEPS[:-1]
        sweeps = ways[int(rng.integers(0, len(ways)))] if turns else _SWEEPS[0]
        sides: list[str] = []
        width = 0
        for sweep in sweeps:
            own = name if len(sweeps) == 1 else f"{name}.{sweep}"
            units = outputs if sweep == "forward" else int(rng.integers(1, 9))
            made = draw_cell(
                rng, p, own, source, shape, units, cell, steps, projected, sweep,
                peepholes=kind == "lstm" and seed % 2 == 0,
            )  # fmt: skip
            layers.append(made)
            if made.projection is not None:
                behind = made.projection, (own,), made.out_shape, projected
                layers.append(_draw_linear(rng, p, *behind))
            sides.append(made.past)
            width += layers[-1].out_shape[0]
        source, shape = tuple(sides), (width, 1, 1)
    graph = QuantGraph(
        (columns, 1, 1), tuple(layers), source, (steps, columns), steps=steps,
        every_step=bool(rng.integers(0, 2)),
    )  # fmt: skip
    inputs = rng.integers(-(1 << p.act_bits - 1), 1 << p.act_bits - 1, (2 * steps, columns, 1, 1))
    return graph, inputs * (rng.random(inputs.shape) < 0.7)
