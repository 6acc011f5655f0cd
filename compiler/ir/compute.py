"""Compute networks in float64, for calibration and reports."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatAdd,
    FloatCell,
    FloatConcat,
    FloatConv,
    FloatGraph,
    FloatLinear,
    FloatNode,
    FloatPool,
    Shape,
)
from zeroskip.compiler.ir.sequences import Sequences, row_shape, rows_as_steps
from zeroskip.compiler.ir.windows import convolve, divisors, maxima

__all__ = ["check_range", "run_nodes", "shapes"]


_LARGEST = 1e150
"""Outputs beyond this, squared and added up, would overflow float64."""


def shapes(graph: FloatGraph) -> dict[str, Shape]:
    """Return the shape (C, H, W) of every tensor.

    Raises
    ------
    CompileError
        If a node does not fit what it reads; names it.
    """
    found: dict[str, Shape] = {INPUT: graph.input_shape}
    for node in graph.nodes:
        if missing := [name for name in node.inputs if name not in found]:
            raise CompileError(
                f"layer {node.name!r} reads {missing[0]!r}, which is not made before"
            )
        if node.name in found:
            raise CompileError(f"two layers have the name {node.name!r}; names must be unique")
        inputs = [found[name] for name in node.inputs]
        if graph.reads_rows(node):
            inputs = [row_shape(shape) for shape in inputs]
        found[node.name] = shape_of(node, inputs)
    if graph.output not in found:
        raise CompileError(f"the network's output {graph.output!r} is not made by any layer")
    return found


def shape_of(node: FloatNode, inputs: Sequence[Shape]) -> Shape:
    """Return the shape of what ``node`` makes of tensors of shapes ``inputs``.

    Raises
    ------
    CompileError
        If it does not fit them; names it.
    """
    channels, height, width = inputs[0]
    if isinstance(node, FloatConv):
        depth, fan, *_ = node.weight.shape
        if node.groups < 1 or channels % node.groups or depth % node.groups:
            raise CompileError(
                f"layer {node.name!r} has {node.groups} groups, which do not divide its {channels} "
                f"input and {depth} output channels"
            )
        if fan * node.groups != channels:
            raise CompileError(
                f"layer {node.name!r} takes {fan * node.groups} channels, but gets {channels}"
            )
        out = (depth, *node.places((height, width)))
    elif isinstance(node, FloatLinear):
        rows, columns = node.shape
        if channels * height * width != columns:
            raise CompileError(
                f"layer {node.name!r} takes {columns} values, but gets {channels * height * width}"
            )
        out = (rows, 1, 1)
    elif isinstance(node, FloatCell):
        columns = node.weight.shape[1]
        if channels * height * width != columns:
            raise CompileError(
                f"layer {node.name!r} takes {columns} values a step, but gets "
                f"{channels * height * width}"
            )
        out = (node.units, 1, 1)
    elif isinstance(node, FloatPool):
        out = (channels, *node.out_size)
    elif isinstance(node, FloatConcat):
        out = (sum(shape[0] for shape in inputs), height, width)
        if len({shape[1:] for shape in inputs}) > 1:
            raise CompileError(
                f"layer {node.name!r} puts planes of different sizes side by side: {inputs}"
            )
    else:
        out = inputs[0]
        if len(set(inputs)) > 1:
            raise CompileError(f"layer {node.name!r} adds tensors of different shapes: {inputs}")
    if min(out) < 1:
        raise CompileError(
            f"layer {node.name!r} makes an empty tensor {out} of one of shape {inputs[0]}; give "
            "the network a larger input"
        )
    return out


def run_nodes(
    graph: FloatGraph, x: NDArray[np.float64]
) -> Iterator[tuple[FloatNode, NDArray[np.float64]]]:
    """Yield every node with its output (samples, C, H, W), in order.

    Parameters
    ----------
    graph : see :func:`shapes`.
    x : (samples, C, H, W) of the input.

    Raises
    ------
    CompileError
        As :func:`shapes`; or if a number overflows float64.
    """
    sizes = shapes(graph)
    last = {name: number for number, node in enumerate(graph.nodes) for name in node.inputs}
    tensors = {INPUT: x}
    for number, node in enumerate(graph.nodes):
        inputs = [tensors[name] for name in node.inputs]
        if graph.reads_rows(node):
            inputs = [rows_as_steps(tensor) for tensor in inputs]
        with np.errstate(all="ignore"):
            y = _run(node, inputs, sizes[node.name], graph.projection(node))
        check_range(node.name, y)
        tensors[node.name] = y
        for name in set(node.inputs):
            if last[name] == number:
                del tensors[name]
        yield node, y


def check_range(layer: str, y: NDArray[np.float64]) -> None:
    """Check that errors of outputs ``y`` in float can be measured.

    Raises
    ------
    CompileError
        If outputs are so large that they, or their squares, overflow float64.
    """
    if not np.abs(y).max(initial=0.0) <= _LARGEST:
        raise CompileError(
            f"layer {layer!r} overflows float64 on the calibration data: scale the data as in "
            "training, or the weights down"
        )


def _run(
    node: FloatNode,
    inputs: list[NDArray[np.float64]],
    shape: Shape,
    projection: FloatLinear | None,
) -> NDArray[np.float64]:
    plane = shape[1:]
    if isinstance(node, FloatConcat):
        return np.concatenate(inputs, axis=1)
    if isinstance(node, FloatAdd):
        y = inputs[0] + inputs[1]
    elif isinstance(node, FloatLinear):
        y = _run_linear(node, inputs[0].reshape(len(inputs[0]), -1))[:, :, None, None]
    elif isinstance(node, FloatCell):
        x = inputs[0].reshape(len(inputs[0]), -1)
        y = _run_cell(node, x, projection)[:, :, None, None]
    elif isinstance(node, FloatConv):
        y = convolve(inputs[0], node.weight, node.stride, node.padding, plane, node.groups)
        y += node.bias[:, None, None]
    elif node.kind == "max":
        y = maxima(inputs[0], node.kernel, node.stride, node.padding, plane)
    else:
        channels = shape[0]
        ones = np.ones((channels, 1, *node.kernel))
        y = convolve(inputs[0], ones, node.stride, node.padding, plane, channels)
        y /= divisors(node, inputs[0].shape[2:])
    return np.maximum(y, 0.0) if node.relu else y


def _run_linear(linear: FloatLinear, x: NDArray[np.float64]) -> NDArray[np.float64]:
    y = x @ linear.weight.T + linear.bias
    return np.maximum(y, 0.0) if linear.relu else y


def _run_cell(
    cell: FloatCell, x: NDArray[np.float64], projection: FloatLinear | None
) -> NDArray[np.float64]:
    """Compute all steps of sequences: (sequences * steps, columns) to (..., units)."""
    sequences = Sequences.equal(len(x), cell.steps)
    x = x if cell.sweep == "forward" else sequences.reversed(x)
    sums = (x @ cell.weight.T + cell.bias).reshape(-1, cell.steps, 4, cell.units)
    hidden, state = (np.zeros((len(sums), cell.units)) for _ in range(2))
    past = np.zeros((len(sums), cell.recurrent.shape[1]))
    outputs = np.empty((len(sums), cell.steps, cell.units))
    of_i, of_f, of_o = np.zeros((3, 1)) if cell.peepholes is None else cell.peepholes
    for step in range(cell.steps):
        now = sums[:, step] + (past @ cell.recurrent.T).reshape(-1, 4, cell.units)
        first, second, third, fourth = (now[:, place] for place in range(4))
        if cell.kind == "lstm":
            before = state
            state = _sigmoid(third + of_f * state) * state
            state += _sigmoid(first + of_i * before) * np.tanh(second)
            hidden = _sigmoid(fourth + of_o * state) * np.tanh(state)
        else:
            made = np.tanh(fourth + _sigmoid(first) * second)
            hidden = made + _sigmoid(third) * (hidden - made)
        past = hidden if projection is None else _run_linear(projection, hidden)
        outputs[:, step] = hidden
    made = outputs.reshape(len(x), cell.units)
    return sequences.reversed(made) if cell.sweep == "reverse" else made


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return (1.0 + np.tanh(x / 2)) / 2
