"""Let the units that move planes take turns at the memory's port, a row of a tile each."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.common.params import address_bits
from zeroskip.hw.common.queue import Queue
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.plane_rows import ROWS_AHEAD
from zeroskip.hw.scnn.tile_rows import tile_row_layout

__all__ = ["BEATS_AHEAD", "BeatsIn", "BeatsOut"]

BEATS_AHEAD = 4
"""Beats of a unit that wait for it, or for its turn, at most."""


class _Turns(wiring.Component):
    """Base: joins requests for rows, and keeps whose beats come next.

    A request goes to the memory in the cycle in which it comes, of the units that have one that
    which follows the last one's first. Beats go in the order of the requests.

    Members
    -------
    rows_<n> : ``In(stream(tile_row_layout))``, of each unit.
    request : ``Out(stream(tile_row_layout))``.
    """

    request: stream.Interface

    def __init__(self, params: ScnnParams, lanes: int, members: dict[str, Any]) -> None:
        self._units = params.plane_units
        self._row = row = tile_row_layout(params, lanes)
        super().__init__({
            **{f"rows_{unit}": In(stream.Signature(row)) for unit in range(self._units)},
            "request": Out(stream.Signature(row)),
            **members,
        })

    def _of_units(self, name: str) -> list[stream.Interface]:
        return [getattr(self, f"{name}_{unit}") for unit in range(self._units)]

    def _turns(self, m: Module, moves: Signal) -> tuple[Value, Value]:
        """Return whether beats are to come, and whose are next; ``moves``: one of them does."""
        units = self._units
        of_unit = unsigned(address_bits(units))
        shape = data.StructLayout({"unit": of_unit, "beats": self._row["beats"].shape})
        # Units have no more rows than this under way, so that there is always room.
        m.submodules.asked = asked = Queue(shape, units * ROWS_AHEAD)
        first, chosen = Signal(of_unit), Signal(of_unit)
        rows = self._of_units("rows")
        with m.Switch(first):
            for begin in range(units):
                with m.Case(begin):
                    for unit in reversed([*range(begin, units), *range(begin)]):
                        with m.If(rows[unit].valid):
                            m.d.comb += chosen.eq(unit)
        taken = self.request.valid & self.request.ready
        with m.Switch(chosen):
            for unit, row in enumerate(rows):
                with m.Case(unit):
                    connect(m, flipped(row), flipped(self.request))
        with m.If(taken):
            m.d.sync += first.eq(Mux(chosen == units - 1, 0, chosen + 1))
        # Beats of the row that have moved.
        moved = Signal.like(asked.o.payload.beats)
        last = moved + 1 == asked.o.payload.beats
        m.d.comb += [
            asked.i.valid.eq(taken),
            asked.i.payload.unit.eq(chosen),
            asked.i.payload.beats.eq(self.request.payload.beats),
            asked.o.ready.eq(moves & last),
        ]
        with m.If(moves):
            m.d.sync += moved.eq(Mux(last, 0, moved + 1))
        return asked.o.valid, asked.o.payload.unit


class BeatsIn(_Turns):
    """Gives each unit the beats that it has asked for.

    Members
    -------
    i : ``In(stream(beats))``.
    o_<n> : ``Out(stream(beats))``, to each unit.
    """

    i: stream.Interface

    def __init__(self, params: ScnnParams, lanes: int, beat_bits: int) -> None:
        self._bits = beat_bits
        beats = stream.Signature(beat_bits)
        ways = {f"o_{unit}": Out(beats) for unit in range(params.plane_units)}
        super().__init__(params, lanes, {"i": In(beats), **ways})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        moves = Signal()
        known, whose = self._turns(m, moves)
        m.d.comb += moves.eq(self.i.valid & self.i.ready)
        for unit, way in enumerate(self._of_units("o")):
            m.submodules[f"waiting_{unit}"] = waiting = Queue(self._bits, BEATS_AHEAD)
            connect(m, waiting.o, flipped(way))
            m.d.comb += waiting.i.payload.eq(self.i.payload)
            with m.If(known & (whose == unit)):
                m.d.comb += [
                    waiting.i.valid.eq(self.i.valid),
                    self.i.ready.eq(waiting.i.ready),
                ]
        return m


class BeatsOut(_Turns):
    """Takes each unit's beats in the order in which rows were asked for.

    Members
    -------
    i_<n> : ``In(stream(beats))``, of each unit.
    mask_<n> : In, bytes of it that keep what they are.
    o : ``Out(stream(beats))``.
    mask : Out, of the beat at ``o``.
    busy : Out, beats wait.
    """

    o: stream.Interface
    mask: Signal
    busy: Signal

    def __init__(self, params: ScnnParams, lanes: int, beat_bits: int) -> None:
        self._layout = data.StructLayout({"beat": beat_bits, "mask": beat_bits // 8})
        beats = stream.Signature(beat_bits)
        ways: dict[str, Any] = {}
        for unit in range(params.plane_units):
            ways |= {f"i_{unit}": In(beats), f"mask_{unit}": In(beat_bits // 8)}
        super().__init__(
            params,
            lanes,
            {"o": Out(beats), "mask": Out(beat_bits // 8), "busy": Out(1), **ways},
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        moves = Signal()
        known, whose = self._turns(m, moves)
        m.d.comb += moves.eq(self.o.valid & self.o.ready)
        for unit, way in enumerate(self._of_units("i")):
            m.submodules[f"waiting_{unit}"] = waiting = Queue(self._layout, BEATS_AHEAD)
            m.d.comb += [
                waiting.i.payload.beat.eq(way.payload),
                waiting.i.payload.mask.eq(getattr(self, f"mask_{unit}")),
                waiting.i.valid.eq(way.valid),
                way.ready.eq(waiting.i.ready),
            ]
            with m.If(waiting.o.valid):
                m.d.comb += self.busy.eq(1)
            with m.If(known & (whose == unit)):
                m.d.comb += [
                    self.o.valid.eq(waiting.o.valid),
                    self.o.payload.eq(waiting.o.payload.beat),
                    self.mask.eq(waiting.o.payload.mask),
                    waiting.o.ready.eq(self.o.ready),
                ]
        return m
