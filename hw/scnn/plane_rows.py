"""Beats of a memory and values of a plane: each made of the other, row after row of a tile."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.queue import Queue
from zeroskip.hw.scnn.formats import plane_value_layout
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.tile_rows import tile_row_layout
from zeroskip.hw.system.formats import word_bytes

__all__ = ["ROWS_AHEAD", "PlaneIn", "PlaneOut"]

ROWS_AHEAD = 4
"""Rows of tiles that are asked for, and not read or written yet, at most."""


class _RowQueue(wiring.Component):
    """Base: asks for the beats of rows, and keeps what the rows are.

    Members
    -------
    rows : ``In(stream(tile_row_layout))``.
    request : ``Out(stream(tile_row_layout))``, a row whose beats are to be read or written.
    """

    rows: stream.Interface
    request: stream.Interface

    def __init__(self, params: ScnnParams, lanes: int, members: dict[str, Any]) -> None:
        self._p, self._lanes = params, lanes
        self._width = 8 * word_bytes(params.act_bits)
        self._row = row = tile_row_layout(params, lanes)
        super().__init__({
            "rows": In(stream.Signature(row)),
            "request": Out(stream.Signature(row)),
            "busy": Out(1),
            **members,
        })

    def _queue(self, m: Module) -> stream.Interface:
        """Return the rows whose beats have been asked for."""
        m.submodules.queue = queue = Queue(self._row, ROWS_AHEAD)
        rows, request = self.rows, self.request
        asked = ~rows.payload.inside | request.ready
        m.d.comb += [
            request.valid.eq(rows.valid & rows.payload.inside & queue.i.ready),
            request.payload.eq(rows.payload),
            queue.i.valid.eq(rows.valid & asked),
            queue.i.payload.eq(rows.payload),
            rows.ready.eq(queue.i.ready & asked),
        ]
        return queue.o


class PlaneIn(_RowQueue):
    """Takes values out of beats, one a cycle, in the order of :class:`.PlaneLoad`.

    Values of rows that are not inside are 0.

    Parameters
    ----------
    params : sizes of the array.
    lanes : values of a beat.

    Members
    -------
    rows, request : rows of tiles in their order, and those whose beats are to be read.
    step : In, columns from a value to the next; stable while ``busy``.
    busy : Out, rows are still to be read.
    i : ``In(stream(beats))``.
    o : ``Out(stream(signed(act_bits)))``, values.
    """

    step: Signal
    busy: Signal
    i: stream.Interface
    o: stream.Interface

    def __init__(self, params: ScnnParams, lanes: int) -> None:
        super().__init__(
            params,
            lanes,
            {
                "step": In(params.acc_addr_bits),
                "i": In(stream.Signature(lanes * 8 * word_bytes(params.act_bits))),
                "o": Out(stream.Signature(signed(params.act_bits))),
            },
        )

    def elaborate(self, platform: object) -> Module:
        p, lanes = self._p, self._lanes
        m = Module()
        head = self._queue(m)
        row: Any = head.payload
        # Of the row at hand, once begun: the lane, which may be in a beat behind; columns, beats.
        begun, ended = Signal(), Signal()
        kept_lane = Signal(p.acc_addr_bits + 1)
        kept_columns = Signal(p.acc_addr_bits)
        kept_beats = Signal(p.acc_addr_bits + 1)
        lane, columns, beats = (
            Mux(begun, kept, first)
            for kept, first in (
                (kept_lane, row.lane),
                (kept_columns, row.columns),
                (kept_beats, row.beats),
            )
        )
        skips, comes, last, taken, drops = Signal(), Signal(), Signal(), Signal(), Signal()
        following = Signal(p.acc_addr_bits + 2)
        m.d.comb += [
            self.busy.eq(head.valid),
            skips.eq(ended | (lane >= lanes)),
            comes.eq(head.valid & (self.i.valid | ~row.inside)),
            last.eq(columns <= self.step),
            self.o.valid.eq(comes & ~skips),
            taken.eq(self.o.valid & self.o.ready),
            self.o.payload.eq(
                Mux(row.inside, self.i.payload.word_select(lane[: len(row.lane)], self._width), 0)
            ),
            following.eq(lane + Mux(skips, 0, self.step)),
            # A beat is done with a row's last value, or when the next value is behind it.
            drops.eq(comes & Mux(skips, 1, taken & (last | (following >= lanes)))),
            self.i.ready.eq(drops & row.inside),
            head.ready.eq(drops & (beats == 1)),
        ]
        with m.If(taken | drops):
            m.d.sync += [
                begun.eq(~head.ready),
                ended.eq((ended | (taken & last)) & ~head.ready),
                kept_lane.eq(following - Mux(drops, lanes, 0)),
                kept_columns.eq(columns - Mux(taken, self.step, 0)),
                kept_beats.eq(beats - drops),
            ]
        return m


class PlaneOut(_RowQueue):
    """Packs values to beats, with a mask of the bytes that are not to be written.

    Values of rows that are not inside are thrown away.

    Parameters
    ----------
    params : sizes of the array.
    lanes : values of a beat.

    Members
    -------
    rows, request : rows of tiles in their order, and those whose beats are to be written.
    busy : Out, rows or a beat are still to be written.
    i : ``In(stream(plane_value_layout))``, values, in the order of the rows.
    o : ``Out(stream(beats))``.
    mask : Out, bytes of the beat at ``o`` that keep what they are.
    """

    busy: Signal
    i: stream.Interface
    o: stream.Interface
    mask: Signal

    def __init__(self, params: ScnnParams, lanes: int) -> None:
        size = word_bytes(params.act_bits)
        super().__init__(
            params,
            lanes,
            {
                "i": In(stream.Signature(plane_value_layout(params))),
                "o": Out(stream.Signature(lanes * 8 * size)),
                "mask": Out(lanes * size),
            },
        )

    def elaborate(self, platform: object) -> Module:
        p, lanes = self._p, self._lanes
        m = Module()
        head = self._queue(m)
        row: Any = head.payload
        value: Any = self.i.payload.value
        full, begun = Signal(), Signal()
        beat = Signal(lanes * self._width)
        used = Signal(lanes)
        kept_lane = Signal(range(max(2, lanes)))
        kept_columns = Signal(p.acc_addr_bits)
        lane = Mux(begun, kept_lane, row.lane)
        columns = Mux(begun, kept_columns, row.columns)
        # The first value of a beat: the lanes before are none.
        fresh = Signal(init=1)
        last, taken, ends = Signal(), Signal(), Signal()
        wide = Signal(signed(self._width))
        m.d.comb += [
            self.busy.eq(head.valid | full),
            self.o.valid.eq(full),
            self.o.payload.eq(beat),
            self.mask.eq(Cat((~used[k]).replicate(self._width // 8) for k in range(lanes))),
            self.i.ready.eq(head.valid & (~full | self.o.ready)),
            taken.eq(self.i.valid & self.i.ready),
            last.eq(columns == 1),
            ends.eq(last | (lane == lanes - 1)),
            head.ready.eq(taken & last),
            wide.eq(value),
        ]
        with m.If(full & self.o.ready):
            m.d.sync += full.eq(0)
        with m.If(taken):
            m.d.sync += [
                used.eq(Mux(fresh, 0, used) | (1 << lane)[:lanes]),
                beat.word_select(lane, self._width).eq(wide),
                full.eq(ends & row.inside),
                fresh.eq(ends),
                begun.eq(~last),
                kept_lane.eq(lane + 1),
                kept_columns.eq(columns - 1),
            ]
        return m
