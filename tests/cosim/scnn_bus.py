"""Programs with passes that read their channels over the position bus, drawn for an array."""

from dataclasses import replace

import numpy as np

from tests.cosim.scnn_draw import draw_layer
from tests.support.tiles import least_tile
from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph
from zeroskip.compiler.scnn.collect import collect
from zeroskip.compiler.scnn.fields import stored_fields
from zeroskip.compiler.scnn.geometry import whole_plane
from zeroskip.compiler.scnn.mapping import Mapping, Room
from zeroskip.compiler.scnn.passes import Encoder, Pass, Share
from zeroskip.compiler.scnn.run import ActLoad, ActStore, Channels, ScnnRun, written_tile
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["draw_bus_network"]


def draw_bus_network(
    rng: np.random.Generator, p: ScnnParams
) -> tuple[QuantGraph[QuantConv], ScnnRun] | None:
    """Draw two layers and a run of them: the second reads what the first left at its owners.

    Returns
    -------
    None if they do not fit the array.
    """
    channels, rows, columns = (int(v) for v in rng.integers(1, (5, 13, 13)))
    first = draw_layer(
        rng, "first", [(INPUT, (channels, rows, columns))], p, kind="conv", most_channels=12
    )
    kind = str(rng.choice(["conv", "conv", "groups"]))
    second = draw_layer(
        rng, "second", [("first", first.out_shape)], p, kind=kind, signed_input=not first.relu
    )
    graph = QuantGraph(first.in_shape, (first, second), ("second",))
    try:
        run = _lay(rng, first, second, p)
    except (CompileError, ValueError):
        return None
    return None if run is None else (graph, run)


def _lay(
    rng: np.random.Generator, first: QuantConv, second: QuantConv, p: ScnnParams
) -> ScnnRun | None:
    whole = (p.pes_x - 1).bit_length(), (p.pes_y - 1).bit_length()
    block = [int(rng.integers(0, bits + 1)) for bits in whole]
    # Two tiles of owners are one of the second layer's only if it has the same phases.
    stride = second.stride
    pair = [
        int(stride == (1, 1) and size < bits and rng.random() < 0.5)
        for size, bits in zip(block, whole, strict=True)
    ]
    owners = [size + more for size, more in zip(block, pair, strict=True)]
    mappings = _mappings(rng, (first, second), (owners, block), pair, p)
    if mappings is None:
        return None
    sy, sx = stride
    made = Encoder(first, stored_fields(first, p), mappings[0], p).make(
        _all(first), layer=0, out_stride=stride, out_y_stride=mappings[1].y_stride
    )
    d, output = made.descriptor, made.output
    assert output is not None
    entries = ((d.groups - 1) * d.kc + d.kc_last) * sy * sx
    numbers = np.zeros(first.out_shape[0], np.int64)
    for owner, part in enumerate(output.blocks):
        channels = np.arange(part.stop - part.start)
        numbers[part.start : part.stop] = owner * entries + channels * sy * sx
    read = Encoder(second, stored_fields(second, p), mappings[1], p).make(
        _all(second), layer=1, numbers=numbers
    )
    assert read.output is not None
    # The input, what the first layer makes, and what the second does, one behind the other.
    loaded = first.in_shape[0] * first.stride[0] * first.stride[1]
    base = loaded + int(rng.integers(0, 5))
    word = loaded * -(-mappings[0].ho * mappings[0].wo // p.mult_i)
    then_base = base + entries + int(rng.integers(0, 5))
    then_word = word + entries * _words(made, p)
    slots = (read.descriptor.groups - 1) * read.descriptor.kc + read.descriptor.kc_last
    if then_base + slots > p.num_channels or then_word + slots * _words(read, p) > p.act_words:
        return None
    if not _one_header_a_channel(read):
        return None
    passes = [
        replace(made, descriptor=replace(d, dst_base=base, dst_word=word)),
        replace(
            read,
            descriptor=replace(
                read.descriptor,
                src_base=base,
                dst_base=then_base,
                dst_word=then_word,
                bus=True,
                src_block_x=owners[0],
                src_block_y=owners[1],
                src_entries=entries,
                src_step_x=mappings[0].wo * pair[0],
                src_step_y=mappings[0].ho * mappings[1].y_stride * pair[1],
            ),
        ),
    ]
    program, srams = collect(passes, p)
    load = mappings[0].layout(whole_plane(first), first.stride, dense=False)
    return ScnnRun(
        program=program,
        passes=(0, 1),
        outputs=(output, read.output),
        srams=srams,
        loads=(
            ActLoad(
                channels=(Channels(tensor=INPUT, start=0, stop=first.in_shape[0]),),
                base=0,
                word=0,
                limit=p.act_words,
                dealt=False,
                layout=load,
            ),
        ),
        stores=(
            ActStore(
                blocks=read.output.blocks,
                base=then_base,
                layout=mappings[1].out_layout(whole_plane(second)),
            ),
        ),
    )


def _mappings(
    rng: np.random.Generator,
    convs: tuple[QuantConv, QuantConv],
    blocks: tuple[list[int], list[int]],
    pair: list[int],
    p: ScnnParams,
) -> tuple[Mapping, Mapping] | None:
    """Draw tiles that fit each other, and groups of channels; None if memories do not hold them."""
    starts = [
        Mapping(block_x=x, block_y=y, wo=1, ho=1, kc=1, k_stride=1, y_stride=1) for x, y in blocks
    ]
    if any(start.blocks(p) > p.num_streams or not start.streams(p) for start in starts):
        return None
    least = [
        least_tile(conv, [whole_plane(conv)], (start.height(p), start.width(p)))
        for conv, start in zip(convs, starts, strict=True)
    ]
    tiles: list[tuple[int, int]] = []
    for axis, factor in enumerate((1 + pair[1], 1 + pair[0])):
        stride = convs[1].stride[axis]
        own = max(least[1][axis], -(-least[0][axis] * factor // stride)) + int(rng.integers(0, 2))
        own += -own % factor
        tiles.append((own * stride // factor, own))
    found: list[Mapping] = []
    for number, (conv, start) in enumerate(zip(convs, starts, strict=True)):
        ho, wo = tiles[0][number], tiles[1][number]
        room = Room.of(conv, whole_plane(conv).padding)
        columns = wo + room.left + room.right
        rows = ho + room.top + room.bottom
        narrow = wo // (1 + pair[0]) if number else wo
        if columns > narrow + p.max_run:
            return None
        y_stride = int(rng.integers(columns, min(columns + 3, narrow + p.max_run) + 1))
        k_stride = (rows - 1) * y_stride + columns + int(rng.integers(0, 4))
        mapping = replace(start, wo=wo, ho=ho, k_stride=k_stride, y_stride=y_stride)
        fitting = [
            kc
            for kc in range(1, conv.out_shape[0] + 1)
            if replace(mapping, kc=kc).accumulators(room) <= p.accs
        ]
        if not fitting or max(k_stride, y_stride * ho) >= p.accs:
            return None
        # Mostly few, so that there are several groups.
        found.append(replace(mapping, kc=min(fitting[-1], int(rng.choice([1, 1, 2, 3, 12])))))
    return found[0], found[1]


def _all(conv: QuantConv) -> Share:
    return Share(
        region=whole_plane(conv),
        outputs=range(conv.out_shape[0]),
        channels=range(conv.in_shape[0]),
    )


def _words(made: Pass, p: ScnnParams) -> int:
    """Count the words of a directory entry that a pass writes, all outputs stored."""
    d = made.descriptor
    tile_h, tile_w = written_tile(d)
    return -(-(tile_h // d.out_sy) * (tile_w // d.out_sx) // p.mult_i)


def _one_header_a_channel(made: Pass) -> bool:
    """Whether no block of weights was cut, as words come over the bus once."""
    for stream in made.streams:
        channel, last = stream.blocks[:, 0], stream.blocks[:, 3]
        ends = np.flatnonzero(last)[:-1] + 1
        if any((np.diff(part) <= 0).any() for part in np.split(channel, ends)):
            return False
    return True
