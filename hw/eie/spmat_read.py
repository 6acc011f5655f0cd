"""Sparse-matrix read unit: from the bounds of a column to one entry per cycle."""

from typing import Any

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.held_row import read_once
from zeroskip.hw.common.sram import Ports, has_short_paths, sram
from zeroskip.hw.eie.formats import entry_layout, pointer_layout, work_layout
from zeroskip.hw.eie.params import EieParams

__all__ = ["SpmatRead"]


class SpmatRead(wiring.Component):
    """Read the Spmat SRAM word by word and issue its entries (EIE, section IV).

    Issues one entry per cycle through words and columns without a bubble: the next word is
    fetched in the cycle that issues the last entry of this one; not if it is this one, where a
    column begins in the word that the one before it ended in. With ``skip_padding`` a padding
    entry goes together with the entry after it, if both are in one word of one column.

    Members
    -------
    i : ``In(stream(work_layout))``, activations with the bounds of their columns, none empty.
    issued : Out, an entry is issued in this cycle (two, if the first was padding).
    padding : Out, it is padding: its weight is 0, there is nothing to compute.
    code, row, value : Out, weight code, PE-local row and activation of the issued entry.
    load_en, load_addr, load_data : In, write a word.
    """

    i: stream.Interface
    issued: Signal
    padding: Signal
    code: Signal
    row: Signal
    value: Signal
    load_en: Signal
    load_addr: Signal
    load_data: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        super().__init__({
            "i": In(stream.Signature(work_layout(params))),
            "issued": Out(1),
            "padding": Out(1),
            "code": Out(params.stored_bits),
            "row": Out(params.acc_addr_bits),
            "value": Out(signed(params.value_bits)),
            "load_en": In(1),
            "load_addr": In(params.word_addr_bits),
            "load_data": In(params.word_bits),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        m.submodules.spmat = spmat = sram(p.word_bits, p.spmat_words, "spmat", Ports.SHARED)
        read, write = spmat.read_port(), spmat.write_port()
        m.d.comb += [
            write.en.eq(self.load_en),
            write.addr.eq(self.load_addr),
            write.data.eq(self.load_data),
        ]

        # f_: the word being fetched. It is the next word of the column that is under way
        # (more), or the first word of a new one.
        more = Signal()
        more_word = Signal(p.word_addr_bits + 1, reset_less=True)
        more_end = Signal(pointer_layout(p), reset_less=True)
        f_en = Signal()
        f_word = Signal.like(more_word)
        f_end = Signal(pointer_layout(p))
        f_in_end = Signal()
        f_last = Signal()
        # r_: the word at the SRAM's output; entries r_slot up to, not with, r_stop are to go.
        r_slot = Signal(p.slot_bits, reset_less=True)
        r_stop = Signal(range(p.entries_per_word + 1), reset_less=True)
        r_base = Signal(p.acc_addr_bits, reset_less=True)
        r_done = Signal()
        ends = _ends(f_word, f_end)
        if has_short_paths(platform):
            # Worked out for both words that may be next, before it is known which one is.
            first = self.i.payload
            ends = Mux(more, _ends(more_word, more_end), _ends(first.start.word, first.end))
        m.d.comb += [
            f_word.eq(Mux(more, more_word, self.i.payload.start.word)),
            f_end.eq(Mux(more, more_end, self.i.payload.end)),
            Cat(f_in_end, f_last).eq(ends),
            f_en.eq((more | self.i.valid) & (~self.issued | r_done)),
            self.i.ready.eq(~more & (~self.issued | r_done)),
        ]
        # A column may begin in the word in which the one before it ended.
        read_once(m, read, f_en, f_word, self.load_en, "f")
        next_slot, next_base = self._issue(m, read.data, r_slot, r_stop, r_base, platform)
        m.d.comb += r_done.eq(self.issued & (next_slot == r_stop))
        with m.If(self.issued):
            m.d.sync += [r_slot.eq(next_slot), r_base.eq(next_base)]
        # After the issue, because a word that is fetched starts anew.
        with m.If(f_en):
            m.d.sync += [
                self.issued.eq(1),
                more.eq(~f_last),
                more_word.eq(f_word + 1),
                more_end.eq(f_end),
                r_slot.eq(Mux(more, 0, self.i.payload.start.slot)),
                r_stop.eq(Mux(f_in_end, f_end.slot, p.entries_per_word)),
            ]
            with m.If(~more):
                m.d.sync += [self.value.eq(self.i.payload.value), r_base.eq(0)]
        with m.Elif(r_done):
            m.d.sync += self.issued.eq(0)
        return m

    def _issue(
        self,
        m: Module,
        word: Signal,
        r_slot: Signal,
        r_stop: Signal,
        r_base: Signal,
        platform: object,
    ) -> tuple[Value, Value]:
        """Pick the entry at ``r_slot``, or with padding there, the one after it.

        Returns the slot after the picked entry, and the row after its row.
        """
        p = self._p
        layout = entry_layout(p)
        count = p.entries_per_word
        slots = [word[k * p.entry_bits : (k + 1) * p.entry_bits] for k in range(count)]
        # A slot number that no entry has reads the last entry; it is never used.
        slots += [slots[-1]] * ((1 << p.slot_bits) + 1 - count)
        here, after = (data.View(layout, Signal(p.entry_bits, name=n)) for n in ("here", "after"))
        taken = Signal()
        next_slot = Signal(range(p.entries_per_word + 2))
        m.d.comb += [
            here.as_value().eq(Array(slots[:-1])[r_slot]),
            next_slot.eq(r_slot + 1 + taken),
            self.code.eq(here.code),
            self.row.eq(r_base + here.run),
            self.padding.eq(self.issued & (self.code == 0)),
        ]
        next_base, zeros = self.row + 1, here.run
        if p.skip_padding:
            m.d.comb += after.as_value().eq(Array(slots[1:])[r_slot])
            with m.If((here.code == 0) & (r_slot + 1 != r_stop)):
                m.d.comb += [
                    taken.eq(1),
                    self.code.eq(after.code),
                    self.row.eq(r_base + here.run + after.run + 1),
                ]
            zeros = Mux(taken, here.run + after.run + 1, here.run)
        if has_short_paths(platform):
            # Not made of the row, which would be a chain of carries behind another: the 1 is the
            # carry that comes into this one.
            next_base = (Cat(C(1, 1), r_base) + Cat(C(1, 1), zeros))[1:]
        return next_slot, next_base


def _ends(word: Value, end: Any) -> Value:
    """Return two bits: a word has the end of a column in it, and it is the last to be read of it.

    ``end`` points at the entry behind the column's last one. If that is at slot 0 of a word, the
    column's last entry is in the word before.
    """
    in_end = word == end.word
    return Cat(in_end, in_end | ((end.slot == 0) & (word + 1 == end.word)))
