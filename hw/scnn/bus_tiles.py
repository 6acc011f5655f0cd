"""Tiles of owners: brings together what two neighbours send of one reader's tile."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.formats import bus_word_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["BusTiles"]


class BusTiles(wiring.Component):
    """Merge the words of two owners by channels; of the same channel, the first owner's first.

    No word is kept or delayed. Unless ``pair``, words of both pass by themselves.

    Parameters
    ----------
    params : sizes of the array.
    second : name of the field that marks words of the second.

    Members
    -------
    start : In, a pass begins with the next cycle.
    pair : In, merge; else each has its own readers.
    i : ``In(stream(bus_word_layout))``, twice.
    o : ``Out(stream(bus_word_layout))``, twice; merged words are at the first.
    """

    start: Signal
    pair: Signal
    i: Any
    o: Any

    def __init__(self, params: ScnnParams, second: str) -> None:
        self._second = second
        words = stream.Signature(bus_word_layout(params))
        super().__init__({
            "start": In(1),
            "pair": In(1),
            "i": In(words).array(2),
            "o": Out(words).array(2),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = [port.payload for port in self.i]
        # Has sent its last word of the round, and waits for the other to do so.
        ended = [Signal(name=f"ended_{number}") for number in range(2)]
        empty = [Signal(name=f"empty_{number}") for number in range(2)]
        takes = [Signal(name=f"takes_{number}") for number in range(2)]
        known, pick, other_empty = Signal(), Signal(), Signal()
        merged: Any = Signal(words[0].shape())
        m.d.comb += [
            *(empty[n].eq(ended[n] | (self.i[n].valid & ~words[n].lanes.any())) for n in range(2)),
            known.eq((ended[0] | self.i[0].valid) & (ended[1] | self.i[1].valid)),
            # With nothing left of either, the word that only ends the round, of one that has it.
            pick.eq(
                Mux(
                    empty[0],
                    ended[0] | ~empty[1],
                    ~empty[1] & (words[1].channel < words[0].channel),
                )
            ),
            other_empty.eq(Mux(pick, empty[0], empty[1])),
            merged.eq(Mux(pick, words[1], words[0])),
        ]
        no_word = empty[0] & empty[1]
        same = words[0].channel == words[1].channel
        first = self.o[0]
        for port, way in zip(self.o, self.i, strict=True):
            m.d.comb += [port.payload.eq(way.payload), port.valid.eq(way.valid)]
            m.d.comb += way.ready.eq(port.ready)
        with m.If(self.pair):
            m.d.comb += [
                first.valid.eq(known),
                first.payload.eq(merged),
                first.payload[self._second].eq(pick),
                first.payload.final.eq(merged.final & (other_empty | ~same)),
                first.payload.last.eq(no_word | (merged.last & other_empty)),
                self.o[1].valid.eq(0),
            ]
            with m.If(no_word):
                m.d.comb += first.payload.lanes.eq(0)
            for n in range(2):
                # A word that only ends the round goes together with the round's last one.
                closes = first.payload.last & ~ended[n]
                m.d.comb += takes[n].eq(closes | (~no_word & (pick == n)))
                m.d.comb += self.i[n].ready.eq(known & first.ready & takes[n])
            with m.If(known & first.ready):
                for n in range(2):
                    with m.If(takes[n] & words[n].last):
                        m.d.sync += ended[n].eq(1)
                with m.If(first.payload.last):
                    m.d.sync += [flag.eq(0) for flag in ended]
        with m.If(self.start):
            m.d.sync += [flag.eq(0) for flag in ended]
        return m
