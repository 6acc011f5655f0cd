"""What layers of Keras are in operators of ONNX."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from zeroskip.compiler.compress.keras_tensors import Layer, tensors_of
from zeroskip.compiler.frontend.keras_nodes import FOREIGN, Nodes

__all__ = ["LAYERS"]

AddLayer = Callable[[Nodes, Layer, Sequence[str], str], Any]


def _windows(layer: Layer) -> dict[str, Any]:
    """Return strides and padding of a convolution or pooling."""
    config = layer.config
    pool = config.get("pool_size")
    sizes = config["kernel_size"] if pool is None else pool
    count = len(sizes) if isinstance(sizes, list | tuple) else 1
    strides = config.get("strides") or pool or 1
    made: dict[str, Any] = {"strides": _tuple(strides, count)}
    padding = config.get("padding", "valid")
    if padding == "causal":
        made["pads"] = [(_tuple(sizes, 1)[0] - 1) * _tuple(config.get("dilation_rate", 1), 1)[0], 0]
    else:
        made["auto_pad"] = {"same": "SAME_UPPER", "valid": "VALID"}[padding]
    return made


def _tuple(value: Any, count: int) -> list[int]:
    return [int(n) for n in value] if isinstance(value, list | tuple) else [int(value)] * count


def _convolution(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    names = net.weights(layer)
    weight = tensors_of(layer)["weight"]
    depthwise = layer.kind == "DepthwiseConv2D"
    groups = int(layer.config.get("groups", 1))
    if depthwise:
        groups = len(weight) // int(layer.config.get("depth_multiplier", 1))
    dilations = _tuple(layer.config.get("dilation_rate", 1), weight.ndim - 2)
    net.node("Conv", [*sources, *names.values()], output, group=groups, dilations=dilations,
             **_windows(layer))  # fmt: skip


def _separable(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    depthwise, *others = net.weights(layer).values()
    groups = len(tensors_of(layer)["depthwise.weight"]) // int(
        layer.config.get("depth_multiplier", 1)
    )
    dilations = _tuple(layer.config.get("dilation_rate", 1), 2)
    middle = net.node("Conv", [*sources, depthwise], f"{output}.depthwise", group=groups,
                      dilations=dilations, **_windows(layer))  # fmt: skip
    net.node("Conv", [middle, *others], output)


def _dense(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    net.node("Gemm", [*sources, *net.weights(layer).values()], output, transB=1)


def _norm(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    names = net.weights(layer)
    size = len(tensors_of(layer)["running_mean"])
    for role, value in (("weight", 1.0), ("bias", 0.0)):
        names.setdefault(role, net.constant(f"{layer.name}.no_{role}", np.full(size, value)))
    roles = "weight", "bias", "running_mean", "running_var"
    epsilon = float(layer.config.get("epsilon", 1e-3))
    net.node("BatchNormalization", [*sources, *(names[role] for role in roles)], output,
             epsilon=epsilon)  # fmt: skip


def _pool(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    kind = "MaxPool" if layer.kind.startswith("Max") else "AveragePool"
    count = 1 if layer.kind.endswith("1D") else 2
    sizes = _tuple(layer.config["pool_size"], count)
    net.node(kind, sources, output, kernel_shape=sizes, **_windows(layer))


def _global_pool(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    kind = "GlobalMaxPool" if "Max" in layer.kind else "GlobalAveragePool"
    if layer.config.get("keepdims"):
        net.node(kind, sources, output)
        return
    net.node("Flatten", [net.node(kind, sources, f"{output}.planes")], output)
    net.rank(output, 2)


def _flatten(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    (source,) = sources
    if net.rank(source) > 2:
        source = net.turned(source, f"{output}.last", last=True)
    net.node("Flatten", [source], output)
    net.rank(output, 2)


def _reshape(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    (source,) = sources
    target = [1, *map(int, layer.config["target_shape"])]
    if net.rank(source) > 2:
        source = net.turned(source, f"{output}.last", last=True)
    wide = len(target) > 2
    made = f"{output}.last_of_it" if wide else output
    net.node("Reshape", [source, net.constant(f"{output}.shape", target, np.int64)], made)
    net.rank(output, len(target))
    if wide:
        net.rank(made, len(target))
        net.turned(made, output, last=False)


def _relu(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    config = layer.config
    slope = _slope(config, 0.0)
    most = config.get("max_value")
    if config.get("threshold") or (slope and most is not None):
        net.node(layer.kind, sources, output, domain=FOREIGN)
    elif slope:
        net.node("LeakyRelu", sources, output, alpha=slope)
    elif most is None:
        net.node("Relu", sources, output)
    else:
        net.clip(sources[0], output, float(most))


def _leaky(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    net.node("LeakyRelu", sources, output, alpha=_slope(layer.config, 0.3))


def _slope(config: Mapping[str, Any], default: float) -> float:
    """Return the slope below 0, which has another name in Keras 2."""
    given = config.get("negative_slope", config.get("alpha"))
    return default if given is None else float(given)


def _prelu(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    (slopes,) = layer.arrays.values()
    net.node("PRelu", [*sources, net.constant(f"{layer.name}.alpha", np.moveaxis(slopes, -1, 0))],
             output)  # fmt: skip


def _average(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    del layer
    total = net.node("Sum", sources, f"{output}.total")
    net.node("Mul", [total, net.constant(f"{output}.part", 1 / len(sources))], output)


def _normalization(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    (source,) = sources
    axes = layer.config.get("axis", -1)
    axes = [axes] if isinstance(axes, int) else list(axes or [])
    if any(axis not in (-1, net.rank(source) - 1) for axis in axes) or layer.config.get("invert"):
        net.node(layer.kind, sources, output, domain=FOREIGN)
        return
    mean, variance = (
        np.asarray(layer.arrays.get(name, layer.config.get(name)), np.float64).reshape(-1)
        for name in ("mean", "variance")
    )
    # Where a value never varied, Keras divides by its least number.
    scale = 1 / np.maximum(np.sqrt(variance), 1e-7)
    column = (-1, *[1] * (net.rank(source) - 2))
    factor = net.constant(f"{output}.scale", scale.reshape(column))
    shift = net.constant(f"{output}.offset", (-mean * scale).reshape(column))
    net.node("Add", [net.node("Mul", [source, factor], f"{output}.scaled"), shift], output)


def _upsampling(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    mode = layer.config.get("interpolation", "nearest")
    factors = _tuple(layer.config["size"], 1 if layer.kind.endswith("1D") else 2)
    scales = net.constant(f"{output}.scales", [1, 1, *factors])
    net.node("Resize", [*sources, "", scales], output,
             mode={"nearest": "nearest", "bilinear": "linear"}.get(mode, "cubic"),
             coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip


def _concat(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    axis = _onnx_axis(int(layer.config.get("axis", -1)), net.rank(sources[0]))
    net.node("Concat", sources, output, axis=axis)


def _onnx_axis(axis: int, rank: int) -> int:
    """Return the dimension in ONNX, (N, C, H, W), of one in Keras, (N, H, W, C)."""
    axis %= rank
    return 0 if axis == 0 else 1 if axis == rank - 1 else axis + 1


def _padding(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    sides = layer.config["padding"]
    pairs = [sides] if layer.kind.endswith("1D") else list(sides)
    first, second = ([int(pair[n]) for pair in pairs] for n in (0, 1))
    pads = [0, 0, *first, 0, 0, *second]
    net.node("Pad", [*sources, net.constant(f"{output}.pads", pads, np.int64)], output)


def _cropping(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    sides = layer.config["cropping"]
    pairs = [sides] if layer.kind.endswith("1D") else list(sides)
    # A negative end counts from the last element, so that the size need not be known; the largest
    # number as an end cuts nothing off.
    starts = [int(pair[0]) for pair in pairs]
    ends = [-int(pair[1]) or np.iinfo(np.int64).max for pair in pairs]
    axes = list(range(2, 2 + len(pairs)))
    limits = [
        net.constant(f"{output}.{name}", values, np.int64)
        for name, values in (("starts", starts), ("ends", ends), ("axes", axes))
    ]
    net.node("Slice", [*sources, *limits], output)


def _permute(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    (source,) = sources
    rank = net.rank(source)
    dims = [0, *map(int, layer.config["dims"])]
    order = [_onnx_axis(dims[axis], rank) for axis in (0, rank - 1, *range(1, rank - 1))]
    net.node("Transpose", [source], output, perm=order)


def _rescaling(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    factor = net.constant(f"{output}.scale", float(layer.config["scale"]))
    scaled = net.node("Mul", [*sources, factor], f"{output}.scaled")
    shift = net.constant(f"{output}.offset", float(layer.config.get("offset", 0.0)))
    net.node("Add", [scaled, shift], output)


_PLAIN = {
    "Abs": "Abs", "Absolute": "Abs", "Add": "Sum", "Divide": "Div", "Maximum": "Max",
    "Minimum": "Min", "Multiply": "Mul", "Negative": "Neg", "Relu": "Relu", "Sigmoid": "Sigmoid",
    "Subtract": "Sub", "TrueDivide": "Div",
}  # fmt: skip
"""Layers, and functions of ``keras.ops`` that files have as layers, that are one operator."""

LAYERS: Mapping[str, AddLayer] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "DepthwiseConv2D"), _convolution),
    **dict.fromkeys(
        ("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"), _pool
    ),
    **dict.fromkeys(
        ("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D",
         "GlobalMaxPooling2D"),
        _global_pool,
    ),
    **dict.fromkeys(
        ("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise",
         "RandomBrightness", "RandomColorJitter", "RandomContrast", "RandomErasing", "RandomFlip",
         "RandomHue", "RandomInvert", "RandomRotation", "RandomSaturation", "RandomTranslation",
         "RandomZoom", "SpatialDropout1D", "SpatialDropout2D"),
        lambda net, _, sources, output: net.node("Identity", sources, output),
    ),
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D"), _padding),
    **dict.fromkeys(("Cropping1D", "Cropping2D"), _cropping),
    "Activation": lambda net, layer, sources, output: net.activation(
        str(layer.config["activation"]), sources[0], output
    ),
    **{
        kind: lambda net, _, sources, output, operator=operator: net.node(operator, sources, output)
        for kind, operator in _PLAIN.items()
    },
    "Average": _average,
    "BatchNormalization": _norm,
    "Concatenate": _concat,
    "Dense": _dense,
    "Flatten": _flatten,
    "LeakyReLU": _leaky,
    "Normalization": _normalization,
    "PReLU": _prelu,
    "Permute": _permute,
    "ReLU": _relu,
    "Relu6": lambda net, _, sources, output: net.clip(sources[0], output, 6.0),
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "SeparableConv2D": _separable,
    **dict.fromkeys(("UpSampling1D", "UpSampling2D"), _upsampling),
    "Softmax": lambda net, _, sources, output: net.activation("softmax", sources[0], output),
}  # fmt: skip
"""What adds the nodes that a kind of layer is."""
