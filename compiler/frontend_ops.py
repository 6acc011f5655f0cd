"""What the operators of a traced graph mean: constants, scalings and products."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.errors import CompileError
from compiler.frontend_graph import Node, Ref

__all__ = [
    "NORMS",
    "PRODUCTS",
    "RELUS",
    "RESHAPES",
    "SAME",
    "SCALINGS",
    "SUPPORTED",
    "VIEWS",
    "arithmetic",
    "base_name",
    "batch_norm",
    "check_eval",
    "check_order",
    "check_relu",
    "hint",
    "is_inplace",
    "node_error",
    "product",
    "rearrange",
    "scaling",
]

Number = Callable[[Any], Any]
"""Returns the array or number that an argument is, or None if it depends on the input."""

SUPPORTED = (
    "a chain of Linear, ReLU, Flatten/view/reshape that keep the order, Dropout and BatchNorm1d, "
    "and before it Conv2d, BatchNorm2d, ReLU, max and average pooling, concatenation and addition"
)

# Operators by their names without overload and without the "_" of in-place forms.
SAME = {
    "alias", "clone", "contiguous", "detach", "lift_fresh_copy", "to", "_to_copy", "dropout",
    "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout", "type_as",
}  # fmt: skip
_MOVES = {"permute", "transpose", "t", "numpy_T", "swapaxes"}
RESHAPES = {
    "view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "_unsafe_view", *_MOVES
}  # fmt: skip
RELUS = {"relu", "clamp_min", "clamp", "threshold"}
NORMS = {"batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm"}
SCALINGS = {
    "add": lambda left, right, alpha: left + alpha * right,
    "sub": lambda left, right, alpha: left - alpha * right,
    "rsub": lambda left, right, alpha: right - alpha * left,
    "mul": lambda left, right, _: left * right,
    "div": lambda left, right, _: left / right,
}
PRODUCTS = {
    "linear": ("input", "weight", "bias"),
    "addmm": ("mat1", "mat2", "self"),
    "mm": ("self", "mat2", ""),
    "matmul": ("self", "other", ""),
}
"""Arguments of a product: the activation, the matrix, the bias."""
VIEWS = {"alias", "detach", "view", "squeeze", "unsqueeze", "permute", "transpose", "t"}
"""These give their input's own memory, so both names stay valid for what comes after."""
_HINTS = {
    "softmax": "leave it out: it does not change which output is the largest",
    "hardtanh": "ReLU6 and Hardtanh have an upper limit; use ReLU",
    "hardswish": "its result is not that of a ReLU; use ReLU",
    "silu": "its result is not that of a ReLU; use ReLU",
    "leaky": "negative outputs are clipped to 0 or kept; use ReLU",
    "conv_transpose": "the array's convolutions make planes smaller, not larger",
    "conv": "only two-dimensional convolutions of feature maps, before any Linear layer",
    "pool": "only two-dimensional pooling of feature maps, before any Linear layer",
}


def base_name(op: str) -> str:
    """Return the operator's name without namespace, overload and the ``_`` of in-place forms."""
    parts = op.split(".")
    name = parts[1] if parts[0] == "aten" and len(parts) > 1 else op
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def is_inplace(op: str) -> bool:
    """Say whether the operator changes its first argument."""
    return op.startswith("aten.") and op.split(".")[1] != base_name(op)


def hint(base: str) -> str:
    """Return advice for an operator that is not supported, or nothing."""
    return next((text for key, text in _HINTS.items() if key in base), "")


def node_error(node: Node, why: str) -> CompileError:
    """Return the error that ``node`` is not supported, for the reason ``why``."""
    place = f", in module {node.module!r}" if node.module else ""
    return CompileError(
        f"node {node.name!r} ({node.op}{place}) is not supported"
        f"{': ' + why if why else ''}; supported is {SUPPORTED}"
    )


def check_eval(node: Node, flag: str) -> None:
    """Refuse ``node`` if its argument ``flag`` says that it trains."""
    if node.args.get(flag):
        raise node_error(node, "it is in training mode; call .eval() before torch.export.export")


def check_relu(node: Node, base: str, number: Number) -> None:
    """Refuse limits that are not those of ReLU."""
    args = node.args
    if (
        (base in ("clamp_min", "clamp") and number(args.get("min")) != 0)
        or (base == "clamp" and args.get("max") is not None)
        or (base == "threshold" and (args.get("threshold"), args.get("value")) != (0, 0))
    ):
        raise node_error(node, "only with a lower limit of 0 and no upper one, which is ReLU")


def check_order(node: Node, base: str, shape: tuple[int, ...]) -> None:
    """Refuse a permutation that moves elements of samples of ``shape``; views never do."""
    if base not in _MOVES:
        return
    before = np.arange(2 * math.prod(shape)).reshape(2, *shape)
    after = rearrange(node, base, before, ())
    if after.shape[:1] != (2,) or not np.array_equal(after.ravel(), before.ravel()):
        raise node_error(node, "it changes the order of a sample's elements")


def rearrange(
    node: Node, base: str, array: NDArray[Any], shape: tuple[int | None, ...]
) -> NDArray[Any]:
    """Return ``array`` in the order, or in the ``shape``, that the operator gives it."""
    args = node.args
    if base in ("t", "numpy_T"):
        return array.T
    if base == "permute":
        return array.transpose([int(dim) for dim in args["dims"]])
    if base in _MOVES:
        first, second = (int(dim) for dim in list(args.values())[1:3])
        return array.swapaxes(first, second)
    return array.reshape([size or 0 for size in shape])


def arithmetic(node: Node, base: str, left: Any, right: Any) -> NDArray[np.float64]:
    """Return the result of an elementwise operator on numbers."""
    if node.args.get("rounding_mode") is not None:
        raise node_error(node, "a division that rounds")
    left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
    with np.errstate(all="ignore"):
        return np.asarray(SCALINGS[base](left, right, node.args.get("alpha", 1)))


def scaling(
    node: Node, base: str, number: Number
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scale and shift of an elementwise operator with a constant."""
    left, right = (number(arg) for arg in list(node.args.values())[:2])
    if (left is None) == (right is None) or (base == "div" and right is None):
        raise node_error(node, "only with a constant")
    if base in ("mul", "div"):
        one = arithmetic(node, base, *((1.0, right) if left is None else (left, 1.0)))
        return one, np.zeros(1)
    # The scale is exactly 1, -1 or alpha, whatever the constant: no difference of two results.
    scale = arithmetic(node, base, *((1.0, 0.0) if left is None else (0.0, 1.0)))
    return scale, arithmetic(node, base, *((0.0, right) if left is None else (left, 0.0)))


def batch_norm(
    node: Node, number: Number, shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scale and shift of a batch norm, shaped to apply to samples of ``shape``."""
    check_eval(node, "training")
    mean, var, gain, offset = (
        number(node.args.get(key)) for key in ("running_mean", "running_var", "weight", "bias")
    )
    if mean is None or var is None:
        raise node_error(node, "it has no running statistics (track_running_stats=False)")
    with np.errstate(all="ignore"):
        scale = (1.0 if gain is None else gain) / np.sqrt(var + node.args["eps"])
        shift = (0.0 if offset is None else offset) - mean * scale
    # One value per channel, which is the first dimension of a sample.
    column = (-1,) + (1,) * (len(shape) - 1)
    return scale.reshape(column), shift.reshape(column)


def product(
    node: Node, base: str, source: str, shape: tuple[int, ...], number: Number
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    """Return matrix (rows, cols), bias (rows,) and the matrix's name in the graph.

    ``source`` is the activation, whose samples have ``shape``.
    """
    args = node.args
    x, matrix, bias = (args.get(key) for key in PRODUCTS[base])
    weight = number(matrix)
    if not isinstance(x, Ref) or x.name != source or not isinstance(weight, np.ndarray):
        raise node_error(node, "only with the activation first and constant weights")
    if weight.ndim != 2:
        raise node_error(node, f"its weights have {weight.ndim} dimensions instead of 2")
    offset = 0.0 if bias is None else number(bias)
    if offset is None:
        raise node_error(node, "its bias is not constant")
    weight = weight if base == "linear" else weight.T
    if base == "addmm":
        alpha, beta = args.get("alpha", 1), args.get("beta", 1)
        weight, offset = (weight if alpha == 1 else weight * alpha), offset * beta
    if shape[-1:] != (weight.shape[1],):
        raise node_error(
            node,
            f"it takes {weight.shape[1]} values, but a sample here has shape {shape}; the first "
            "dimension must be the batch",
        )
    if math.prod(shape[:-1]) != 1:
        raise node_error(
            node,
            f"it would apply to {math.prod(shape[:-1])} vectors per sample (shape {shape}); "
            "flatten the sample first",
        )
    offset = np.asarray(offset, np.float64)
    if offset.ndim > 1 and offset.size != offset.shape[-1]:
        raise node_error(node, "its bias is not the same for every sample")
    name = matrix.name if isinstance(matrix, Ref) else ""
    return weight, np.broadcast_to(offset.ravel(), weight.shape[:1]), name
