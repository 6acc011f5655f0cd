"""What the operators of a traced graph mean: constants, scalings and products."""

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import NodeError
from zeroskip.compiler.frontend.program import Node, Ref

__all__ = [
    "NEGATION",
    "NORMS",
    "PRODUCTS",
    "REDUCTIONS",
    "RELUS",
    "SAME",
    "SCALINGS",
    "SUPPORTED",
    "VIEWS",
    "arithmetic",
    "batch_norm",
    "check_eval",
    "limits",
    "node_error",
    "product",
    "reduced_dims",
    "scaling",
]

Number = Callable[[Any], Any]
"""Returns the array or number that an argument is, or None if it depends on the input."""

SUPPORTED = (
    "Linear, Conv1d and Conv2d, ReLU, BatchNorm, max and average pooling, concatenation, addition, "
    "zero padding, Dropout, and what moves whole elements (Flatten, view, permute, slices)"
)

# Operators by their names without overload and without the "_" of in-place forms.
SAME = {
    "alias", "clone", "contiguous", "detach", "lift_fresh_copy", "to", "_to_copy", "dropout",
    "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout", "type_as",
}  # fmt: skip
RELUS = {"relu", "relu6", "clamp_min", "clamp_max", "clamp", "hardtanh", "threshold"}
_HARDTANH = (-1.0, 1.0)
REDUCTIONS: dict[str, Literal["avg", "max"]] = {
    "mean": "avg",
    "sum": "avg",
    "amax": "max",
    "max": "max",
}
"""Over dimensions, and the pooling that they are."""
NORMS = {"batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm"}
SCALINGS = {
    "add": lambda left, right, alpha: left + alpha * right,
    "sub": lambda left, right, alpha: left - alpha * right,
    "rsub": lambda left, right, alpha: right - alpha * left,
    "mul": lambda left, right, _: left * right,
    "div": lambda left, right, _: left / right,
}
NEGATION = "neg"
ATTENTION = {"scaled_dot_product_attention", "baddbmm", "bmm", "matmul"}
"""Operators that attention multiplies activations with."""

PRODUCTS = {
    "linear": ("input", "weight", "bias"),
    "addmm": ("mat1", "mat2", "self"),
    "mm": ("self", "mat2", ""),
    "matmul": ("self", "other", ""),
}
"""Arguments of a product: the activation, the matrix, the bias."""
VIEWS = {"alias", "detach", "view", "squeeze", "unsqueeze", "permute", "transpose", "t"}
"""These give their input's own memory, so both names stay valid for what comes after."""


def node_error(node: Node, why: str) -> NodeError:
    """Return the error that ``node`` is not supported, for the reason ``why``."""
    place = f", in module {node.module!r}" if node.module else ""
    return NodeError(
        node.name,
        f"node {node.name!r} ({node.op}{place}) is not supported"
        f"{': ' + why if why else ''}; supported is {SUPPORTED}",
    )


def check_eval(node: Node, flag: str) -> None:
    """Refuse ``node`` if its argument ``flag`` says that it trains."""
    if node.args.get(flag):
        raise node_error(node, "it is in training mode; call .eval() before torch.export.export")


def limits(node: Node, number: Number) -> tuple[float | None, float | None]:
    """Return the lowest and the highest result of an operator that clips; None: there is none."""
    args = node.args
    if node.base == "relu":
        return 0.0, None
    if node.base == "relu6":
        return 0.0, 6.0
    if node.base == "threshold":
        if (args.get("threshold"), args.get("value")) != (0, 0):
            raise node_error(node, "only with a threshold and a value of 0, which is ReLU")
        return 0.0, None
    hard = node.base == "hardtanh"
    names = ("min_val", "max_val") if hard else ("min", "max")
    found: list[float | None] = []
    for name, default in zip(names, _HARDTANH if hard else (None, None), strict=True):
        limit = args.get(name, default)
        value = None if limit is None else number(limit)
        if limit is not None and (value is None or np.size(value) != 1 or not np.isfinite(value)):
            raise node_error(node, f"its limit {name} is not one number")
        found.append(None if value is None else float(np.ravel(value)[0]))
    low, high = found
    if low is not None and high is not None and low > high:
        raise node_error(node, f"its lower limit {low} is above its upper one, {high}")
    return low, high


def reduced_dims(node: Node, ndim: int) -> tuple[set[int], bool]:
    """Return which dimensions of samples of ``ndim`` a reduction is over, and if they stay."""
    dims = node.args.get("dim")
    dims = dims if isinstance(dims, (list, tuple)) else [dims]
    numbers = [dim for dim in dims if isinstance(dim, int)]
    if not numbers:
        raise node_error(
            node, "it is over the whole batch; say which dimensions, such as (2, 3) for planes"
        )
    found = {dim % (ndim + 1) for dim in numbers}
    if 0 in found:
        raise node_error(node, "the first dimension must stay the batch")
    return {dim - 1 for dim in found}, bool(node.args.get("keepdim", False))


def arithmetic(node: Node, left: Any, right: Any) -> NDArray[np.float64]:
    """Return the result of an elementwise operator on numbers."""
    if node.args.get("rounding_mode") is not None:
        raise node_error(node, "a division that rounds")
    left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
    with np.errstate(all="ignore"):
        return np.asarray(SCALINGS[node.base](left, right, node.args.get("alpha", 1)))


def scaling(node: Node, number: Number) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scale and shift of an elementwise operator with a constant, or of a change of sign."""
    if node.base == NEGATION:
        return np.full(1, -1.0), np.zeros(1)
    left, right = (number(arg) for arg in list(node.args.values())[:2])
    if (left is None) == (right is None) or (node.base == "div" and right is None):
        raise node_error(node, "only with a constant")
    if node.base in ("mul", "div"):
        scale = arithmetic(node, *((1.0, right) if left is None else (left, 1.0)))
        return scale, np.zeros(1)
    # The scale is exactly 1, -1 or alpha, whatever the constant: no difference of two results.
    scale = arithmetic(node, *((1.0, 0.0) if left is None else (0.0, 1.0)))
    return scale, arithmetic(node, *((0.0, right) if left is None else (left, 0.0)))


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
    node: Node, source: str, shape: tuple[int, ...], number: Number
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    """Return matrix (rows, cols), bias (rows,) and the matrix's name in the graph.

    ``source`` is the activation, whose samples have ``shape``.
    """
    args = node.args
    x, matrix, bias = (args.get(key) for key in PRODUCTS[node.base])
    weight = number(matrix)
    if not isinstance(x, Ref) or x.name != source or not isinstance(weight, np.ndarray):
        raise node_error(node, "only with the activation first and constant weights")
    if weight.ndim != 2:
        raise node_error(node, f"its weights have {weight.ndim} dimensions instead of 2")
    offset = 0.0 if bias is None else number(bias)
    if offset is None:
        raise node_error(node, "its bias is not constant")
    weight = weight if node.base == "linear" else weight.T
    if node.base == "addmm":
        alpha, beta = args.get("alpha", 1), args.get("beta", 1)
        weight, offset = (weight if alpha == 1 else weight * alpha), offset * beta
    if shape[-1:] != (weight.shape[1],):
        raise node_error(
            node,
            f"it takes {weight.shape[1]} values, but a sample here has shape {shape}; the first "
            "dimension must be the batch",
        )
    if math.prod(shape[:-1]) != 1:
        rows, columns = weight.shape
        count = math.prod(shape[:-1])
        raise node_error(
            node,
            f"it would apply to each of {count} vectors of a sample (shape {shape}); "
            f"nn.Conv1d({columns}, {rows}, 1) on samples of shape ({columns}, {count}) does that",
        )
    offset = np.asarray(offset, np.float64)
    if offset.ndim > 1 and offset.size != offset.shape[-1]:
        raise node_error(node, "its bias is not the same for every sample")
    name = matrix.name if isinstance(matrix, Ref) else ""
    return weight, np.broadcast_to(offset.ravel(), weight.shape[:1]), name
