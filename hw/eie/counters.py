"""Cycle counters: what each cycle of a run was spent on."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.accum_ram import AccumRam
from zeroskip.hw.eie.formats import COUNTER_BITS, StallClass
from zeroskip.hw.eie.params import EieParams

__all__ = ["Counters", "counter_addr_bits"]

_CLASS_BITS = (len(StallClass) - 1).bit_length()


def counter_addr_bits(params: EieParams) -> int:
    """Width of a counter's address: the stall class in the low bits, then the descriptor."""
    return params.descriptor_addr_bits + _CLASS_BITS


class Counters(wiring.Component):
    """One counter per descriptor and stall class, in one SRAM: each cycle adds 1 to one of them.

    Members
    -------
    count : In, count this cycle, to ``descriptor`` and ``stall_class``.
    read, clear : In, read or clear the counter at ``addr``; only while not counting.
    read_data : Out, the counter that was read in the cycle before.
    """

    count: Signal
    descriptor: Signal
    stall_class: Signal
    read: Signal
    clear: Signal
    addr: Signal
    read_data: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        super().__init__({
            "count": In(1),
            "descriptor": In(params.descriptor_addr_bits),
            "stall_class": In(_CLASS_BITS),
            "read": In(1),
            "clear": In(1),
            "addr": In(counter_addr_bits(params)),
            "read_data": Out(COUNTER_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        addr_bits = counter_addr_bits(self._p)
        m.submodules.counts = counts = AccumRam(COUNTER_BITS, 1 << addr_bits, addr_bits)
        c_count = Signal()
        c_addr = Signal(addr_bits, reset_less=True)
        # A register before the SRAM keeps the classes' logic out of its address path.
        m.d.sync += [c_count.eq(self.count), c_addr.eq(Cat(self.stall_class, self.descriptor))]
        m.d.comb += [
            counts.add.eq(c_count),
            counts.add_row.eq(c_addr),
            counts.addend.eq(1),
            counts.read.eq(self.read),
            counts.read_row.eq(self.addr),
            counts.clear.eq(self.clear),
            counts.clear_row.eq(self.addr),
            self.read_data.eq(counts.read_data),
        ]
        return m
