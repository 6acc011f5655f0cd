"""Coordinates: from the runs of stored activations to their positions in the tile."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.formats import act_word_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Coordinates"]


class Coordinates(wiring.Component):
    """Add up the zeros between the activations of a word (SCNN, section IV, "compressed").

    position[i] = base + run[0] + ... + run[i] + i, modulo the accumulators of a set. No state.

    Members
    -------
    word : In, a row of the activation RAM.
    base : In, position after the last activation of the channel's word before; 0 for the first.
    positions : Out, the position of each activation of the word.
    after : Out, ``base`` for the next word.
    """

    word: data.View
    base: Signal
    positions: data.View
    after: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        position = unsigned(params.acc_addr_bits)
        super().__init__({
            "word": In(act_word_layout(params)),
            "base": In(position),
            "positions": Out(data.ArrayLayout(position, params.mult_i)),
            "after": Out(position),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Runs are short: add them up among themselves first, then all to the base.
        total = self.word[0].run
        m.d.comb += self.positions[0].eq(self.base + total)
        for lane in range(1, self._p.mult_i):
            total = total + self.word[lane].run + 1
            m.d.comb += self.positions[lane].eq(self.base + total)
        m.d.comb += self.after.eq(self.base + (total + 1))
        return m
