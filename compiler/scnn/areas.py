"""Averages that divide by different numbers: rectangles of outputs, each a layer of its own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.geometry import Region, cut, whole_plane
from zeroskip.compiler.scnn.run import ActLoad, ActStore, ScnnRun

__all__ = ["area_layers", "move_runs"]

_Move = TypeVar("_Move", ActLoad, ActStore)


def area_layers(conv: QuantConv) -> tuple[tuple[Region, QuantConv], ...]:
    """Give each area of a layer as a layer that has its inputs and outputs only.

    A layer without areas is one.

    Returns
    -------
    For each its outputs and inputs in the planes of ``conv``, and the layer.
    """
    if not conv.areas:
        return ((whole_plane(conv), conv),)
    found: list[tuple[Region, QuantConv]] = []
    for area in conv.areas:
        region = cut(conv, area.y0, area.x0, area.height, area.width)
        layer = replace(
            conv,
            in_shape=(conv.in_shape[0], region.in_height, region.in_width),
            out_shape=(conv.out_shape[0], area.height, area.width),
            weight=np.full(conv.weight.shape, area.weight, np.int64),
            codebook=None if conv.codebook is None else np.array([0, area.weight], np.int64),
            padding=region.padding,
            areas=(),
        )
        found.append((region, layer))
    return tuple(found)


def move_runs(runs: Sequence[ScnnRun], region: Region) -> list[ScnnRun]:
    """Put what a layer of :func:`area_layers` reads and makes to its place in the whole planes."""
    return [
        replace(
            run,
            outputs=tuple(
                output and replace(output, y0=output.y0 + region.y0, x0=output.x0 + region.x0)
                for output in run.outputs
            ),
            loads=tuple(_moved(load, region.in_y0, region.in_x0) for load in run.loads),
            stores=tuple(_moved(store, region.y0, region.x0) for store in run.stores),
        )
        for run in runs
    ]


def _moved(move: _Move, down: int, across: int) -> _Move:
    layout = replace(move.layout, y0=move.layout.y0 + down, x0=move.layout.x0 + across)
    return replace(move, layout=layout)
