"""Accumulator banks: two sets, one takes products while the other is read and cleared."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
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
        r_bank, r_entry = self.read_addr[: p.bank_bits], self.read_addr[p.bank_bits :]
        # s_: the accumulator that has been read, or the entry that is wiped.
        s_bank = Signal(max(1, p.bank_bits), reset_less=True)
        s_entry = Signal(p.entry_addr_bits, reset_less=True)
        s_banks = Signal(p.banks)
        s_sets = Signal(2)
        r_banks = Signal(p.banks)
        m.d.comb += r_banks.eq(self.read << r_bank)
        m.d.sync += [
            s_sets.eq(Mux(self.wipe, 0b11, self.read << self.read_set)),
            s_banks.eq(Mux(self.wipe, -1, r_banks)),
            s_bank.eq(r_bank),
            s_entry.eq(Mux(self.wipe, self.wipe_entry, r_entry)),
        ]
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
                    read.addr.eq(Mux(reads[number][bank], head.addend.entry, r_entry)),
                    write.en.eq(adds[number][bank] | resets[number][bank]),
                    write.addr.eq(Mux(adds[number][bank], x_addend.entry, s_entry)),
                ]
                words.append((read.data, write.data, adds[number][bank]))
            old, total = (Signal(signed(p.acc_bits), name=f"{n}_{bank}") for n in ("old", "sum"))
            stored = Mux(x_set[bank], words[1][0], words[0][0])
            m.d.comb += old.eq(bypass(m, stored, total, x_again[bank], f"bypass_{bank}"))
            greater = Mux(old > x_addend.value, old, x_addend.value)
            m.d.comb += total.eq(Mux(self.maximum, greater, old + x_addend.value))
            m.d.comb += [data.eq(Mux(adding, total, initial)) for _, data, adding in words]
            values.append([read for read, _, _ in words])

        picked = [Array(words[number] for words in values)[s_bank] for number in range(2)]
        m.d.comb += self.read_data.eq(Mux(s_sets[1], picked[1], picked[0]))
        return m
