"""Compile a network with convolutions that is in fixed point to an image."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.eie.place import Activity, Strategy, place
from zeroskip.compiler.eie.program import build as build_tail
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import QuantCnn, QuantGraph
from zeroskip.compiler.scnn.check import check_tail
from zeroskip.compiler.scnn.handoff import find_handoff
from zeroskip.compiler.scnn.image import CnnImage
from zeroskip.compiler.scnn.order import balance_channels
from zeroskip.compiler.scnn.program import build, many_runs
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.compiler.scnn.strides import choose_strides
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["compile_quantized_cnn"]


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
