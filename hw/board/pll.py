"""Clocks out of an FPGA's phase-locked loop, and rates out of clocks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from zeroskip.base.errors import ParameterError

__all__ = ["Ecp5Pll", "Ice40Pll", "divisor_of", "ecp5_pll", "ice40_pll"]

_MOST_BAUD_ERROR = 0.02
"""Of the rate: with both ends' clocks, ten bits can stand some 4 %."""


@dataclass(frozen=True)
class Ice40Pll:
    """Settings of an ``SB_PLL40``, and the frequency that comes out."""

    divr: int
    divf: int
    divq: int
    filter_range: int
    hz: float


@dataclass(frozen=True)
class Ecp5Pll:
    """Settings of an ``EHXPLLL``, and the frequency that comes out.

    The feedback comes from CLKOP, and so does the clock, unless there is a ``clkos_div``: then
    from CLKOS.
    """

    clki_div: int
    clkfb_div: int
    clkop_div: int
    hz: float
    clkos_div: int | None = None


def ice40_pll(source: float, wanted: float) -> Ice40Pll:
    """Choose settings for ``wanted`` Hz out of ``source`` Hz.

    Limits are those of Lattice's iCE40 sysCLOCK guide (FPGA-TN-02052): phase detector 10 to 133
    MHz, oscillator 533 to 1066 MHz.

    Raises
    ------
    ParameterError
        If nothing within 1 % can be made.
    """
    best: Ice40Pll | None = None
    for divr in range(16):
        phase = source / (divr + 1)
        if not 10e6 <= phase <= 133e6:
            continue
        for divf in range(128):
            vco = phase * (divf + 1)
            if not 533e6 <= vco <= 1066e6:
                continue
            for divq in range(1, 7):
                hz = vco / (1 << divq)
                if best is None or abs(hz - wanted) < abs(best.hz - wanted):
                    best = Ice40Pll(divr, divf, divq, _filter_range(phase), hz)
    if best is None or abs(best.hz - wanted) > 0.01 * wanted:
        raise _no_clock(source, wanted, best and best.hz)
    return best


def ecp5_pll(source: float, wanted: float) -> Ecp5Pll:
    """Choose settings for ``wanted`` Hz out of ``source`` Hz, with one output if that will do.

    Limits are those of Lattice's ECP5 data sheet (FPGA-DS-02012): phase detector from 10 MHz,
    oscillator 400 to 800 MHz.

    Raises
    ------
    ParameterError
        If nothing within 1 % can be made.
    """
    best = _nearest(wanted, _one_output(source))
    if best is None or abs(best.hz - wanted) > 1:
        best = _nearest(wanted, [*([best] if best else []), *_two_outputs(source, wanted)])
    if best is None or abs(best.hz - wanted) > 0.01 * wanted:
        raise _no_clock(source, wanted, best and best.hz)
    return best


def _one_output(source: float) -> Iterator[Ecp5Pll]:
    """Give all settings of loops with one output, the oscillator in the middle of its range."""
    for clki_div, clkfb_div, hz in _feedbacks(source):
        clkop_div = round(600e6 / hz)
        if 1 <= clkop_div <= 128 and 400e6 <= hz * clkop_div <= 800e6:
            yield Ecp5Pll(clki_div, clkfb_div, clkop_div, hz)


def _two_outputs(source: float, wanted: float) -> Iterator[Ecp5Pll]:
    """Give settings whose second output is near ``wanted`` Hz."""
    for clki_div, clkfb_div, hz in _feedbacks(source):
        for clkop_div in range(1, 129):
            vco = hz * clkop_div
            clkos_div = round(vco / wanted)
            if 400e6 <= vco <= 800e6 and 1 <= clkos_div <= 128:
                yield Ecp5Pll(clki_div, clkfb_div, clkop_div, vco / clkos_div, clkos_div)


def _feedbacks(source: float) -> Iterator[tuple[int, int, float]]:
    """Give dividers of input and feedback, and the frequency that the feedback then has."""
    for clki_div in range(1, int(source / 10e6) + 1):
        for clkfb_div in range(1, 81):
            yield clki_div, clkfb_div, source / clki_div * clkfb_div


def _nearest(wanted: float, loops: Iterable[Ecp5Pll]) -> Ecp5Pll | None:
    return min(loops, key=lambda one: abs(one.hz - wanted), default=None)


def divisor_of(hz: float, baud: int) -> int:
    """Return clock cycles per bit.

    Raises
    ------
    ParameterError
        If the rate cannot be made of the clock.
    """
    divisor = round(hz / baud) if baud > 0 else 0
    if divisor < 4 or abs(hz / divisor / baud - 1) > _MOST_BAUD_ERROR:
        rule = f"a rate that a clock of {hz / 1e6:g} MHz can make within 2 %, at most {hz / 4:.0f}"
        raise ParameterError("baud", baud, rule)
    return divisor


def _filter_range(phase: float) -> int:
    """Return the loop filter's setting for a phase detector at ``phase`` Hz, as icepll has it."""
    bounds = (17e6, 26e6, 44e6, 66e6, 101e6)
    return 1 + sum(phase >= bound for bound in bounds)


def _no_clock(source: float, wanted: float, nearest: float | None) -> ParameterError:
    near = f"the nearest is {nearest / 1e6:g} MHz" if nearest else ""
    rule = f"a rate that can be made of the board's {source / 1e6:g} MHz"
    return ParameterError("clock_mhz", wanted / 1e6, rule, near)
