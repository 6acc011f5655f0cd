"""Compute what depends on parameters alone: masks, norms of weights, tensors put together."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.frontend import ops
from zeroskip.compiler.frontend.moves import MOVES, rearranged
from zeroskip.compiler.frontend.program import Node, Ref

__all__ = ["computed"]

_UNARY = {
    "abs": np.abs,
    "neg": np.negative,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1.0 / np.sqrt(x),
    "reciprocal": np.reciprocal,
    "square": np.square,
    "sign": np.sign,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "relu": lambda x: np.maximum(x, 0.0),
    "round": np.rint,
    "floor": np.floor,
    "ceil": np.ceil,
    "logical_not": np.logical_not,
    "bitwise_not": np.logical_not,
    "tril": np.tril,
    "triu": np.triu,
    "zeros_like": np.zeros_like,
    "ones_like": np.ones_like,
}
"""Operators of one tensor, element by element or of its shape."""
_BINARY = {
    "pow": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "eq": np.equal,
    "ne": np.not_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lt": np.less,
    "le": np.less_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "bitwise_and": np.logical_and,
    "bitwise_or": np.logical_or,
    "matmul": np.matmul,
    "mm": np.matmul,
    "mv": np.matmul,
    "bmm": np.matmul,
    "dot": np.dot,
    "vdot": np.dot,
    "outer": np.outer,
}
_REDUCTIONS = {
    "sum": np.sum,
    "mean": np.mean,
    "amax": np.max,
    "amin": np.min,
    "prod": np.prod,
}
_NORMS = {"norm", "linalg_vector_norm"}

Numbers = NDArray[np.float64]


def computed(
    node: Node, number: ops.Number, shapes: Sequence[tuple[int, ...]]
) -> list[Numbers] | None:
    """Return the results of a node that reads parameters only; None if the operator is unknown.

    Parameters
    ----------
    node : in the graph; elements are float64, whatever their type was.
    number : see :data:`.Number`.
    shapes : of the results.
    """
    first = number(next(iter(node.args.values()), None))
    with np.errstate(all="ignore"):
        if node.base in MOVES and isinstance(first, np.ndarray):
            return rearranged(node, first, shapes, number)
        made = _computed(node, number, shapes[0])
    return None if made is None else [np.asarray(made, np.float64)]


def _computed(node: Node, number: ops.Number, shape: tuple[int, ...]) -> Any:
    """Return the first result, or None."""
    base, args = node.base, node.args
    operands = [number(arg) for arg in args.values()]
    first = operands[0] if operands else None
    two = len(operands) > 1 and all(value is not None for value in operands[:2])
    if base in ops.SCALINGS and two:
        return ops.arithmetic(node, *operands[:2])
    if base in _BINARY and two:
        return _BINARY[base](np.asarray(first, np.float64), operands[1])
    if base in ("cat", "concat", "stack"):
        return _joined(node, number)
    if base == "where" and len(operands) == 3 and all(value is not None for value in operands):
        return np.where(np.asarray(first) != 0, operands[1], operands[2])
    if base in ("full", "zeros", "ones", "scalar_tensor", "arange", "eye"):
        return _created(base, args, shape)
    if not isinstance(first, np.ndarray):
        return None
    if base in ops.SAME:
        return first
    if base in _UNARY:
        return _UNARY[base](first)
    if base in ops.RELUS:
        return np.clip(first, *ops.limits(node, number))
    if base in _REDUCTIONS or base in _NORMS:
        return _reduced(base, first, args)
    if base in ("_weight_norm", "_weight_norm_interface"):
        return _weight_norm(first, operands[1], int(args.get("dim", 0)))
    if base == "masked_fill" and operands[1] is not None and operands[2] is not None:
        return np.where(operands[1] != 0, operands[2], first)
    return None


def _joined(node: Node, number: ops.Number) -> Numbers | None:
    arrays = [number(tensor) for tensor in node.args["tensors"]]
    if any(not isinstance(array, np.ndarray) for array in arrays):
        return None
    dim = int(node.args.get("dim", 0))
    return np.stack(arrays, dim) if node.base == "stack" else np.concatenate(arrays, dim)


def _created(base: str, args: dict[str, Any], shape: tuple[int, ...]) -> Numbers | None:
    if any(isinstance(arg, Ref) for arg in args.values()):
        return None
    if base == "arange":
        step = args.get("step", 1)
        start = args.get("start", 0)
        return start + np.arange(shape[0]) * float(1 if step is None else step)
    if base == "eye":
        return np.eye(shape[0], shape[1])
    if base in ("zeros", "ones"):
        return np.full(shape, float(base == "ones"))
    return np.full(shape, float(args["s" if base == "scalar_tensor" else "fill_value"]))


def _reduced(base: str, array: Numbers, args: dict[str, Any]) -> Numbers:
    dims = args.get("dim")
    axes = None if dims is None or dims == [] else tuple(np.atleast_1d(dims).tolist())
    keep = bool(args.get("keepdim", False))
    if base not in _NORMS:
        return np.asarray(_REDUCTIONS[base](array, axis=axes, keepdims=keep))
    order = args.get("ord", args.get("p", 2))
    order = 2.0 if order is None else float(order)
    apply: Callable[..., Any] = np.max if np.isinf(order) else np.sum
    powers = np.abs(array) if np.isinf(order) else np.abs(array) ** order
    total = apply(powers, axis=axes, keepdims=keep)
    return np.asarray(total if np.isinf(order) else total ** (1.0 / order))


def _weight_norm(direction: Numbers, length: Any, dim: int) -> Numbers:
    """Return ``length * direction / |direction|``, norms over all dimensions but ``dim``."""
    axes = tuple(axis for axis in range(direction.ndim) if axis != dim % direction.ndim)
    axes = axes if dim != -1 else tuple(range(direction.ndim))
    return direction * (length / np.sqrt((direction**2).sum(axis=axes, keepdims=True)))
