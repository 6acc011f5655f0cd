"""Walk over the PEs of the grid, with what each has of a plane."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
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
    plane : In, how a plane lies in the PEs of a block; stable from ``start`` on.
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
        # Of one column or row there is no number, or what it has would seem to depend on it.
        pe_x = Signal(address_bits(p.pes_x)) if p.pes_x > 1 else Const(0, 1)
        pe_y = Signal(address_bits(p.pes_y)) if p.pes_y > 1 else Const(0, 1)
        next_x = Mux(self.ends_row, 0, pe_x + 1)[: len(pe_x)]
        next_y = Mux(self.ends_row, pe_y + 1, pe_y)[: len(pe_y)]
        # Found out for the next PE, and kept: whoever walks has much to do with them in a cycle.
        for share, following, pes, block, full, whole, rest in (
            (self.columns, next_x, p.pes_x, c.block_x, c.full_x, c.wo, c.rem_x),
            (self.rows, next_y, p.pes_y, c.block_y, c.full_y, c.ho, c.rem_y),
        ):
            inside = Signal(len(following), name="inside")
            with m.If(block >= pes.bit_length()):
                m.d.comb += inside.eq(following)
            with m.Else():
                m.d.comb += inside.eq(following & ~(~0 << block)[: len(following)])
            with m.If(self.step):
                m.d.sync += share.eq(_share(inside, full, whole, rest))
            with m.If(self.start):
                m.d.sync += share.eq(_share(Const(0, 1), full, whole, rest))
        m.d.comb += [
            self.own.eq(p.plane_unit(pe_x, pe_y) == self._unit),
            self.last.eq(self.pe == p.num_pes - 1),
            self.ends_row.eq(pe_x == p.pes_x - 1),
            self.ends_block.eq(self.ends_row | _ends(pe_x, c.block_x)),
            self.ends_blocks.eq(self.ends_row & _ends(pe_y, c.block_y)),
        ]
        with m.If(self.step):
            m.d.sync += self.pe.eq(self.pe + 1)
        with m.If(self.start):
            m.d.sync += self.pe.eq(0)
        for place, following in ((pe_x, next_x), (pe_y, next_y)):
            if isinstance(place, Signal):
                with m.If(self.step):
                    m.d.sync += place.eq(following)
                with m.If(self.start):
                    m.d.sync += place.eq(0)
        return m


def _share(place: Value, full: Value, whole: Value, rest: Value) -> Value:
    """Count what of the plane the PE at ``place`` in its block has, in one direction."""
    return Mux(place < full, whole, Mux(place == full, rest, 0))


def _ends(place: Value, block: Value) -> Value:
    """Say whether the PE at ``place`` is the last of its block, in one direction."""
    return ~(~place & ~(~0 << block)[: len(place)]).any()
