"""What the operators on feature maps mean: convolutions and pooling."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler import frontend_ops as ops
from compiler.frontend_graph import Node, Ref
from compiler.graph import FloatConv, FloatPool

__all__ = ["CONCATS", "CONVS", "MEANS", "POOLS", "convolution", "mean", "pool"]

CONVS = {"conv2d", "convolution"}
POOLS = {
    "max_pool2d": "max",
    "max_pool2d_with_indices": "max",
    "avg_pool2d": "avg",
    "adaptive_avg_pool2d": "avg",
    "_adaptive_avg_pool2d": "avg",
}
MEANS = {"mean"}
CONCATS = {"cat", "concat", "concatenate"}

Pair = tuple[int, int]
Shape = tuple[int, int, int]


def convolution(
    node: Node, name: str, source: str, shape: Shape, number: ops.Number
) -> tuple[FloatConv, Shape]:
    """Return a convolution and the shape of its output.

    Parameters
    ----------
    node : in the graph.
    name : of the layer.
    source : tensor of ``shape`` (C, H, W) that it reads.
    number : see :data:`compiler.frontend_ops.Number`.

    Raises
    ------
    CompileError
        If the array cannot do it; names the node.
    """
    args = node.args
    weight, offset = number(args.get("weight")), args.get("bias")
    bias = np.zeros(1) if offset is None else number(offset)
    if not isinstance(weight, np.ndarray) or bias is None:
        raise ops.node_error(node, "its weights and biases are not constant")
    if args.get("transposed"):
        raise ops.node_error(node, ops.hint("conv_transpose"))
    if weight.ndim != 4 or not weight.size:
        raise ops.node_error(node, f"its weights have shape {weight.shape}, not 4 dimensions")
    dilation = _pair(node, "dilation", 1)
    if dilation != (1, 1):
        raise ops.node_error(
            node, f"its kernel has holes (dilation {dilation}), which the array has not; use 1"
        )
    depth, fan = weight.shape[:2]
    groups, channels = int(args.get("groups", 1)), shape[0]
    if groups < 1 or channels % groups or depth % groups or fan * groups != channels:
        raise ops.node_error(
            node,
            f"its {groups} groups of {fan} channels do not divide {channels} input and {depth} "
            "output channels",
        )
    if np.size(bias) not in (1, depth):
        raise ops.node_error(node, f"it has {np.size(bias)} biases for {depth} output channels")
    stride, padding = _pair(node, "stride", 1), args.get("padding", 0)
    if isinstance(padding, str):
        weight, pads = _named_padding(node, padding, weight)
    else:
        pads = _pair(node, "padding", 0)
    sizes = zip(shape[1:], weight.shape[2:], stride, pads, strict=True)
    down, across = ((size + 2 * pad - k) // step + 1 for size, k, step, pad in sizes)
    return FloatConv(
        name=name,
        inputs=(source,),
        weight=np.ascontiguousarray(weight, np.float64),
        bias=np.broadcast_to(np.asarray(bias, np.float64).ravel(), (depth,)).copy(),
        stride=stride,
        padding=pads,
        groups=groups,
        relu=False,
    ), (depth, down, across)


def _named_padding(
    node: Node, padding: str, weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Pair]:
    """Return the weights and the padding, the same on both sides, that ``padding`` means."""
    if padding == "valid":
        return weight, (0, 0)
    if padding != "same":
        raise ops.node_error(node, f"its padding is {padding!r}, not 'same' or 'valid'")
    # An even kernel has one more place below (right) than above: zeros above make it odd.
    more = [1 - size % 2 for size in weight.shape[2:]]
    weight = np.pad(weight, ((0, 0), (0, 0), (more[0], 0), (more[1], 0)))
    return weight, (weight.shape[2] // 2, weight.shape[3] // 2)


def pool(node: Node, name: str, source: str, shape: Shape) -> FloatPool | None:
    """Return a pooling, or None for one that keeps everything; see :func:`convolution`."""
    base = ops.base_name(node.op)
    if "adaptive" in base:
        return _adaptive(node, name, source, shape)
    kernel = _pair(node, "kernel_size", 0)
    stride = _pair(node, "stride", 0) if node.args.get("stride") else kernel
    padding, kind = _pair(node, "padding", 0), POOLS[base]
    if min(*kernel, *stride) < 1 or any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ops.node_error(
            node, f"its kernel {kernel}, stride {stride} and padding {padding} make no windows"
        )
    if _pair(node, "dilation", 1) != (1, 1):
        raise ops.node_error(node, "its windows have holes (dilation); use 1")
    divisor = node.args.get("divisor_override")
    if divisor is not None and not int(divisor):
        raise ops.node_error(node, "it divides by 0; drop divisor_override")
    sizes = zip(shape[1:], kernel, stride, padding, strict=True)
    ceil = bool(node.args.get("ceil_mode", False))
    down, across = (_places(size, k, step, pad, ceil) for size, k, step, pad in sizes)
    return FloatPool(
        name=name,
        inputs=(source,),
        kind="max" if kind == "max" else "avg",
        kernel=kernel,
        stride=stride,
        padding=padding,
        out_size=(down, across),
        count_include_pad=bool(node.args.get("count_include_pad", True)),
        divisor=None if divisor is None else int(divisor),
    )


def _places(size: int, kernel: int, stride: int, padding: int, ceil: bool) -> int:
    """Return how many windows torch puts side by side."""
    free = size + 2 * padding - kernel
    if not ceil:
        return free // stride + 1
    count = -(-free // stride) + 1
    # The last window must begin inside the plane, or the padding before it.
    return count - ((count - 1) * stride >= size + padding)


def _adaptive(node: Node, name: str, source: str, shape: Shape) -> FloatPool | None:
    plane = shape[1:]
    wanted = node.args.get("output_size")
    wanted = wanted if isinstance(wanted, (list, tuple)) else [wanted]
    sizes = [n if n is None else int(n) for n in wanted]
    sizes = sizes * 2 if len(sizes) == 1 else sizes
    out = [size if n is None else n for n, size in zip(sizes, plane, strict=True)]
    down, across = (_even(size, n) for n, size in zip(out, plane, strict=True))
    if down is None or across is None:
        raise ops.node_error(
            node,
            f"its windows of a plane of {plane} differ in size or distance for outputs of "
            f"{tuple(out)}; only where they do not, as where the output divides the plane",
        )
    if tuple(out) == plane:
        return None
    return FloatPool(
        name=name,
        inputs=(source,),
        kind="avg",
        kernel=(down[0], across[0]),
        stride=(down[1], across[1]),
        padding=(0, 0),
        out_size=(out[0], out[1]),
    )


def _even(size: int, count: int) -> tuple[int, int] | None:
    """Return size and distance of ``count`` adaptive windows; None if they are not the same."""
    starts = [at * size // count for at in range(count)]
    sizes = {-(-(at + 1) * size // count) - start for at, start in enumerate(starts)}
    steps = {then - start for start, then in pairwise(starts)}
    if len(sizes) != 1 or len(steps) > 1 or 0 in steps:
        return None
    # A kernel that has one place only does not move.
    return sizes.pop(), steps.pop() if steps else 1


def mean(node: Node, name: str, source: str, shape: Shape) -> FloatPool:
    """Return the average of whole planes that ``mean`` over rows and columns is."""
    dims = node.args.get("dim")
    dims = dims if isinstance(dims, (list, tuple)) else [dims]
    if sorted(int(dim) % 4 for dim in dims if dim is not None) != [2, 3]:
        raise ops.node_error(node, f"its mean is over {dims}; only over rows and columns, [2, 3]")
    return FloatPool(name, (source,), "avg", shape[1:], (1, 1), (0, 0), (1, 1))


def _pair(node: Node, key: str, default: int) -> Pair:
    """Return an argument that is a number, or one for down and one for across."""
    value: Any = node.args.get(key)
    values = value if isinstance(value, (list, tuple)) else [default if value is None else value]
    if not 1 <= len(values) <= 2 or any(isinstance(one, Ref) or int(one) < 0 for one in values):
        raise ops.node_error(node, f"its {key} is {value}, not one or two numbers")
    return int(values[0]), int(values[-1])
