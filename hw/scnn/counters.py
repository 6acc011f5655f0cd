"""Cycle counters: what each multiplier did in each cycle of a run."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.accum_ram import AccumRam
from zeroskip.hw.scnn.formats import COUNTER_BITS, StallClass
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Counters", "counter_addr_bits"]

_CLASS_BITS = (len(StallClass) - 1).bit_length()


def counter_addr_bits(params: ScnnParams) -> int:
    """Width of a counter's address: the stall class in the low bits, then the descriptor."""
    return params.descriptor_addr_bits + _CLASS_BITS


class Counters(wiring.Component):
    """One counter per descriptor and stall class; each cycle adds F x I, to one or two of them.

    As a cycle that is USEFUL adds to FRAGMENTATION, too, useful multipliers have an SRAM of their
    own. Where there is nothing to add, an SRAM is left alone.

    Members
    -------
    count : In, count this cycle, to ``descriptor``: ``useful`` multipliers as USEFUL, the others
        as ``stall_class``, which is not USEFUL.
    read, clear : In, read or clear the counter at ``addr``; only while not counting.
    read_data : Out, the counter that was read in the cycle before.
    """

    count: Signal
    descriptor: Signal
    useful: Signal
    stall_class: Signal
    read: Signal
    clear: Signal
    addr: Signal
    read_data: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "count": In(1),
            "descriptor": In(params.descriptor_addr_bits),
            "useful": In(range(params.mults + 1)),
            "stall_class": In(_CLASS_BITS),
            "read": In(1),
            "clear": In(1),
            "addr": In(counter_addr_bits(params)),
            "read_data": Out(COUNTER_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        # Registers before the SRAMs keep the classes' logic out of their address paths.
        c_count = Signal()
        c_class = Signal(_CLASS_BITS, reset_less=True)
        c_descriptor = Signal(p.descriptor_addr_bits, reset_less=True)
        c_useful = Signal.like(self.useful, reset_less=True)
        w_useful = Signal.like(self.useful)
        w_rest = Signal.like(self.useful)
        m.d.sync += [
            c_count.eq(self.count),
            c_descriptor.eq(self.descriptor),
            c_class.eq(self.stall_class),
            c_useful.eq(self.useful),
            w_useful.eq(c_useful),
            w_rest.eq(p.mults - c_useful),
        ]
        is_useful = Signal()
        was_useful = Signal()
        m.d.comb += is_useful.eq(self.addr[:_CLASS_BITS] == StallClass.USEFUL)
        m.d.sync += was_useful.eq(is_useful)

        row_bits = p.descriptor_addr_bits
        m.submodules.useful_counts = useful = AccumRam(COUNTER_BITS, 1 << row_bits, row_bits)
        bits = counter_addr_bits(p)
        m.submodules.other_counts = others = AccumRam(COUNTER_BITS, 1 << bits, bits)
        m.d.comb += [
            useful.add.eq(c_count & (c_useful != 0)),
            useful.read.eq(self.read & is_useful),
            useful.clear.eq(self.clear),
            useful.add_row.eq(c_descriptor),
            useful.addend.eq(w_useful),
            useful.read_row.eq(self.addr[_CLASS_BITS:]),
            useful.clear_row.eq(self.addr[_CLASS_BITS:]),
            others.add.eq(c_count & (c_useful != p.mults)),
            others.read.eq(self.read & ~is_useful),
            others.clear.eq(self.clear),
            others.add_row.eq(Cat(c_class, c_descriptor)),
            others.addend.eq(w_rest),
            others.read_row.eq(self.addr),
            others.clear_row.eq(self.addr),
            self.read_data.eq(Mux(was_useful, useful.read_data, others.read_data)),
        ]
        return m
