"""From a sum in an accumulator to an output: shift, round, saturate, activation function."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed

from zeroskip.hw.common.formats import Activation
from zeroskip.hw.common.sram import has_short_paths

__all__ = ["requantize", "saturate"]


def requantize(
    m: Module,
    total: Value,
    shift: Value,
    activation: Value,
    bits: int,
    *,
    platform: object = None,
) -> Value:
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
    platform : that it is made for. In LUTs, whether an output is beyond ``bits`` is asked of the
        sum's bits, each of which counts up to a shift of its own: of those of the shifted sum it
        is known late. In gates this would take more.
    """
    is_relu = activation == Activation.RELU
    if has_short_paths(platform) and len(total) > bits:
        sign, above = total[-1], total[bits - 1 : -1]
        counts = Cat(shift <= place for place in range(len(above)))
        kept, beyond = Signal(bits - 1), Signal()
        m.d.comb += [
            kept.eq(total >> shift),
            beyond.eq(((above ^ sign.replicate(len(above))) & counts).any()),
        ]
        return Mux(is_relu & sign, 0, _clip(kept, sign, beyond & ~sign, beyond & sign))
    shifted = Signal(signed(len(total)))
    m.d.comb += shifted.eq(total >> shift)
    # Its sign is known before it is saturated.
    return Mux(is_relu & shifted[-1], 0, saturate(shifted, bits))


def saturate(value: Value, bits: int) -> Value:
    """Return a signed number, clipped to ``bits`` (at least 2) bits, signed.

    It is beyond them if not all bits above are as its sign: a comparison with a limit becomes a
    chain of carries, which ends the longest path of an output.
    """
    if len(value) <= bits:
        return value
    sign, above = value[-1], value[bits - 1 : -1]
    return _clip(value[: bits - 1], sign, ~sign & above.any(), sign & ~above.all())


def _clip(kept: Value, sign: Value, high: Value, low: Value) -> Value:
    """Return a signed number of the bits below its sign, or the highest or the lowest of them."""
    bits = len(kept)
    return Cat((kept | high.replicate(bits)) & ~low.replicate(bits), sign).as_signed()
