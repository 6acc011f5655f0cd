"""Read an ONNX file as data: shapes are inferred and constants folded, nothing else is computed."""

import contextlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError, InputError, ToolError
from zeroskip.compiler.frontend.onnx_ops import TRANSLATIONS
from zeroskip.compiler.frontend.program import Graph, Value
from zeroskip.compiler.frontend.translator import (
    Operation,
    Translator,
    live,
    without_softmax,
)

__all__ = ["read_onnx"]

_OLDEST_OPSET = 11
_SMALL = 1024
"""Elements of a constant that may say a shape; larger ones are weights."""
_MOST_ELEMENTS = 1 << 26
"""Of a constant that is folded."""

_FOLDED = frozenset({
    "Add", "Cast", "Ceil", "Concat", "Constant", "ConstantOfShape", "DequantizeLinear", "Div",
    "Equal", "Exp", "Expand", "Flatten", "Floor", "Gather", "Identity", "Max", "Min", "Mod", "Mul",
    "Neg", "Pow", "QuantizeLinear", "Range", "Reciprocal", "ReduceMean", "ReduceProd", "ReduceSum",
    "Reshape", "Shape", "Size", "Slice", "Sqrt", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze",
    "Where",
})  # fmt: skip
"""Operators whose results are computed while a file is read, if all that they read is constant."""
_SINCE_19 = ("DequantizeLinear", "QuantizeLinear")
"""Of these, onnx computes what opset 19 and newer say, which is the same for constants here."""

Constants = dict[str, NDArray[Any]]


def read_onnx(path: str | Path) -> Graph:
    """Read the network in the ONNX file ``path``, opset 11 or newer, and its external data.

    Constants are folded by the operators of the ``onnx`` package; nothing in the file is run. A
    batch of any size is taken as one sample.

    Raises
    ------
    InputError
        If the file is missing, damaged, no ONNX file or of an older opset.
    CompileError
        If the input is not of a supported shape; nodes that are of no supported kind are in
        ``refused``.
    ToolError
        If the package ``onnx`` is not installed.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"model file {path} {what}")
    with _reporting_damage(path):
        return _File(path).graph()


@contextlib.contextmanager
def _reporting_damage(path: Path) -> Iterator[None]:
    """Turn what a damaged file makes protobuf and onnx raise into one sentence."""
    try:
        from google.protobuf.message import DecodeError
        from onnx.checker import ValidationError
        from onnx.shape_inference import InferenceError
    except ImportError as error:
        raise ToolError(
            "ONNX files are read by the package onnx, which is not installed: pip install "
            "'zeroskip[onnx]'"
        ) from error
    try:
        yield
    except DecodeError as error:
        raise InputError(f"{path} is no ONNX file, or it is truncated") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValidationError, InferenceError) as error:
        reason = str(error).strip().splitlines()[0]
        if "should be stored in" in reason:
            reason = f"a file of weights beside it is missing: {reason}"
        raise InputError(f"{path} is damaged or not valid ONNX: {reason}") from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise InputError(
            f"{path} is damaged or not valid ONNX ({type(error).__name__}: {error})"
        ) from error


class _File:
    """The graph of one ONNX file, while it is read."""

    def __init__(self, path: Path) -> None:
        import onnx
        import onnx.inliner

        self._path = path
        model = onnx.load(path)
        if not model.ir_version or not model.graph.node:
            raise InputError(f"{path} holds no ONNX graph")
        self._opset = max(
            (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")),
            default=1,
        )
        if self._opset < _OLDEST_OPSET:
            raise InputError(
                f"{path} is of ONNX opset {self._opset}, and Zeroskip reads {_OLDEST_OPSET} and "
                f"newer: export it with opset_version={_OLDEST_OPSET} or more, or convert it with "
                "onnx.version_converter"
            )
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        self._graph = model.graph
        self._opsets = list(model.opset_import)
        self._constants: Constants = {
            tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer
        }
        if model.graph.sparse_initializer:
            raise InputError(
                f"{path} stores weights as sparse tensors, which Zeroskip does not read: store "
                "them dense, zeros and all"
            )
        self._inputs = [i for i in model.graph.input if i.name not in self._constants]

    def graph(self) -> Graph:
        """Return the graph in the operators that the lowering knows."""
        for tensor in self._inputs:
            self._fix_batch(tensor)
        shapes = self._fold()
        operations = [_operation(node) for node in self._nodes]
        outputs, notes = without_softmax(operations, [tensor.name for tensor in self._graph.output])
        translator = Translator(TRANSLATIONS, shapes, self._constants)
        for op in live(operations, outputs):
            translator.add(op)
        floating = {
            tensor.name: tensor.type.tensor_type.elem_type in _floats() for tensor in self._inputs
        }
        for name, floats in floating.items():
            if not floats:
                raise CompileError(f"the input {name!r} is not a floating-point tensor")
        values = {
            name: Value(shape, True)
            for name, shape in translator.shapes.items()
            if name not in self._constants
        }
        return Graph(
            inputs=tuple(tensor.name for tensor in self._inputs),
            outputs=outputs,
            mutated=(),
            tensors=translator.tensors,
            nodes=tuple(translator.nodes),
            values=values,
            notes=notes,
            refused=translator.refused,
        )

    def _fix_batch(self, tensor: Any) -> None:
        """Take a first dimension of any size as 1; the others must be fixed."""
        kind = tensor.type.tensor_type
        if not kind.HasField("shape") or not kind.shape.dim:
            raise CompileError(
                f"the input {tensor.name!r} has no shape: export it with one, the batch first"
            )
        sizes = [d.dim_value if d.HasField("dim_value") else 0 for d in kind.shape.dim]
        if min(sizes[1:], default=1) < 1:
            shape = ", ".join(
                str(size) if size else dim.dim_param or "?"
                for size, dim in zip(sizes, kind.shape.dim, strict=True)
            )
            raise CompileError(
                f"the input {tensor.name!r} has shape ({shape}), but only the first, the batch, "
                "may vary: export it with the others fixed"
            )
        if sizes[0] < 1:
            kind.shape.dim[0].Clear()
            kind.shape.dim[0].dim_value = 1

    def _fold(self) -> dict[str, tuple[int, ...]]:
        """Compute what depends on constants alone; return the shapes of all tensors."""
        nodes = list(self._graph.node)
        while True:
            shapes = self._infer(nodes)
            rest = [node for node in nodes if not self._computed(node, shapes)]
            if len(rest) == len(nodes):
                self._nodes = nodes
                return shapes
            nodes = rest

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
                small.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
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
            opsets = [helper.make_opsetid("", max(self._opset, 19))]
        model = helper.make_model(graph, opset_imports=opsets)
        try:
            return [np.asarray(made) for made in ReferenceEvaluator(model).run(None, feeds)]
        except Exception:  # errors of many kinds, by what the file has
            return []


def _operation(node: Any) -> Operation:
    """Take a ``NodeProto`` as it is."""
    from onnx import helper

    domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return Operation(
        name=node.name or node.output[0],
        kind=domain + node.op_type,
        inputs=tuple(node.input),
        outputs=tuple(name for name in node.output if name),
        attributes={
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in values.items()
        },
    )


def _floats() -> set[int]:
    from onnx import TensorProto as Kind

    return {Kind.FLOAT, Kind.DOUBLE, Kind.FLOAT16, Kind.BFLOAT16}


def _elements(op: str, given: list[Any]) -> int:
    """Count, at most, the elements that an operator makes of constants."""
    largest = max((array.size for array in given), default=1)
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
