"""Position bus: from the PEs that own activations to all PEs of the same position."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.scnn.bus_line import BusLine, size_shape
from zeroskip.hw.scnn.formats import bus_word_layout, descriptor_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["ActBus"]


class ActBus(wiring.Component):
    """Send each word to the PEs of its position in all blocks, owner by owner.

    A line for each row of PEs, and one for each column behind it: PE (x, y) gets, of every row,
    what the line of the row has at x, rows of owners one after the other. So channels come in
    the order of ``docs/scnn.md``, and are numbered as headers of weights number them.

    Members
    -------
    descriptor : In, of the pass at work, stable from the cycle of ``start`` until the next.
    start : In, the pass begins with the next cycle.
    send : ``In(stream(bus_word_layout))``, from each PE.
    receive : ``Out(stream(bus_word_layout))``, to each PE.
    """

    descriptor: data.View
    start: Signal
    send: Any
    receive: Any

    def __init__(self, params: ScnnParams) -> None:
        self._p = p = params
        words = stream.Signature(bus_word_layout(p))
        super().__init__({
            "descriptor": In(descriptor_layout(p)),
            "start": In(1),
            "send": In(words).array(p.num_pes),
            "receive": Out(words).array(p.num_pes),
        })

    def elaborate(self, platform: object) -> Module:
        p, d = self._p, self.descriptor
        m = Module()
        across = Signal(range(p.pes_x + 1))
        rounds = Mux(d.bus, d.groups, 0)
        row_channels = Signal(p.header_channel_bits)
        size_x, pair_x = self._geometry(m, "x", p.pes_x, d.block_x, d.src_block_x)
        size_y, pair_y = self._geometry(m, "y", p.pes_y, d.block_y, d.src_block_y)
        with m.Switch(size_x + pair_x):
            for size in range((p.pes_x - 1).bit_length() + 1):
                with m.Case(size):
                    m.d.comb += across.eq(-(-p.pes_x >> size))
        # A register keeps the product out of the columns' adders; words come cycles later.
        m.d.sync += row_channels.eq(d.src_entries * across)

        rows = [BusLine(p, p.pes_x, "second_x") for _ in range(p.pes_y)]
        columns = [BusLine(p, p.pes_y, "second_y") for _ in range(p.pes_x)]
        for y, row in enumerate(rows):
            m.submodules[f"row_{y}"] = row
            m.d.comb += [
                row.start.eq(self.start),
                row.groups.eq(rounds),
                row.size.eq(size_x),
                row.pair.eq(pair_x),
                row.channels.eq(d.src_entries),
            ]
        for x, column in enumerate(columns):
            m.submodules[f"column_{x}"] = column
            m.d.comb += [
                column.start.eq(self.start),
                column.groups.eq(rounds),
                column.size.eq(size_y),
                column.pair.eq(pair_y),
                column.channels.eq(row_channels),
            ]
            for y, row in enumerate(rows):
                pe = y * p.pes_x + x
                connect(m, flipped(self.send[pe]), row.i[x])
                connect(m, row.o[x], column.i[y])
                connect(m, column.o[y], flipped(self.receive[pe]))
        return m

    def _geometry(
        self, m: Module, axis: str, length: int, block: Signal, owners: Signal
    ) -> tuple[Signal, Signal]:
        """Tell the size of a block, and whether owners' blocks are larger; the grid's at most."""
        whole = (length - 1).bit_length()
        size = Signal(size_shape(length), name=f"size_{axis}")
        pair = Signal(name=f"pair_{axis}")
        m.d.comb += [
            size.eq(Mux(block >= whole, whole, block)),
            pair.eq((owners > block) & (block < whole)),
        ]
        return size, pair
