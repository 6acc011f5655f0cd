"""Check what holds of every network between the passes of the compiler."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.compute import shapes
from zeroskip.compiler.ir.fixed import limits
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatCell,
    FloatConv,
    FloatGraph,
    FloatLinear,
    QuantCell,
    QuantConv,
    QuantGraph,
    QuantLayer,
    QuantLinear,
    Shape,
)
from zeroskip.compiler.ir.sequences import row_shape
from zeroskip.hw.common.tanh import GATE_BITS

__all__ = ["check_layer", "check_range", "verify_graph"]

_WORD_BITS = 64


def verify_graph(graph: FloatGraph | QuantGraph[QuantLayer], after: str) -> None:
    """Check a network in float or in fixed point.

    Names are unique, tensors are made before they are read, shapes fit, and numbers are finite; in
    fixed point, what is read together has the same fraction, and codes are in the codebook.

    Parameters
    ----------
    graph : the network.
    after : the pass that made it, for the message.

    Raises
    ------
    CompileError
        If something does not hold; names the pass and the layer.
    """
    try:
        if not (graph.nodes if isinstance(graph, FloatGraph) else graph.layers):
            raise CompileError("the network has no layer")
        sample = graph.sample_shape
        inputs = math.prod(graph.input_shape) * graph.input_steps
        if sample is not None and math.prod(sample) != inputs:
            raise CompileError(
                f"samples of shape {sample} are not inputs of shape {graph.input_shape}"
            )
        if isinstance(graph, FloatGraph):
            _verify_float(graph)
        else:
            _verify_quant(graph)
    except CompileError as error:
        raise CompileError(f"{after} made a network that is not one: {error}") from error


def _verify_float(graph: FloatGraph) -> None:
    shapes(graph)
    for node in graph.nodes:
        if not isinstance(node, (FloatConv, FloatLinear, FloatCell)):
            continue
        if node.bias.shape != node.weight.shape[:1]:
            raise CompileError(
                f"layer {node.name!r} has {node.bias.size} biases for {len(node.weight)} outputs"
            )
        arrays = [node.weight, node.bias]
        if isinstance(node, FloatCell):
            arrays.append(node.recurrent)
            projection = graph.projection(node)
            _check_projection(node, projection and projection.inputs)
            past = node.units if projection is None else projection.shape[0]
            if node.peepholes is not None:
                arrays.append(node.peepholes)
                _check_peepholes(node, node.peepholes)
            if node.recurrent.shape != (4 * node.units, past) or len(node.bias) % 4:
                raise CompileError(
                    f"layer {node.name!r} has matrices of shapes {node.weight.shape} and "
                    f"{node.recurrent.shape}, which are of no cell"
                )
        bad = sum(np.count_nonzero(~np.isfinite(array)) for array in arrays)
        if bad:
            raise CompileError(
                f"layer {node.name!r} has {bad} weights and biases that are NaN or infinite"
            )


def _verify_quant(graph: QuantGraph[QuantLayer]) -> None:
    made: dict[str, Shape] = {INPUT: graph.input_shape}
    fractions: dict[str, int] = {}
    for layer in graph.layers:
        _check_made(f"layer {layer.name!r} reads", layer.inputs, made)
        if layer.name in made:
            raise CompileError(f"two layers have the name {layer.name!r}; names must be unique")
        shapes = [made[name] for name in layer.inputs]
        if not isinstance(layer, QuantConv) and not graph.of_sequences.isdisjoint(layer.inputs):
            shapes = [row_shape(shape) for shape in shapes]
        read = (sum(shape[0] for shape in shapes), *shapes[0][1:])
        if read != layer.in_shape or any(shape[1:] != shapes[0][1:] for shape in shapes):
            raise CompileError(f"layer {layer.name!r} takes {layer.in_shape}, but gets {read}")
        for name in layer.inputs:
            # The first that reads the network's input says which fraction that has.
            if fractions.setdefault(name, layer.in_frac) != layer.in_frac:
                raise CompileError(
                    f"layer {layer.name!r} takes {layer.in_frac} fraction bits, but {name!r} has "
                    f"{fractions[name]}"
                )
        check_layer(layer)
        made[layer.name], fractions[layer.name] = layer.out_shape, layer.out_frac
        if isinstance(layer, QuantCell):
            _check_past(layer, graph.projection(layer))
    _check_made("the network gives", graph.outputs, made)
    if len({fractions.get(name) for name in graph.outputs}) > 1:
        raise CompileError(
            f"the network gives {', '.join(map(repr, graph.outputs))} side by side, which have "
            "different fractions"
        )


def _check_made(who: str, names: Sequence[str], made: dict[str, Shape]) -> None:
    if missing := [name for name in names if name not in made]:
        raise CompileError(f"{who} {missing[0]!r}, which is not made before")
    if not names:
        raise CompileError(f"{who} nothing")


def check_layer(layer: QuantLayer) -> None:
    """Check that a layer's weights, biases and shift are for its kind and its shapes.

    Raises
    ------
    CompileError
        Naming layer and value.
    """
    channels, height, width = layer.in_shape
    outputs = layer.out_shape[0]
    if isinstance(layer, QuantCell):
        _check_cell(layer)
        return
    if isinstance(layer, QuantLinear):
        fits = layer.codes.shape == (outputs, channels * height * width)
        known = layer.codes.data.size == 0 or int(layer.codes.data.max()) < layer.codebook.size
    else:
        groups, kernels = layer.groups, layer.weight.shape[:2]
        fits = layer.weight.ndim == 4 and groups > 0 and channels % groups == outputs % groups == 0
        fits = fits and kernels == (outputs, channels // groups)
        known = layer.codebook is None or bool(np.isin(layer.weight, layer.codebook).all())
    if not fits or layer.bias.shape != layer.out_shape[:1]:
        raise CompileError(
            f"layer {layer.name!r} has weights and biases for other shapes or groups than "
            f"{layer.in_shape} and {layer.out_shape}"
        )
    if not known:
        raise CompileError(f"layer {layer.name!r} has weights that its codebook has not")
    if not 0 <= layer.shift < _WORD_BITS:
        raise CompileError(
            f"the shift of layer {layer.name!r} (in_frac + weight_frac - out_frac) must be from 0 "
            f"to {_WORD_BITS - 1}, not {layer.shift}"
        )
    if isinstance(layer, QuantLinear):
        return
    if min(layer.stride) < 1:
        raise CompileError(
            f"the stride of layer {layer.name!r} must be at least 1, not {layer.stride}"
        )
    if layer.op == "max":
        _check_maximum(layer)
    if layer.areas:
        _check_areas(layer)


def check_range(
    layer: QuantLayer,
    values: NDArray[np.int64],
    bits: int,
    *,
    what: str,
    param: str,
    error: type[CompileError] = CompileError,
) -> None:
    """Check that numbers of a layer have at most so many bits.

    Parameters
    ----------
    layer, values, bits : the layer, its numbers, and their width, two's complement.
    what : the numbers are called.
    param : of the array, that is ``bits``.
    error : to raise.

    Raises
    ------
    CompileError
        Naming layer, value and limits.
    """
    low, high = limits(bits)
    if values.size and not low <= values.min() <= values.max() <= high:
        raise error(
            f"{what} of layer {layer.name!r} must be from {low} to {high} ({param} = {bits}), "
            f"not {values.min()} to {values.max()}"
        )


def _check_cell(cell: QuantCell) -> None:
    """Check that matrices, biases and fractions of a recurrent layer fit each other."""
    units, columns = cell.units, math.prod(cell.in_shape)
    past = cell.recurrent.indptr.size - 1
    shapes = cell.matrix.shape, cell.recurrent.shape, cell.bias.shape
    if shapes != ((4 * units, columns), (4 * units, past), (4 * units,)) or cell.steps < 1:
        raise CompileError(
            f"layer {cell.name!r} has matrices and biases of shapes {shapes}, which are of no cell "
            f"that takes {columns} values in {cell.steps} steps"
        )
    if cell.peepholes is not None:
        _check_peepholes(cell, cell.peepholes)
        check_range(
            cell, cell.peepholes, GATE_BITS, what="weights of peepholes", param="bits of a state"
        )
    if min(cell.thresholds or (0,)) < 0:
        raise CompileError(
            f"thresholds of layer {cell.name!r} must be 0 or more, not {cell.thresholds}"
        )
    pairs = (cell.matrix, cell.codebook), (cell.recurrent, cell.recurrent_codebook)
    if any(codes.data.max(initial=0) >= codebook.size for codes, codebook in pairs):
        raise CompileError(f"layer {cell.name!r} has weights that its codebook has not")
    if not 0 <= cell.shift < _WORD_BITS - 1:
        raise CompileError(
            f"the shift of layer {cell.name!r} must be from 0 to {_WORD_BITS - 2}, not {cell.shift}"
        )


def _check_peepholes(cell: FloatCell | QuantCell, weights: NDArray[Any]) -> None:
    """Check that weights of peepholes are of an LSTM's gates."""
    if cell.kind != "lstm" or weights.shape != (3, cell.units):
        raise CompileError(
            f"layer {cell.name!r} has peepholes of shape {weights.shape}, which are of no LSTM of "
            f"{cell.units} hidden units"
        )


def _check_past(cell: QuantCell, projection: QuantLinear | None) -> None:
    """Check that a recurrent layer can read what it, or its projection, made at the step before."""
    _check_projection(cell, projection and projection.inputs)
    made = cell if projection is None else projection
    columns = cell.recurrent.indptr.size - 1
    if columns != made.out_shape[0]:
        raise CompileError(
            f"layer {cell.name!r} takes {columns} values of the step before, but {made.name!r} "
            f"makes {made.out_shape[0]}"
        )
    if cell.past_frac != made.out_frac:
        raise CompileError(
            f"layer {cell.name!r} adds products of {cell.in_frac + cell.weight_frac} and of "
            f"{made.out_frac + cell.recurrent_frac} fraction bits"
        )


def _check_projection(cell: FloatCell | QuantCell, reads: tuple[str, ...] | None) -> None:
    """Check that what ought to be the projection of a recurrent layer reads it, if there is one."""
    if cell.projection is not None and reads != (cell.name,):
        raise CompileError(
            f"layer {cell.name!r} takes outputs of {cell.projection!r} at the step before, which "
            "must be a Linear layer that reads it"
        )


def _check_maximum(conv: QuantConv) -> None:
    """Check that a maximum is one: of a channel, over inputs that are there."""
    plain = not conv.shift and not conv.bias.any() and (conv.weight == 1).all()
    if not plain or not conv.in_shape[0] == conv.out_shape[0] == conv.groups:
        raise CompileError(
            f"layer {conv.name!r} is a maximum: it must have weights 1, no bias and no shift, and "
            "keep its channels apart"
        )
    for axis in range(2):
        size, count = conv.in_shape[1 + axis], conv.out_shape[1 + axis]
        first, stride = -conv.padding[axis], conv.stride[axis]
        if first + conv.weight.shape[2 + axis] <= 0 or first + (count - 1) * stride >= size:
            raise CompileError(
                f"layer {conv.name!r} is a maximum: its windows must not lie in padding alone"
            )


def _check_areas(conv: QuantConv) -> None:
    """Check that areas cover the plane of an average."""
    made = np.zeros(conv.out_shape[1:], np.int64)
    for area in conv.areas:
        if min(area.y0, area.x0, area.height - 1, area.width - 1) < 0 or not area.weight:
            raise CompileError(f"layer {conv.name!r} must have areas of outputs, not {area}")
        made[area.y0 : area.y0 + area.height, area.x0 : area.x0 + area.width] += 1
    size = sum(area.height * area.width for area in conv.areas)
    if (made != 1).any() or size != made.size:
        raise CompileError(
            f"areas of layer {conv.name!r} must cover each of its {made.size} outputs once, but "
            f"{np.count_nonzero(made != 1)} are in none or several, and all have {size}"
        )
    if conv.op != "add" or conv.weight.shape[1] != 1 or np.unique(conv.weight).size != 1:
        raise CompileError(
            f"layer {conv.name!r} has areas, so it must be an average: each channel by itself, "
            "and all weights the same"
        )
