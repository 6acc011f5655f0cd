"""Frames out of received bytes: whole, checked, one at a time."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.board.crc import Crc32
from zeroskip.hw.board.protocol import CRC_BYTES, FRAME_BYTES, HEADER_BYTES, Byte, Status
from zeroskip.hw.common.sram import sram

__all__ = ["Deframe"]

_LENGTH_BITS = FRAME_BYTES.bit_length()


class _State(enum.Enum, shape=2):
    BODY = 0
    ESCAPED = 1  # the byte after ESC
    SKIP = 2  # the frame is lost; to its end


class Deframe(wiring.Component):
    """Take bytes off their escapes into a buffer, and offer what has the right checksum.

    Nothing of a frame is used before all of it is there. Whatever is wrong is told once per
    frame, at its end, and the next END byte begins anew. A frame that stops without END is given
    up after ``timeout`` cycles. END after END is nothing.

    Members
    -------
    valid, byte, broken : In, see ``UartRx``.
    frame : Out, a frame is in the buffer; bytes that come now are lost.
    length : Out, its bytes, without checksum.
    release : In, the buffer is not needed any more.
    read_at : In, number of a byte of the frame; read_byte : Out, the byte, one cycle later.
    error : Out, what was wrong, or ``Status.OK``; stays until acknowledged.
    acknowledge : In, the error is taken.
    """

    valid: Signal
    byte: Signal
    broken: Signal
    frame: Signal
    length: Signal
    release: Signal
    read_at: Signal
    read_byte: Signal
    error: Signal
    acknowledge: Signal

    def __init__(self, timeout: int) -> None:
        if not 1 < timeout <= 1 << 32:
            raise ValueError(f"timeout must be from 2 to {1 << 32} cycles, not {timeout}")
        self._timeout = timeout
        super().__init__({
            "valid": In(1),
            "byte": In(8),
            "broken": In(1),
            "frame": Out(1),
            "length": Out(_LENGTH_BITS),
            "release": In(1),
            "read_at": In(range(FRAME_BYTES)),
            "read_byte": Out(8),
            "error": Out(4),
            "acknowledge": In(1),
        })
        self._state = Signal(_State, name="state")
        self._count = Signal(_LENGTH_BITS, name="count")
        self._lost = Signal(name="lost")
        # What is wrong with the frame that is skipped.
        self._reason = Signal(4, name="reason")
        self._plain = Signal(8, name="plain")
        self._store = Signal(name="store")
        self._end = Signal(name="end")
        self._fault = Signal(4, name="fault")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = Crc32()
        m.submodules.buffer = buffer = sram(8, FRAME_BYTES, "buffer")
        read, write = buffer.read_port(), buffer.write_port()
        begun = Signal()
        give_up = Signal()
        # It waits from a byte on while a frame has begun; ``late`` in the last cycle.
        wait, late = Signal(range(self._timeout)), Signal()
        m.d.comb += [
            read.addr.eq(self.read_at),
            read.en.eq(1),
            self.read_byte.eq(read.data),
            write.addr.eq(self._count),
            write.data.eq(self._plain),
            write.en.eq(self._store),
            crc.byte.eq(self._plain),
            crc.take.eq(self._store),
            crc.clear.eq(self._end),
            self._plain.eq(self.byte),
            self.length.eq(self._count - CRC_BYTES),
            begun.eq((self._state != _State.BODY) | (self._count != 0)),
            give_up.eq(late & ~self.frame & ~self.valid),
        ]
        with m.If(self.valid | self.broken | ~begun | self.frame):
            m.d.sync += [wait.eq(0), late.eq(0)]
        with m.Else():
            m.d.sync += [wait.eq(wait + 1), late.eq(wait == self._timeout - 2)]

        with m.If(self.frame):
            with m.If((self.valid & (self.byte != Byte.END)) | self.broken):
                m.d.sync += self._lost.eq(1)
            with m.If(self.release):
                m.d.sync += [self.frame.eq(0), self._count.eq(0), self._lost.eq(0)]
                with m.If(self._lost):
                    self._skip(m, Status.OVERRUN)
        with m.Elif(self.broken):
            self._skip(m, Status.LINE)
        with m.Elif(give_up | (self.valid & (self.byte == Byte.END))):
            self._end_frame(m, give_up, crc.good)
        with m.Elif(self.valid & (self._state != _State.SKIP)):
            self._take_byte(m)
        # An error that nobody has taken yet stands for those after it, too.
        with m.If((self.error == Status.OK) | self.acknowledge):
            m.d.sync += self.error.eq(self._fault)
        return m

    def _skip(self, m: Module, why: Status) -> None:
        m.d.sync += [self._state.eq(_State.SKIP), self._reason.eq(why)]

    def _end_frame(self, m: Module, give_up: Signal, good: Value) -> None:
        """Offer what came, or say what is wrong with it."""
        m.d.comb += self._end.eq(1)
        m.d.sync += [self._state.eq(_State.BODY), self._count.eq(0)]
        with m.If(self._state == _State.SKIP):
            m.d.comb += self._fault.eq(self._reason)
        with m.Elif(give_up):
            m.d.comb += self._fault.eq(Status.TIMEOUT)
        with m.Elif(self._state == _State.ESCAPED):
            m.d.comb += self._fault.eq(Status.BAD_ESCAPE)
        with m.Elif(self._count != 0):
            with m.If(self._count < HEADER_BYTES + CRC_BYTES):
                m.d.comb += self._fault.eq(Status.TOO_SHORT)
            with m.Elif(~good):
                m.d.comb += self._fault.eq(Status.BAD_CRC)
            with m.Else():
                m.d.sync += [self.frame.eq(1), self._count.eq(self._count)]

    def _take_byte(self, m: Module) -> None:
        """Take a byte off its escape into the buffer."""
        escaped = self._state == _State.ESCAPED
        with m.If(~escaped & (self.byte == Byte.ESC)):
            m.d.sync += self._state.eq(_State.ESCAPED)
        with m.Elif(escaped & (self.byte != Byte.ESC_END) & (self.byte != Byte.ESC_ESC)):
            self._skip(m, Status.BAD_ESCAPE)
        with m.Elif(self._count == FRAME_BYTES):
            self._skip(m, Status.TOO_LONG)
        with m.Else():
            m.d.comb += self._store.eq(1)
            m.d.sync += [self._state.eq(_State.BODY), self._count.eq(self._count + 1)]
        with m.If(escaped):
            m.d.comb += self._plain.eq(Mux(self.byte == Byte.ESC_END, Byte.END, Byte.ESC))
