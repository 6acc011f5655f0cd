"""Frames to send: escapes, checksum, and END at both ends."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.board.crc import Crc32
from zeroskip.hw.board.protocol import CRC_BYTES, Byte

__all__ = ["BODY", "Frame"]

BODY = data.StructLayout({"byte": 8, "end": 1})
"""A byte of a frame; or with ``end``, which has no byte, the end of the frame."""


class _State(enum.Enum, shape=3):
    IDLE = 0
    BODY = 1
    WAIT = 2  # until the checksum has the last byte
    CRC = 3
    ESCAPED = 4  # the second byte of an escape
    END = 5


class Frame(wiring.Component):
    """Send what comes in between two END bytes, with its checksum.

    Members
    -------
    i : ``In(stream(BODY))``, a frame's bytes, then its end.
    o : ``Out(stream(8))``, to the line.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(BODY)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = Crc32()
        state = Signal(_State)
        after = Signal(_State)
        number = Signal(range(CRC_BYTES))
        plain = Signal(8)
        special = Signal()
        m.d.comb += [
            special.eq((plain == Byte.END) | (plain == Byte.ESC)),
            crc.byte.eq(plain),
            plain.eq(self.i.payload.byte),
            self.o.payload.eq(Mux(special, Byte.ESC, plain)),
        ]

        def next_of_checksum() -> None:
            m.d.sync += number.eq(number + 1)
            with m.If(number == CRC_BYTES - 1):
                m.d.sync += state.eq(_State.END)

        with m.Switch(state):
            with m.Case(_State.IDLE):
                m.d.comb += [
                    self.o.valid.eq(self.i.valid),
                    self.o.payload.eq(Byte.END),
                    crc.clear.eq(1),
                ]
                m.d.sync += number.eq(0)
                with m.If(self.i.valid & self.o.ready):
                    m.d.sync += state.eq(_State.BODY)
            with m.Case(_State.BODY):
                # The checksum takes a byte when all of it is sent.
                m.d.comb += self.o.valid.eq(self.i.valid & ~self.i.payload.end & ~crc.busy)
                with m.If(self.i.valid & self.i.payload.end):
                    m.d.comb += self.i.ready.eq(1)
                    m.d.sync += state.eq(_State.WAIT)
                with m.Elif(self.o.valid & self.o.ready):
                    m.d.comb += [crc.take.eq(~special), self.i.ready.eq(~special)]
                    with m.If(special):
                        m.d.sync += [state.eq(_State.ESCAPED), after.eq(_State.BODY)]
            with m.Case(_State.WAIT), m.If(~crc.busy):
                m.d.sync += state.eq(_State.CRC)
            with m.Case(_State.CRC):
                m.d.comb += [plain.eq(crc.crc.word_select(number, 8)), self.o.valid.eq(1)]
                with m.If(self.o.ready):
                    with m.If(special):
                        m.d.sync += [state.eq(_State.ESCAPED), after.eq(_State.CRC)]
                    with m.Else():
                        next_of_checksum()
            with m.Case(_State.ESCAPED):
                with m.If(after == _State.CRC):
                    m.d.comb += plain.eq(crc.crc.word_select(number, 8))
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.eq(Mux(plain == Byte.END, Byte.ESC_END, Byte.ESC_ESC)),
                ]
                with m.If(self.o.ready):
                    m.d.sync += state.eq(after)
                    with m.If(after == _State.BODY):
                        m.d.comb += [crc.take.eq(1), self.i.ready.eq(1)]
                    with m.Else():
                        next_of_checksum()
            with m.Case(_State.END):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(Byte.END)]
                with m.If(self.o.ready):
                    m.d.sync += state.eq(_State.IDLE)
        return m
