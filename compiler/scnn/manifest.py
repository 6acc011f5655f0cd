"""The schema of the ``manifest.json`` of a network with convolutions."""

import math
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from zeroskip.compiler.eie.coverage import must_be
from zeroskip.compiler.image.files import CNN_FORMAT
from zeroskip.compiler.image.manifest import SignedManifest, StrictEntry
from zeroskip.compiler.ir.graph import INPUT, Area
from zeroskip.compiler.scnn.run import ActLoad, ActStore, Channels, PassOutput, ScnnDescriptor
from zeroskip.hw.common.formats import Activation
from zeroskip.hw.scnn.formats import sram_files
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["CNN_SCHEMA", "CnnManifest", "ConvEntry", "RunEntry"]

CNN_SCHEMA = 2
"""Raised with every change of the files' names, layouts or meaning."""

_Count = Annotated[int, Field(ge=0)]
_Size = Annotated[int, Field(ge=1)]
_Pair = tuple[_Size, _Size]
_Shape = tuple[_Size, _Size, _Size]


class ConvEntry(StrictEntry):
    """A :class:`.QuantConv` without its numbers, which are in ``tensors.npz``.

    ``kernel`` are the rows and columns of its weights; ``codebook`` the weights in its codebook,
    None if weights are stored as they are. ``areas`` are left out where there are none, and
    ``dilation`` where it is 1.
    """

    name: str
    kind: Literal["conv", "max", "avg", "add"]
    inputs: Annotated[tuple[str, ...], Field(min_length=1)]
    in_shape: _Shape
    out_shape: _Shape
    kernel: _Pair
    codebook: _Size | None
    stride: _Pair
    padding: tuple[_Count, _Count]
    groups: _Size
    relu: bool
    op: Literal["add", "max"]
    signed_input: bool
    in_frac: int
    weight_frac: int
    out_frac: int
    areas: tuple[Area, ...] = ()
    dilation: _Pair = (1, 1)

    @model_serializer(mode="wrap")
    def _leave_out_usual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        if not self.areas:
            fields.pop("areas", None)
        if self.dilation == (1, 1):
            fields.pop("dilation", None)
        return fields

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Shape (K, C // groups, R, S) of the weights."""
        return (self.out_shape[0], self.in_shape[0] // self.groups, *self.kernel)


class RunEntry(StrictEntry):
    """A :class:`.ScnnRun`, with the names of the SRAMs that it loads."""

    program: Annotated[tuple[ScnnDescriptor, ...], Field(min_length=1)]
    passes: tuple[_Count, ...]
    outputs: tuple[PassOutput | None, ...]
    srams: tuple[str, ...]
    loads: tuple[ActLoad, ...]
    stores: tuple[ActStore, ...]


class CnnManifest(SignedManifest):
    """What the image of a network with convolutions is made of.

    Fields
    ------
    format, schema_version : see :data:`.CNN_FORMAT` and :data:`CNN_SCHEMA`.
    zeroskip : version of the program that wrote the image.
    name : of the network.
    params : of the SCNN array.
    input_shape : (C, H, W).
    sample_shape : of a sample as users give it, if that is another one; else it is left out.
    layers : in order.
    outputs : tensors that leave SCNN.
    runs : in order.
    tail : whether ``eie/`` holds the image of what follows.
    report : what the compiler found out about the network; free form.
    """

    format_name: ClassVar[str] = CNN_FORMAT
    schema_number: ClassVar[int] = CNN_SCHEMA

    format: Literal["zeroskip-cnn"] = CNN_FORMAT
    schema_version: Annotated[int, Field(alias="schema")] = CNN_SCHEMA
    zeroskip: str
    name: str
    params: ScnnParams
    input_shape: _Shape
    sample_shape: Annotated[tuple[_Size, ...] | None, Field(min_length=1)] = None
    layers: Annotated[tuple[ConvEntry, ...], Field(min_length=1)]
    outputs: Annotated[tuple[str, ...], Field(min_length=1)]
    runs: Annotated[tuple[RunEntry, ...], Field(min_length=1)]
    tail: bool
    report: dict[str, JsonValue]

    @model_serializer(mode="wrap")
    def _leave_out_shape(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        if self.sample_shape is None:
            fields.pop("sample_shape", None)
        return fields

    @model_validator(mode="after")
    def _check_graph(self) -> Self:
        """Check that each layer reads what is there, in shapes that fit."""
        if self.sample_shape is not None:
            size = math.prod(self.input_shape)
            must_be("the product of sample_shape", math.prod(self.sample_shape), "that", size)
        shapes = {INPUT: self.input_shape}
        for index, layer in enumerate(self.layers):
            here = f"layers.{index}"
            for name in layer.inputs:
                if name not in shapes:
                    raise ValueError(f"{here}.inputs must be made before, but {name!r} is not")
            if layer.name in shapes:
                raise ValueError(f"{here}.name must be of no other tensor, not {layer.name!r}")
            channels = sum(shapes[name][0] for name in layer.inputs)
            plane = shapes[layer.inputs[0]][1:]
            rule = "that of its inputs"
            must_be(f"{here}.in_shape", layer.in_shape, rule, (channels, *plane))
            for name in layer.inputs:
                must_be(f"the plane of {name!r}", shapes[name][1:], f"that of {here}", plane)
            if any(
                (size - 1) % step for size, step in zip(layer.kernel, layer.dilation, strict=True)
            ):
                raise ValueError(
                    f"{here}.dilation must fit the kernel {layer.kernel}, not be {layer.dilation}"
                )
            if channels % layer.groups or layer.out_shape[0] % layer.groups:
                raise ValueError(f"{here}.groups must divide the channels, not be {layer.groups}")
            _check_windows(here, layer, self.params)
            shapes[layer.name] = layer.out_shape
        for name in self.outputs:
            if name not in shapes:
                raise ValueError(f"outputs must be tensors of the network, not {name!r}")
        return self

    @model_validator(mode="after")
    def _check_runs(self) -> Self:
        """Check that runs go through the layers, and move what there is."""
        files = set(sram_files(self.params))
        shapes = {one.name: one.out_shape for one in self.layers} | {INPUT: self.input_shape}
        done = -1
        made = [0] * len(self.layers)
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
                if layer not in (done, done + 1) or layer >= len(self.layers):
                    raise ValueError(f"{here}.passes.{index} must be the layer before or the next")
                done, mine = layer, self.layers[layer]
                shift = mine.in_frac + mine.weight_frac - mine.out_frac
                rule = f"what the fraction bits of layers.{layer} say"
                must_be(f"{at}.shift", one.shift, rule, shift)
                function = Activation(mine.relu)
                must_be(f"{at}.activation", one.activation, f"that of layers.{layer}", function)
                must_be(f"{at}.last", one.last, "true at the end only, here", index == count - 1)
                output = run.outputs[index]
                made[layer] += _outputs(f"{here}.outputs.{index}", output, one, self.params)
                must_be(f"{at}.drain", one.drain, "whether there are outputs", output is not None)
                for block in output.blocks if output else ():
                    _check_channels(f"{here}.outputs.{index}", block, {mine.name: mine.out_shape})
            for load in run.loads:
                _check_move(f"{here}.loads", load.channels, load, shapes)
            for store in run.stores:
                _check_move(f"{here}.stores", store.blocks, store, shapes)
        for index, layer in enumerate(self.layers):
            rule = "those that its passes make"
            must_be(f"the outputs of layers.{index}", math.prod(layer.out_shape), rule, made[index])
        must_be("the last layer of runs", done, "that of the network", len(self.layers) - 1)
        return self


def _check_windows(where: str, layer: ConvEntry, params: ScnnParams) -> None:
    """Check that strides are what the array has directory entries for, and padding what pays."""
    if math.prod(layer.stride) > params.num_channels:
        raise ValueError(
            f"{where}.stride must have at most {params.num_channels} phases, not {layer.stride}"
        )
    for axis in range(2):
        reach = layer.out_shape[1 + axis] * layer.stride[axis] + layer.kernel[axis]
        if layer.padding[axis] > reach:
            raise ValueError(
                f"{where}.padding must be at most {reach}, as far as windows go, not "
                f"{layer.padding[axis]}"
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
