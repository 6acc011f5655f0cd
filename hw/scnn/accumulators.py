"""Accumulator banks: two sets, one takes products while the other is read and cleared."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.bypass import bypass
from zeroskip.hw.common.sram import sram
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.products import addend_layout, head_signature

__all__ = ["Accumulators"]


class Accumulators(wiring.Component):
    """Add a product a cycle in every bank, to either set; read and reset the other (section IV).

    A product's accumulator is read in the cycle in which it leaves its queue, and written with the
    sum in the next. If the next product is for the same accumulator, it has been read too early,
    see :func:`.bypass`. Sums wrap.

    Members
    -------
    heads : In, products for the banks, always taken.
    maximum, init_min : In, see ``descriptor_layout``.
    read, read_addr, read_step, read_set : In, lanes that read an accumulator, which is then set to
        the initial value: lane n the one at ``read_addr + n * read_step``, of as many banks as
        there are lanes, and only in a set that no product is for.
    read_pairs : In, each lane reads the accumulator behind that one, too; of as many banks as there
        are accumulators.
    read_data : Out, what each lane read in the cycle before; nothing of use with ``read_pairs``.
    greater : Out, with ``read_pairs``, the greater of the two.
    wipe, wipe_entry : In, set an entry of all banks of both sets to the initial value; only
        while there are no products.
    waiting : Out, for each set, products for it are in the registers.
    """

    heads: Any
    maximum: Signal
    init_min: Signal
    read: Signal
    read_addr: Signal
    read_step: Signal
    read_set: Signal
    read_pairs: Signal
    read_data: data.View
    greater: data.View
    wipe: Signal
    wipe_entry: Signal
    waiting: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        sums = data.ArrayLayout(signed(params.acc_bits), params.mult_i)
        super().__init__({
            "heads": In(head_signature(params)).array(params.banks),
            "maximum": In(1),
            "init_min": In(1),
            "read": In(params.mult_i),
            "read_addr": In(params.acc_addr_bits),
            "read_step": In(3),
            "read_set": In(1),
            "read_pairs": In(1),
            "read_data": Out(sums),
            "greater": Out(sums),
            "wipe": In(1),
            "wipe_entry": In(params.entry_addr_bits),
            "waiting": Out(2),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        # r_: accumulators that are read. s_: those that have been, or the entry that is wiped.
        r_banks = Signal(p.banks)
        r_entries = [Signal(p.entry_addr_bits, name=f"r_entry_{bank}") for bank in range(p.banks)]
        s_lanes = []
        s_entries = [Signal(p.entry_addr_bits, reset_less=True) for _ in range(p.banks)]
        s_banks = Signal(p.banks)
        s_sets = Signal(2)
        # Banks are even and odd ones in turn, and so are an accumulator and the one behind it: what
        # is in even banks is chosen apart from what is in odd ones, and both cost what one did.
        sides = min(p.banks, 2)
        for lane in range(p.mult_i):
            addr, behind = (
                Signal(p.acc_addr_bits, name=f"r_{name}_{lane}") for name in ("addr", "behind")
            )
            m.d.comb += [
                addr.eq(self.read_addr + lane * self.read_step),
                behind.eq(self.read_addr + (lane * self.read_step + 1)),
            ]
            # If `addr` is even, both are in the same pair of banks.
            places = [behind, addr][-sides:]
            s_odd = Signal(name=f"s_odd_{lane}", reset_less=True)
            s_pairs = [
                Signal(range(max(2, p.banks // 2)), name=f"s_pair_{lane}_{side}", reset_less=True)
                for side in range(sides)
            ]
            m.d.sync += s_odd.eq(addr[0])
            for place, s_pair in zip(places, s_pairs, strict=True):
                m.d.sync += s_pair.eq(place[1 : max(1, p.bank_bits)])
            s_lanes.append((s_odd, s_pairs))
            for bank, entry in enumerate(r_entries):
                place = places[bank % sides]
                here = place[1 : max(1, p.bank_bits)] == bank // 2
                if sides > 1:
                    here &= self.read_pairs | (addr[0] == bank % 2)
                with m.If(self.read[lane] & here):
                    m.d.comb += [r_banks[bank].eq(1), entry.eq(place[p.bank_bits :])]
        m.d.sync += [
            s_sets.eq(Mux(self.wipe, 0b11, self.read.any() << self.read_set)),
            s_banks.eq(Mux(self.wipe, -1, r_banks)),
        ]
        for r_entry, s_entry in zip(r_entries, s_entries, strict=True):
            m.d.sync += s_entry.eq(Mux(self.wipe, self.wipe_entry, r_entry))
        initial = Mux(self.init_min, 1 << p.acc_bits - 1, 0)
        # x_: the products that are added; words of a bit a bank.
        x_valid = Signal(p.banks)
        x_set = Signal(p.banks, reset_less=True)
        x_again = Signal(p.banks, reset_less=True)
        valid = Signal(p.banks)
        sets = Signal(p.banks)
        m.d.comb += [
            valid.eq(Cat(head.valid for head in self.heads)),
            sets.eq(Cat(head.set for head in self.heads)),
        ]
        m.d.sync += [x_valid.eq(valid), x_set.eq(sets)]
        reads = [Signal(p.banks, name=f"reads_{number}") for number in range(2)]
        adds = [Signal(p.banks, name=f"adds_{number}") for number in range(2)]
        resets = [Signal(p.banks, name=f"resets_{number}") for number in range(2)]
        for number, (of_heads, of_adds) in enumerate([(~sets, ~x_set), (sets, x_set)]):
            m.d.comb += [
                reads[number].eq(valid & of_heads),
                adds[number].eq(x_valid & of_adds),
                resets[number].eq(s_banks & s_sets[number].replicate(p.banks)),
                self.waiting[number].eq(adds[number].any()),
            ]
        values = []
        for bank, head in enumerate(self.heads):
            x_addend = Signal(addend_layout(p), name=f"x_addend_{bank}", reset_less=True)
            same = (head.addend.entry == x_addend.entry) & (sets[bank] == x_set[bank])
            m.d.sync += [x_addend.eq(head.addend), x_again[bank].eq(x_valid[bank] & same)]
            words = []
            for number in range(2):
                name = f"set_{number}_bank_{bank}"
                entries = sram(signed(p.acc_bits), p.bank_entries, name)
                m.submodules[name] = entries
                read, write = entries.read_port(), entries.write_port()
                m.d.comb += [
                    read.en.eq(reads[number][bank] | (r_banks[bank] & (self.read_set == number))),
                    read.addr.eq(Mux(reads[number][bank], head.addend.entry, r_entries[bank])),
                    write.en.eq(adds[number][bank] | resets[number][bank]),
                    write.addr.eq(Mux(adds[number][bank], x_addend.entry, s_entries[bank])),
                ]
                words.append((read.data, write.data, adds[number][bank]))
            old, total = (Signal(signed(p.acc_bits), name=f"{n}_{bank}") for n in ("old", "sum"))
            stored = Mux(x_set[bank], words[1][0], words[0][0])
            m.d.comb += old.eq(bypass(m, stored, total, x_again[bank], f"bypass_{bank}"))
            greater = Mux(old > x_addend.value, old, x_addend.value)
            m.d.comb += total.eq(Mux(self.maximum, greater, old + x_addend.value))
            m.d.comb += [data.eq(Mux(adding, total, initial)) for _, data, adding in words]
            values.append(Mux(s_sets[1], words[1][0], words[0][0]))
        for lane, (s_odd, s_pairs) in enumerate(s_lanes):
            parts = [Array(values[side::sides])[pair] for side, pair in enumerate(s_pairs)]
            m.d.comb += [
                self.read_data[lane].eq(Mux(s_odd, parts[-1], parts[0])),
                self.greater[lane].eq(Mux(parts[-1] > parts[0], parts[-1], parts[0])),
            ]
        return m
