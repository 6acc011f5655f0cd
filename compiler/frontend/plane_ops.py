"""What the operators on feature maps mean: convolutions and pooling."""

from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.frontend import ops
from zeroskip.compiler.frontend.hints import hint
from zeroskip.compiler.frontend.program import Node, Ref
from zeroskip.compiler.ir.graph import FloatConv, FloatPool, Pair, Shape

__all__ = [
    "ADAPTIVE",
    "CONCATS",
    "CONVS",
    "POOLS",
    "adaptive",
    "convolution",
    "even_windows",
    "pool",
]

Kind = Literal["max", "avg"]

CONVS = {"conv1d", "conv2d", "convolution"}
POOLS: dict[str, Kind] = {
    "max_pool1d": "max",
    "max_pool1d_with_indices": "max",
    "max_pool2d": "max",
    "max_pool2d_with_indices": "max",
    "avg_pool1d": "avg",
    "avg_pool2d": "avg",
}
ADAPTIVE: dict[str, Kind] = {
    "adaptive_avg_pool1d": "avg",
    "adaptive_avg_pool2d": "avg",
    "_adaptive_avg_pool2d": "avg",
    "adaptive_max_pool1d": "max",
    "adaptive_max_pool2d": "max",
}
CONCATS = {"cat", "concat", "concatenate"}


def convolution(node: Node, name: str, source: str, shape: Shape, number: ops.Number) -> FloatConv:
    """Return a convolution; one in one dimension goes along the columns.

    Parameters
    ----------
    node : in the graph.
    name : of the layer.
    source : tensor of ``shape`` (C, H, W) that it reads.
    number : see :data:`.Number`.

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
        raise ops.node_error(node, hint("conv_transpose"))
    if weight.ndim not in (3, 4) or not weight.size:
        raise ops.node_error(
            node, f"its weights have shape {weight.shape}; only in one or two dimensions"
        )
    line = weight.ndim == 3
    weight = weight[:, :, None] if line else weight
    stride, dilation = (_pair(node, key, 1, line=line) for key in ("stride", "dilation"))
    if min(*stride, *dilation) < 1:
        raise ops.node_error(node, f"its stride {stride} or dilation {dilation} is 0")
    weight = _spaced(weight, dilation)
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
    padding = args.get("padding", 0)
    if isinstance(padding, str):
        before, after = _named_padding(node, padding, (weight.shape[2], weight.shape[3]))
    else:
        before = after = _pair(node, "padding", 0, line=line)
    return FloatConv(
        name=name,
        inputs=(source,),
        weight=np.ascontiguousarray(weight, np.float64),
        bias=np.broadcast_to(np.asarray(bias, np.float64).ravel(), (depth,)).copy(),
        stride=stride,
        padding=before,
        groups=groups,
        relu=False,
        after=None if after == before else after,
        dilation=dilation,
    )


def _spaced(weight: NDArray[np.float64], dilation: Pair) -> NDArray[np.float64]:
    """Return weights with zeros in the holes of a dilated kernel."""
    if dilation == (1, 1):
        return weight
    sizes = [(size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilation, strict=True)]
    spaced = np.zeros((*weight.shape[:2], *sizes))
    spaced[:, :, :: dilation[0], :: dilation[1]] = weight
    return spaced


def _named_padding(node: Node, padding: str, kernel: Pair) -> tuple[Pair, Pair]:
    """Return the padding before and after that ``padding`` means for a kernel, holes included."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        raise ops.node_error(node, f"its padding is {padding!r}, not 'same' or 'valid'")
    # Of an odd number, the larger part is below and to the right.
    (down, across) = (size - 1 for size in kernel)
    return (down // 2, across // 2), (down - down // 2, across - across // 2)


def pool(node: Node, source: str, shape: Shape) -> FloatPool:
    """Return a pooling; see :func:`convolution`.

    Besides torch's arguments, ``places`` says how many windows stand below and beside each other.
    """
    line = node.base.split("_with")[0].endswith("1d")
    kernel = _pair(node, "kernel_size", 0, line=line)
    stride = _pair(node, "stride", 0, line=line) if node.args.get("stride") else kernel
    if line:
        kernel, stride = (1, kernel[1]), (1, stride[1])
    padding = _pair(node, "padding", 0, line=line)
    if min(*kernel, *stride) < 1 or any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ops.node_error(
            node, f"its kernel {kernel}, stride {stride} and padding {padding} make no windows"
        )
    holes = _pair(node, "dilation", 1, line=line)
    if any(size > 1 and hole > 1 for size, hole in zip(kernel, holes, strict=True)):
        raise ops.node_error(
            node,
            "its windows have holes (dilation), and a maximum on the array takes every element of "
            "its window; use dilation 1",
        )
    divisor = node.args.get("divisor_override")
    if divisor is not None and not int(divisor):
        raise ops.node_error(node, "it divides by 0; drop divisor_override")
    sizes = zip(shape[1:], kernel, stride, padding, strict=True)
    ceil = bool(node.args.get("ceil_mode", False))
    down, across = (_places(size, k, step, pad, ceil) for size, k, step, pad in sizes)
    if "places" in node.args:
        # What a file says of its windows, of which torch may have more or fewer.
        down, across = (1, *node.args["places"])[-2:]
    return FloatPool(
        name=node.layer,
        inputs=(source,),
        kind=POOLS[node.base],
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


def adaptive(node: Node, plane: Pair) -> tuple[Pair, tuple[list[slice], list[slice]]]:
    """Return the rows and columns of an adaptive pooling's output, and its windows.

    Windows are those of the rows, and those of the columns, of a ``plane``.
    """
    wanted = node.args.get("output_size")
    wanted = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
    if len(wanted) == 1:
        # Of one dimension: along the columns.
        line = node.base.endswith("1d")
        wanted = [plane[0] if line else wanted[0], *wanted]
    down, across = (size if n is None else int(n) for n, size in zip(wanted, plane, strict=True))
    if min(down, across) < 1:
        raise ops.node_error(node, f"its output of {down} x {across} is empty")
    rows, columns = (
        [slice(n * size // count, -(-(n + 1) * size // count)) for n in range(count)]
        for count, size in zip((down, across), plane, strict=True)
    )
    return (down, across), (rows, columns)


def even_windows(windows: list[slice]) -> Pair | None:
    """Return size and distance of windows; None if they are not all the same."""
    sizes = {window.stop - window.start for window in windows}
    steps = {after.start - before.start for before, after in pairwise(windows)}
    if len(sizes) != 1 or len(steps) > 1 or 0 in steps:
        return None
    # A kernel that has one place only does not move.
    return sizes.pop(), steps.pop() if steps else 1


def _pair(node: Node, key: str, default: int, *, line: bool = False) -> Pair:
    """Return an argument that is a number, or one for down and one for across.

    Of an operator in one dimension, ``line``, the one number is for across.
    """
    value: Any = node.args.get(key)
    values = value if isinstance(value, (list, tuple)) else [default if value is None else value]
    most = 1 if line else 2
    if not 1 <= len(values) <= most or any(isinstance(n, Ref) or int(n) < 0 for n in values):
        raise ops.node_error(
            node, f"its {key} is {value}, not {'one number' if line else 'one or two numbers'}"
        )
    if line:
        return int(key in ("stride", "dilation")), int(values[0])
    return int(values[0]), int(values[-1])
