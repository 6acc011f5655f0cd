"""Compile a network with convolutions, in float or in fixed point, to an image."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.eie.place import Activity, Strategy, place
from zeroskip.compiler.eie.program import build as build_tail
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import FloatCnn, QuantCnn, QuantGraph
from zeroskip.compiler.scnn.check import check_tail
from zeroskip.compiler.scnn.handoff import find_handoff
from zeroskip.compiler.scnn.image import CnnImage
from zeroskip.compiler.scnn.order import balance_channels
from zeroskip.compiler.scnn.program import build, many_runs
from zeroskip.compiler.scnn.quantize import quantize
from zeroskip.compiler.scnn.quantize_report import fixed_point_errors
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.compiler.scnn.strides import choose_strides
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["compile_cnn", "compile_quantized_cnn"]


def compile_cnn(
    cnn: FloatCnn,
    calibration: Any,
    params: ScnnParams,
    tail_params: EieParams | None = None,
    *,
    share: bool = False,
    placement: Strategy = "interleave",
    name: str,
    progress: Progress | None = None,
) -> CnnImage:
    """Compile a network that a front end has read.

    Parameters
    ----------
    cnn : see :class:`.FloatCnn`.
    calibration : (samples, C, H, W) floats like those of real use; formats are chosen, and errors
        measured, on them.
    share : see :func:`.quantize`.
    params, tail_params, placement, name, progress : see :func:`compile_quantized_cnn`.

    Raises
    ------
    InputError
        If ``calibration`` is unusable.
    CompileError
        If the network does not fit the arrays.
    """
    tell = progress or silent
    tell("choose formats", 0, 2)
    tail_params = tail_params if cnn.tail is not None else None
    network, numbers = quantize(cnn, calibration, params, tail_params, share=share)
    tell("choose formats", 1, 2)
    numbers = fixed_point_errors(cnn, network, numbers, calibration, params, tail_params)
    tell("choose formats", 2, 2)
    return compile_quantized_cnn(
        network,
        params,
        tail_params,
        placement=placement,
        name=name,
        densities=numbers.densities,
        activity=None if numbers.tail is None else numbers.tail.activity,
        report={"quantization": numbers.to_dict()},
        progress=progress,
    )


def compile_quantized_cnn(
    network: QuantCnn,
    params: ScnnParams,
    tail_params: EieParams | None = None,
    *,
    placement: Strategy = "interleave",
    name: str,
    densities: Mapping[str, float] | None = None,
    activity: Activity | None = None,
    report: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> CnnImage:
    """Compile a network that is in fixed point already.

    The columns of EIE's first layer stand in the order in which SCNN's outputs come if they can go
    to EIE without the host. Output channels of layers are renumbered where that saves cycles, see
    :func:`.balance_channels`; the report's ``channel_order`` says how.
    Kernels as large as their padded input get the stride that is fastest. The report's
    ``many_runs`` says which layers are cut into more than :data:`.MANY_RUNS` runs.

    Parameters
    ----------
    network : see :class:`.QuantCnn`.
    params : of the SCNN array.
    tail_params : of the EIE array; needed if there is a tail.
    placement : of the tail's rows, see :data:`.Strategy`.
    name : of the image.
    densities : see :func:`.build`.
    activity : of the tail, see :func:`.place`.
    report : more to go into the image's report.
    progress : called with a step's name, how much of it is done, and of how much.

    Raises
    ------
    CompileError
        If the network does not fit the arrays.
    """
    tell = progress or silent
    more = dict(report or {})
    if network.tail is not None:
        tail_params = check_tail(params, tail_params)
    graph, orders = balance_channels(network.graph, params, densities, tell)
    network = dataclasses.replace(network, graph=graph)
    if orders:
        more["channel_order"] = {name: order.tolist() for name, order in orders.items()}
    graph, runs = _map(network, params, densities, tell)
    network = dataclasses.replace(network, graph=graph)
    tail: Image | None = None
    if network.tail is not None and tail_params is not None:
        positions = place(network.tail, tail_params, placement, activity)
        handoff = find_handoff(graph, runs, params)
        if handoff is not None:
            # In which order columns come costs little; that they come without the host, much.
            positions = (handoff.positions, *positions[1:])
        segments = build_tail(
            network.tail, positions, tail_params, lambda done, total: tell("encode", done, total)
        )
        about = {"placement": placement}
        tail = Image(name, tail_params, network.tail, positions, segments, about)
        more["placement"] = placement
    more["runs"] = len(runs)
    if many := many_runs(graph, runs):
        more["many_runs"] = many
    return CnnImage(name=name, params=params, network=network, runs=runs, tail=tail, report=more)


def _map(
    network: QuantCnn,
    params: ScnnParams,
    densities: Mapping[str, float] | None,
    tell: Progress,
) -> tuple[QuantGraph, tuple[ScnnRun, ...]]:
    """Build the runs of a network, and say with which strides."""
    graph = choose_strides(network.graph, params, densities, tell)
    runs = build(graph, params, densities, tell)
    changed = any(
        new.stride != old.stride
        for new, old in zip(graph.layers, network.graph.layers, strict=True)
    )
    if changed and network.tail is not None and find_handoff(graph, runs, params) is None:
        # That no host is needed is worth more than a faster layer.
        before = build(network.graph, params, densities, tell)
        if find_handoff(network.graph, before, params) is not None:
            return network.graph, before
    return graph, runs
