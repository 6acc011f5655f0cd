"""Walk over the PEs of the grid, with what each has of a plane."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.params import address_bits
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["PeWalk"]


class PeWalk(wiring.Component):
    """Go from PE to PE, by number.

    Parameters
    ----------
    params : sizes of the array.
    layout : of ``plane``, with ``wo``, ``full_x``, ``rem_x`` and ``block_x``, and the same of y.
    unit : whose PEs are its own, see :meth:`.ScnnParams.plane_unit`.

    Members
    -------
    plane : In, how a plane lies in the PEs of a block; stable.
    start : In, go to the first PE.
    step : In, go to the next one.
    pe : Out, number of the PE.
    own : Out, it is one of the unit's.
    columns, rows : Out, what its tile has of the plane.
    last : Out, it is the last PE.
    ends_block, ends_row, ends_blocks : Out, it is the last of its row in a block; of its row in the
        grid; of a row of blocks.
    """

    plane: Any
    start: Signal
    step: Signal
    pe: Signal
    own: Signal
    columns: Signal
    rows: Signal
    last: Signal
    ends_block: Signal
    ends_row: Signal
    ends_blocks: Signal

    def __init__(self, params: ScnnParams, layout: Any, unit: int = 0) -> None:
        self._p, self._unit = params, unit
        super().__init__({
            "plane": In(layout),
            "start": In(1),
            "step": In(1),
            "pe": Out(address_bits(params.num_pes)),
            "own": Out(1),
            "columns": Out(params.acc_addr_bits),
            "rows": Out(params.acc_addr_bits),
            "last": Out(1),
            "ends_block": Out(1),
            "ends_row": Out(1),
            "ends_blocks": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        p, c = self._p, self.plane
        m = Module()
        pe_x = Signal(address_bits(p.pes_x))
        pe_y = Signal(address_bits(p.pes_y))
        for share, place, pes, block, full, whole, rest in (
            (self.columns, pe_x, p.pes_x, c.block_x, c.full_x, c.wo, c.rem_x),
            (self.rows, pe_y, p.pes_y, c.block_y, c.full_y, c.ho, c.rem_y),
        ):
            with m.If(block >= pes.bit_length()):
                m.d.comb += share.eq(_share(place, full, whole, rest))
            with m.Else():
                inside = place & ~(~0 << block)[: len(place)]
                m.d.comb += share.eq(_share(inside, full, whole, rest))
        m.d.comb += [
            self.own.eq(p.plane_unit(pe_x, pe_y) == self._unit),
            self.last.eq(self.pe == p.num_pes - 1),
            self.ends_row.eq(pe_x == p.pes_x - 1),
            self.ends_block.eq(self.ends_row | _ends(pe_x, c.block_x)),
            self.ends_blocks.eq(self.ends_row & _ends(pe_y, c.block_y)),
        ]
        with m.If(self.step):
            m.d.sync += [self.pe.eq(self.pe + 1), pe_x.eq(pe_x + 1)]
            with m.If(self.ends_row):
                m.d.sync += [pe_x.eq(0), pe_y.eq(pe_y + 1)]
        with m.If(self.start):
            m.d.sync += [self.pe.eq(0), pe_x.eq(0), pe_y.eq(0)]
        return m


def _share(place: Value, full: Value, whole: Value, rest: Value) -> Value:
    """Count what of the plane the PE at ``place`` in its block has, in one direction."""
    return Mux(place < full, whole, Mux(place == full, rest, 0))


def _ends(place: Value, block: Value) -> Value:
    """Say whether the PE at ``place`` is the last of its block, in one direction."""
    return ~(~place & ~(~0 << block)[: len(place)]).any()
