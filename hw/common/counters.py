"""Cycle counters: what each cycle of a run was spent on."""

import enum
from collections.abc import Collection
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.accum_ram import AccumRam
from zeroskip.hw.common.formats import COUNTER_BITS
from zeroskip.hw.common.params import ArrayParams

__all__ = ["Counters", "counter_addr_bits"]


def counter_addr_bits(params: ArrayParams, classes: Collection[enum.IntEnum]) -> int:
    """Return the width of a counter's address: the stall class below, then the descriptor."""
    return params.descriptor_addr_bits + _class_bits(classes)


class Counters(wiring.Component):
    """One counter per descriptor and stall class; each cycle adds ``units``, split between two.

    Class 0 is that of units which do useful work; what the others did is one of the other
    classes. With several units both may grow in a cycle, so useful ones have an SRAM of their own.
    Where there is nothing to add, an SRAM is left alone.

    Parameters
    ----------
    params : the array's, for the number of descriptors.
    classes : the stall classes.
    units : what a PE has that may be useful in a cycle.

    Members
    -------
    count : In, count this cycle, to ``descriptor``: ``useful`` units as class 0, the others as
        ``stall_class``, which is another.
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

    def __init__(
        self, params: ArrayParams, classes: Collection[enum.IntEnum], units: int = 1
    ) -> None:
        self._units = units
        self._class_bits = _class_bits(classes)
        super().__init__({
            "count": In(1),
            "descriptor": In(params.descriptor_addr_bits),
            "useful": In(range(units + 1)),
            "stall_class": In(self._class_bits),
            "read": In(1),
            "clear": In(1),
            "addr": In(counter_addr_bits(params, classes)),
            "read_data": Out(COUNTER_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Registers before the SRAMs keep the classes' logic out of their address paths.
        c_count = Signal()
        c_class = Signal(self._class_bits, reset_less=True)
        c_descriptor = Signal.like(self.descriptor, reset_less=True)
        m.d.sync += [c_count.eq(self.count), c_descriptor.eq(self.descriptor)]
        if self._units == 1:
            m.d.sync += c_class.eq(Mux(self.useful, 0, self.stall_class))
            bits = len(self.addr)
            m.submodules.counts = counts = AccumRam(COUNTER_BITS, 1 << bits, bits)
            m.d.comb += [
                counts.add.eq(c_count),
                counts.add_row.eq(Cat(c_class, c_descriptor)),
                counts.addend.eq(1),
                counts.read.eq(self.read),
                counts.read_row.eq(self.addr),
                counts.clear.eq(self.clear),
                counts.clear_row.eq(self.addr),
                self.read_data.eq(counts.read_data),
            ]
            return m

        c_useful = Signal.like(self.useful, reset_less=True)
        w_useful = Signal.like(self.useful)
        w_rest = Signal.like(self.useful)
        is_useful = Signal()
        was_useful = Signal()
        row = self.addr[self._class_bits :]
        m.d.comb += is_useful.eq(self.addr[: self._class_bits] == 0)
        m.d.sync += [
            c_class.eq(self.stall_class),
            c_useful.eq(self.useful),
            w_useful.eq(c_useful),
            w_rest.eq(self._units - c_useful),
            was_useful.eq(is_useful),
        ]
        bits = len(row)
        m.submodules.useful_counts = useful = AccumRam(COUNTER_BITS, 1 << bits, bits)
        bits = len(self.addr)
        m.submodules.other_counts = others = AccumRam(COUNTER_BITS, 1 << bits, bits)
        m.d.comb += [
            useful.add.eq(c_count & (c_useful != 0)),
            useful.add_row.eq(c_descriptor),
            useful.addend.eq(w_useful),
            useful.read.eq(self.read & is_useful),
            useful.read_row.eq(row),
            useful.clear.eq(self.clear & is_useful),
            useful.clear_row.eq(row),
            others.add.eq(c_count & (c_useful != self._units)),
            others.add_row.eq(Cat(c_class, c_descriptor)),
            others.addend.eq(w_rest),
            others.read.eq(self.read & ~is_useful),
            others.read_row.eq(self.addr),
            others.clear.eq(self.clear & ~is_useful),
            others.clear_row.eq(self.addr),
            self.read_data.eq(Mux(was_useful, useful.read_data, others.read_data)),
        ]
        return m

    def serve(
        self, m: Module, control: Any, host: Any, host_en: Value, counter_space: Any, other: Value
    ) -> Value:
        """Let a PE's control and host clear and read the counters; return the PE's answer.

        Parameters
        ----------
        m : of the PE.
        control : what the PE is told, with ``counter_clear`` and ``counter_row``.
        host, host_en : a host command, see :func:`.host_layout`, and whether it is for the PE.
        counter_space : the address space of counters.
        other : answer to commands to other spaces.
        """
        is_counter = host.space == counter_space
        was_counter = Signal()
        m.d.sync += was_counter.eq(is_counter)
        m.d.comb += [
            self.clear.eq(control.counter_clear),
            # Not in other spaces: control is read in the midst of runs, which count.
            self.read.eq(host_en & ~host.write & is_counter),
            self.addr.eq(Mux(control.counter_clear, control.counter_row, host.addr)),
        ]
        return Mux(was_counter, self.read_data, other)


def _class_bits(classes: Collection[enum.IntEnum]) -> int:
    return (len(classes) - 1).bit_length()
