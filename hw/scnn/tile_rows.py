"""Where the values of a plane are in memory: a row of a PE's tile after the other."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.params import address_bits
from zeroskip.hw.scnn.formats import (
    PLANE_BITS,
    plane_memory_layout,
    plane_phases_layout,
    plane_spread_layout,
)
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.pe_walk import PeWalk
from zeroskip.hw.scnn.spread import Spread
from zeroskip.hw.system.formats import ROW_BITS

__all__ = ["TileRows", "tile_row_layout"]


def tile_row_layout(p: ScnnParams, lanes: int) -> data.StructLayout:
    """Lay out a row of a tile.

    Fields
    ------
    beat : its first beat, from where the plane's rows begin.
    beats : that it lies in, at least one.
    lane : of its first value.
    columns : from there on to the end of the tile, at least one.
    inside : all beats are among the rows that there are.
    """
    return data.StructLayout({
        "beat": unsigned(ROW_BITS),
        "beats": unsigned(p.acc_addr_bits + 1),
        "lane": unsigned(address_bits(lanes)),
        "columns": unsigned(p.acc_addr_bits),
        "inside": unsigned(1),
    })


class _State(enum.Enum, shape=2):
    IDLE = 0
    PE = 1  # has it anything?
    ROW = 2


class TileRows(wiring.Component):
    """Go through the rows of a plane's tiles, one a cycle.

    The order is: the unit's PEs by number, channels, phases of a channel (row-major), rows; so
    values come in the order of :class:`.PlaneLoad`. A PE, of any unit, takes a cycle more, and so
    does a phase that its tile has nothing of.

    Parameters
    ----------
    params : sizes of the array.
    lanes : values of a beat, a power of two.
    unit : see :class:`.PeWalk`.

    Members
    -------
    go : In, begin; only while ``busy`` is low.
    plane, spread, memory : In, where the plane is; stable until ``busy`` is low.
    rows : In, beats that there are; stable, too.
    busy : Out, at work.
    o : ``Out(stream(tile_row_layout))``.
    """

    go: Signal
    plane: Any
    spread: Any
    memory: Any
    rows: Signal
    busy: Signal
    o: stream.Interface

    def __init__(self, params: ScnnParams, lanes: int, unit: int = 0) -> None:
        self._p, self._lanes, self._unit = params, lanes, unit
        super().__init__({
            "go": In(1),
            "plane": In(plane_phases_layout(params)),
            "spread": In(plane_spread_layout(params)),
            "memory": In(plane_memory_layout()),
            "rows": In(ROW_BITS),
            "busy": Out(1),
            "o": Out(stream.Signature(tile_row_layout(params, lanes))),
        })

    def elaborate(self, platform: object) -> Module:
        """Make the unit: longer than other functions, as its registers are used all over it."""
        p, plane, memory = self._p, self.plane, self.memory
        m = Module()
        m.submodules.pe_walk = pes = PeWalk(p, plane_phases_layout(p), self._unit)
        m.submodules.spread_walk = spread = Spread(p)
        state = Signal(_State)
        y, phase_x, phase_y = (Signal(p.acc_addr_bits, name=name) for name in ("y", "ax", "ay"))
        entry = Signal(p.channel_bits + 1)
        # First values: of the PE, of rows of PEs and of blocks; then of what is inside a PE.
        pe_at, row_at, block_at, blocks_at, channel_at, phase_at, at = (
            Signal(PLANE_BITS, name=name)
            for name in ("pe_at", "row_at", "block_at", "blocks_at", "channel_at", "phase_at", "at")
        )
        # Columns from the phase's first one on; none of a phase that the tile has nothing of.
        columns = Signal(p.acc_addr_bits)
        row: Any = self.o.payload
        shift = address_bits(self._lanes) if self._lanes > 1 else 0
        end = Signal(PLANE_BITS)
        there = Signal()
        spread.follow(m, pes, self.go, plane, self.spread)
        m.d.comb += [
            self.busy.eq(state != _State.IDLE),
            there.eq((columns != 0) & (y < pes.rows)),
            row.beat.eq(at >> shift),
            row.lane.eq(at[:shift]),
            row.columns.eq(columns),
            row.beats.eq((row.lane + columns + self._lanes - 1) >> shift),
            # As the first beat and the beats, but in one sum.
            end.eq((at + (columns + self._lanes - 1)) >> shift),
            row.inside.eq(end <= self.rows),
            self.o.valid.eq((state == _State.ROW) & there),
        ]
        last_row, last_ax = y + plane.sy >= pes.rows, phase_x + 1 >= plane.sx
        last_phase = last_ax & (phase_y + 1 >= plane.sy)
        last_entry = entry + 1 >= spread.channels
        nothing = ~pes.own | (pes.columns == 0) | (pes.rows == 0) | (spread.channels == 0)
        next_pe = Signal()
        with m.Switch(state):
            with m.Case(_State.IDLE), m.If(self.go):
                m.d.sync += state.eq(_State.PE)
            with m.Case(_State.PE):
                m.d.sync += [y.eq(0), phase_x.eq(0), phase_y.eq(0), entry.eq(0)]
                m.d.sync += [channel_at.eq(pe_at), phase_at.eq(pe_at), at.eq(pe_at)]
                m.d.sync += columns.eq(pes.columns)
                m.d.comb += next_pe.eq(nothing)
                with m.If(~nothing):
                    m.d.sync += state.eq(_State.ROW)
            with m.Case(_State.ROW), m.If(self.o.ready | ~there):
                with m.If(~last_row):
                    m.d.sync += [y.eq(y + plane.sy), at.eq(at + memory.rows)]
                with m.Elif(last_entry):
                    m.d.comb += next_pe.eq(1)
                with m.Elif(~last_ax):
                    m.d.sync += [phase_x.eq(phase_x + 1), y.eq(phase_y)]
                    m.d.sync += at.eq(phase_at + phase_x + 1)
                    m.d.sync += columns.eq(columns - (columns != 0))
                with m.Elif(~last_phase):
                    m.d.sync += [phase_x.eq(0), phase_y.eq(phase_y + 1), y.eq(phase_y + 1)]
                    m.d.sync += columns.eq(pes.columns)
                    m.d.sync += [phase_at.eq(phase_at + memory.row), at.eq(phase_at + memory.row)]
                with m.Else():
                    following = channel_at + memory.channel
                    m.d.sync += channel_at.eq(following)
                    m.d.sync += [phase_x.eq(0), phase_y.eq(0), y.eq(0), columns.eq(pes.columns)]
                    m.d.sync += [phase_at.eq(following), at.eq(following)]
                with m.If(last_row):
                    m.d.sync += entry.eq(entry + 1)
        m.d.comb += pes.step.eq(next_pe)
        with m.If(next_pe):
            m.d.sync += state.eq(Mux(pes.last, _State.IDLE, _State.PE))
            self._step_pe(m, pes, pe_at, row_at, block_at, blocks_at)
        with m.If(self.go):
            m.d.sync += [at.eq(memory.first) for at in (pe_at, row_at, block_at, blocks_at)]
        return m

    def _step_pe(
        self,
        m: Module,
        pes: PeWalk,
        pe_at: Signal,
        row_at: Signal,
        block_at: Signal,
        blocks_at: Signal,
    ) -> None:
        """Go on to the next PE's first value: to the right, or behind a row, a block or blocks.

        Parameters
        ----------
        pes : the walk, which takes a step.
        pe_at, row_at, block_at, blocks_at : first value of the PE at hand, of its row of PEs, of
            its block and of its row of blocks.
        """
        memory = self.memory
        after = Signal(PLANE_BITS)
        m.d.sync += pe_at.eq(after)
        with m.If(pes.ends_blocks):
            m.d.comb += after.eq(blocks_at + memory.block_row)
            m.d.sync += [blocks_at.eq(after), row_at.eq(after), block_at.eq(after)]
        with m.Elif(pes.ends_row):
            m.d.comb += after.eq(row_at + memory.tile_y)
            m.d.sync += [row_at.eq(after), block_at.eq(after)]
        with m.Elif(pes.ends_block):
            m.d.comb += after.eq(block_at + memory.block)
            m.d.sync += block_at.eq(after)
        with m.Else():
            m.d.comb += after.eq(pe_at + memory.tile_x)
