"""An adder with a short path."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from zeroskip.hw.common.multiply import has_multipliers

__all__ = ["add"]


def add(m: Module, first: Value, second: Value, bits: int, *, platform: object = None) -> Value:
    """Return the sum of two numbers modulo ``2**bits``, signed if both are.

    The upper half is added for both carries that may come from the lower half, and the right one
    is chosen (carry select): synthesis that goes for area makes one long chain of a plain sum.
    FPGAs have chains of carries, which are faster than a choice behind them.

    Parameters
    ----------
    m : where what the sum is made of belongs.
    first, second : the numbers.
    bits : width of the sum.
    platform : that it is made for.
    """
    low_bits = bits // 2
    if not low_bits:
        return (first + second)[:bits]
    wide = [Signal(bits, name=name) for name in ("augend", "addend")]
    m.d.comb += [wide[0].eq(first), wide[1].eq(second)]
    if has_multipliers(platform):
        return (wide[0] + wide[1])[:bits]
    low = Signal(low_bits + 1, name="sum_low")
    without, carried = (
        Signal(bits - low_bits, name=name) for name in ("sum_high", "sum_high_carried")
    )
    upper = [one[low_bits:] for one in wide]
    m.d.comb += [
        low.eq(wide[0][:low_bits] + wide[1][:low_bits]),
        without.eq(upper[0] + upper[1]),
        carried.eq(upper[0] + upper[1] + 1),
    ]
    return Cat(low[:low_bits], Mux(low[low_bits], carried, without))
