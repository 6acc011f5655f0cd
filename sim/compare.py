"""Time a network's matrices on the CPU at hand, beside what arrays take."""

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import ParameterError
from zeroskip.base.progress import Progress, silent
from zeroskip.base.tables import Report, Table, percent
from zeroskip.compiler.frontend.networks import import_pieces
from zeroskip.compiler.ir.compute import run_nodes
from zeroskip.compiler.ir.graph import INPUT, FloatCell, FloatConv, FloatGraph, FloatLinear
from zeroskip.compiler.ir.sequences import rows_as_steps
from zeroskip.compiler.passes.fixed_point import sample_shape
from zeroskip.sim.cpu_ways import WAYS, Call, checked_calls, missing_ways
from zeroskip.sim.explore.explore import ExploredArray, explore
from zeroskip.sim.explore.result import ArrayEstimate
from zeroskip.sim.metrics import CLOCKS

__all__ = ["Comparison", "LayerTimes", "Timing", "compare", "comparison_report"]

_WARM = 3
_SHORTEST_NS = 200_000
"""Calls are repeated until they take this long together, as a clock counts no less."""


@dataclass(frozen=True)
class Timing:
    """Time of a product.

    Parameters
    ----------
    median, low, high : microseconds: the median, and the quarters below and above which others lie.
    """

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class LayerTimes:
    """A layer on the CPU, and on arrays.

    Parameters
    ----------
    name, density, act_density : of the layer.
    times : by way to compute it.
    cycles : by array, estimated.
    """

    name: str
    density: float
    act_density: float
    times: Mapping[str, Timing]
    cycles: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """All layers.

    Parameters
    ----------
    name : of the network.
    threads : that the CPU may use.
    ways : to compute on the CPU, and what each is.
    layers : in order.
    refused : sentences on what of the network is of no supported kind.
    missing : ways whose packages are not installed.
    """

    name: str
    threads: int
    ways: Mapping[str, str]
    layers: Sequence[LayerTimes]
    refused: Sequence[str]
    missing: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {**asdict(self), "clocks_mhz": list(CLOCKS)}


def compare(
    model: Path | str,
    x: Any = None,
    arrays: Sequence[ExploredArray] = (),
    *,
    shape: Sequence[int] | None = None,
    output_name: str | None = None,
    threads: int = 1,
    repeats: int = 30,
    progress: Progress | None = None,
) -> Comparison:
    """Time a network's matrices, one input at a time, and check that all ways give the same.

    Parameters
    ----------
    model, x, arrays, shape, output_name : as for :func:`.explore`; the first input is timed.
    threads : that the CPU may use.
    repeats : of each measurement.
    progress : see :data:`.Progress`.

    Raises
    ------
    ParameterError
        If a number is below 1.
    SimulationError
        If a way to compute gives other outputs.
    """
    for name, value in (("threads", threads), ("repeats", repeats)):
        if value < 1:
            raise ParameterError(name, value, "at least 1")
    import torch

    tell = progress or silent
    found = explore(model, x, arrays, shape=shape, output_name=output_name, progress=progress)
    pieces = import_pieces(model, shape if x is None else sample_shape(x), output_name)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        layers: list[LayerTimes] = []
        for number, graph in enumerate(pieces.graphs):
            given = None if number or x is None else np.asarray(x, np.float64)
            for node, source in _operands(graph, given):
                tell("time on the CPU", len(layers), len(layers) + 1)
                times = {
                    way: _timed(call, repeats) for way, call in checked_calls(node, source, threads)
                }
                layers.append(
                    LayerTimes(
                        name=node.name,
                        density=float(np.mean(node.weight != 0)),
                        act_density=float(np.mean(source != 0)),
                        times=times,
                        cycles=_cycles(node.name, found.arrays),
                    )
                )
    finally:
        torch.set_num_threads(before)
    ways = {way: WAYS[way] for layer in layers for way in layer.times}
    return Comparison(found.name, threads, ways, layers, found.refused, missing_ways())


def _operands(
    graph: FloatGraph, x: NDArray[np.float64] | None
) -> Iterator[tuple[FloatConv | FloatLinear, NDArray[np.float32]]]:
    """Yield each layer with weights and what it reads of one input: (1, C, H, W).

    Of a sequence that is its last step; a recurrent layer's matrices are side by side.
    """
    shape, steps = graph.input_shape, graph.input_steps
    drawn = np.random.default_rng(0)
    values = drawn.standard_normal((steps, *shape)) if x is None else x[:1]
    tensors = {INPUT: values.reshape(steps, *shape)}
    tensors |= {node.name: y for node, y in run_nodes(graph, tensors[INPUT])}
    for node in graph.nodes:
        if not isinstance(node, FloatConv | FloatLinear | FloatCell):
            continue
        whole = tensors[node.inputs[0]]
        read = (rows_as_steps(whole) if graph.reads_rows(node) else whole)[-1:].astype(np.float32)
        if isinstance(node, FloatCell):
            past = tensors[node.past]
            before = past[-2:-1] if len(past) > 1 else np.zeros_like(past)
            both = [read.reshape(1, -1), before.reshape(1, -1).astype(np.float32)]
            yield (
                _side_by_side(node, graph.projection(node)),
                np.concatenate(both, axis=1)[:, :, None, None],
            )
        else:
            yield node, read


def _side_by_side(cell: FloatCell, projection: FloatLinear | None) -> FloatLinear:
    """Return the matrices of a recurrent layer as one, without rows that are no weights."""
    # Here, since it needs torch.
    from zeroskip.compiler.compress.rebuild import recurrent_layer

    state = recurrent_layer(cell, projection).state_dict()
    both = np.concatenate([state[f"weight_{of}_l0"].numpy() for of in ("ih", "hh")], axis=1)
    return FloatLinear(
        cell.name, cell.inputs, both.astype(np.float64), np.zeros(len(both)), relu=False
    )


def _cycles(name: str, arrays: Sequence[ArrayEstimate]) -> dict[str, float]:
    return {
        f"{array.engine} {array.name}": layer.cycles
        for array in arrays
        for layer in array.layers
        if layer.name == name
    }


def _timed(call: Call, repeats: int) -> Timing:
    """Time a call: it is made often enough that a clock can tell."""
    for _ in range(_WARM):
        call()
    begin = time.perf_counter_ns()
    call()
    once = max(1, time.perf_counter_ns() - begin)
    together = max(1, -(-_SHORTEST_NS // once))
    found: list[float] = []
    for _ in range(repeats):
        begin = time.perf_counter_ns()
        for _ in range(together):
            call()
        found.append((time.perf_counter_ns() - begin) / together / 1e3)
    low, median, high = (
        statistics.quantiles(found, n=4, method="inclusive") if repeats > 1 else found * 3
    )
    return Timing(median, low, high)


def comparison_report(found: Comparison) -> Report:
    """Return the times of each layer, and a sentence on who is faster where."""
    ways, arrays = list(found.ways), list(dict.fromkeys(_arrays(found)))
    yield from found.refused
    yield Table(
        f"CPU, {found.threads} thread{'s' * (found.threads > 1)}, one input: microseconds, median "
        "(quarters)",
        ["layer", "density", "acts != 0", *ways],
        [
            [
                layer.name,
                percent(layer.density),
                percent(layer.act_density),
                *(_spread(layer.times.get(way)) for way in ways),
            ]
            for layer in found.layers
        ],
    )
    yield Table(
        "Arrays, cycles estimated, and microseconds at clocks",
        ["array", "layers", "cycles", *(f"{mhz} MHz" for mhz in CLOCKS), "best on CPU"],
        [_row(found, array) for array in arrays],
    )
    yield from (f"{way}: {what}" for way, what in found.ways.items())
    if found.missing:
        names = " and ".join(found.missing)
        yield f"not timed, as not installed: {names} (pip install {' '.join(found.missing)})"
    yield from (_verdict(found, array) for array in arrays)


def _arrays(found: Comparison) -> Iterator[str]:
    for layer in found.layers:
        yield from layer.cycles


def _sums(found: Comparison, array: str) -> tuple[int, float, float, str]:
    """Return layers on an array, their cycles, and the least time and way of the CPU for them."""
    layers = [layer for layer in found.layers if array in layer.cycles]
    cycles = sum(layer.cycles[array] for layer in layers)
    totals = {
        way: sum(layer.times[way].median for layer in layers)
        for way in found.ways
        if all(way in layer.times for layer in layers)
    }
    way = min(totals, key=totals.__getitem__)
    return len(layers), cycles, totals[way], way


def _row(found: Comparison, array: str) -> list[object]:
    layers, cycles, best, way = _sums(found, array)
    times = [f"{cycles / mhz:.1f}" for mhz in CLOCKS]
    return [array, layers, f"{cycles:.0f}", *times, f"{best:.1f} ({way})"]


def _verdict(found: Comparison, array: str) -> str:
    _, cycles, best, way = _sums(found, array)
    needed = cycles / best
    return (
        f"{array}: below {needed:.0f} MHz this CPU ({way}) is faster, above it the array, without "
        "what the host moves"
    )


def _spread(timing: Timing | None) -> str:
    if timing is None:
        return "-"
    return f"{timing.median:.1f} ({timing.low:.1f} to {timing.high:.1f})"
