"""Beats of a memory and values of a plane: each made of the other, row after row of a tile."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.queue import Queue
from zeroskip.hw.scnn.formats import plane_group_layout
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.tile_rows import tile_row_layout
from zeroskip.hw.system.formats import word_bytes

__all__ = ["ROWS_AHEAD", "PlaneIn", "PlaneOut"]

ROWS_AHEAD = 8
"""Rows of tiles that are asked for, and not read or written yet, at most."""


@dataclass(frozen=True)
class _Walk:
    """What of a row is moved in a cycle.

    Parameters
    ----------
    lane : of the first value, in the beat at hand; behind that if there is none.
    steps : from there to each of the values that may follow.
    count : values.
    skips : the beat has none any more.
    takes : values are moved.
    drops : the beat is done.
    """

    lane: Value
    steps: list[Value]
    count: Signal
    skips: Signal
    takes: Signal
    drops: Signal


class _RowQueue(wiring.Component):
    """Base: asks for the beats of rows, keeps what the rows are, and goes through their values.

    Up to I values of a beat are moved in a cycle.

    Members
    -------
    step : In, columns from a value to the next; stable while ``busy``.
    busy : Out, rows are still to be moved.
    rows : ``In(stream(tile_row_layout))``.
    request : ``Out(stream(tile_row_layout))``, a row whose beats are to be read or written.
    """

    step: Signal
    busy: Signal
    rows: stream.Interface
    request: stream.Interface

    def __init__(self, params: ScnnParams, lanes: int, members: dict[str, Any]) -> None:
        self._p, self._lanes = params, lanes
        self._width = 8 * word_bytes(params.act_bits)
        self._row = row = tile_row_layout(params, lanes)
        super().__init__({
            "step": In(params.acc_addr_bits),
            "busy": Out(1),
            "rows": In(stream.Signature(row)),
            "request": Out(stream.Signature(row)),
            **members,
        })

    def _queue(self, m: Module) -> stream.Interface:
        """Return the rows whose beats have been asked for."""
        m.submodules.queue = queue = Queue(self._row, ROWS_AHEAD, head=True)
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

    def _walk(
        self, m: Module, head: stream.Interface, comes: Value, goes: Value, most: Value
    ) -> _Walk:
        """Go through the row at the ``head``.

        Parameters
        ----------
        m : of the unit.
        comes : its beat can be worked on.
        goes : values of it can be moved.
        most : how many at most, at least 1; if that is more than I, I of them.
        """
        p, lanes, step = self._p, self._lanes, self.step
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
        steps = [Value.cast(step * place) for place in range(p.mult_i + 1)]
        count = Signal(range(p.mult_i + 1))
        skips, takes, drops, last, leaves = (
            Signal(name=name) for name in ("skips", "takes", "drops", "last", "leaves")
        )
        moved, following = Signal(p.acc_addr_bits + 4), Signal(p.acc_addr_bits + 5)
        # Whether a value is behind the row, or the beat, by how many are before it: known before it
        # is how many of them are moved.
        ends_row = [columns <= step for step in steps]
        ends_beat = [(lane + step)[lanes.bit_length() - 1 :].any() for step in steps]
        fits = [(place < most) & ~ends_beat[place] & ~ends_row[place] for place in range(p.mult_i)]
        for place, fit in enumerate(fits):
            with m.If(fit):
                m.d.comb += [last.eq(ends_row[place + 1]), leaves.eq(ends_beat[place + 1])]
        m.d.comb += [
            count.eq(sum(fits, start=Value.cast(0))),
            moved.eq(sum((Mux(fit, step, 0) for fit in fits), start=Value.cast(0))),
            skips.eq(ended | ends_beat[0]),
            takes.eq(comes & ~skips & goes),
            following.eq(lane + Mux(skips, 0, moved)),
            # A beat is done with a row's last value, or when the next value is behind it.
            drops.eq(comes & (skips | (takes & (last | leaves)))),
            head.ready.eq(drops & (beats == 1)),
        ]
        with m.If(takes | drops):
            m.d.sync += [
                begun.eq(~head.ready),
                ended.eq((ended | (takes & last)) & ~head.ready),
                kept_lane.eq(following - Mux(drops, lanes, 0)),
                kept_columns.eq(columns - Mux(takes, moved, 0)),
                kept_beats.eq(beats - drops),
            ]
        return _Walk(lane, steps, count, skips, takes, drops)


class PlaneIn(_RowQueue):
    """Takes values out of beats, up to I of one a cycle, in the order of :class:`.PlaneLoad`.

    Values of rows that are not inside are 0.

    Parameters
    ----------
    params : sizes of the array.
    lanes : values of a beat, a power of two.

    Members
    -------
    rows, request : rows of tiles in their order, and those whose beats are to be read.
    i : ``In(stream(beats))``.
    o : ``Out(stream(plane_group_layout))``, values of a row, and of a beat.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, params: ScnnParams, lanes: int) -> None:
        super().__init__(
            params,
            lanes,
            {
                "i": In(stream.Signature(lanes * 8 * word_bytes(params.act_bits))),
                "o": Out(stream.Signature(plane_group_layout(params, params.mult_i))),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        head = self._queue(m)
        row: Any = head.payload
        comes = Signal()
        walk = self._walk(m, head, comes, self.o.ready, Const(self._p.mult_i))
        m.d.comb += [
            self.busy.eq(head.valid),
            comes.eq(head.valid & (self.i.valid | ~row.inside)),
            self.o.valid.eq(comes & ~walk.skips),
            self.o.payload.count.eq(walk.count),
            self.i.ready.eq(walk.drops & row.inside),
        ]
        for place in range(self._p.mult_i):
            lane = (walk.lane + walk.steps[place])[: len(row.lane)]
            value = self.i.payload.word_select(lane, self._width)
            with m.If(row.inside & (place < walk.count)):
                m.d.comb += self.o.payload.values[place].eq(value)
        return m


class PlaneOut(_RowQueue):
    """Packs values to beats, with a mask of the bytes that are not to be written.

    Values of rows that are not inside are thrown away.

    Parameters
    ----------
    params : sizes of the array.
    lanes : values of a beat, a power of two.

    Members
    -------
    rows, request : rows of tiles in their order, and those whose beats are to be written.
    i : ``In(stream(plane_group_layout))``, values, in the order of the rows.
    o : ``Out(stream(beats))``.
    mask : Out, bytes of the beat at ``o`` that keep what they are.
    """

    i: stream.Interface
    o: stream.Interface
    mask: Signal

    def __init__(self, params: ScnnParams, lanes: int) -> None:
        size = word_bytes(params.act_bits)
        super().__init__(
            params,
            lanes,
            {
                "i": In(stream.Signature(plane_group_layout(params, params.mult_i))),
                "o": Out(stream.Signature(lanes * 8 * size)),
                "mask": Out(lanes * size),
            },
        )

    def elaborate(self, platform: object) -> Module:
        p, lanes = self._p, self._lanes
        m = Module()
        head = self._queue(m)
        row: Any = head.payload
        group: Any = self.i.payload
        full = Signal()
        beat = Signal(lanes * self._width)
        used = Signal(lanes)
        # The first values of a beat: the lanes before are none.
        fresh = Signal(init=1)
        # Values of the group that are in beats already, as it may be of two or more.
        done = Signal(range(max(2, p.mult_i)))
        comes = Signal()
        left = Signal(range(p.mult_i + 1))
        walk = self._walk(m, head, comes, self.i.valid, left)
        rest = Signal(p.mult_i * self._width)
        m.d.comb += [
            self.busy.eq(head.valid | full),
            self.o.valid.eq(full),
            self.o.payload.eq(beat),
            self.mask.eq(Cat((~used[k]).replicate(self._width // 8) for k in range(lanes))),
            comes.eq(head.valid & (~full | self.o.ready)),
            left.eq(group.count - done),
            self.i.ready.eq(comes & ~walk.skips & (walk.count == left)),
        ]
        wide = Signal(p.mult_i * self._width)
        for place in range(p.mult_i):
            extended = Signal(signed(self._width), name=f"extended_{place}")
            m.d.comb += extended.eq(group.values[place])
            m.d.comb += wide.word_select(place, self._width).eq(extended)
        m.d.comb += rest.eq(wide >> (done * self._width))
        with m.If(full & self.o.ready):
            m.d.sync += full.eq(0)
        with m.If(walk.takes):
            m.d.sync += done.eq(Mux(walk.count == left, 0, done + walk.count))
        with m.If(walk.takes | walk.drops):
            m.d.sync += [full.eq(walk.drops & row.inside), fresh.eq(walk.drops)]
            for lane in range(lanes):
                hits = [
                    walk.takes & (place < walk.count) & (walk.lane + walk.steps[place] == lane)
                    for place in range(p.mult_i)
                ]
                m.d.sync += used[lane].eq((used[lane] & ~fresh) | Cat(hits).any())
                for place, hit in enumerate(hits):
                    with m.If(hit):
                        value = rest.word_select(place, self._width)
                        m.d.sync += beat.word_select(lane, self._width).eq(value)
        return m
