"""What an image's ``manifest.json`` has of the network: layers without their numbers."""

import math
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from zeroskip.base.bounded import Expected
from zeroskip.compiler.image.strict import Count, Shape, Size, StrictEntry, must_be, usually
from zeroskip.compiler.ir.graph import INPUT, Area, QuantCell, QuantGraph, QuantLayer, QuantLinear
from zeroskip.compiler.ir.sequences import Sweep, row_shape

__all__ = ["CellEntry", "ConvEntry", "LayerEntry", "LinearEntry", "NetworkEntry", "network_entry"]

_Pair = tuple[Size, Size]


class LinearEntry(StrictEntry):
    """A :class:`.QuantLinear`; ``nnz`` are its codes, ``codebook`` the weights of its codebook."""

    kind: Literal["linear"] = "linear"
    name: str
    inputs: Annotated[tuple[str, ...], Field(min_length=1)]
    in_shape: Shape
    rows: Size
    nnz: Count
    codebook: Size
    relu: bool
    in_frac: int
    weight_frac: int
    out_frac: int

    @property
    def out_shape(self) -> tuple[int, int, int]:
        """(rows, 1, 1)."""
        return self.rows, 1, 1

    def arrays(self) -> dict[str, Expected]:
        """Return type and shape of its arrays."""
        return {
            "codes": (np.min_scalar_type(self.codebook - 1), (self.nnz,)),
            "rows": (np.int32, (self.nnz,)),
            "ends": (np.int64, (math.prod(self.in_shape) + 1,)),
            "codebook": (np.int64, (self.codebook,)),
            "bias": (np.int64, (self.rows,)),
        }


class ConvEntry(StrictEntry):
    """A :class:`.QuantConv`.

    ``kernel`` are the rows and columns of its weights; ``codebook`` the weights in its codebook,
    None if weights are stored as they are. ``areas`` are left out where there are none, and
    ``dilation`` where it is 1.
    """

    kind: Literal["conv", "max", "avg", "add"]
    name: str
    inputs: Annotated[tuple[str, ...], Field(min_length=1)]
    in_shape: Shape
    out_shape: Shape
    kernel: _Pair
    codebook: Size | None
    stride: _Pair
    padding: tuple[Count, Count]
    groups: Size
    relu: bool
    op: Literal["add", "max"]
    signed_input: bool
    in_frac: int
    weight_frac: int
    out_frac: int
    areas: tuple[Area, ...] = usually(())
    dilation: _Pair = usually((1, 1))

    def arrays(self) -> dict[str, Expected]:
        """Return type and shape of its arrays."""
        fan = self.in_shape[0] // self.groups
        weight: dict[str, Expected] = {"weight": (np.int16, (self.out_shape[0], fan, *self.kernel))}
        if self.codebook is not None:
            weight["codebook"] = np.int64, (self.codebook,)
        return {**weight, "bias": (np.int64, (self.out_shape[0],))}


class CellEntry(StrictEntry):
    """A :class:`.QuantCell`; ``nnz`` and ``recurrent_nnz`` are codes of its matrices.

    Both codebooks have ``codebook`` weights. ``past`` are the values that it takes of the step
    before from its ``projection``; both are left out where it takes its own, ``sweep`` where it
    is forward, and ``peepholes`` and ``thresholds`` where there are none.
    """

    kind: Literal["lstm", "gru"]
    name: str
    inputs: Annotated[tuple[str, ...], Field(min_length=1)]
    in_shape: Shape
    units: Size
    nnz: Count
    recurrent_nnz: Count
    codebook: Size
    in_frac: int
    weight_frac: int
    recurrent_frac: int
    out_frac: int
    steps: Size
    projection: str | None = usually(None)
    past: Size | None = usually(None)
    sweep: Sweep = usually("forward")
    peepholes: bool = usually(False)
    thresholds: tuple[Count, Count] | None = usually(None)

    @property
    def out_shape(self) -> tuple[int, int, int]:
        """(units, 1, 1)."""
        return self.units, 1, 1

    def arrays(self) -> dict[str, Expected]:
        """Return type and shape of its arrays."""
        return {
            "codes": (np.min_scalar_type(self.codebook - 1), (self.nnz,)),
            "rows": (np.int32, (self.nnz,)),
            "ends": (np.int64, (math.prod(self.in_shape) + 1,)),
            "codebook": (np.int64, (self.codebook,)),
            "recurrent_codes": (np.min_scalar_type(self.codebook - 1), (self.recurrent_nnz,)),
            "recurrent_rows": (np.int32, (self.recurrent_nnz,)),
            "recurrent_ends": (np.int64, ((self.past or self.units) + 1,)),
            "recurrent_codebook": (np.int64, (self.codebook,)),
            "bias": (np.int64, (4 * self.units,)),
            **({"peepholes": (np.int64, (3, self.units))} if self.peepholes else {}),
        }


LayerEntry = LinearEntry | ConvEntry | CellEntry


class NetworkEntry(StrictEntry):
    """A :class:`.QuantGraph`; the numbers are in ``tensors.npz``.

    Fields
    ------
    input_shape : (C, H, W).
    sample_shape : of a sample as users give it, if that is another one; else it is left out.
    layers : in order.
    outputs : tensors that leave the network.
    steps, every_step : as in :class:`.FloatGraph`; left out of a network that is not recurrent.
    result_shape : of an output as users get it, without the batch; left out of a recurrent network.
    whole, sample_axes, result_axes : as in :class:`.FloatGraph`; left out where they are false, or
        none.
    """

    input_shape: Shape
    sample_shape: Annotated[tuple[Size, ...] | None, Field(min_length=1)] = usually(None)
    layers: Annotated[
        tuple[Annotated[LayerEntry, Field(discriminator="kind")], ...], Field(min_length=1)
    ]
    outputs: Annotated[tuple[str, ...], Field(min_length=1)]
    steps: Size | None = usually(None)
    every_step: bool = usually(False)
    result_shape: tuple[Size, ...] | None = usually(None)
    whole: bool = usually(False)
    sample_axes: tuple[Count, ...] | None = usually(None)
    result_axes: tuple[Count, ...] | None = usually(None)

    @model_validator(mode="after")
    def _check_graph(self) -> Self:
        """Check that each layer reads what is there, in shapes and fractions that fit."""
        if self.sample_shape is not None:
            size = math.prod(self.input_shape) * (1 if self.whole else self.steps or 1)
            must_be("the product of sample_shape", math.prod(self.sample_shape), "that", size)
        if self.sample_axes is not None:
            order = tuple(range(len(self.sample_shape or ())))
            must_be("sample_axes, sorted,", tuple(sorted(self.sample_axes)), "dimensions", order)
        if self.result_axes is not None:
            axes = tuple(sorted(self.result_axes))
            must_be("result_axes, sorted,", axes, "dimensions", (0, 1, 2))
        shapes, fracs = {INPUT: self.input_shape}, dict[str, int]()
        whole = {INPUT} if self.whole else set[str]()
        for index, layer in enumerate(self.layers):
            here = f"layers.{index}"
            for name in layer.inputs:
                if name not in shapes:
                    raise ValueError(f"{here}.inputs must be made before, but {name!r} is not")
            if layer.name in shapes:
                raise ValueError(f"{here}.name must be of no other tensor, not {layer.name!r}")
            read = {name: shapes[name] for name in layer.inputs}
            if not isinstance(layer, ConvEntry):
                # Rows of what is made of whole sequences are steps.
                read |= {name: row_shape(read[name]) for name in whole.intersection(read)}
            elif whole.issuperset(read):
                whole.add(layer.name)
            channels = sum(read[name][0] for name in layer.inputs)
            plane = read[layer.inputs[0]][1:]
            rule = "that of its inputs"
            must_be(f"{here}.in_shape", layer.in_shape, rule, (channels, *plane))
            for name in layer.inputs:
                must_be(f"the plane of {name!r}", read[name][1:], f"that of {here}", plane)
                known = fracs.setdefault(name, layer.in_frac)
                must_be(f"{here}.in_frac", layer.in_frac, f"that of {name!r}", known)
            if isinstance(layer, ConvEntry):
                _check_kernel(here, layer, channels)
            if isinstance(layer, CellEntry):
                must_be(f"{here}.steps", layer.steps, "that of the network", self.steps)
                _check_past(here, layer, self.layers[index + 1 : index + 2])
            shapes[layer.name], fracs[layer.name] = layer.out_shape, layer.out_frac
        for name in self.outputs:
            if name not in shapes:
                raise ValueError(f"outputs must be tensors of the network, not {name!r}")
        if self.result_shape is not None:
            size = sum(math.prod(shapes[name]) for name in self.outputs)
            must_be("the product of result_shape", math.prod(self.result_shape), "that", size)
        return self

    def graph(self, layers: tuple[QuantLayer, ...]) -> QuantGraph:
        """Return the network with its layers' numbers."""
        return QuantGraph(
            self.input_shape,
            layers,
            self.outputs,
            self.sample_shape,
            steps=self.steps,
            every_step=self.every_step,
            result_shape=self.result_shape,
            whole=self.whole,
            sample_axes=self.sample_axes,
            result_axes=self.result_axes,
        )


def _check_kernel(where: str, layer: ConvEntry, channels: int) -> None:
    """Check that the holes of a kernel fit it, and groups the channels."""
    if any((size - 1) % step for size, step in zip(layer.kernel, layer.dilation, strict=True)):
        raise ValueError(
            f"{where}.dilation must fit the kernel {layer.kernel}, not be {layer.dilation}"
        )
    if channels % layer.groups or layer.out_shape[0] % layer.groups:
        raise ValueError(f"{where}.groups must divide the channels, not be {layer.groups}")


def _check_past(where: str, cell: CellEntry, behind: tuple[LayerEntry, ...]) -> None:
    """Check what a recurrent layer reads of the step before: its own outputs, or a projection."""
    out_frac = cell.out_frac
    if cell.projection is not None:
        rule = "the Linear layer behind it that reads it"
        projections = [one for one in behind if isinstance(one, LinearEntry)]
        names = [projection.name for projection in projections if projection.inputs == (cell.name,)]
        must_be(f"{where}.projection", cell.projection, rule, next(iter(names), None))
        must_be(f"{where}.past", cell.past, "its rows", projections[0].rows)
        out_frac = projections[0].out_frac
    expected = cell.in_frac + cell.weight_frac - out_frac
    must_be(f"{where}.recurrent_frac", cell.recurrent_frac, "that of equal products", expected)


def network_entry(graph: QuantGraph[QuantLayer]) -> NetworkEntry:
    """Describe a network without its numbers."""
    fields = {name: getattr(graph, name) for name in NetworkEntry.model_fields}
    return NetworkEntry.model_validate(
        {**fields, "layers": tuple(_entry(layer) for layer in graph.layers)}, strict=False
    )


def _entry(layer: QuantLayer) -> LayerEntry:
    """Describe a layer without its numbers."""
    codebook = None if layer.codebook is None else len(layer.codebook)
    if isinstance(layer, QuantCell):
        kind = CellEntry
        own = {
            "past": layer.projection and layer.recurrent.indptr.size - 1,
            "peepholes": layer.peepholes is not None,
            "nnz": layer.matrix.nnz,
            "recurrent_nnz": layer.recurrent.nnz,
        }
    elif isinstance(layer, QuantLinear):
        kind, own = LinearEntry, {"rows": layer.shape[0], "nnz": layer.codes.nnz}
    else:
        kind, own = ConvEntry, {"kernel": layer.weight.shape[2:]}
    fields = {name: getattr(layer, name, None) for name in kind.model_fields}
    # Sizes and fractions may be NumPy's numbers, which are no integers to a strict reader.
    return kind.model_validate({**fields, **own, "codebook": codebook}, strict=False)
