"""Averages that divide by different numbers: rectangles of outputs, each a layer of its own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.geometry import Region, cut
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
        (_, height, width), (_, rows, columns) = conv.in_shape, conv.out_shape
        whole = Region(
            y0=0,
            x0=0,
            height=rows,
            width=columns,
            in_y0=0,
            in_x0=0,
            in_height=height,
            in_width=width,
            padding=conv.padding,
        )
        return ((whole, conv),)
    found: list[tuple[Region, QuantConv]] = []
    for one in conv.areas:
        region = cut(conv, one.y0, one.x0, one.height, one.width)
        layer = replace(
            conv,
            in_shape=(conv.in_shape[0], region.in_height, region.in_width),
            out_shape=(conv.out_shape[0], one.height, one.width),
            weight=np.full(conv.weight.shape, one.weight, np.int64),
            codebook=None if conv.codebook is None else np.array([0, one.weight], np.int64),
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
                one and replace(one, y0=one.y0 + region.y0, x0=one.x0 + region.x0)
                for one in run.outputs
            ),
            loads=tuple(_moved(one, region.in_y0, region.in_x0) for one in run.loads),
            stores=tuple(_moved(one, region.y0, region.x0) for one in run.stores),
        )
        for run in runs
    ]


def _moved(one: _Move, down: int, across: int) -> _Move:
    layout = replace(one.layout, y0=one.layout.y0 + down, x0=one.layout.x0 + across)
    return replace(one, layout=layout)
