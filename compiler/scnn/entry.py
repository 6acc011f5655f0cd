"""What an image's ``manifest.json`` has of SCNN's part."""

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from zeroskip.compiler.image.strict import Count, StrictEntry, must_be
from zeroskip.compiler.ir.graph import QuantConv, QuantGraph
from zeroskip.compiler.scnn.check import check_layer
from zeroskip.compiler.scnn.collect import program_words
from zeroskip.compiler.scnn.run import (
    ActLoad,
    ActStore,
    Channels,
    PassOutput,
    ScnnDescriptor,
    ScnnRun,
)
from zeroskip.hw.common.formats import Activation
from zeroskip.hw.scnn.formats import sram_files
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["RunEntry", "ScnnEntry", "check_programs"]


class RunEntry(StrictEntry):
    """A :class:`.ScnnRun`, with the names of the SRAMs that it loads."""

    program: Annotated[tuple[ScnnDescriptor, ...], Field(min_length=1)]
    passes: tuple[Count, ...]
    outputs: tuple[PassOutput | None, ...]
    srams: tuple[str, ...]
    loads: tuple[ActLoad, ...]
    stores: tuple[ActStore, ...]


class ScnnEntry(StrictEntry):
    """A :class:`.ScnnPart`.

    Fields
    ------
    runs : in order.
    channel_order : by layer whose output channels are renumbered, of each which it was.
    """

    runs: Annotated[tuple[RunEntry, ...], Field(min_length=1)]
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
        files = set(sram_files(params))
        shapes = graph.given | {layer.name: layer.out_shape for layer in graph.layers}
        done = -1
        made = [0] * len(graph.layers)
        for number, run in enumerate(self.runs):
            here, count = f"runs.{number}", len(run.program)
            must_be(f"the length of {here}.passes", len(run.passes), "that of its program", count)
            must_be(f"the length of {here}.outputs", len(run.outputs), "that of its program", count)
            needed = {"program"} if not number else set[str]()
            if wrong := set(run.srams) - files or needed - set(run.srams):
                rule = "not name" if min(wrong) in run.srams else "name"
                raise ValueError(f"{here}.srams must {rule} {min(wrong)}")
            for index, (layer, one) in enumerate(zip(run.passes, run.program, strict=True)):
                at = f"{here}.program.{index}"
                if layer not in (done, done + 1) or layer >= len(graph.layers):
                    raise ValueError(f"{here}.passes.{index} must be the layer before or the next")
                done, mine = layer, graph.layers[layer]
                rule = f"what the fraction bits of layer {mine.name!r} say"
                must_be(f"{at}.shift", one.shift, rule, mine.shift)
                function = Activation(mine.relu)
                must_be(
                    f"{at}.activation", one.activation, f"that of layer {mine.name!r}", function
                )
                must_be(f"{at}.last", one.last, "true at the end only, here", index == count - 1)
                output = run.outputs[index]
                made[layer] += _outputs(f"{here}.outputs.{index}", output, one, params)
                must_be(f"{at}.drain", one.drain, "whether there are outputs", output is not None)
                for block in output.blocks if output else ():
                    _check_channels(f"{here}.outputs.{index}", block, {mine.name: mine.out_shape})
            for load in run.loads:
                _check_move(f"{here}.loads", load.channels, load, shapes)
            for store in run.stores:
                _check_move(f"{here}.stores", store.blocks, store, shapes)
        for index, layer in enumerate(graph.layers):
            rule = "those that its passes make"
            count = math.prod(layer.out_shape)
            must_be(f"the outputs of layer {layer.name!r}", count, rule, made[index])
        must_be("the last layer of runs", done, "that of the network", len(graph.layers) - 1)


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


def _outputs(where: str, output: PassOutput | None, one: ScnnDescriptor, params: ScnnParams) -> int:
    """Count the outputs of a pass, and check that its blocks have accumulators for them."""
    if output is None:
        return 0
    height = one.ho * min(1 << min(one.block_y, 16), params.pes_y)
    width = one.wo * min(1 << min(one.block_x, 16), params.pes_x)
    if not (0 <= output.height <= height and 0 <= output.width <= width):
        raise ValueError(
            f"{where} must be at most {height} x {width}, not {output.height} x {output.width}"
        )
    if one.ho * one.wo > params.accs or min(output.y0, output.x0) < 0:
        raise ValueError(f"{where} must be outputs that the accumulators hold, not {output}")
    return output.height * output.width * sum(part.stop - part.start for part in output.blocks)


def _check_move(
    where: str,
    channels: tuple[Channels, ...],
    move: ActLoad | ActStore,
    shapes: dict[str, tuple[int, int, int]],
) -> None:
    """Check that the host can move this."""
    layout = move.layout
    for one in channels:
        _check_channels(where, one, shapes)
        _, rows, columns = shapes[one.tensor]
        bottom, right = layout.y0 + layout.height, layout.x0 + layout.width
        if min(layout.y0, layout.x0, layout.height, layout.width) < 0:
            raise ValueError(f"{where}.layout must be a region, not {layout}")
        if bottom > rows or right > columns:
            raise ValueError(
                f"{where}.layout must end at row {rows} and column {columns} of {one.tensor!r}, "
                f"not {bottom} and {right}"
            )
    least = min(layout.tile_h, layout.tile_w, layout.sy, layout.sx, layout.y_stride)
    if least < 1 or min(move.base, layout.block_x, layout.block_y) < 0:
        raise ValueError(f"{where}.layout must have sizes of at least 1, not {layout}")


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


def check_programs(runs: Sequence[ScnnRun], params: ScnnParams) -> None:
    """Check the descriptors against what the hardware will read.

    Raises
    ------
    ValueError
        Naming the run.
    """
    held, words = "", np.empty((0, 1), np.uint64)
    for number, run in enumerate(runs):
        if "program" in run.srams:
            held, words = f"run_{number}/program", run.srams["program"].words
        if not np.array_equal(program_words(run.program, params), words):
            raise ValueError(f"runs.{number}.program must be what {held} holds")
