"""Checksum of frames."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Crc32"]

_POLYNOMIAL = 0xEDB88320
# What is left over after data and, lowest byte first, its checksum.
_RESIDUE = 0xDEBB20E3


class Crc32(wiring.Component):
    """CRC-32 as Ethernet has it (``zlib.crc32``), a bit per cycle, 8 cycles per byte.

    A byte on a serial line takes longer, and a bit per cycle takes an eighth of the logic.

    Members
    -------
    clear : In, begin a frame.
    take, byte : In, add a byte; only while not ``busy``.
    busy : Out, a byte is being added.
    crc : Out, the checksum of all bytes so far, once not ``busy``.
    good : Out, the last four bytes were the checksum of those before.
    """

    clear: Signal
    take: Signal
    byte: Signal
    busy: Signal
    crc: Signal
    good: Signal

    def __init__(self) -> None:
        super().__init__({
            "clear": In(1),
            "take": In(1),
            "byte": In(8),
            "busy": Out(1),
            "crc": Out(32),
            "good": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rest = Signal(32, init=0xFFFFFFFF)
        left = Signal(4)
        m.d.comb += [
            self.busy.eq(left != 0),
            self.crc.eq(~rest),
            self.good.eq(rest == _RESIDUE),
        ]
        with m.If(self.clear):
            m.d.sync += [rest.eq(0xFFFFFFFF), left.eq(0)]
        with m.Elif(self.take):
            m.d.sync += [rest.eq(Cat(rest[:8] ^ self.byte, rest[8:])), left.eq(8)]
        with m.Elif(self.busy):
            m.d.sync += [
                rest.eq((rest >> 1) ^ Mux(rest[0], Const(_POLYNOMIAL, 32), 0)),
                left.eq(left - 1),
            ]
        return m
