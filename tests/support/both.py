"""Networks whose convolutions are for one array and whose Linear layers for another."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tests.cosim.scnn_draw import draw_graph, draw_planes
from tests.support.arrays import SCNN
from tests.support.cells import draw_cell
from tests.support.images import follow
from zeroskip.base.errors import CompileError
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import QuantCell, QuantGraph, QuantLinear
from zeroskip.compiler.ir.sequences import Sweep, row_shape
from zeroskip.hw.eie.params import EieParams

__all__ = ["draw_both", "draw_frames", "real"]

EIE = EieParams(
    num_pes=4,
    act_files=3,
    acc_bits=40,
    spmat_words=64,
    num_pointers=64,
    num_acts=64,
    num_accs=8,
    num_biases=32,
    num_descriptors=8,
    cells=True,
    num_states=8,
)
"""With small memories, so that some networks take several runs."""

_SWEEPS: tuple[tuple[Sweep, ...], ...] = (("forward",), ("reverse",), ("forward", "final"))

_MOST = 200
"""Elements between the arrays, which EIE's activation file has room for."""


def draw_both(
    draw_network: Callable[..., QuantGraph[QuantLinear]], seed: int
) -> tuple[Image, NDArray[np.int64], np.random.Generator]:
    """Draw a network that fits, up to five inputs in fixed point, and what to draw more from."""
    for attempt in range(100):
        rng = np.random.default_rng((seed, attempt))
        graph = draw_graph(rng, SCNN, int(rng.integers(1, 4)), channels=4)
        elements = sum(int(np.prod(graph.shape(name))) for name in graph.outputs)
        if elements > _MOST:
            continue
        sizes = [elements, *rng.integers(1, 40, rng.integers(1, 3)).tolist()]
        density = float(rng.choice([0.05, 0.3, 0.7]))
        linear = draw_network(
            sizes, seed=seed, density=density, weight_bits=8, bias_bits=10, shift=6
        )
        first, *rest = linear.layers
        made = next(layer for layer in graph.layers if layer.name in graph.outputs)
        linear = replace(linear, layers=(replace(first, in_frac=made.out_frac), *rest))
        try:
            network = follow(graph, linear)
            image = compile_quantized(network, {"scnn": SCNN, "eie": EIE}, name="net")
        except CompileError:
            continue
        samples = int(rng.integers(1, 6))
        return image, draw_planes(rng, graph.input_shape, samples, SCNN, low=SCNN.min_act), rng
    raise AssertionError(f"seed {seed}: no network fits")


def draw_frames(
    seed: int, *, whole: bool = False
) -> tuple[Image, NDArray[np.int64], np.random.Generator]:
    """Draw convolutions of single steps, and a recurrent layer behind them, or two directions.

    With ``whole``, convolutions are of whole sequences, whose steps are rows of what they make.

    Returns
    -------
    An image, up to three sequences in fixed point, and what to draw more from.
    """
    for attempt in range(100):
        rng = np.random.default_rng((seed, attempt))
        graph = draw_graph(rng, SCNN, int(rng.integers(1, 3)), channels=4)
        elements = sum(int(np.prod(graph.shape(name))) for name in graph.outputs)
        steps = int(rng.integers(1, 5))
        made = next(layer for layer in graph.layers if layer.name in graph.outputs)
        shape = graph.shape(graph.outputs[0])
        in_shape = (sum(graph.shape(name)[0] for name in graph.outputs), *shape[1:])
        if whole:
            steps, in_shape = shape[1], row_shape(in_shape)
            elements = in_shape[0]
        cells: list[QuantCell] = []
        for sweep in _SWEEPS[seed % len(_SWEEPS)]:
            units = int(rng.integers(1, 9))
            source, flat = graph.outputs, (elements, 1, 1)
            kind = "gru" if seed % 2 else "lstm"
            cell = draw_cell(rng, EIE, sweep, source, flat, units, kind, steps, sweep=sweep)
            frac = cell.in_frac + cell.weight_frac
            cells.append(
                replace(
                    cell, in_shape=in_shape, in_frac=made.out_frac, weight_frac=frac - made.out_frac
                )
            )
        network = replace(
            graph,
            layers=(*graph.layers, *cells),
            outputs=tuple(cell.name for cell in cells),
            sample_shape=graph.input_shape if whole else (steps, *graph.input_shape),
            whole=whole,
            steps=steps,
            every_step=bool(rng.integers(0, 2)),
        )
        try:
            image = compile_quantized(network, {"scnn": SCNN, "eie": EIE}, name="net")
        except CompileError:
            continue
        samples = (1 if whole else steps) * int(rng.integers(1, 4))
        return image, draw_planes(rng, graph.input_shape, samples, SCNN, low=SCNN.min_act), rng
    raise AssertionError(f"seed {seed}: no network fits")


def real(image: Image, planes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the numbers that inputs in fixed point stand for."""
    return np.asarray(planes * 2.0**-image.in_frac, np.float64)
