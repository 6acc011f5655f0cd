"""Fold what depends on constants alone in an ONNX graph, and infer the shapes of the rest."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.frontend.onnx_quant import Range, is_quantizer, quantized, range_of

__all__ = ["Constants", "Folded", "fold", "opset_of"]

_SMALL = 1024
"""Elements of a constant that may say a shape; larger ones are weights."""
_MOST_ELEMENTS = 1 << 26
"""Of a constant that is folded."""

_FOLDED = frozenset({
    "Add", "Cast", "Ceil", "Clip", "Concat", "Constant", "ConstantOfShape", "DequantizeLinear",
    "Div", "Equal", "Exp", "Expand", "Flatten", "Floor", "Gather", "Identity", "Max", "Min", "Mod",
    "Mul", "Neg", "Pow", "QuantizeLinear", "Range", "Reciprocal", "ReduceMean", "ReduceProd",
    "ReduceSum", "Reshape", "Shape", "Size", "Slice", "Sqrt", "Squeeze", "Sub", "Tile", "Transpose",
    "Unsqueeze", "Where",
})  # fmt: skip
"""Operators whose results are computed while a file is read, if all that they read is constant."""
_SINCE_19 = ("DequantizeLinear", "QuantizeLinear")
"""Of these, onnx computes what opset 19 and newer say, which is the same for constants here."""

Constants = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Folded:
    """A graph without what could be computed.

    Parameters
    ----------
    nodes : that are left.
    shapes : of tensors, constants included.
    ranges : names of quantizers of activations of which only the ranges are left.
    """

    nodes: list[Any]
    shapes: dict[str, tuple[int, ...]]
    ranges: list[str]


def opset_of(imports: Sequence[Any]) -> int:
    """Return the version of ONNX's own operators that a file is of."""
    return max((entry.version for entry in imports if entry.domain in ("", "ai.onnx")), default=1)


def fold(graph: Any, inputs: Sequence[Any], constants: Constants, opsets: Sequence[Any]) -> Folded:
    """Compute what depends on constants alone; results are added to ``constants``.

    Parameters
    ----------
    graph : a ``GraphProto``.
    inputs : its inputs that are no constants.
    constants : by name.
    opsets : that the file imports.
    """
    return _Folding(graph, inputs, constants, opsets).run()


class _Folding:
    def __init__(
        self, graph: Any, inputs: Sequence[Any], constants: Constants, opsets: Sequence[Any]
    ) -> None:
        self._graph, self._inputs, self._constants = graph, inputs, constants
        self._opsets = list(opsets)
        self._ranges: list[str] = []

    def run(self) -> Folded:
        nodes = list(self._graph.node)
        while True:
            shapes = self._infer(nodes)
            rest = [node for node in nodes if not self._computed(node, shapes)]
            ranges = len(self._ranges)
            rest = self._with_ranges(rest)
            if len(rest) == len(nodes) and len(self._ranges) == ranges:
                return Folded(nodes, shapes, self._ranges)
            nodes = rest

    def _with_ranges(self, nodes: list[Any]) -> list[Any]:
        """Put what clips in the place of quantizers of activations."""
        makers = {name: node for node in nodes for name in node.output}
        made: list[Any] = []
        for node in nodes:
            source, numbers = self._quantizer(node, makers)
            given = [self._constants[name] for name in numbers if name in self._constants]
            known = source and source not in self._constants and len(given) == len(numbers)
            found = range_of(node, given) if known else None
            if found is None:
                made.append(node)
                continue
            self._ranges.append(node.name or node.output[0])
            made.append(self._clip(node, source, found))
        return made

    def _quantizer(self, node: Any, makers: Mapping[str, Any]) -> tuple[str, list[str]]:
        """Return what a quantizer of activations reads, and the names of its numbers.

        Of a DequantizeLinear, that is what the QuantizeLinear before it reads; limits of a Clip of
        integers between both come behind scale and zero point. Nothing if ``node`` is neither.
        """
        if is_quantizer(node):
            return node.input[0], list(node.input[1:])
        if node.op_type != "DequantizeLinear" or node.input[0] not in makers:
            return "", []
        before, limits = makers[node.input[0]], []
        if before.op_type == "Clip" and before.input[0] in makers:
            limits = list(before.input[1:])
            before = makers[before.input[0]]
        if before.op_type != "QuantizeLinear" or not self._same(before.input[1:], node.input[1:]):
            return "", []
        return before.input[0], [*node.input[1:], *limits]

    def _same(self, names: Sequence[str], others: Sequence[str]) -> bool:
        """Say whether constants are the same, by name or by value."""
        arrays, other_arrays = ([self._constants.get(n) for n in all_] for all_ in (names, others))
        return len(arrays) == len(other_arrays) and all(
            a is not None and b is not None and np.array_equal(a, b)
            for a, b in zip(arrays, other_arrays, strict=True)
        )

    def _clip(self, node: Any, source: str, found: Range) -> Any:
        """Return a node that clips ``source`` to a range, in the place of ``node``."""
        from onnx import helper

        low, high = found.clip()
        inputs, kind = [source], "Identity"
        if high is not None:
            kind = "Clip"
            for what, value in (("low", low), ("high", high)):
                inputs.append(f"{node.output[0]}.{what}")
                self._constants[inputs[-1]] = np.array(value, np.float32)
        elif low is not None:
            kind = "Relu"
        return helper.make_node(kind, inputs, [node.output[0]], name=node.name)

    def _infer(self, nodes: list[Any]) -> dict[str, tuple[int, ...]]:
        """Infer the shapes of all tensors; large constants take part by shape alone.

        Returns
        -------
        By name, of tensors whose sizes are all known.
        """
        import onnx
        from onnx import helper

        inputs, small = list(self._inputs), []
        for name, array in self._constants.items():
            if array.size <= _SMALL:
                # A scalar stays one, which ascontiguousarray would give a dimension.
                small.append(onnx.numpy_helper.from_array(np.asarray(array, order="C"), name))
            else:
                kind = helper.np_dtype_to_tensor_dtype(array.dtype)
                inputs.append(helper.make_tensor_value_info(name, kind, array.shape))
        outputs = [helper.make_empty_tensor_value_info(t.name) for t in self._graph.output]
        graph = helper.make_graph(nodes, "shapes", inputs, outputs, small)
        model = helper.make_model(graph, opset_imports=self._opsets)
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        shapes = {name: array.shape for name, array in self._constants.items()}
        for value in (*self._inputs, *inferred.value_info, *inferred.output):
            kind = value.type.tensor_type
            if kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
                shapes[value.name] = tuple(d.dim_value for d in kind.shape.dim)
        return shapes

    def _computed(self, node: Any, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Compute a node if it reads constants only; say whether its results are known now."""
        if is_quantizer(node):
            arrays = [self._constants[name] for name in node.input if name in self._constants]
            made = quantized(node, arrays) if len(arrays) == len(node.input) else None
            if made is not None:
                self._constants[node.output[0]] = made
            return made is not None
        if node.domain not in ("", "ai.onnx") or node.op_type not in _FOLDED:
            return False
        if node.op_type == "Shape" and node.input[0] in shapes:
            found = np.array(shapes[node.input[0]], np.int64)
            limits = {attribute.name: attribute.i for attribute in node.attribute}
            self._constants[node.output[0]] = found[limits.get("start", 0) : limits.get("end")]
            return True
        given = [self._constants.get(name) for name in node.input if name]
        if any(array is None for array in given):
            return False
        if _elements(node.op_type, given) > _MOST_ELEMENTS:
            return False
        made = self._evaluate(node)
        self._constants |= zip(node.output, made, strict=False)
        return bool(made)

    def _evaluate(self, node: Any) -> list[NDArray[Any]]:
        """Compute a node whose inputs are all constant, with the package ``onnx``.

        Returns
        -------
        Nothing where it cannot; the node is then refused by its name.
        """
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        feeds = {name: self._constants[name] for name in node.input if name}
        graph = helper.make_graph(
            [node],
            "constant",
            [helper.make_empty_tensor_value_info(name) for name in feeds],
            [helper.make_empty_tensor_value_info(name) for name in node.output],
        )
        opsets = self._opsets
        if node.op_type in _SINCE_19:
            opsets = [helper.make_opsetid("", max(19, opset_of(self._opsets)))]
        model = helper.make_model(graph, opset_imports=opsets)
        try:
            return [np.asarray(made) for made in ReferenceEvaluator(model).run(None, feeds)]
        except Exception:  # errors of many kinds, by what the file has
            return []


def _elements(op: str, given: list[Any]) -> int:
    """Count, at most, the elements that an operator makes of constants."""
    largest = max((array.size for array in given), default=1)
    if op in _SINCE_19:
        return largest
    if op == "ConstantOfShape":
        return math.prod(int(n) for n in given[0].ravel())
    if op == "Expand":
        return largest * max(1, math.prod(int(n) for n in given[1].ravel()))
    if op == "Tile":
        return given[0].size * math.prod(int(n) for n in given[1].ravel())
    if op == "Range":
        start, stop, step = (float(array) for array in given)
        return int(max(0.0, (stop - start) / step)) if step else 0
    # Element by element, two arrays are at most spread over each other.
    return math.prod(array.size for array in given) if len(given) == 2 else largest
