"""Clipping of numbers to fewer bits, without a carry chain."""

from amaranth.hdl import Cat, Value

__all__ = ["saturate"]


def saturate(value: Value, bits: int) -> Value:
    """Return a signed number, clipped to ``bits`` (at least 2) bits, signed.

    It is beyond them if not all bits above are as its sign: a comparison with a limit becomes a
    chain of carries, which ends the longest path of an output.
    """
    if len(value) <= bits:
        return value
    sign, above = value[-1], value[bits - 1 : -1]
    high, low = ~sign & above.any(), sign & ~above.all()
    kept = (value[: bits - 1] | high.replicate(bits - 1)) & ~low.replicate(bits - 1)
    return Cat(kept, sign).as_signed()
