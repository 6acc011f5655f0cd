"""Refuse layers that the array has no bits for."""

from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.ir.verify import check_layer as verify_layer
from zeroskip.compiler.scnn.areas import area_layers
from zeroskip.compiler.scnn.fields import check_biases, stored_fields
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
    check_biases(conv, conv.bias, params)
    for _, layer in area_layers(conv):
        stored_fields(layer, params)
