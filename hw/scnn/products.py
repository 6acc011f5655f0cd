"""Products on their way from the multipliers to the accumulators."""

from typing import Any

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["addend_layout", "head_signature", "product_signature", "value_shape"]


def value_shape(p: ScnnParams) -> Any:
    """Give the shape of a product on its way: no wider than the accumulator that it is for."""
    return signed(min(p.weight_bits + p.act_bits, p.acc_bits))


def product_signature(p: ScnnParams) -> wiring.Signature:
    """Return signals of a product: ``used`` (to be added), accumulator ``addr`` and ``value``."""
    return wiring.Signature({
        "used": Out(1),
        "addr": Out(p.acc_addr_bits),
        "value": Out(value_shape(p)),
    })


def addend_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out a product in the queue of its bank: the entry of the bank, and the value."""
    return data.StructLayout({"entry": unsigned(p.entry_addr_bits), "value": value_shape(p)})


def head_signature(p: ScnnParams) -> wiring.Signature:
    """Return signals of a product that leaves its queue, if ``valid``: ``addend`` and ``set``."""
    return wiring.Signature({"valid": Out(1), "set": Out(1), "addend": Out(addend_layout(p))})
