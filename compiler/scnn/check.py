"""Refuse layers that the array has no bits for."""

from zeroskip.base.errors import CompileError, ScnnCompileError
from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.areas import area_layers, check_areas
from zeroskip.compiler.scnn.fields import stored_fields
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["check_layer", "check_tail"]

_MAX_SHIFT = 63


def check_tail(params: ScnnParams, tail_params: EieParams | None) -> EieParams:
    """Return EIE's parameters if what leaves SCNN is what EIE takes.

    Raises
    ------
    CompileError
        If there are none, or their activations have another width.
    """
    if tail_params is None or tail_params.act_bits != params.act_bits:
        width = None if tail_params is None else tail_params.act_bits
        raise CompileError(
            f"Linear layers follow, so EIE must have activations of {params.act_bits} bits as SCNN "
            f"has, not {width or 'no parameters'}: give the EIE array act_bits = {params.act_bits}"
        )
    return tail_params


def check_layer(conv: QuantConv, params: ScnnParams) -> None:
    """Check a layer's weights, biases, shift, stride and shapes.

    Raises
    ------
    CompileError
        Naming layer, value and limits.
    """
    (channels, _, _), (outputs, _, _) = conv.in_shape, conv.out_shape
    if channels % conv.groups or outputs % conv.groups:
        raise ScnnCompileError(
            f"groups of layer {conv.name!r} must divide its {channels} input and {outputs} output "
            f"channels, not be {conv.groups}"
        )
    wanted = (outputs, channels // conv.groups)
    if conv.weight.shape[:2] != wanted or conv.weight.ndim != 4:
        raise ScnnCompileError(
            f"weights of layer {conv.name!r} must be of shape ({wanted[0]}, {wanted[1]}, R, S), "
            f"not {conv.weight.shape}"
        )
    if min(conv.stride) < 1:
        raise ScnnCompileError(
            f"the stride of layer {conv.name!r} must be at least 1, not {conv.stride}"
        )
    if not 0 <= conv.shift <= _MAX_SHIFT:
        raise ScnnCompileError(
            f"the shift of layer {conv.name!r} (in_frac + weight_frac - out_frac) must be from 0 "
            f"to {_MAX_SHIFT}, not {conv.shift}"
        )
    low, high = -(1 << (params.acc_bits - 1)), (1 << (params.acc_bits - 1)) - 1
    if conv.bias.size and not low <= conv.bias.min() <= conv.bias.max() <= high:
        raise ScnnCompileError(
            f"biases of layer {conv.name!r} must be from {low} to {high} "
            f"(acc_bits = {params.acc_bits}), not {conv.bias.min()} to {conv.bias.max()}"
        )
    if conv.op == "max":
        _check_maximum(conv)
    check_areas(conv)
    for _, one in area_layers(conv):
        stored_fields(one, params)


def _check_maximum(conv: QuantConv) -> None:
    """Check that a maximum is one: of a channel, over inputs that are there."""
    plain = not conv.shift and not conv.bias.any() and (conv.weight == 1).all()
    if not plain or not conv.in_shape[0] == conv.out_shape[0] == conv.groups:
        raise ScnnCompileError(
            f"layer {conv.name!r} is a maximum: it must have weights 1, no bias and no shift, and "
            "keep its channels apart"
        )
    for axis in range(2):
        size, count = conv.in_shape[1 + axis], conv.out_shape[1 + axis]
        first, stride = -conv.padding[axis], conv.stride[axis]
        if first + conv.weight.shape[2 + axis] <= 0 or first + (count - 1) * stride >= size:
            raise ScnnCompileError(
                f"layer {conv.name!r} is a maximum: its windows must not lie in padding alone"
            )
