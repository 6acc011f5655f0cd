"""From a sum in an accumulator to an output: shift, round, saturate, activation function."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed

from zeroskip.hw.common.formats import Activation

__all__ = ["requantize", "saturate"]


def requantize(m: Module, total: Value, shift: Value, activation: Value, bits: int) -> Value:
    """Return the output of ``bits`` bits that a sum becomes, with fewer fractional bits.

    The output is ``activation(saturate(total >> shift))``. It is rounded half up, because the
    bias in the sum has half an output step with it, see :func:`.bias_word`.

    Parameters
    ----------
    m : where what the output is made of belongs.
    total : signed sum of products and bias.
    shift : fractional bits that the output has fewer.
    activation : an :class:`.Activation`.
    bits : width of the output, at least 2.
    """
    shifted = Signal(signed(len(total)))
    m.d.comb += shifted.eq(total >> shift)
    # Its sign is known before it is saturated.
    is_clipped = (activation == Activation.RELU) & shifted[-1]
    return Mux(is_clipped, 0, saturate(shifted, bits))


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
