"""Translate ONNX operators on feature maps: convolutions, poolings, larger planes."""

from collections.abc import Mapping, Sequence
from typing import Any

from zeroskip.compiler.frontend.hints import hint
from zeroskip.compiler.frontend.translator import Operation, Translation, Translator

__all__ = ["PLANES"]


def _conv(t: Translator, op: Operation) -> None:
    """Translate a convolution in one or two dimensions."""
    weight = t.array(op, 1, "weight")
    assert weight is not None
    spatial = weight.ndim - 2
    if spatial not in (1, 2):
        raise t.error(op, hint("conv"))
    strides = list(op.attributes.get("strides", [1] * spatial))
    dilation = list(op.attributes.get("dilations", [1] * spatial))
    sizes = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    before, after = _pads(t, op, sizes, strides)
    source = _padded(t, op, before, after) if before != after else op.inputs[0]
    t.make(
        op,
        f"conv{spatial}d",
        {
            "input": t.constant(op, source),
            "weight": t.ref(op, 1),
            "bias": t.ref(op, 2),
            "stride": strides,
            "padding": before if before == after else [0] * spatial,
            "dilation": dilation,
            "groups": int(op.attributes.get("group", 1)),
        },
    )


def _pads(
    t: Translator, op: Operation, kernel: Sequence[int], strides: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return the padding of a convolution or pooling, before and behind, by dimension."""
    auto = op.attributes.get("auto_pad", "NOTSET")
    count = len(kernel)
    if auto in ("NOTSET", ""):
        pads = [int(n) for n in op.attributes.get("pads", [0] * (2 * count))]
        if min(pads, default=0) < 0:
            raise t.error(op, f"its padding {pads} is negative")
        return pads[:count], pads[count:]
    if auto == "VALID":
        return [0] * count, [0] * count
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise t.error(op, f"its auto_pad {auto!r} is not known")
    before: list[int] = []
    after: list[int] = []
    for size, width, step in zip(t.shape(op)[2:], kernel, strides, strict=True):
        whole = max(0, (-(-size // step) - 1) * step + width - size)
        less, more = whole // 2, whole - whole // 2
        before.append(less if auto == "SAME_UPPER" else more)
        after.append(more if auto == "SAME_UPPER" else less)
    return before, after


def _padded(t: Translator, op: Operation, before: Sequence[int], after: Sequence[int]) -> str:
    """Add zeros around the input's planes, and return the name of the result."""
    name, shape = f"{op.outputs[0]}.padded", t.shape(op)
    sides = [
        n for pair in reversed(list(zip(before, after, strict=True))) for n in pair
    ]  # fmt: skip
    grown = (a + n + b for a, n, b in zip(before, shape[2:], after, strict=True))
    t.shapes[name] = (*shape[:2], *grown)
    args = {"self": t.ref(op, 0), "pad": sides, "value": 0.0}
    t.make(op, "constant_pad_nd", args, [name])
    return name


def _pool(t: Translator, op: Operation) -> None:
    """Translate a maximum or average over windows."""
    if len(op.outputs) > 1:
        raise t.error(op, "it gives the places of its maxima, too (Indices)")
    kernel = [int(n) for n in op.attributes["kernel_shape"]]
    if len(kernel) not in (1, 2):
        raise t.error(op, hint("pool"))
    holes = op.attributes.get("dilations", [1] * len(kernel))
    if any(size > 1 and hole > 1 for size, hole in zip(kernel, holes, strict=True)):
        raise t.error(op, "its windows have holes (dilations); use dilation 1")
    strides = [int(n) for n in op.attributes.get("strides", [1] * len(kernel))]
    before, after = _pads(t, op, kernel, strides)
    average = op.kind == "AveragePool"
    inside = not average or not op.attributes.get("count_include_pad", 0)
    ceil = bool(op.attributes.get("ceil_mode", 0))
    places = [
        _places(size + first, size + first + last - width, step, ceil)
        for size, first, last, width, step in zip(
            t.shape(op)[2:], before, after, kernel, strides, strict=True
        )
    ]
    source = op.inputs[0]
    if before != after and not inside:
        source, before = _padded(t, op, before, after), [0] * len(kernel)
    args: dict[str, Any] = {
        "self": t.constant(op, source),
        "kernel_size": kernel,
        "stride": strides,
        "padding": before,
        # Windows that hang over the plane do not see what is beyond it.
        "places": places,
    }
    if average:
        args["count_include_pad"] = not inside
    t.make(op, f"{'avg' if average else 'max'}_pool{len(kernel)}d", args)


def _places(end: int, room: int, step: int, ceil: bool) -> int:
    """Return how many windows fit into ``room``; the last begins before the plane's ``end``."""
    count = (-(-room // step) if ceil else room // step) + 1
    return count - (ceil and (count - 1) * step >= end)


def _global_pool(t: Translator, op: Operation) -> None:
    """Translate a maximum or average over whole planes."""
    dims = list(range(2, len(t.shape(op))))
    base = "mean" if op.kind == "GlobalAveragePool" else "amax"
    t.make(op, base, {"self": t.ref(op, 0), "dim": dims, "keepdim": True})


def _depth_to_space(t: Translator, op: Operation) -> None:
    """Translate channels that become rows and columns."""
    if op.attributes.get("mode", "DCR") != "CRD":
        raise t.error(op, "its mode is DCR; only CRD, which is PixelShuffle")
    factor = int(op.attributes["blocksize"])
    t.make(op, "pixel_shuffle", {"self": t.ref(op, 0), "upscale_factor": factor})


def _resize(t: Translator, op: Operation) -> None:
    """Translate Resize and Upsample by whole factors: each element is copied."""
    read, made = t.shape(op), t.shapes[op.outputs[0]]
    nearest = op.attributes.get("mode", "nearest") == "nearest"
    whole = all(new % old == 0 for old, new in zip(read, made, strict=True))
    asymmetric = op.attributes.get("coordinate_transformation_mode") == "asymmetric"
    floor = op.attributes.get("nearest_mode", "round_prefer_floor") == "floor"
    halves = op.attributes.get("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    if not (nearest and whole and ((asymmetric and floor) or halves)):
        raise t.error(op, hint("upsample"))
    # Copies of whole elements; of those, both ways of counting choose the same.
    spatial = len(read) - 2
    args = {"self": t.ref(op, 0), "output_size": list(made[2:])}
    t.make(op, f"upsample_nearest{spatial}d", args)


_WINDOWS = ("auto_pad", "pads", "strides", "dilations", "kernel_shape")

PLANES: Mapping[str, Translation] = {
    "AveragePool": ((*_WINDOWS, "count_include_pad", "ceil_mode"), _pool),
    "Conv": ((*_WINDOWS, "group"), _conv),
    "DepthToSpace": (("blocksize", "mode"), _depth_to_space),
    "GlobalAveragePool": ((), _global_pool),
    "GlobalMaxPool": ((), _global_pool),
    "MaxPool": ((*_WINDOWS, "ceil_mode", "storage_order"), _pool),
    "Resize": (
        (
            "coordinate_transformation_mode",
            "cubic_coeff_a",
            "exclude_outside",
            "extrapolation_value",
            "mode",
            "nearest_mode",
            "antialias",
            "axes",
            "keep_aspect_ratio_policy",
        ),
        _resize,
    ),
}
"""Translations by operator."""
