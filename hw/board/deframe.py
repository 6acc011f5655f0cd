"""Frames out of received bytes: whole, checked, one at a time."""

from amaranth.hdl import Module, Mux, Signal
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

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = Crc32()
        m.submodules.buffer = buffer = sram(8, FRAME_BYTES, "buffer")
        read, write = buffer.read_port(), buffer.write_port()
        state = Signal(_State)
        count = Signal(_LENGTH_BITS)
        lost = Signal()
        # What is wrong with the frame that is skipped.
        reason = Signal(4)
        begun = Signal()
        give_up = Signal()
        wait = Signal(range(self._timeout))
        plain = Signal(8)
        store = Signal()
        end = Signal()
        fault = Signal(4)
        m.d.comb += [
            read.addr.eq(self.read_at),
            read.en.eq(1),
            self.read_byte.eq(read.data),
            write.addr.eq(count),
            write.data.eq(plain),
            write.en.eq(store),
            crc.byte.eq(plain),
            crc.take.eq(store),
            crc.clear.eq(end),
            plain.eq(self.byte),
            self.length.eq(count - CRC_BYTES),
            begun.eq((state != _State.BODY) | (count != 0)),
            give_up.eq(begun & ~self.frame & ~self.valid & (wait == self._timeout - 1)),
        ]
        with m.If(self.valid | self.broken | ~begun | self.frame):
            m.d.sync += wait.eq(0)
        with m.Else():
            m.d.sync += wait.eq(wait + 1)

        def skip(why: Status) -> None:
            m.d.sync += [state.eq(_State.SKIP), reason.eq(why)]

        with m.If(self.frame):
            with m.If((self.valid & (self.byte != Byte.END)) | self.broken):
                m.d.sync += lost.eq(1)
            with m.If(self.release):
                m.d.sync += [self.frame.eq(0), count.eq(0), lost.eq(0)]
                with m.If(lost):
                    skip(Status.OVERRUN)
        with m.Elif(self.broken):
            skip(Status.LINE)
        with m.Elif(give_up | (self.valid & (self.byte == Byte.END))):
            m.d.comb += end.eq(1)
            m.d.sync += [state.eq(_State.BODY), count.eq(0)]
            with m.If(state == _State.SKIP):
                m.d.comb += fault.eq(reason)
            with m.Elif(give_up):
                m.d.comb += fault.eq(Status.TIMEOUT)
            with m.Elif(state == _State.ESCAPED):
                m.d.comb += fault.eq(Status.BAD_ESCAPE)
            with m.Elif(count != 0):
                with m.If(count < HEADER_BYTES + CRC_BYTES):
                    m.d.comb += fault.eq(Status.TOO_SHORT)
                with m.Elif(~crc.good):
                    m.d.comb += fault.eq(Status.BAD_CRC)
                with m.Else():
                    m.d.sync += [self.frame.eq(1), count.eq(count)]
        with m.Elif(self.valid & (state != _State.SKIP)):
            escaped = state == _State.ESCAPED
            with m.If(~escaped & (self.byte == Byte.ESC)):
                m.d.sync += state.eq(_State.ESCAPED)
            with m.Elif(escaped & (self.byte != Byte.ESC_END) & (self.byte != Byte.ESC_ESC)):
                skip(Status.BAD_ESCAPE)
            with m.Elif(count == FRAME_BYTES):
                skip(Status.TOO_LONG)
            with m.Else():
                m.d.comb += store.eq(1)
                m.d.sync += [state.eq(_State.BODY), count.eq(count + 1)]
            with m.If(escaped):
                m.d.comb += plain.eq(Mux(self.byte == Byte.ESC_END, Byte.END, Byte.ESC))
        # An error that nobody has taken yet stands for those after it, too.
        with m.If((self.error == Status.OK) | self.acknowledge):
            m.d.sync += self.error.eq(fault)
        return m
