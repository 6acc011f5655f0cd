"""Unpacker: beats of a packed stream to headers and vectors of weights."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.formats import block_layout, weight_word_layout
from zeroskip.hw.scnn.packing import (
    PLACED,
    Packing,
    packed_header_layout,
    packed_place_layout,
)
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Unpack", "vector_layout"]


def vector_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out a vector of stored weights, and the header of its block.

    Fields
    ------
    entries : F stored weights; lanes without one are 0.
    header : of the block.
    first : the block's first vector, which a block of 0 vectors has, too.
    ends : the group ends after this vector.
    """
    return data.StructLayout({
        "entries": weight_word_layout(p),
        "header": block_layout(p),
        "first": unsigned(1),
        "ends": unsigned(1),
    })


class Unpack(wiring.Component):
    """Cut a packed stream to vectors, one a cycle; a block's header takes no cycle of its own.

    The bits from ``offset`` on of the beat at work and the one behind it, which is at ``i``, are
    looked at. A vector is there as soon as the last of its bits has come.

    Members
    -------
    i : ``In(stream(beat))``.
    plain : In, entries hold values, else codes.
    closes : In, the group at work is the last of its pass, after which the next beat begins.
    o : ``Out(stream(vector_layout))``. What is offered changes with ``plain``, so that must be
        known when the pass's first vector is taken.
    """

    i: stream.Interface
    plain: Signal
    closes: Signal
    o: stream.Interface

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "i": In(stream.Signature(Packing.of(params).beat)),
            "plain": In(1),
            "closes": In(1),
            "o": Out(stream.Signature(vector_layout(params))),
        })

    def elaborate(self, platform: object) -> Module:
        """Make the unit: longer than other functions, as its registers are used all over it."""
        p, packing = self._p, Packing.of(self._p)
        unit, beat = packing.unit, packing.beat // packing.unit
        m = Module()
        now = Signal(packing.beat, reset_less=True)
        now_valid = Signal()
        # In units, as are all lengths.
        offset = Signal(range(beat))
        window = Cat(now, self.i.payload) >> Cat(Const(0, unit.bit_length() - 1), offset)

        # The header of the block at work, if its first vector was taken, else the next header.
        inside = Signal()
        held = Signal(block_layout(p))
        held_unused = Signal(packed_header_layout(p)["unused"].shape)
        left = Signal(p.weight_count_bits)
        next_channel = Signal.like(held.channel)
        header = data.View(packed_header_layout(p), window[: packed_header_layout(p).size])
        place = data.View(
            packed_place_layout(p),
            window[packing.header : packing.header + packed_place_layout(p).size],
        )
        placed = Signal()
        vectors = Signal.like(left)
        unused = Signal.like(held_unused)
        vector = self.o.payload
        # By themselves: simulators would see a loop where one field of the output reads another.
        block: Any = Signal(block_layout(p))
        ends = Signal()
        m.d.comb += [
            placed.eq(header.skip == PLACED),
            vector.first.eq(~inside),
            vector.header.eq(block),
            vector.ends.eq(ends),
        ]
        with m.If(inside):
            m.d.comb += [block.eq(held), vectors.eq(left), unused.eq(held_unused)]
        with m.Else():
            m.d.comb += [
                block.channel.eq(Mux(placed, place.channel, next_channel + header.skip)),
                block.tap_base.eq(Mux(placed, place.tap_base, held.tap_base)),
                block.count.eq(header.count),
                block.last.eq(header.last),
                vectors.eq(header.count),
                unused.eq(header.unused),
            ]

        several = Signal()
        m.d.comb += several.eq(vectors[1:].any())
        starts = packing.header + packing.place, packing.header, 0
        chosen = ~inside & placed, ~inside & ~placed, inside
        for lane in range(p.mult_f):
            there = several | (vectors[0] & (unused < p.mult_f - lane))
            self._read_entry(m, window, lane, starts, chosen, there)

        end = Signal(range(2 * beat))
        whole, fills = Signal(), Signal()
        # Where each that may come would end, before it is known which does.
        of_placed, of_header, of_held = (
            self._choose_end(m, offset, start, of_vectors, of_unused)
            for start, of_vectors, of_unused in zip(
                starts,
                (header.count, header.count, left),
                (header.unused, header.unused, held_unused),
                strict=True,
            )
        )
        m.d.comb += Cat(end, whole, fills).eq(
            Mux(inside, of_held, Mux(placed, of_placed, of_header))
        )
        taken = Signal()
        closing = Signal()
        m.d.comb += [
            ends.eq(block.last & ~several),
            self.o.valid.eq(now_valid & (whole | self.i.valid)),
            taken.eq(self.o.valid & self.o.ready),
            closing.eq(ends & self.closes),
            self.i.ready.eq(~now_valid | (taken & (fills | closing))),
        ]
        with m.If(taken):
            m.d.sync += [
                inside.eq(several),
                left.eq(vectors - 1),
                held.eq(block),
                held_unused.eq(unused),
                next_channel.eq(Mux(block.last, 0, block.channel + 1)),
                offset.eq(Mux(closing, 0, end[: len(offset)])),
            ]
        with m.If(self.i.ready):
            # A pass that ends in the beat behind takes that, too, and leaves none.
            both = taken & closing & ~whole
            m.d.sync += [now.eq(self.i.payload), now_valid.eq(self.i.valid & ~both)]
        return m

    def _choose_end(
        self, m: Module, offset: Value, start: int, vectors: Value, unused: Value
    ) -> Value:
        """Return where a vector ends, in units; above, whether the beat holds it, and is used up.

        Parameters
        ----------
        offset, start : in the beat, in units; and of its first entry from there, in bits.
        vectors, unused : of its block, from this one on, and lanes without an entry of the last.
        """
        p, packing = self._p, Packing.of(self._p)
        unit, beat = packing.unit, packing.beat // packing.unit
        ends = list[Value]()
        for count in range(p.mult_f + 1):
            plain, shared = (
                (start + count * bits) // unit for bits in (packing.plain, packing.shared)
            )
            end = Signal(range(2 * beat), name=f"end_{start}_{count}")
            m.d.comb += end.eq(offset + Mux(self.plain, plain, shared))
            ends.append(Cat(end, end <= beat, end >= beat))
        last = ends[p.mult_f]
        for count in range(1, p.mult_f):
            last = Mux(unused == p.mult_f - count, ends[count], last)
        return Mux(vectors[1:].any(), ends[p.mult_f], Mux(vectors[0], last, ends[0]))

    def _read_entry(
        self,
        m: Module,
        window: Value,
        lane: int,
        starts: tuple[int, ...],
        chosen: tuple[Value, ...],
        there: Value,
    ) -> None:
        """Read a lane's entry, which is behind the header and the lanes before it."""
        p, packing = self._p, Packing.of(self._p)
        entry = self.o.payload.entries[lane]
        for start, here in zip(starts, chosen, strict=True):
            for plain, width, bits in (
                (self.plain, packing.plain, p.field_bits),
                (~self.plain, packing.shared, p.code_bits),
            ):
                at = start + lane * width
                with m.If(there & here & plain):
                    m.d.comb += [
                        entry.field.eq(window[at : at + bits]),
                        entry.run.eq(window[at + bits : at + bits + p.run_bits]),
                    ]
