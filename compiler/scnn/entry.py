"""What an image's ``manifest.json`` has of SCNN's part."""

import math
from typing import Annotated

from pydantic import Field

from zeroskip.compiler.image.runs import RunEntry, check_pass
from zeroskip.compiler.image.strict import Count, StrictEntry, must_be
from zeroskip.compiler.ir.graph import QuantConv, QuantGraph
from zeroskip.compiler.scnn.bus import check_bus
from zeroskip.compiler.scnn.check import check_layer
from zeroskip.compiler.scnn.fuse import fused_windows, made_layer
from zeroskip.compiler.scnn.run import (
    ActLoad,
    ActStore,
    Channels,
    PassOutput,
    ScnnDescriptor,
    written_tile,
)
from zeroskip.hw.scnn.formats import sram_files
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["ScnnEntry", "ScnnRunEntry"]


class ScnnRunEntry(RunEntry):
    """A :class:`.ScnnRun`."""

    program: Annotated[tuple[ScnnDescriptor, ...], Field(min_length=1)]
    outputs: tuple[PassOutput | None, ...]
    loads: tuple[ActLoad, ...]
    stores: tuple[ActStore, ...]


class ScnnEntry(StrictEntry):
    """A :class:`.ScnnPart`.

    Fields
    ------
    runs, bounded : in order.
    channel_order : by layer whose output channels are renumbered, of each which it was.
    """

    runs: Annotated[tuple[ScnnRunEntry, ...], Field(min_length=1)]
    bounded: tuple[ScnnRunEntry, ...]
    channel_order: dict[str, tuple[Count, ...]]

    def check(self, graph: QuantGraph[QuantConv], params: ScnnParams) -> None:
        """Check the layers, and that runs go through them and move what there is.

        Raises
        ------
        ValueError
            Naming the field.
        """
        for layer in graph.layers:
            _check_windows(layer, params)
            check_layer(layer, params)
        channels = {layer.name: layer.out_shape[0] for layer in graph.layers}
        for name, order in self.channel_order.items():
            if name not in channels or sorted(order) != list(range(channels[name])):
                raise ValueError(
                    "channel_order must have the numbers of a layer's channels once each, and of "
                    f"layer {name!r} it has others"
                )
        _check_runs("runs", self.runs, graph, params)
        if self.bounded:
            _check_runs("bounded", self.bounded, graph, params)


def _check_runs(
    where: str,
    runs: tuple[ScnnRunEntry, ...],
    graph: QuantGraph[QuantConv],
    params: ScnnParams,
) -> None:
    """Check that runs go through the layers and move what there is."""
    files = set(sram_files(params))
    shapes = graph.given | {layer.name: layer.out_shape for layer in graph.layers}
    done = -1
    made = [0] * len(graph.layers)
    for number, run in enumerate(runs):
        here, count = f"{where}.{number}", len(run.program)
        must_be(f"the length of {here}.passes", len(run.passes), "that of its program", count)
        must_be(f"the length of {here}.outputs", len(run.outputs), "that of its program", count)
        run.check_srams(here, files, {"program"} if not number else set())
        made_by = [
            made_layer(graph, number, output) if number < len(graph.layers) else number
            for number, output in zip(run.passes, run.outputs, strict=True)
        ]
        done = _check_order(here, (*run.passes, *made_by), done, len(graph.layers))
        for index, (layer, step) in enumerate(zip(run.passes, run.program, strict=True)):
            conv = graph.layers[layer]
            field, output = f"{here}.program.{index}", run.outputs[index]
            check_pass(field, step, conv)
            check_bus(field, step, params)
            rule = "true at the end only, here"
            must_be(f"{field}.last", step.last, rule, index == count - 1)
            _check_rows(f"{field}.dst_limit", step.dst_word, step.dst_limit, params)
            target = graph.layers[made_by[index]]
            _check_pool(field, step, None if target is conv else target, params)
            outputs = _outputs(f"{here}.outputs.{index}", output, step, params)
            made[layer] += outputs * step.pool_y * step.pool_x
            made[made_by[index]] += outputs * (target is not conv)
            rule = "whether there are outputs"
            must_be(f"{field}.drain", step.drain, rule, output is not None)
            for block in output.blocks if output else ():
                _check_channels(f"{here}.outputs.{index}", block, {target.name: target.out_shape})
        for load in run.loads:
            _check_move(f"{here}.loads", load.channels, load, shapes, params)
            if not 0 <= load.word < params.act_words:
                raise ValueError(
                    f"{here}.loads.word must be a row of an activation RAM, 0 to "
                    f"{params.act_words - 1}, not {load.word}"
                )
            _check_rows(f"{here}.loads.limit", load.word, load.limit, params)
        for store in run.stores:
            _check_move(f"{here}.stores", store.blocks, store, shapes, params)
    for index, layer in enumerate(graph.layers):
        # Strips of planes have rows in common.
        count = math.prod(layer.out_shape)
        if made[index] < count:
            raise ValueError(
                f"passes of layer {layer.name!r} must make its {count} outputs, not {made[index]}"
            )
    must_be("the last layer of runs", done, "that of the network", len(graph.layers) - 1)


def _check_order(here: str, passes: tuple[int, ...], done: int, layers: int) -> int:
    """Check that a run goes on with layers before it, or the next; return the last so far."""
    some = set(passes)
    first, last = min(some), max(some)
    if not 0 <= first <= done + 1 or len(some) <= last - first or last >= layers:
        raise ValueError(
            f"{here}.passes must be of neighbouring layers from 0 to {layers - 1}, the first no "
            f"later than {done + 1}, not {sorted(some)}"
        )
    return max(done, last)


def _check_pool(
    field: str, step: ScnnDescriptor, pool: QuantConv | None, params: ScnnParams
) -> None:
    """Check that a pass takes the maximum of the windows of the pooling that it makes, if any."""
    windows = fused_windows(pool, params)
    rule = "the windows of what the pass makes"
    must_be(f"{field}.pool_y and pool_x", (step.pool_y, step.pool_x), rule, windows)
    sizes = (step.ho, step.rem_y), (step.wo, step.rem_x)
    for name, size, of in zip("yx", (step.pool_y, step.pool_x), sizes, strict=True):
        if size > 1 and (any(n % size for n in of) or max(step.out_sy, step.out_sx) > 1):
            raise ValueError(f"{field}.pool_{name} must cut tiles into windows, not {size}")


def _check_rows(field: str, first: int, limit: int, params: ScnnParams) -> None:
    """Check that rows from ``first`` up to ``limit`` are some of an activation RAM."""
    if not first <= limit <= params.act_words:
        raise ValueError(
            f"{field} must be a row from the first one written, {first}, to act_words = "
            f"{params.act_words}, not {limit}"
        )


def _check_windows(layer: QuantConv, params: ScnnParams) -> None:
    """Check that strides are what the array has directory entries for, and padding what pays."""
    if math.prod(layer.stride) > params.num_channels:
        raise ValueError(
            f"the stride of layer {layer.name!r} must have at most {params.num_channels} phases, "
            f"not {layer.stride}"
        )
    for axis in range(2):
        reach = layer.out_shape[1 + axis] * layer.stride[axis] + layer.weight.shape[2 + axis]
        if layer.padding[axis] > reach:
            raise ValueError(
                f"the padding of layer {layer.name!r} must be at most {reach}, as far as windows "
                f"go, not {layer.padding[axis]}"
            )


def _outputs(
    where: str, output: PassOutput | None, step: ScnnDescriptor, params: ScnnParams
) -> int:
    """Count the outputs of a pass, and check that its blocks have accumulators for them."""
    if output is None:
        return 0
    tile_h, tile_w = written_tile(step)
    height = tile_h * min(1 << min(step.block_y, 16), params.pes_y)
    width = tile_w * min(1 << min(step.block_x, 16), params.pes_x)
    if not (0 <= output.height <= height and 0 <= output.width <= width):
        raise ValueError(
            f"{where} must be at most {height} x {width}, not {output.height} x {output.width}"
        )
    if step.ho * step.wo > params.accs or min(output.y0, output.x0) < 0:
        raise ValueError(f"{where} must be outputs that the accumulators hold, not {output}")
    return output.height * output.width * sum(part.stop - part.start for part in output.blocks)


def _check_move(
    where: str,
    channels: tuple[Channels, ...],
    move: ActLoad | ActStore,
    shapes: dict[str, tuple[int, int, int]],
    params: ScnnParams,
) -> None:
    """Check that the host can move this."""
    layout = move.layout
    for piece in channels:
        _check_channels(where, piece, shapes)
        _, rows, columns = shapes[piece.tensor]
        bottom, right = layout.y0 + layout.height, layout.x0 + layout.width
        if min(layout.y0, layout.x0, layout.height, layout.width) < 0:
            raise ValueError(f"{where}.layout must be a region, not {layout}")
        if bottom > rows or right > columns:
            raise ValueError(
                f"{where}.layout must end at row {rows} and column {columns} of {piece.tensor!r}, "
                f"not {bottom} and {right}"
            )
    least = min(layout.tile_h, layout.tile_w, layout.sy, layout.sx, layout.y_stride)
    if least < 1 or min(move.base, layout.block_x, layout.block_y) < 0:
        raise ValueError(f"{where}.layout must have sizes of at least 1, not {layout}")
    phases = layout.sy * layout.sx
    places = -(-layout.walk_h // layout.sy) * -(-layout.walk_w // layout.sx)
    if move.base + phases > params.num_channels or places > params.accs:
        raise ValueError(
            f"{where} must be tiles of at most {params.accs} places a phase, and entries of a "
            f"directory of {params.num_channels}, not from entry {move.base} on {layout}"
        )


def _check_channels(
    where: str, channels: Channels, shapes: dict[str, tuple[int, int, int]]
) -> None:
    """Check that a tensor has these channels."""
    if channels.tensor not in shapes:
        raise ValueError(f"{where} must be of a tensor of the network, not {channels.tensor!r}")
    if not 0 <= channels.start <= channels.stop <= shapes[channels.tensor][0]:
        raise ValueError(
            f"{where} must be channels 0 to {shapes[channels.tensor][0]} of {channels.tensor!r}, "
            f"not {channels.start} to {channels.stop}"
        )
