"""Build the run of layers whose tensors stay on the array."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.compiler.scnn.collect import collect
from zeroskip.compiler.scnn.fields import stored_fields
from zeroskip.compiler.scnn.geometry import whole_plane
from zeroskip.compiler.scnn.layer import input_channels
from zeroskip.compiler.scnn.passes import Encoder, Pass, Share
from zeroskip.compiler.scnn.place import Placed
from zeroskip.compiler.scnn.run import ActLoad, ActStore, Channels, ScnnRun
from zeroskip.compiler.scnn.schedule import PlacedPass, Schedule, Spot
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["placed_run"]


def placed_run(
    graph: QuantGraph, placed: Placed, schedule: Schedule, params: ScnnParams
) -> ScnnRun:
    """Build one run of some layers: a pass for each piece that a layer makes.

    Parameters
    ----------
    graph : the network.
    placed, schedule : where tensors lie, and the order of the passes.
    params : of the array.

    Raises
    ------
    ValueError
        If something does not fit its memory.
    """
    encoders: dict[tuple[int, int], Encoder] = {}
    passes: list[Pass] = []
    for step in schedule.passes:
        conv, plan = graph.layers[step.layer], placed.plans[step.layer]
        _, kc = step.groups(plan.mapping.kc)
        if (step.layer, kc) not in encoders:
            mapping = replace(plan.mapping, kc=kc)
            encoders[step.layer, kc] = Encoder(conv, stored_fields(conv, params), mapping, params)
        made = _pass(graph, placed, step, encoders[step.layer, kc])
        passes.append(made)
    program, srams = collect(passes, params)
    return ScnnRun(
        program=program,
        passes=tuple(made.layer for made in passes),
        outputs=tuple(made.output for made in passes),
        srams=srams,
        loads=_loads(graph, placed, schedule, params),
        stores=_stores(graph, placed, schedule, params),
    )


def _pass(graph: QuantGraph, placed: Placed, step: PlacedPass, encoder: Encoder) -> Pass:
    """Encode a pass that reads and writes where the schedule says."""
    conv, holding = graph.layers[step.layer], placed.holding
    by_name = {layer.name: layer for layer in graph.layers}
    outputs = range(step.target.piece.start, step.target.piece.stop)
    read = holding.reads[step.layer][0]
    made = holding.makes[step.layer]
    source, stride = placed.place(read), conv.stride
    pool = by_name[holding.tensors[made].name]
    bus, span = placed.buses[step.layer], step.span
    channels = input_channels(conv, outputs)
    numbers = _numbers(step.reads, span, bus=bus)
    encoded = encoder.make(
        Share(region=whole_plane(conv), outputs=outputs, channels=channels),
        layer=step.layer,
        out_stride=holding.tensors[made].stride,
        out_y_stride=placed.y_strides[holding.of_tensor[made]],
        out_dense=holding.tensors[made].dense,
        pool=None if pool is conv else pool,
        numbers=numbers[channels.start - step.first : channels.stop - step.first],
    )
    down, across = placed.place(made).parts(source)
    y_stride = encoded.descriptor.y_stride
    descriptor = replace(
        encoded.descriptor,
        src_base=span.start,
        dst_base=step.target.base,
        dst_word=step.target.word,
        dst_limit=step.target.limit,
        bus=bus,
        src_block_x=source.block_x * bus,
        src_block_y=source.block_y * bus,
        src_entries=len(span) * bus,
        src_step_x=source.tile_w // stride[1] * (across - 1),
        src_step_y=source.tile_h // stride[0] * y_stride * (down - 1),
    )
    return replace(encoded, descriptor=descriptor)


def _numbers(reads: Sequence[Spot], span: range, *, bus: bool) -> NDArray[np.int64]:
    """Find the numbers of channels that a pass reads, in a directory or in those of all owners.

    Returns
    -------
    Of each input channel, the number of its first phase.
    """
    found: list[NDArray[np.int64]] = []
    for spot in reads:
        owner, slot = np.divmod(np.arange(spot.piece.stop - spot.piece.start), spot.each)
        found.append(owner * len(span) * bus + spot.base - span.start + slot * spot.phases)
    return np.concatenate(found)


def _loads(
    graph: QuantGraph, placed: Placed, schedule: Schedule, params: ScnnParams
) -> tuple[ActLoad, ...]:
    """Have what the run does not make loaded, each channel to its owner, or to all blocks."""
    return tuple(
        ActLoad(
            channels=(Channels(tensor=tensor.name, start=spot.piece.start, stop=spot.piece.stop),),
            base=spot.base,
            word=spot.word,
            limit=spot.limit,
            dealt=placed.owners(number, params) > 1,
            layout=placed.layout(graph, number),
        )
        for number, tensor in enumerate(placed.holding.tensors)
        if tensor.maker < 0
        for spot in schedule.spots[number]
    )


def _stores(
    graph: QuantGraph, placed: Placed, schedule: Schedule, params: ScnnParams
) -> tuple[ActStore, ...]:
    """Have what others need stored, from the blocks that own it."""
    found: list[ActStore] = []
    for number, tensor in enumerate(placed.holding.tensors):
        if not tensor.leaves:
            continue
        for spot in schedule.spots[number]:
            start, stop = spot.piece.start, spot.piece.stop
            firsts = [
                min(start + owner * spot.each, stop)
                for owner in range(placed.place(number).blocks(params))
            ]
            blocks = tuple(
                Channels(tensor=tensor.name, start=first, stop=min(first + spot.each, stop))
                for first in firsts
            )
            layout = placed.layout(graph, number)
            found.append(ActStore(blocks=blocks, base=spot.base, layout=layout))
    return tuple(found)
