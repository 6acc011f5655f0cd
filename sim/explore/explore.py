"""Explore a network: what it is made of, and what it would take on arrays."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError, InputError
from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.engine import FreeParams, Job, engine
from zeroskip.compiler.frontend.networks import import_module, import_pieces
from zeroskip.compiler.frontend.pieces import Pieces
from zeroskip.compiler.ir.compute import run_nodes, shapes
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatCell,
    FloatConv,
    FloatGraph,
    FloatLinear,
    FloatNode,
    QuantConv,
    QuantGraph,
    QuantLayer,
    dense_macs,
)
from zeroskip.compiler.passes.fixed_point import check_planes, sample_shape
from zeroskip.compiler.passes.partition import arithmetics, taker
from zeroskip.compiler.passes.parts import cut
from zeroskip.compiler.passes.quantize import quantize
from zeroskip.compiler.passes.share import distinct_values
from zeroskip.flow.synth.baseline import read_baseline
from zeroskip.sim.energy.measure import LayerEnergy, priced
from zeroskip.sim.energy.technology import read_technology
from zeroskip.sim.estimate import LayerEstimate, NonZeros
from zeroskip.sim.explore.advice import advise
from zeroskip.sim.explore.result import ArrayEstimate, Exploration, ExploredLayer
from zeroskip.sim.machine import machine
from zeroskip.sim.products import act_macs, past_of, useful_macs

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ExploredArray", "explore"]

_DRAWN = 4
"""Random inputs that a network is explored with, at most, if none are given."""
_DRAWN_MACS = 2_000_000_000
"""Products of a dense machine beyond which fewer are drawn, one at least: a large network is much
the same for each."""
_TRIED = 3
"""Presets of an engine that are explored unless arrays are named."""
_MOST_VALUES = 255


@dataclass(frozen=True)
class ExploredArray:
    """An array to estimate.

    Parameters
    ----------
    engine, name : of the array.
    params, options : of the array, and of the compiler.
    exact : it is the preset of that name.
    """

    engine: str
    name: str
    params: Any
    options: Mapping[str, Any]
    exact: bool = True


@dataclass(frozen=True)
class _Piece:
    """A part of a network that is supported.

    Parameters
    ----------
    graph : with weights of the same pattern and few values.
    nonzeros : of every tensor.
    values : by layer, different weights; None if there are too many.
    """

    graph: QuantGraph[QuantLayer]
    nonzeros: NonZeros
    values: Mapping[str, int | None]


def explore(
    model: "Path | str | FloatGraph | nn.Module",
    x: Any = None,
    arrays: Sequence[ExploredArray] = (),
    *,
    example_input: Any = None,
    shape: Sequence[int] | None = None,
    output_name: str | None = None,
    name: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Exploration:
    """Say what a network is made of, and estimate what it would take on arrays.

    Nothing is compiled, and nothing simulated: weights are taken as they are, and activations are
    those that inputs make in float. What is not supported is named, and the rest is explored.

    Parameters
    ----------
    model : a ``.pt2``, ``.onnx`` or ``.caffemodel`` file, or a torch module.
    x : (samples, *input_shape) floats; unless given, a few are drawn from the normal distribution.
    arrays : to estimate; unless given, the first presets of each engine that has layers.
    example_input : (batch, *input_shape) for a module, if there is neither ``x`` nor ``shape``.
    shape : of a sample, if there is no ``x``, and ``model`` is a module or leaves its sizes open.
    output_name : of a file, the tensor that the network gives instead of all outputs: one of these,
        or any before.
    name : of the network; else that of the file.
    seed : of the inputs that are drawn.
    progress : see :data:`.Progress`.

    Raises
    ------
    InputError
        If an argument is unusable.
    CompileError
        If nothing of the network is supported.

    Examples
    --------
    >>> found = zs.explore(model, x)
    >>> cycles, advice = found.arrays[0].cycles, found.arrays[0].advice
    """
    tell = progress or silent
    tell("read the model", 0, 1)
    pieces, label = _read(
        model, example_input, shape if x is None else sample_shape(x), output_name
    )
    tell("read the model", 1, 1)
    named = list(dict.fromkeys(array.engine for array in arrays))
    drawn = np.random.default_rng(seed)
    made: list[_Piece] = []
    inputs = 0
    for number, graph in enumerate(pieces.graphs):
        tell("run in float", number, len(pieces.graphs))
        given = None if number else x
        samples = _samples(graph, given, drawn)
        inputs = inputs or len(samples)
        made.append(_piece(graph, samples, arrays))
    tell("run in float", len(pieces.graphs), len(pieces.graphs))
    parts = [
        (kind, part, piece)
        for piece in made
        for kind, part in cut(piece.graph, lambda layer: taker(layer, named))
    ]
    kinds = list(dict.fromkeys(kind for kind, _, _ in parts))
    work = {kind: _work(kind, parts) for kind in kinds}
    for missing in (kind for kind in named if kind not in kinds):
        raise InputError(f"the network has no layers for {missing}: name no array of it")
    nodes = [node for graph in pieces.graphs for node in graph.nodes]
    chosen = list(arrays) + [
        array
        for kind in kinds
        if kind not in named
        for array in _default_arrays(kind, [n for n in nodes if taker(n, named) == kind])
    ]
    first = {array.engine: number for number, array in reversed([*enumerate(chosen)])}
    found = [
        _estimate(array, parts, work[array.engine], tell, advised=first[array.engine] == number)
        for number, array in enumerate(chosen)
    ]
    return Exploration(
        name=name or label,
        source="given" if x is not None else "drawn from the normal distribution",
        inputs=inputs,
        layers=[layer for layers in work.values() for layer in layers],
        arrays=found,
        refused=pieces.refused,
        notes=[
            *pieces.notes,
            *(
                f"layer {node.name!r} is recurrent: products and cycles are of one step of "
                f"{node.steps}"
                for node in nodes
                if isinstance(node, FloatCell)
            ),
        ],
    )


def _read(
    model: Any, example_input: Any, shape: Sequence[int] | None, output_name: str | None
) -> tuple[Pieces, str]:
    if isinstance(model, FloatGraph):
        return Pieces((model,), ()), "network"
    if isinstance(model, Path | str):
        return import_pieces(model, shape, output_name), Path(model).stem
    if example_input is None:
        if shape is None:
            raise InputError("with a module, give inputs, or shape, which is that of a sample")
        example_input = np.zeros((1, *shape), np.float32)
    return Pieces((import_module(model, example_input),), ()), type(model).__name__


def _samples(graph: FloatGraph, x: Any, drawn: np.random.Generator) -> NDArray[np.float64]:
    if x is None:
        found = shapes(graph)
        macs = sum(
            weight.size * np.prod(found[node.name][1:])
            for node in graph.nodes
            for weight in _weights(node)
        )
        count = min(_DRAWN, max(1, int(_DRAWN_MACS // max(macs, 1))))
        x = drawn.standard_normal((count, *(graph.sample_shape or graph.input_shape)))
    return check_planes(x, graph, "input", single=True)


def _piece(
    graph: FloatGraph, samples: NDArray[np.float64], arrays: Sequence[ExploredArray]
) -> _Piece:
    """Run a network in float; put weights of few values into it, zeros where they were."""
    there = {node.name: y != 0 for node, y in run_nodes(graph, samples)}
    counts = {
        node.name: max(distinct_values(weight, _MOST_VALUES) for weight in _weights(node))
        for node in graph.nodes
        if _weights(node)
    }
    values = {key: None if count > _MOST_VALUES else count for key, count in counts.items()}
    nodes = tuple(map(_with_signs, graph.nodes))
    shape, plain = graph.sample_shape or graph.input_shape, dataclasses.replace(graph, nodes=nodes)
    if graph.sample_axes is not None:
        # Dimensions of these samples are in the input's order already.
        shape = graph.input_steps, *graph.input_shape
        plain = dataclasses.replace(plain, sample_shape=shape, sample_axes=None)
    first = {array.engine: array.params for array in reversed(arrays)}
    widths = arithmetics(plain, *first.values())
    rounded, report = quantize(plain, samples.reshape(-1, *shape), widths)
    # A convolution that also does an addition makes what that has behind it.
    nonzeros = {INPUT: samples != 0} | {facts.name: there[facts.node] for facts in report.layers}
    layers = tuple(
        dataclasses.replace(layer, codebook=None)
        if isinstance(layer, QuantConv) and values.get(layer.name, 0) is None
        else layer
        for layer in rounded.layers
    )
    return _Piece(dataclasses.replace(rounded, layers=layers), nonzeros, values)


def _weights(node: FloatNode) -> list[NDArray[np.float64]]:
    if isinstance(node, FloatCell):
        return [node.weight, node.recurrent]
    return [node.weight] if isinstance(node, FloatConv | FloatLinear) else []


def _with_signs(node: FloatNode) -> FloatNode:
    if isinstance(node, FloatCell):
        return dataclasses.replace(
            node, weight=_signs(node.weight), recurrent=_signs(node.recurrent)
        )
    if isinstance(node, FloatConv | FloatLinear):
        return dataclasses.replace(node, weight=_signs(node.weight), values=None, folded=())
    return node


def _signs(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights of one size with the signs, zeros and mean size of the given ones."""
    signs = np.sign(weight)
    count = np.count_nonzero(weight)
    signs *= np.vdot(signs, weight) / count if count else 1.0
    return signs


_Parts = Sequence[tuple[str, QuantGraph[Any], _Piece]]


def _work(kind: str, parts: _Parts) -> list[ExploredLayer]:
    found: list[ExploredLayer] = []
    for own, part, piece in parts:
        nonzeros = part.taken(piece.nonzeros)
        for layer in part.layers if own == kind else ():
            x = np.concatenate([nonzeros[name] for name in layer.inputs], axis=1)
            x = x.reshape(len(x), *layer.in_shape)
            past, nnz = past_of(layer, nonzeros), layer.nonzeros
            found.append(
                ExploredLayer(
                    name=layer.name,
                    kind=layer.kind,
                    engine=kind,
                    in_shape=layer.in_shape,
                    out_shape=layer.out_shape,
                    weights=layer.num_weights,
                    nnz=nnz,
                    values=piece.values.get(layer.name, 1),
                    act_density=float(x.mean()),
                    dense_macs=dense_macs(layer),
                    weight_macs=float(nnz * np.prod(layer.out_shape[1:])),
                    act_macs=float(act_macs(layer, x, past).mean()),
                    useful_macs=float(useful_macs(layer, x, past).mean()),
                )
            )
    return found


def _default_arrays(kind: str, nodes: Sequence[FloatNode]) -> Iterator[ExploredArray]:
    """Give the first presets of an engine; in the default one, the network chooses what is free."""
    found = engine(kind)
    for name, preset in [*found.presets.items()][:_TRIED]:
        free = FreeParams(preset.params, found.free)
        wanted = free if name == found.default else free.only_units()
        params, _ = found.choose(wanted, nodes, share=True)
        exact = params == preset.params
        label = name if exact else f"{name}, chosen"
        yield ExploredArray(kind, label, params, preset.options, exact=exact)


def _estimate(
    array: ExploredArray,
    parts: _Parts,
    work: Sequence[ExploredLayer],
    tell: Progress,
    *,
    advised: bool,
) -> ArrayEstimate:
    kind = array.engine
    step = f"estimate {kind} {array.name}"
    tell(step, 0, 1)

    def layers(
        params: Any, options: Mapping[str, Any], *, energy: bool = False
    ) -> list[LayerEstimate]:
        found: list[LayerEstimate] = []
        for own, part, piece in parts:
            if own == kind:
                nonzeros = part.taken(piece.nonzeros)
                job = _job(part, nonzeros, options)
                found += machine(kind).estimator.layers(part, params, job, nonzeros, energy=energy)
        return found

    estimate = ArrayEstimate(
        engine=kind,
        name=array.name,
        params=array.params,
        options=array.options,
        multipliers=machine(kind).multipliers(array.params),
        stated_error=machine(kind).estimator.error,
        stated_energy_error=machine(kind).estimator.energy_error,
        layers=(),
        work=work,
        area=_area(array),
    )
    try:
        made = layers(array.params, array.options, energy=advised)
        estimate = dataclasses.replace(estimate, layers=made)
    except CompileError as error:
        return dataclasses.replace(estimate, refusal=str(error))
    if advised:
        estimate = dataclasses.replace(estimate, energy=_energy(estimate))
        levers = machine(kind).estimator.levers(array.params, array.options)
        estimate = dataclasses.replace(estimate, advice=advise(estimate, levers, layers))
    tell(step, 1, 1)
    return estimate


def _energy(estimate: ArrayEstimate) -> list[LayerEnergy] | None:
    """Give what the layers do its energies; None if nothing counts it."""
    model, constants = machine(estimate.engine).energy, read_technology(None)
    activities = [layer.activity for layer in estimate.layers if layer.activity is not None]
    if model is None or len(activities) < len(estimate.layers):
        return None
    array = model.array(estimate.params)
    return [
        priced(
            activity,
            estimate.engine,
            array,
            constants,
            [*activity.events, *array.clock(activity.cycles)],
        )
        for activity in activities
    ]


def _job(
    part: QuantGraph[Any], nonzeros: Mapping[str, NDArray[np.bool_]], options: Mapping[str, Any]
) -> Job:
    return Job(
        options=options,
        densities={name: float(values.mean()) for name, values in nonzeros.items()},
        activity={
            layer.name: np.concatenate([
                nonzeros[name].mean(axis=0).ravel() for name in layer.inputs
            ])
            for layer in part.layers
        },
        report={},
        progress=silent,
        nonzero=nonzeros,
    )


def _area(array: ExploredArray) -> dict[str, Any] | None:
    """Return what was counted of exactly this array."""
    designs = read_baseline()
    name = f"{array.engine} {array.name}"
    if not array.exact or name not in designs:
        return None
    units = designs[name]["units"]
    of = "array" if "array" in units else "pe"
    return {"of": of, **units[of]}
