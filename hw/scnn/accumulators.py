"""Accumulator banks: two sets, one takes products while the other is read and cleared."""

from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.scnn.params import ScnnParams
from hw.scnn.products import addend_layout, head_signature

__all__ = ["Accumulators"]


class Accumulators(wiring.Component):
    """Add a product a cycle in every bank, to either set; read and reset the other (section IV).

    A product's register is one cycle before the cycle in which its accumulator is read, changed
    and written. Banks are small enough for flip-flops that are read in the same cycle, so that
    two products for one accumulator may follow each other. Sums wrap.

    Members
    -------
    heads : In, products for the banks, always taken.
    maximum, init_min : In, see ``descriptor_layout``.
    read, read_addr, read_set : In, read an accumulator, which is then set to the initial value;
        only in a set that no product is for.
    read_data : Out, what was read in the cycle before.
    wipe, wipe_entry : In, set an entry of all banks of both sets to the initial value; only
        while there are no products.
    waiting : Out, for each set, products for it are in the registers.
    """

    heads: Any
    maximum: Signal
    init_min: Signal
    read: Signal
    read_addr: Signal
    read_set: Signal
    read_data: Signal
    wipe: Signal
    wipe_entry: Signal
    waiting: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "heads": In(head_signature(params)).array(params.banks),
            "maximum": In(1),
            "init_min": In(1),
            "read": In(1),
            "read_addr": In(params.acc_addr_bits),
            "read_set": In(1),
            "read_data": Out(signed(params.acc_bits)),
            "wipe": In(1),
            "wipe_entry": In(params.entry_addr_bits),
            "waiting": Out(2),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        # s_: the accumulator that is read or wiped.
        s_bank = Signal(max(1, p.bank_bits), reset_less=True)
        s_entry = Signal(p.entry_addr_bits, reset_less=True)
        s_banks, s_sets = Signal(p.banks), Signal(2)
        m.d.sync += [
            s_sets.eq(Mux(self.wipe, 0b11, self.read << self.read_set)),
            s_banks.eq(Mux(self.wipe, -1, 1 << self.read_addr[: p.bank_bits])),
            s_entry.eq(Mux(self.wipe, self.wipe_entry, self.read_addr[p.bank_bits :])),
        ]
        initial = Mux(self.init_min, 1 << p.acc_bits - 1, 0)
        # x_: the products that are added.
        x_valid, x_set = Signal(p.banks), Signal(p.banks, reset_less=True)
        x_valids = [Signal(p.banks, name=f"x_valid_{number}") for number in range(2)]
        m.d.comb += [
            x_valids[0].eq(x_valid & ~x_set),
            x_valids[1].eq(x_valid & x_set),
            self.waiting[0].eq(x_valids[0].any()),
            self.waiting[1].eq(x_valids[1].any()),
        ]
        values = []
        for bank, head in enumerate(self.heads):
            x_addend = Signal(addend_layout(p), name=f"x_addend_{bank}", reset_less=True)
            m.d.sync += [
                x_valid[bank].eq(head.valid),
                x_set[bank].eq(head.set),
                x_addend.eq(head.addend),
            ]
            old, total = (Signal(signed(p.acc_bits), name=f"{n}_{bank}") for n in ("old", "sum"))
            reads = []
            for number in range(2):
                entries = Memory(shape=signed(p.acc_bits), depth=p.bank_entries, init=[])
                m.submodules[f"set_{number}_bank_{bank}"] = entries
                read, write = entries.read_port(domain="comb"), entries.write_port()
                adds = x_valids[number][bank]
                place = Signal(p.entry_addr_bits, name=f"entry_{number}_{bank}")
                m.d.comb += [
                    place.eq(Mux(adds, x_addend.entry, s_entry)),
                    read.addr.eq(place),
                    write.addr.eq(place),
                    write.en.eq(adds | (s_sets[number] & s_banks[bank])),
                    write.data.eq(Mux(adds, total, initial)),
                ]
                reads.append(read.data)
            values.append(reads)
            m.d.comb += old.eq(Mux(x_set[bank], reads[1], reads[0]))
            greater = Mux(old > x_addend.value, old, x_addend.value)
            m.d.comb += total.eq(Mux(self.maximum, greater, old + x_addend.value))

        picked = [Array(reads[number] for reads in values)[s_bank] for number in range(2)]
        m.d.sync += s_bank.eq(self.read_addr[: p.bank_bits])
        m.d.comb += self.read_data.eq(Mux(s_sets[1], picked[1], picked[0]))
        return m
