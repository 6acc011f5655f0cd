"""Compile a network with convolutions, in float or in fixed point, to an image."""

from collections.abc import Callable, Mapping
from typing import Any

from compiler.eie.place import Activity, Strategy, place
from compiler.eie.program import build as build_tail
from compiler.errors import CompileError
from compiler.graph import QuantCnn
from compiler.image import Image
from compiler.scnn.handoff import find_handoff
from compiler.scnn.image import CnnImage
from compiler.scnn.program import build
from hw.eie.params import EieParams
from hw.scnn.params import ScnnParams

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
    progress: Callable[[str, int, int], None] | None = None,
) -> CnnImage:
    """Compile a network that is in fixed point already.

    The columns of EIE's first layer stand in the order in which SCNN's outputs come if they can go
    to EIE without the host.

    Parameters
    ----------
    network : see :class:`compiler.graph.QuantCnn`.
    params : of the SCNN array.
    tail_params : of the EIE array; needed if there is a tail.
    placement : of the tail's rows, see :data:`compiler.eie.place.Strategy`.
    name : of the image.
    densities : see :func:`compiler.scnn.program.build`.
    activity : of the tail, see :func:`compiler.eie.place.place`.
    report : more to go into the image's report.
    progress : called with a step's name, how much of it is done, and of how much.

    Raises
    ------
    CompileError
        If the network does not fit the arrays.
    """
    tell = progress or (lambda *_: None)
    graph, more = network.graph, dict(report or {})
    runs = build(graph, params, densities, lambda done, total: tell("map", done, total))
    tail: Image | None = None
    if network.tail is not None:
        if tail_params is None:
            raise CompileError(
                "Linear layers follow the convolutions, so the EIE array must have parameters"
            )
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
    return CnnImage(name=name, params=params, network=network, runs=runs, tail=tail, report=more)
