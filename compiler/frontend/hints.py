"""Why the arrays cannot do what an operator does, and what to do instead."""

from zeroskip.compiler.frontend.program import Node
from zeroskip.compiler.frontend.select import MOST_WEIGHTS

__all__ = ["hint", "why_not_planes"]

_ATTENTION = (
    "it multiplies activations with each other, as attention does, and the arrays multiply them by "
    "weights only"
)
_TRANSPOSED = (
    "the array's convolutions make planes smaller, not larger; a convolution of the same size, "
    "with the larger planes before it, can take its place"
)
_HINTS = {
    "qlinear": "export in the QDQ format, which has scales beside operators of floats",
    "integer": "export in the QDQ format, which has scales beside operators of floats",
    "dynamicquant": "its scale depends on the data; quantize statically, in the QDQ format",
    "quant": "of activations only with one constant scale, and, for a QuantizeLinear, with a "
    "DequantizeLinear of the same numbers behind it, as in the QDQ format",
    "channels_first": "its configuration has data_format='channels_first': save the model with "
    "'channels_last'",
    "keras.lstm": "only with tanh and sigmoid, forwards, and without states that are given or "
    "returned",
    "keras.gru": "only with tanh and sigmoid, forwards, with reset_after=True, and without states "
    "that are given or returned",
    "keras.bidirectional": "only of an LSTM or a GRU that is supported alone, with "
    "merge_mode='concat'",
    "keras.timedistributed": "only of Dense, and of what acts on each value, on the steps of a "
    "sequence",
    "keras.simplernn": "its result is not that of a cell with gates; use LSTM or GRU",
    "keras.embedding": "it takes whole numbers, and an input is fractions; give the network the "
    "rows that it would choose",
    "keras.masking": "all steps of a sequence count; leave it out, and give sequences whole",
    "keras.lambda": "its code is no part of a configuration; write it in layers",
    "keras.tfoplambda": "write it in layers, not as a function of TensorFlow",
    "keras.conv2dtranspose": _TRANSPOSED,
    "keras.conv1dtranspose": _TRANSPOSED,
    "keras.relu": "only with a slope, a largest value, or neither, and with a threshold of 0",
    "keras.resizing": "give the network pictures of the size that it makes of them",
    "keras.multiheadattention": _ATTENTION,
    "keras.attention": _ATTENTION,
    "softmax": "leave it out: it does not change which output is the largest",
    "hardswish": "its result is not that of a ReLU; use ReLU",
    "hardsigmoid": "its result is not that of a ReLU; use ReLU",
    "sigmoid": "only within LSTM and GRU, as torch writes their cells; at the end leave it out: it "
    "is above 0.5 where its argument is above 0",
    "tanh": "only within LSTM and GRU, as torch writes their cells",
    "silu": "its result is not that of a ReLU; use ReLU",
    "leaky": "negative outputs are clipped to 0 or kept; use ReLU",
    "prelu": "only with constant slopes that are the same all over a channel (in Keras, "
    "shared_axes=[1, 2])",
    "gelu": "its result is not that of a ReLU; use ReLU",
    "selu": "its result is not that of a ReLU; use ReLU",
    "celu": "its result is not that of a ReLU; use ReLU",
    "mish": "its result is not that of a ReLU; use ReLU",
    "softplus": "its result is not that of a ReLU; use ReLU",
    "scaled_dot_product_attention": _ATTENTION,
    "conv_transpose": _TRANSPOSED,
    "conv": "only convolutions in one or two dimensions",
    "abs": "relu(x) + relu(-x) is the same",
    "maximum": "with a number, clamp does that; of two tensors, a + relu(b - a) is the same",
    "minimum": "with a number, clamp does that; of two tensors, a - relu(a - b) is the same",
    "stack": "cat joins channels",
    "einsum": "only a matrix product, such as bi,io->bo, of an activation and a constant; write it "
    "as a Linear layer or a convolution",
    "where": "of what chooses by the data, only where(x > 0, x, 0), which is a ReLU, is known; "
    "write it with ReLUs",
    "erf": "as a part of GELU, its result is not that of a ReLU; use ReLU",
    "argmax": "leave it out, and take the largest of the outputs",
    "topk": "leave it out, and take the largest of the outputs",
    "pow": "the arrays multiply by constants only, so neither powers nor LPPool; use AvgPool2d or "
    "MaxPool2d and fine-tune",
    "upsample": "it mixes neighbours with weights that differ from place to place; use "
    "mode='nearest' right before Flatten and Linear, or leave it out",
    "fractional_max_pool": "its windows are random; use MaxPool2d",
    "pool": "only maximum and average pooling, in one or two dimensions",
    "local_response_norm": "it divides by a sum over neighbouring channels, which the array does "
    "not compute; train without it, or with BatchNorm in its place",
    "group_norm": "it needs the mean and variance of each input, which the array does not compute; "
    "use BatchNorm",
    "layer_norm": "it needs the mean and variance of each input, which the array does not compute; "
    "use BatchNorm",
    "instance_norm": "it needs the mean and variance of each input, which the array does not "
    "compute; use BatchNorm",
}


def hint(base: str) -> str:
    """Return advice for an operator that is not supported, or nothing."""
    if base in ("gt", "ge", "lt", "le", "eq", "ne"):
        return _HINTS["where"]
    if base == "elu":  # which the name of ReLU ends in
        return _HINTS["gelu"]
    if base.startswith("keras."):  # which writes the same names without lines between words
        plain = base.replace("_", "")
        return next((text for key, text in _HINTS.items() if key.replace("_", "") in plain), "")
    return next((text for key, text in _HINTS.items() if key in base), "")


def why_not_planes(node: Node, own: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """Return why the array cannot make planes of ``shape`` of those of shape ``own`` with it."""
    base = node.base
    before_linear = "only where nothing but reshaping stands between it and a Linear layer"
    if "pad" in base:
        return (
            f"it pads with values of the plane ({node.args.get('mode') or base}), and around a "
            "plane the array has zeros only; pad with zeros (padding_mode='zeros', nn.ZeroPad2d) "
            "and fine-tune"
        )
    if own[1:] == (1, 1) and shape[1:] != (1, 1):
        return (
            f"it makes planes of shape {shape} of {own[0]} numbers; the kernel that does so is as "
            f"large as a plane, and would have more than {MOST_WEIGHTS:,} weights, zeros included; "
            "make smaller planes"
        )
    if "upsample" in base or "adaptive" in base or base in ("pixel_shuffle", "repeat", "expand"):
        return (
            f"it makes planes of shape {own} larger, {shape}, and the array's layers make none "
            f"larger than what they read with its padding; {before_linear}, which takes it in"
        )
    return (
        f"it makes samples of shape {shape} (channels, rows, columns) of planes of shape {own}, "
        "which the array can only pad, cut, thin out and exchange as a whole; otherwise, "
        f"{before_linear}"
    )
