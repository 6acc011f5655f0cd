"""Product of two signed numbers over two cycles, in gates or in the multipliers of an FPGA."""

from amaranth.build import Platform
from amaranth.hdl import C, Cat, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Multiply", "carried_bits", "has_multipliers"]


def carried_bits(a_bits: int, b_bits: int) -> int:
    """Return the flip-flops between the two cycles of a product in gates, see :class:`Multiply`."""
    low = _low_bits(b_bits)
    return low + 1 + 2 * (a_bits + b_bits - low)


def _low_bits(b_bits: int) -> int:
    """Return how many bits are added in the first cycle.

    Half as many columns as digits of ``b`` are two or three multiples high.
    """
    return max(1, b_bits // 2)


def has_multipliers(platform: object) -> bool:
    """Tell if this is for an FPGA, which has multipliers."""
    return isinstance(platform, Platform) or getattr(platform, "has_multipliers", False)


class Multiply(wiring.Component):
    """Multiply in every cycle; the product comes out one register later.

    In gates: digits of ``b`` from -2 to 2 (Booth, radix 4) choose multiples of ``a``, which
    carry-save adders reduce to two numbers; these are registered, and added in the next cycle.
    A path then has about half of the multiplier. The lowest bits, which few multiples reach, are
    added before the register already. On FPGAs, the multiplier they have, behind the register.

    Members
    -------
    a, b : In, the factors.
    product : Out, of the factors of the cycle before.
    """

    a: Signal
    b: Signal
    product: Signal

    def __init__(self, a_bits: int, b_bits: int) -> None:
        super().__init__({
            "a": In(signed(a_bits)),
            "b": In(signed(b_bits)),
            "product": Out(signed(a_bits + b_bits)),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if has_multipliers(platform):
            a, b = (Signal.like(factor, reset_less=True) for factor in (self.a, self.b))
            m.d.sync += [a.eq(self.a), b.eq(self.b)]
            m.d.comb += self.product.eq(a * b)
            return m
        width = len(self.product)
        rows = self._multiples(m)
        level = 0
        while len(rows) > 2:
            rows = _reduce(m, rows, width, level)
            level += 1
        first, second = rows if len(rows) == 2 else (*rows, C(0, width))
        low = _low_bits(len(self.b))
        added = Signal(low + 1, reset_less=True, name="low")
        high_first = Signal(width - low, reset_less=True)
        high_second = Signal(width - low, reset_less=True)
        m.d.sync += [
            added.eq(first[:low] + second[:low]),
            high_first.eq(first[low:]),
            high_second.eq(second[low:]),
        ]
        high = Signal(width - low)
        m.d.comb += [
            high.eq(high_first + high_second + added[low]),
            self.product.eq(Cat(added[:low], high).as_signed()),
        ]
        return m

    def _multiples(self, m: Module) -> list[Value]:
        """Return rows of the product's width whose sum is the product, modulo its width."""
        bits, width = len(self.a), len(self.product)
        digits = -(-len(self.b) // 2)
        # One bit more for 2 a; b with a 0 below its lowest bit, and its sign above the highest.
        once, twice = self.a.as_signed(), Cat(C(0, 1), self.a)
        factor = Cat(C(0, 1), self.b, self.b[-1])
        rows: list[Value] = []
        below: Value = C(0, 2)
        for digit in range(digits):
            y0, y1, y2 = factor[2 * digit], factor[2 * digit + 1], factor[2 * digit + 2]
            one, two = Signal(name=f"one_{digit}"), Signal(name=f"two_{digit}")
            part = Signal(bits + 1, name=f"part_{digit}")
            m.d.comb += [
                one.eq(y0 ^ y1),
                two.eq((y1 == y0) & (y1 != y2)),
                part.eq(
                    (
                        (Cat(once, once[-1]) & one.replicate(bits + 1))
                        | (twice & two.replicate(bits + 1))
                    )
                    ^ y2.replicate(bits + 1)
                ),
            ]
            # A sign s at column k counts -s * 2**k, as ~s * 2**k - 2**k does; the constants of
            # all rows add up to 1 1 ~s in the first row, and 1 ~s in the others.
            sign = part[-1]
            top = Cat(sign, sign, ~sign) if digit == 0 else Cat(~sign, C(1, 1))
            # The 1 that makes a negative multiple of ~a goes into the row above.
            row = Cat(below, part[:-1], top) if digit else Cat(part[:-1], top)
            shift = 2 * digit - 2 if digit else 0
            rows.append(Cat(C(0, shift), row)[:width] if shift else row[:width])
            below = Cat(y2, C(0, 1))
        rows.append(Cat(C(0, 2 * digits - 2), below) if digits > 1 else below)
        return rows


def _reduce(m: Module, rows: list[Value], width: int, level: int) -> list[Value]:
    """Make two rows of every three, of the same sum."""
    reduced: list[Value] = []
    for first in range(0, len(rows) - 2, 3):
        x, y, z = rows[first : first + 3]
        total = Signal(width, name=f"sum_{level}_{first}")
        carry = Signal(width, name=f"carry_{level}_{first}")
        both = Signal(width, name=f"xor_{level}_{first}")
        m.d.comb += [
            both.eq(x ^ y),
            total.eq(both ^ z),
            carry.eq(Cat(C(0, 1), (x & y) | (both & z))),
        ]
        reduced += [total, carry]
    return reduced + rows[len(rows) - len(rows) % 3 :]
