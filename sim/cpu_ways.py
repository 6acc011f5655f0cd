"""Ways to compute a layer on a CPU, all with the same weights and the same input."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from zeroskip.base.errors import SimulationError
from zeroskip.compiler.ir.graph import FloatConv, FloatLinear

__all__ = ["WAYS", "Call", "checked_calls", "missing_ways"]

_TOLERANCE = 1e-3
"""Largest difference of outputs of 32-bit floats, over the largest output."""

Call = Callable[[], NDArray[Any]]

WAYS = {
    "torch dense": "torch's Linear or Conv2d",
    "torch CSR": "torch's compressed rows; of a convolution, times its windows, which are laid out "
    "as columns before, and not timed",
    "scipy CSR": "scipy's compressed rows, on one thread; of a convolution, likewise",
    "onnxruntime": "onnxruntime's Gemm or Conv on the CPU",
    "openvino": "OpenVINO's, of the same operator in 32-bit floats",
}
"""What each way to compute a layer is."""


def checked_calls(
    node: FloatConv | FloatLinear, x: NDArray[np.float32], threads: int
) -> Iterator[tuple[str, Call]]:
    """Yield the ways to compute a layer; all give what the first gives."""
    expected: NDArray[Any] | None = None
    for way, call in _calls(node, x, threads):
        made = np.asarray(call()).ravel()
        if expected is None:
            expected = made
        most = max(float(np.abs(expected).max(initial=0)), 1e-30)
        differ = float(np.abs(made - expected).max(initial=0)) / most
        if not differ <= _TOLERANCE:
            raise SimulationError(
                f"layer {node.name!r}: {way} differs from torch by {differ:.2g} of the largest "
                "output"
            )
        yield way, call


def _calls(
    node: FloatConv | FloatLinear, x: NDArray[np.float32], threads: int
) -> Iterator[tuple[str, Call]]:
    import torch
    from torch.nn import functional

    weight = np.ascontiguousarray(node.weight, np.float32)
    dense = torch.from_numpy(weight)
    source = torch.from_numpy(np.ascontiguousarray(x))
    if isinstance(node, FloatLinear):
        flat = source.reshape(1, -1)
        yield "torch dense", lambda: functional.linear(flat, dense).numpy()
        columns, groups = flat.T.contiguous(), 1
    else:
        padded = _padded(node, source)
        stride, groups = node.stride, node.groups
        yield (
            "torch dense",
            lambda: functional.conv2d(padded, dense, stride=stride, groups=groups).numpy(),
        )
        columns = functional.unfold(padded, node.weight.shape[2:], stride=stride)[0]
    if groups == 1:
        rows = csr_array(weight.reshape(len(weight), -1))
        with warnings.catch_warnings():
            # torch says once that compressed rows are new to it.
            warnings.simplefilter("ignore")
            compressed = dense.reshape(len(weight), -1).to_sparse_csr()
        plain = columns.numpy()
        yield "torch CSR", lambda: (compressed @ columns).numpy()
        yield "scipy CSR", lambda: rows @ plain
    there = [way for way in _OPTIONAL if way not in missing_ways()]
    if there:
        model, values = _as_onnx(node, weight, x)
        yield from ((way, _OPTIONAL[way](model, values, threads)) for way in there)


def missing_ways() -> tuple[str, ...]:
    """Return the ways whose packages, of the same names, are not installed."""
    return tuple(way for way in _OPTIONAL if not (find_spec(way) and find_spec("onnx")))


def _padded(node: FloatConv, source: Any) -> Any:
    from torch.nn import functional

    (top, left), (bottom, right) = node.padding, node.after or node.padding
    return functional.pad(source, (left, right, top, bottom))


def _as_onnx(
    node: FloatConv | FloatLinear, weight: NDArray[np.float32], x: NDArray[np.float32]
) -> tuple[bytes, NDArray[np.float32]]:
    """Return an ONNX model of a layer, and what it reads."""
    import torch
    from onnx import TensorProto, helper, numpy_helper

    if isinstance(node, FloatLinear):
        values = x.reshape(1, -1)
        operation = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    else:
        values = _padded(node, torch.from_numpy(x)).numpy()
        words = {"strides": list(node.stride), "group": node.groups}
        operation = helper.make_node("Conv", ["x", "w"], ["y"], **words)
    shapes = {"x": values.shape, "y": None}
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    held = [numpy_helper.from_array(weight, "w")]
    graph = helper.make_graph([operation], "layer", ends[:1], ends[1:], held)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return made.SerializeToString(), np.ascontiguousarray(values)


def _onnxruntime(model: bytes, values: NDArray[np.float32], threads: int) -> Call:
    onnxruntime: Any = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": values})[0]


def _openvino(model: bytes, values: NDArray[np.float32], threads: int) -> Call:
    openvino: Any = import_module("openvino")
    core = openvino.Core()
    # Unless told otherwise it may compute in 16 bits where the CPU can.
    how = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(core.read_model(model), "CPU", how).create_infer_request()
    return lambda: request.infer([values])[0]


_OPTIONAL: Mapping[str, Callable[[bytes, NDArray[np.float32], int], Call]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}
"""Ways that are there where a package of the name is."""
