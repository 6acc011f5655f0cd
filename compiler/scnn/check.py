"""Refuse layers that the array has no bits for."""

from zeroskip.base.errors import ScnnCompileError
from zeroskip.compiler.ir.fixed import limits
from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.ir.verify import check_layer as verify_layer
from zeroskip.compiler.scnn.areas import area_layers
from zeroskip.compiler.scnn.fields import stored_fields
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["check_layer"]


def check_layer(conv: QuantConv, params: ScnnParams) -> None:
    """Check a layer, and that its numbers have as many bits as the array.

    Raises
    ------
    CompileError
        Naming layer, value and limits.
    """
    verify_layer(conv)
    low, high = limits(params.acc_bits)
    if conv.bias.size and not low <= conv.bias.min() <= conv.bias.max() <= high:
        raise ScnnCompileError(
            f"biases of layer {conv.name!r} must be from {low} to {high} "
            f"(acc_bits = {params.acc_bits}), not {conv.bias.min()} to {conv.bias.max()}"
        )
    for _, one in area_layers(conv):
        stored_fields(one, params)
