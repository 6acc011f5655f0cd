"""Serial line: 8 data bits, no parity, 1 stop bit, lowest bit first."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["MIN_DIVISOR", "UartRx", "UartTx", "check_divisor"]

MIN_DIVISOR = 4
"""Fewest clock cycles per bit: with fewer, a bit is not met near its middle."""

_MAX_DIVISOR = 1 << 16


def check_divisor(divisor: int) -> int:
    """Return ``divisor`` if it can be clock cycles per bit.

    Raises
    ------
    ValueError
        If not.
    """
    if not MIN_DIVISOR <= divisor <= _MAX_DIVISOR:
        raise ValueError(f"divisor must be from {MIN_DIVISOR} to {_MAX_DIVISOR}, not {divisor}")
    return divisor


class _RxState(enum.Enum, shape=2):
    IDLE = 0
    BITS = 1
    RECOVER = 2  # after a byte without stop bit, until the line is idle


class UartRx(wiring.Component):
    """Receive bytes. Each is offered for one cycle: there is no way to stop the other end.

    Members
    -------
    rx : In, the line; any phase, it is synchronised here.
    valid, byte : Out, a byte was received, with its stop bit.
    broken : Out, a byte came without its stop bit, and is lost.
    """

    rx: Signal
    valid: Signal
    byte: Signal
    broken: Signal

    def __init__(self, divisor: int) -> None:
        self._divisor = check_divisor(divisor)
        super().__init__({
            "rx": In(1),
            "valid": Out(1),
            "byte": Out(8),
            "broken": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)
        state = Signal(_RxState)
        wait = Signal(range(self._divisor))
        bit = Signal(4)
        m.d.sync += [self.valid.eq(0), self.broken.eq(0)]
        with m.Switch(state):
            with m.Case(_RxState.IDLE):
                # From here to the middle of the start bit.
                m.d.sync += [wait.eq(self._divisor // 2 - 1), bit.eq(0)]
                with m.If(~line):
                    m.d.sync += state.eq(_RxState.BITS)
            with m.Case(_RxState.BITS):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.d.sync += [wait.eq(self._divisor - 1), bit.eq(bit + 1)]
                    # A start bit that is over by its middle was noise.
                    with m.If((bit == 0) & line):
                        m.d.sync += state.eq(_RxState.IDLE)
                    with m.Elif(bit == 9):
                        m.d.sync += [
                            self.valid.eq(line),
                            self.broken.eq(~line),
                            state.eq(Mux(line, _RxState.IDLE, _RxState.RECOVER)),
                        ]
                    with m.Elif(bit != 0):
                        m.d.sync += self.byte.eq(Cat(self.byte[1:], line))
            with m.Case(_RxState.RECOVER), m.If(line):
                m.d.sync += state.eq(_RxState.IDLE)
        return m


class UartTx(wiring.Component):
    """Send bytes.

    Members
    -------
    i : ``In(stream(8))``, bytes; taken when the one before is out, its stop bit included.
    tx : Out, the line, from a register.
    """

    i: stream.Interface
    tx: Signal

    def __init__(self, divisor: int) -> None:
        self._divisor = check_divisor(divisor)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wait = Signal(range(self._divisor))
        line = Signal(init=1)
        # What is still to be sent, lowest bit first: data and, above it, the stop bit.
        bits = Signal(9)
        left = Signal(range(11))
        m.d.comb += [self.i.ready.eq(left == 0), self.tx.eq(line)]
        with m.If(left == 0):
            m.d.sync += wait.eq(self._divisor - 1)
            with m.If(self.i.valid):
                m.d.sync += [line.eq(0), bits.eq(Cat(self.i.payload, 1)), left.eq(10)]
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Else():
            m.d.sync += [
                wait.eq(self._divisor - 1),
                line.eq(Mux(left == 1, 1, bits[0])),
                bits.eq(bits >> 1),
                left.eq(left - 1),
            ]
        return m
