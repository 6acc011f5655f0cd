"""Translate ONNX operators: matrix products, arithmetic on each element, moves of elements."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.frontend.hints import hint
from zeroskip.compiler.frontend.onnx_planes import PLANES
from zeroskip.compiler.frontend.onnx_recurrent import RECURRENT
from zeroskip.compiler.frontend.translator import Operation, Translation, Translator

__all__ = ["TRANSLATIONS"]

_LARGE = np.finfo(np.float32).max


def _gemm(t: Translator, op: Operation) -> None:
    """Translate a matrix product with a bias, ``alpha * x @ B + beta * C``."""
    if op.attributes.get("transA"):
        raise t.error(op, "it transposes the activation (transA)")
    weight = t.array(op, 1, "matrix")
    assert weight is not None
    weight = weight if op.attributes.get("transB") else weight.T
    args: dict[str, Any] = {"input": t.ref(op, 0)}
    alpha, beta = op.attributes.get("alpha", 1.0), op.attributes.get("beta", 1.0)
    plain = bool(op.attributes.get("transB")) and alpha == 1.0
    name = op.inputs[1] if plain else f"{op.inputs[1]}.of.{op.name}"
    args["weight"] = t.renamed(op, op.inputs[1], name, _scaled(weight, alpha))
    bias = t.array(op, 2, "bias")
    if bias is not None:
        name = op.inputs[2] if beta == 1.0 else f"{op.inputs[2]}.of.{op.name}"
        args["bias"] = t.renamed(op, op.inputs[2], name, _scaled(bias, beta))
    t.make(op, "linear", args)


def _scaled(array: NDArray[Any], factor: float) -> NDArray[Any]:
    """Return an array times a factor; for 1 the array itself, as weights may be large."""
    return array if factor == 1.0 else factor * array.astype(np.float64)


def _matmul(t: Translator, op: Operation) -> None:
    """Translate a matrix product; the second operand is the weights."""
    if not any(name in t.constants for name in op.inputs):
        raise t.error(op, hint("scaled_dot_product_attention"))
    if op.inputs[0] in t.constants or op.inputs[1] not in t.constants:
        raise t.error(op, "only with the activation first and constant weights")
    weight = np.asarray(t.constants[op.inputs[1]], np.float64)
    if weight.ndim != 2:
        raise t.error(op, f"its weights have {weight.ndim} dimensions instead of 2")
    name = f"{op.inputs[1]}.of.{op.name}"
    matrix = t.renamed(op, op.inputs[1], name, weight.T)
    t.make(op, "linear", {"input": t.ref(op, 0), "weight": matrix})


def _reduce(t: Translator, op: Operation) -> None:
    """Translate a sum, average or maximum over dimensions."""
    axes = t.integers(op, 1, "axes")
    ndim = len(t.shape(op))
    if not axes:
        if op.attributes.get("noop_with_empty_axes"):
            _same(t, op)
            return
        axes = list(range(ndim))
    base = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "amax"}[op.kind]
    keep = bool(op.attributes.get("keepdims", 1))
    t.make(op, base, {"self": t.ref(op, 0), "dim": axes, "keepdim": keep})


def _batch_norm(t: Translator, op: Operation) -> None:
    """Translate a batch norm, whose statistics are constants."""
    names = ("weight", "bias", "running_mean", "running_var")
    args = {name: t.ref(op, number + 1) for number, name in enumerate(names)}
    for number, name in enumerate(names):
        t.array(op, number + 1, name)
    t.make(
        op,
        "batch_norm",
        {
            "input": t.ref(op, 0),
            **args,
            "training": bool(op.attributes.get("training_mode", 0)),
            "eps": float(op.attributes.get("epsilon", 1e-5)),
        },
    )


def _relu(t: Translator, op: Operation) -> None:
    """Translate a ReLU."""
    t.make(op, "relu", {"self": t.ref(op, 0)})


def _clip(t: Translator, op: Operation) -> None:
    """Translate clipping; a limit as large as float32 has is none."""
    args: dict[str, Any] = {"self": t.ref(op, 0)}
    for number, name in enumerate(("min", "max"), 1):
        limit = t.array(op, number, name)
        if limit is not None:
            value = float(np.ravel(limit)[0])
            args[name] = None if abs(value) >= _LARGE else value
    if args.get("min") is None and args.get("max") is None:
        _same(t, op)
        return
    t.make(op, "clamp", args)


def _elementwise(t: Translator, op: Operation) -> None:
    """Translate an operator of two operands, element by element."""
    base = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}[op.kind]
    t.make(op, base, {"self": t.ref(op, 0), "other": t.ref(op, 1)})


def _negation(t: Translator, op: Operation) -> None:
    """Translate ``Neg``: each element times -1."""
    t.make(op, "neg", {"self": t.ref(op, 0)})


def _leaky(t: Translator, op: Operation) -> None:
    """Translate a ReLU with a slope below 0."""
    slope = float(op.attributes.get("alpha", 0.01))
    t.make(op, "leaky_relu", {"self": t.ref(op, 0), "negative_slope": slope})


def _prelu(t: Translator, op: Operation) -> None:
    """Translate a ReLU with slopes below 0 that were learned."""
    t.array(op, 1, "slope")
    t.make(op, "prelu", {"self": t.ref(op, 0), "weight": t.ref(op, 1)})


def _absolute(t: Translator, op: Operation) -> None:
    """Translate ``Abs``: each element without its sign."""
    t.make(op, "abs", {"self": t.ref(op, 0)})


def _compared(t: Translator, op: Operation) -> None:
    """Translate a comparison, element by element."""
    bases = {"Greater": "gt", "GreaterOrEqual": "ge", "Less": "lt", "LessOrEqual": "le"}
    t.make(op, bases[op.kind], {"self": t.ref(op, 0), "other": t.ref(op, 1)})


def _where(t: Translator, op: Operation) -> None:
    """Translate a choice between two tensors, element by element."""
    names = ("condition", "self", "other")
    t.make(op, "where", {name: t.ref(op, number) for number, name in enumerate(names)})


def _einsum(t: Translator, op: Operation) -> None:
    """Translate a sum of products that is a matrix product of an activation and weights."""
    text = op.attributes["equation"].replace(" ", "")
    read, _, made = text.partition("->")
    terms = read.split(",")
    weights = [name in t.constants for name in op.inputs]
    if weights.count(True) == 0 and len(terms) > 1:
        raise t.error(op, hint("scaled_dot_product_attention"))
    if len(terms) != 2 or weights.count(True) != 1:
        raise t.error(op, hint("einsum"))
    place = weights.index(True)
    matrix, activation = terms[place], terms[1 - place]
    summed, kept = activation[-1:], activation[:-1]
    new = made[-1:]
    product = len(matrix) == 2 and {*matrix} == {summed, new} and summed != new
    if not product or made != kept + new or new in activation:
        raise t.error(op, f"its equation {text!r} is no matrix product: {hint('einsum')}")
    array = t.constants[op.inputs[place]]
    array = array if matrix == new + summed else array.T
    name = f"{op.inputs[place]}.of.{op.name}"
    weight = t.renamed(op, op.inputs[place], name, array)
    t.make(op, "linear", {"input": t.ref(op, 1 - place), "weight": weight})


def _extreme(t: Translator, op: Operation) -> None:
    """Translate a maximum or minimum of tensors, two at a time."""
    _in_pairs(t, op, "maximum" if op.kind == "Max" else "minimum")


def _sum_all(t: Translator, op: Operation) -> None:
    """Translate a sum of tensors to additions of two."""
    _in_pairs(t, op, "add")


def _in_pairs(t: Translator, op: Operation, base: str) -> None:
    """Translate an operator of any number of tensors to one of two, again and again."""
    name = op.inputs[0]
    for number, other in enumerate(op.inputs[1:], 1):
        last = number == len(op.inputs) - 1
        made = op.outputs[0] if last else f"{op.outputs[0]}.{number}"
        t.shapes[made] = t.shapes[op.outputs[0]]
        args = {"self": t.constant(op, name), "other": t.constant(op, other)}
        t.make(op, base, args, [made])
        name = made
    if len(op.inputs) == 1:
        _same(t, op)


def _same(t: Translator, op: Operation) -> None:
    """Translate what changes nothing."""
    t.make(op, "alias", {"self": t.ref(op, 0)})


def _cast(t: Translator, op: Operation) -> None:
    """Translate a change of type from float to float, which changes nothing here."""
    from onnx import helper

    kind = helper.tensor_dtype_to_np_dtype(op.attributes["to"])
    if kind.kind != "f":
        raise t.error(op, f"it rounds to {kind}, and the array's activations are fractions")
    _same(t, op)


def _dropout(t: Translator, op: Operation) -> None:
    """Translate a dropout, which does nothing once a network is trained."""
    training = t.array(op, 2, "training_mode")
    if training is not None and bool(np.any(training)):
        raise t.error(op, "it is in training mode; export the network in eval mode")
    _same(t, op)


def _concat(t: Translator, op: Operation) -> None:
    """Translate tensors side by side."""
    tensors = [t.ref(op, number) for number in range(len(op.inputs))]
    t.make(op, "cat", {"tensors": tensors, "dim": int(op.attributes["axis"])})


def _reshape(t: Translator, op: Operation) -> None:
    """Translate any change of shape that keeps elements in their order."""
    t.make(op, "reshape", {"self": t.ref(op, 0), "shape": t.shapes[op.outputs[0]]})


def _transpose(t: Translator, op: Operation) -> None:
    """Translate Transpose: the dimensions of a tensor in another order."""
    ndim = len(t.shape(op))
    dims = [int(n) for n in op.attributes.get("perm", range(ndim)[::-1])]
    t.make(op, "permute", {"self": t.ref(op, 0), "dims": dims})


def _pad(t: Translator, op: Operation) -> None:
    """Translate padding."""
    mode = op.attributes.get("mode", "constant")
    pads = t.integers(op, 1, "pads") or []
    value = t.array(op, 2, "value")
    ndim, axes = len(t.shape(op)), t.integers(op, 3, "axes")
    dims = list(range(ndim)) if axes is None else [axis % ndim for axis in axes]
    sides = {dim: (pads[place], pads[place + len(dims)]) for place, dim in enumerate(dims)}
    flat = [n for dim in reversed(range(ndim)) for n in sides.get(dim, (0, 0))]
    while len(flat) > 2 and flat[-2:] == [0, 0]:
        flat = flat[:-2]
    names = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
    if mode not in names:
        raise t.error(op, f"its mode {mode!r} is not known")
    number = 0.0 if value is None else float(np.ravel(value)[0])
    args = {"self": t.ref(op, 0), "pad": flat, "mode": names[mode], "value": number}
    t.make(op, "pad", args)


def _cut(t: Translator, op: Operation) -> None:
    """Translate a slice, one dimension after the other."""
    found = [t.array(op, n, w) for n, w in ((1, "starts"), (2, "ends"), (3, "axes"), (4, "steps"))]
    starts, ends = ([int(n) for n in np.ravel(a)] for a in found[:2] if a is not None)
    axes = range(len(starts)) if found[2] is None else [int(n) for n in found[2].ravel()]
    steps = [1] * len(starts) if found[3] is None else [int(n) for n in found[3].ravel()]
    name, shape = op.inputs[0], list(t.shape(op))
    for number, (axis, start, end, step) in enumerate(zip(axes, starts, ends, steps, strict=True)):
        if step < 1:
            raise t.error(op, f"its step {step} goes backwards")
        last = number == len(starts) - 1
        made = op.outputs[0] if last else f"{op.outputs[0]}.{number}"
        size = shape[axis]
        chosen = range(*slice(start, end, step).indices(size))
        shape[axis] = len(chosen)
        t.shapes[made] = tuple(shape)
        args = {
            "self": t.constant(op, name),
            "dim": axis % len(shape),
            "start": chosen.start,
            "end": chosen.stop,
            "step": step,
        }
        t.make(op, "slice", args, [made])
        name = made


def _split(t: Translator, op: Operation) -> None:
    """Translate a cut into pieces."""
    axis = int(op.attributes.get("axis", 0))
    sizes = [t.shapes[name][axis] for name in op.outputs]
    args = {"self": t.ref(op, 0), "split_sizes": sizes, "dim": axis % len(t.shape(op))}
    t.make(op, "split_with_sizes", args, op.outputs)


def _gather(t: Translator, op: Operation) -> None:
    """Translate a choice of elements along one dimension."""
    index = t.array(op, 1, "index")
    assert index is not None
    ndim = len(t.shape(op))
    axis = int(op.attributes.get("axis", 0)) % ndim
    if index.ndim == 0:
        args = {"self": t.ref(op, 0), "dim": axis, "index": int(index)}
        t.make(op, "select", args)
    elif index.ndim == 1:
        index = np.where(index < 0, index + t.shape(op)[axis], index)
        name = t.constant(op, f"{op.inputs[1]}.of.{op.name}", index)
        t.make(op, "index_select", {"self": t.ref(op, 0), "dim": axis, "index": name})
    else:
        raise t.error(op, f"its index has {index.ndim} dimensions, not one")


_REDUCE = ("axes", "keepdims", "noop_with_empty_axes")

TRANSLATIONS: Mapping[str, Translation] = {
    **PLANES,
    **RECURRENT,
    **dict.fromkeys(("Greater", "GreaterOrEqual", "Less", "LessOrEqual"), ((), _compared)),
    "Abs": ((), _absolute),
    "Add": ((), _elementwise),
    "BatchNormalization": (("epsilon", "momentum", "training_mode"), _batch_norm),
    "Cast": (("to", "saturate", "round_mode"), _cast),
    "Clip": ((), _clip),
    "Concat": (("axis",), _concat),
    "Div": ((), _elementwise),
    "Dropout": (("ratio", "seed"), _dropout),
    "Einsum": (("equation",), _einsum),
    "Flatten": (("axis",), _reshape),
    "Gather": (("axis",), _gather),
    "Gemm": (("alpha", "beta", "transA", "transB"), _gemm),
    "Identity": ((), _same),
    "LeakyRelu": (("alpha",), _leaky),
    "MatMul": ((), _matmul),
    "Max": ((), _extreme),
    "Min": ((), _extreme),
    "Mul": ((), _elementwise),
    "Neg": ((), _negation),
    "PRelu": ((), _prelu),
    "Pad": (("mode",), _pad),
    "ReduceMax": (_REDUCE, _reduce),
    "ReduceMean": (_REDUCE, _reduce),
    "ReduceSum": (_REDUCE, _reduce),
    "Relu": ((), _relu),
    "Reshape": (("allowzero",), _reshape),
    "Slice": ((), _cut),
    "Split": (("axis", "split", "num_outputs"), _split),
    "Squeeze": (("axes",), _reshape),
    "Sub": ((), _elementwise),
    "Sum": ((), _sum_all),
    "Transpose": (("perm",), _transpose),
    "Unsqueeze": (("axes",), _reshape),
    "Where": ((), _where),
}
"""Translations of all operators that are known, by name."""
