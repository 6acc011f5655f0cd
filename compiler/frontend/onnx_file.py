"""Read an ONNX file as data: shapes are inferred and constants folded, nothing else is computed."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from zeroskip.base.errors import CompileError, InputError, ToolError
from zeroskip.compiler.frontend.onnx_fold import Constants, fold, opset_of
from zeroskip.compiler.frontend.onnx_ops import TRANSLATIONS
from zeroskip.compiler.frontend.onnx_quant import range_note
from zeroskip.compiler.frontend.program import Graph, Value
from zeroskip.compiler.frontend.translator import (
    Operation,
    Translator,
    live,
)

__all__ = ["graph_of_model", "read_onnx"]

_OLDEST_OPSET = 11


def read_onnx(path: str | Path, sample_shape: Sequence[int] | None = None) -> Graph:
    """Read the network in the ONNX file ``path``, and its external data.

    Constants are folded by the operators of the ``onnx`` package, which also converts opsets before
    11; nothing in the file is run. A batch of any size is taken as one sample.

    Parameters
    ----------
    path : of the file.
    sample_shape : of an input without the batch, for sizes that the file leaves open.

    Raises
    ------
    InputError
        If the file is missing, damaged, no ONNX file, or of an opset that is too old.
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
        import onnx

        return _File(onnx.load(path), path, sample_shape).graph()


def graph_of_model(
    make: Callable[[], Any], path: Path, sample_shape: Sequence[int] | None
) -> Graph:
    """Return the graph of the ``ModelProto`` that ``make`` makes of the file ``path``.

    Errors are those of :func:`read_onnx`.
    """
    with _reporting_damage(path):
        return _File(make(), path, sample_shape).graph()


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

    def __init__(self, model: Any, path: Path, sample_shape: Sequence[int] | None) -> None:
        import onnx
        import onnx.inliner

        self._path, self._sample_shape = path, sample_shape
        if not model.ir_version or not model.graph.node:
            raise InputError(f"{path} holds no ONNX graph")
        if opset_of(model.opset_import) < _OLDEST_OPSET:
            model = _converted(model, path)
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
        folded = fold(self._graph, self._inputs, self._constants, self._opsets)
        operations = [_operation(node) for node in folded.nodes]
        outputs = tuple(tensor.name for tensor in self._graph.output)
        translator = Translator(TRANSLATIONS, folded.shapes, self._constants)
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
            notes=(range_note(folded.ranges),) if folded.ranges else (),
            refused=translator.refused,
        )

    def _fix_batch(self, tensor: Any) -> None:
        """Take a first dimension of any size as 1; of others, the sample's shape says open ones."""
        kind = tensor.type.tensor_type
        if not kind.HasField("shape") or not kind.shape.dim:
            raise CompileError(
                f"the input {tensor.name!r} has no shape: export it with one, the batch first"
            )
        sizes = [d.dim_value if d.HasField("dim_value") else 0 for d in kind.shape.dim]
        given = self._sample_shape
        if min(sizes[1:], default=1) < 1 and given is not None:
            pairs = zip(sizes[1:], given, strict=False)
            if len(given) == len(sizes) - 1 and all(old in (0, new) for old, new in pairs):
                for dim, size in zip(kind.shape.dim[1:], given, strict=True):
                    dim.dim_value = size
                sizes[1:] = given
        if min(sizes[1:], default=1) < 1:
            shape = ", ".join(
                str(size) if size else dim.dim_param or "?"
                for size, dim in zip(sizes, kind.shape.dim, strict=True)
            )
            raise CompileError(
                f"the input {tensor.name!r} has shape ({shape}), of which only the first, the "
                "batch, may vary"
                + (
                    ": say the shape of a sample (--shape, or data of it), or export it with the "
                    "others fixed"
                    if given is None
                    else f", and samples of shape {tuple(given)} are none of it"
                )
            )
        if sizes[0] < 1:
            kind.shape.dim[0].Clear()
            kind.shape.dim[0].dim_value = 1


def _converted(model: Any, path: Path) -> Any:
    """Return an older model in the operators of the oldest opset that is read."""
    from onnx import version_converter

    try:
        return version_converter.convert_version(model, _OLDEST_OPSET)
    except Exception as error:  # errors of many kinds, by what the file has
        raise InputError(
            f"{path} is of ONNX opset {opset_of(model.opset_import)}, which the package onnx "
            f"cannot convert to {_OLDEST_OPSET}: export it with an opset of {_OLDEST_OPSET} or more"
        ) from error


def _operation(node: Any) -> Operation:
    """Take a ``NodeProto`` as it is."""
    from onnx import helper

    domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return Operation(
        name=node.name or node.output[0],
        kind=domain + node.op_type,
        inputs=tuple(node.input),
        outputs=_without_last(node.output),
        attributes={
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in values.items()
        },
    )


def _floats() -> set[int]:
    from onnx import TensorProto as Kind

    return {Kind.FLOAT, Kind.DOUBLE, Kind.FLOAT16, Kind.BFLOAT16}


def _without_last(names: Sequence[str]) -> tuple[str, ...]:
    """Leave out the last results that nobody reads; one before others is an empty name."""
    kept = list(names)
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)
