"""Count the channels that each PE has of outputs which were dealt to blocks."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.formats import plane_spread_layout
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.pe_walk import PeWalk

__all__ = ["Spread"]


class Spread(wiring.Component):
    """Follow the blocks of the PEs that :class:`.PeWalk` goes through.

    Members
    -------
    spread : In, how channels are dealt; stable.
    most : In, channels of a full block; stable.
    start, step, ends_block, ends_row, ends_blocks : In, what the walk does, see there.
    channels : Out, of the PE at hand.
    """

    spread: Any
    most: Signal
    start: Signal
    step: Signal
    ends_block: Signal
    ends_row: Signal
    ends_blocks: Signal
    channels: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        bits = params.channel_bits + 1
        super().__init__({
            "spread": In(plane_spread_layout(params)),
            "most": In(bits),
            **{name: In(1) for name in ("start", "step", "ends_block", "ends_row", "ends_blocks")},
            "channels": Out(bits),
        })

    def follow(self, m: Module, walk: PeWalk, go: Value, plane: Any, spread: Any) -> None:
        """Let a walk through the PEs of a plane begin at ``go``, and follow it.

        Parameters
        ----------
        walk : of which all inputs but ``step`` are connected.
        plane, spread : stable; see :class:`.PeWalk` and *Members*.
        """
        m.d.comb += [
            walk.plane.eq(plane),
            walk.start.eq(go),
            self.spread.eq(spread),
            self.most.eq(plane.channels),
            self.start.eq(go),
            self.step.eq(walk.step),
            self.ends_block.eq(walk.ends_block),
            self.ends_row.eq(walk.ends_row),
            self.ends_blocks.eq(walk.ends_blocks),
        ]

    def elaborate(self, platform: object) -> Module:
        spread = self.spread
        m = Module()
        across, down = Signal(5), Signal(5)
        # Of the block at hand, and of the first in its row of blocks.
        number, row_number = Signal(9), Signal(9)
        counts = Signal()
        following = Signal(9)
        rest = Mux(number == spread.full_blocks, spread.rem_channels, 0)
        m.d.comb += [
            counts.eq((across < spread.blocks_x) & (down < spread.blocks_y)),
            following.eq(number + counts),
            self.channels.eq(Mux(counts, Mux(number < spread.full_blocks, self.most, rest), 0)),
        ]
        with m.If(self.step & self.ends_block):
            m.d.sync += [number.eq(following), across.eq(across + 1)]
            with m.If(self.ends_row):
                m.d.sync += [across.eq(0), number.eq(row_number)]
            with m.If(self.ends_blocks):
                m.d.sync += [down.eq(down + 1), number.eq(following), row_number.eq(following)]
        with m.If(self.start):
            m.d.sync += [x.eq(0) for x in (across, down, number, row_number)]
        return m
