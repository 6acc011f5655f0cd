"""Translate Caffe's layers; where they do otherwise than torch's, the comments say how."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from zeroskip.compiler.frontend.caffe_shapes import axis_of, last, pair
from zeroskip.compiler.frontend.hints import hint
from zeroskip.compiler.frontend.program import Ref
from zeroskip.compiler.frontend.translator import Operation, Translation, Translator

__all__ = ["CAFFE_LAYERS"]


def _convolution(t: Translator, op: Operation) -> None:
    """Translate a convolution."""
    if axis_of(op, 4) != 1:
        raise t.error(op, "its channels are not the first dimension of a sample (axis)")
    t.make(
        op,
        "conv2d",
        {
            "input": t.ref(op, 0),
            "weight": t.ref(op, 1),
            "bias": t.ref(op, 2),
            "stride": list(pair(op, "stride", 1)),
            "padding": list(pair(op, "pad", 0)),
            "dilation": list(pair(op, "dilation", 1)),
            "groups": int(last(op, "group", 1)),
        },
    )


def _inner_product(t: Translator, op: Operation) -> None:
    """Translate a matrix product, which flattens what it reads."""
    shape = t.shape(op)
    if axis_of(op, len(shape)) != 1:
        raise t.error(op, "it is not of whole samples (axis)")
    weight, source = t.ref(op, 1), op.inputs[0]
    if last(op, "transpose", False):
        name = op.inputs[1]
        weight = t.renamed(op, name, f"{name}.transposed", t.constants[name].T)
    if len(shape) > 2:
        flat = f"{op.outputs[0]}.flat"
        t.shapes[flat] = (shape[0], int(np.prod(shape[1:])))
        t.make(op, "reshape", {"self": t.ref(op, 0), "shape": t.shapes[flat]}, [flat])
        source = flat
    t.make(op, "linear", {"input": t.constant(op, source), "weight": weight, "bias": t.ref(op, 2)})


def _pooling(t: Translator, op: Operation) -> None:
    """Translate a maximum or average over windows.

    An average counts the padding, but not what windows that hang over that do not see: so does
    torch with ``count_include_pad``.
    """
    method = {0: "MAX", 1: "AVE", 2: "STOCHASTIC"}.get(last(op, "pool", 0), last(op, "pool", "MAX"))
    result, *others = op.outputs
    if method not in ("MAX", "AVE") or others:
        raise t.error(op, hint("pool"))
    average = method == "AVE"
    if last(op, "global_pooling", False):
        args = {"self": t.ref(op, 0), "dim": [2, 3], "keepdim": True}
        t.make(op, "mean" if average else "amax", args)
        return
    args: dict[str, Any] = {
        "self": t.ref(op, 0),
        "kernel_size": list(pair(op, "kernel_size", 0)),
        "stride": list(pair(op, "stride", 1)),
        "padding": list(pair(op, "pad", 0)),
        "places": list(t.shapes[result][2:]),
    }
    if average:
        args["count_include_pad"] = True
    t.make(op, "avg_pool2d" if average else "max_pool2d", args)


def _relu(t: Translator, op: Operation) -> None:
    """Translate a ReLU, which may have a slope below 0."""
    slope = float(last(op, "negative_slope", 0))
    if slope:
        t.make(op, "leaky_relu", {"self": t.ref(op, 0), "negative_slope": slope})
        return
    t.make(op, "relu", {"self": t.ref(op, 0)})


def _prelu(t: Translator, op: Operation) -> None:
    """Translate a ReLU with a slope below 0 for each channel, or for all."""
    t.make(op, "prelu", {"self": t.ref(op, 0), "weight": t.ref(op, 1)})


def _absolute(t: Translator, op: Operation) -> None:
    """Translate ``AbsVal``: each element without its sign."""
    t.make(op, "abs", {"self": t.ref(op, 0)})


def _relu6(t: Translator, op: Operation) -> None:
    """Translate a ReLU that is cut off at 6."""
    t.make(op, "clamp", {"self": t.ref(op, 0), "min": 0.0, "max": 6.0})


def _batch_norm(t: Translator, op: Operation) -> None:
    """Translate BatchNorm, whose mean and variance are divided by the number in its third blob."""
    mean, variance, factor = (t.array(op, n, w) for n, w in enumerate(_SUMS, 1))
    assert mean is not None
    assert variance is not None
    assert factor is not None
    count = float(factor.ravel()[0])
    scale = 1 / count if count else 0.0
    args: dict[str, Any] = {"input": t.ref(op, 0), "training": False}
    for number, (key, array) in enumerate((("running_mean", mean), ("running_var", variance)), 1):
        args[key] = t.renamed(op, op.inputs[number], op.inputs[number], array * scale)
    t.make(op, "batch_norm", {**args, "eps": float(last(op, "eps", 1e-5))})


_SUMS = ("mean", "variance", "factor")


def _scale(t: Translator, op: Operation) -> None:
    """Translate a product with, and a sum of, a number a channel: Scale and Bias."""
    activations = [name for name in op.inputs if name not in t.constants]
    if len(activations) > 1:
        raise t.error(op, "only with constants")
    bases = {"weight": "mul", "bias": "add"}
    steps = [(bases[name.rpartition(".")[2]], name) for name in op.inputs[1:]]
    source: Ref | None = t.ref(op, 0)
    shape = t.shape(op)
    for number, (base, name) in enumerate(steps):
        array = t.constants[name]
        behind = len(shape) - axis_of(op, len(shape)) - array.ndim
        spread = t.renamed(op, name, name, array.reshape(array.shape + (1,) * behind))
        made = op.outputs[0] if number == len(steps) - 1 else f"{op.outputs[0]}.{number}"
        t.shapes[made] = shape
        t.make(op, base, {"self": source, "other": spread}, [made])
        source = Ref(made)


def _power(t: Translator, op: Operation) -> None:
    """Translate ``(shift + scale * x) ** power`` for a power of 1."""
    if last(op, "power", 1.0) != 1:
        raise t.error(op, hint("pow"))
    scaled = f"{op.outputs[0]}.scaled"
    t.shapes[scaled] = t.shape(op)
    factor, shift = float(last(op, "scale", 1.0)), float(last(op, "shift", 0.0))
    t.make(op, "mul", {"self": t.ref(op, 0), "other": factor}, [scaled])
    t.make(op, "add", {"self": Ref(scaled), "other": shift})


def _eltwise(t: Translator, op: Operation) -> None:
    """Translate a sum of tensors, each with a coefficient."""
    method = last(op, "operation", "SUM")
    if method in ("MAX", 2):
        _maximum(t, op)
        return
    if method not in ("SUM", 1):
        raise t.error(op, "only additions (SUM) and maxima (MAX) of tensors")
    factors = [float(c) for c in op.attributes.get("coeff", [])] or [1.0] * len(op.inputs)
    if len(factors) != len(op.inputs):
        raise t.error(op, f"it has {len(factors)} coefficients for {len(op.inputs)} tensors")
    shape = t.shape(op)
    if any(t.shape(op, number) != shape for number in range(len(op.inputs))):
        raise t.error(op, "it adds samples of different shapes")
    source: Ref | None = t.ref(op, 0)
    if factors[0] != 1:
        scaled = f"{op.outputs[0]}.scaled"
        t.shapes[scaled] = shape
        t.make(op, "mul", {"self": source, "other": factors[0]}, [scaled])
        source = Ref(scaled)
    for number in range(1, len(op.inputs)):
        made = op.outputs[0] if number == len(op.inputs) - 1 else f"{op.outputs[0]}.{number}"
        t.shapes[made] = shape
        args = {"self": source, "other": t.ref(op, number), "alpha": factors[number]}
        t.make(op, "add", args, [made])
        source = Ref(made)


def _maximum(t: Translator, op: Operation) -> None:
    """Translate the largest of tensors, element by element."""
    source, shape = t.ref(op, 0), t.shape(op)
    for number in range(1, len(op.inputs)):
        made = op.outputs[0] if number == len(op.inputs) - 1 else f"{op.outputs[0]}.{number}"
        t.shapes[made] = shape
        t.make(op, "maximum", {"self": source, "other": t.ref(op, number)}, [made])
        source = Ref(made)


def _concat(t: Translator, op: Operation) -> None:
    """Translate tensors side by side."""
    axis = axis_of(op, len(t.shape(op)), "concat_dim")
    tensors = [t.ref(op, number) for number in range(len(op.inputs))]
    t.make(op, "cat", {"tensors": tensors, "dim": axis})


def _slice(t: Translator, op: Operation) -> None:
    """Translate a cut into pieces."""
    axis = axis_of(op, len(t.shape(op)), "slice_dim")
    sizes = [t.shapes[name][axis] for name in op.outputs]
    t.make(
        op,
        "split_with_sizes",
        {"self": t.ref(op, 0), "split_sizes": sizes, "dim": axis},
        op.outputs,
    )


def _reshape(t: Translator, op: Operation) -> None:
    """Translate Reshape and Flatten: elements stay in their order."""
    t.make(op, "reshape", {"self": t.ref(op, 0), "shape": t.shapes[op.outputs[0]]})


def _same(t: Translator, op: Operation) -> None:
    """Translate what changes nothing once a network is trained, for each of its results."""
    for name in op.outputs:
        t.make(op, "alias", {"self": t.ref(op, 0)}, [name])


_TRAINING = ("weight_filler", "bias_filler", "filler", "engine")
"""Parameters that say how to begin training, or by what library to compute."""
_SIDES = ("pad", "pad_h", "pad_w", "kernel_size", "kernel_h", "kernel_w", "stride", "stride_h",
          "stride_w")  # fmt: skip

_CONVOLUTION = ("num_output", "bias_term", "group", "dilation", "axis", "force_nd_im2col")

CAFFE_LAYERS: Mapping[str, Translation] = {
    "AbsVal": ((), _absolute),
    "BatchNorm": (("use_global_stats", "moving_average_fraction", "eps"), _batch_norm),
    "Bias": (("axis", "num_axes", *_TRAINING), _scale),
    "Concat": (("axis", "concat_dim"), _concat),
    "Convolution": ((*_CONVOLUTION, *_SIDES, *_TRAINING), _convolution),
    "Dropout": (("dropout_ratio",), _same),
    "Eltwise": (("operation", "coeff", "stable_prod_grad"), _eltwise),
    "Flatten": (("axis", "end_axis"), _reshape),
    "InnerProduct": (("num_output", "bias_term", "axis", "transpose", *_TRAINING), _inner_product),
    "PReLU": (("channel_shared", *_TRAINING), _prelu),
    "Pooling": (("pool", "global_pooling", "round_mode", "engine", *_SIDES), _pooling),
    "Power": (("power", "scale", "shift"), _power),
    "ReLU": (("negative_slope", "engine"), _relu),
    "ReLU6": ((), _relu6),
    "Reshape": (("shape", "axis", "num_axes"), _reshape),
    "Scale": (("axis", "num_axes", "bias_term", *_TRAINING), _scale),
    "Slice": (("axis", "slice_dim", "slice_point"), _slice),
    "Split": ((), _same),
}
"""Translations by the kind of layer."""
