"""Dense planes from a stream, compressed into the activation RAMs of the PEs."""

from typing import Any

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.memory import NamedMemory
from zeroskip.hw.scnn.compress import Compress
from zeroskip.hw.scnn.formats import (
    Space,
    command_layout,
    plane_group_layout,
    plane_load_layout,
    plane_spread_layout,
)
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.pe_walk import PeWalk
from zeroskip.hw.scnn.spread import Spread

__all__ = ["PlaneLoad"]


class _State(enum.Enum, shape=2):
    IDLE = 0
    BEGIN = 1  # the tile of a PE
    WALK = 2
    WRITE = 3  # what is still to be written of it


class PlaneLoad(wiring.Component):
    """Compresses the planes that a network begins with, by :class:`.Compress`, a group a cycle.

    A group is up to I positions of a row of a tile, with values for all of them or none. The order
    is: the unit's PEs by number, channels, phases of a channel (row-major), rows and columns of the
    PE's tile; of positions outside the plane there is no value. The last PE of a block may have
    more than a tile, as ``rem_x`` and ``rem_y`` say; then all PEs walk through as much. Entries
    that ``spread`` does not give a PE are written without activations, in a group each. Every PE's
    words begin at row ``word`` of its activation RAM, or behind those of the plane before, if
    ``append`` says so; those that would be from row ``limit`` on are lost. It is a host of the
    array, and works while that does not run.

    Parameters
    ----------
    params : sizes of the array.
    unit : see :class:`.PeWalk`.

    Members
    -------
    go : In, begin; only while ``busy`` is low.
    plane, spread : In, where the plane is to be; stable until ``busy`` is low.
    busy : Out, at work.
    lost : Out, values found no room since ``go``.
    i : ``In(stream(plane_group_layout))``, the values, in groups of at least one.
    cmd : the array's host port, for writes only.
    """

    go: Signal
    plane: data.View
    spread: data.View
    busy: Signal
    lost: Signal
    i: stream.Interface
    cmd: stream.Interface

    def __init__(self, params: ScnnParams, unit: int = 0) -> None:
        self._p, self._unit = params, unit
        super().__init__({
            "go": In(1),
            "plane": In(plane_load_layout(params)),
            "spread": In(plane_spread_layout(params)),
            "busy": Out(1),
            "lost": Out(1),
            "i": In(stream.Signature(plane_group_layout(params, params.mult_i))),
            "cmd": Out(stream.Signature(command_layout(params))),
        })

    def elaborate(self, platform: object) -> Module:
        p, plane = self._p, self.plane
        m = Module()
        m.submodules.pe_walk = pes = PeWalk(p, plane_load_layout(p), self._unit)
        m.submodules.spread_walk = spread = Spread(p)
        # The unit stands still until what it writes has been taken.
        advance = Signal()
        compress = Compress(p, p.mult_i)
        m.submodules.compress = EnableInserter(advance)(compress)
        m.submodules.ends = ends_of = NamedMemory(p.act_addr_bits + 1, p.num_pes, "ends")
        end, set_end = ends_of.read_port(domain="comb"), ends_of.write_port()
        state = Signal(_State)
        # There are values for the group; it is all of an entry without any; its positions.
        given, empty = Signal(), Signal()
        count = Signal(range(p.mult_i + 1))
        step = Signal()
        # The PE is done with, or none of the unit's.
        leaves = Signal()
        ends = self._walk(m, step, given, empty, count, pes, spread.channels)
        spread.follow(m, pes, self.go, plane, self.spread)
        m.d.comb += [
            self.busy.eq(state != _State.IDLE),
            self.i.ready.eq((state == _State.WALK) & given & advance),
            step.eq((state == _State.WALK) & (self.i.valid | ~given) & advance),
            compress.start.eq(state == _State.BEGIN),
            compress.base.eq(plane.base),
            compress.word.eq(Mux(plane.append, end.data, plane.word)),
            compress.limit.eq(plane.limit),
            end.addr.eq(pes.pe),
            set_end.addr.eq(pes.pe),
            set_end.data.eq(compress.end),
            set_end.en.eq(pes.step),
            compress.y_stride.eq(plane.y_stride),
            compress.dense.eq(plane.dense),
            compress.there.eq(Cat(step & (lane < count) for lane in range(p.mult_i))),
            compress.values.as_value().eq(Mux(given, self.i.payload.values.as_value(), 0)),
            compress.inside.eq(given.replicate(p.mult_i)),
            compress.row_end.eq(ends["row"] & ~empty),
            compress.channel_end.eq(ends["phase"]),
        ]
        with m.Switch(state):
            with m.Case(_State.IDLE), m.If(self.go):
                m.d.sync += [state.eq(_State.BEGIN), self.lost.eq(0)]
            with m.Case(_State.BEGIN):
                m.d.comb += leaves.eq(~pes.own)
                m.d.sync += state.eq(_State.WALK)
            with m.Case(_State.WALK), m.If(step & ends["plane"]):
                m.d.sync += state.eq(_State.WRITE)
            with m.Case(_State.WRITE):
                m.d.comb += leaves.eq(~compress.busy)
        m.d.comb += pes.step.eq(leaves)
        with m.If(leaves):
            m.d.sync += state.eq(Mux(pes.last, _State.IDLE, _State.BEGIN))
        with m.If(compress.overflow):
            m.d.sync += self.lost.eq(1)
        self._write(m, compress, pes.pe, advance)
        return m

    def _walk(
        self,
        m: Module,
        step: Value,
        given: Signal,
        empty: Signal,
        count: Signal,
        pes: PeWalk,
        channels: Value,
    ) -> dict[str, Signal]:
        """Go through the groups of a tile; return what ends with the one at hand."""
        p, plane = self._p, self.plane
        bits = p.acc_addr_bits
        x, y, phase_x, phase_y = (Signal(bits, name=name) for name in ("x", "y", "ax", "ay"))
        entry = Signal(p.channel_bits + 1)
        inside = Signal()
        # Columns and rows of a tile, or of the last PE. Phases end behind as many steps each.
        width, height = Signal(bits), Signal(bits)
        m.d.sync += [
            width.eq(Mux(plane.rem_x > plane.wo, plane.rem_x, plane.wo)),
            height.eq(Mux(plane.rem_y > plane.ho, plane.rem_y, plane.ho)),
        ]
        right, bottom = width + phase_x, height + phase_y
        # Where the part of the row ends that the group may be of, and where the next begins.
        limit = Mux(inside, pes.columns, right)
        places = [x + lane * plane.sx for lane in range(p.mult_i + 1)]
        after, over = Signal(bits + 4), Signal()
        here = sum((place < limit for place in places[1:-1]), start=Value.cast(1))
        m.d.comb += count.eq(Mux(given, self.i.payload.count, Mux(empty, 1, here)))
        # Whether the row is over is found out of each place, before it is known which it is.
        with m.Switch(count):
            for lane, place in enumerate(places):
                with m.Case(lane):
                    m.d.comb += [after.eq(place), over.eq(place >= right)]
        last_ax, last_ay = phase_x + 1 >= plane.sx, phase_y + 1 >= plane.sy
        ends: dict[str, Signal] = {}
        inner: Value | int = 1
        for name, last in (
            ("row", empty | over),
            ("phase", empty | (y + plane.sy >= bottom)),
            ("plane", entry + 1 >= plane.channels),
        ):
            ends[name] = Signal(name=f"end_{name}")
            m.d.comb += ends[name].eq(inner & last)
            inner = ends[name]
        m.d.comb += [
            empty.eq(entry >= channels),
            inside.eq((x < pes.columns) & (y < pes.rows)),
            given.eq(inside & ~empty),
        ]
        next_ax = Mux(last_ax, 0, phase_x + 1)
        next_ay = Mux(last_ax, Mux(last_ay, 0, phase_y + 1), phase_y)
        with m.If(step):
            m.d.sync += x.eq(after)
            with m.If(ends["row"]):
                m.d.sync += [x.eq(phase_x), y.eq(y + plane.sy)]
            with m.If(ends["phase"]):
                m.d.sync += [phase_x.eq(next_ax), phase_y.eq(next_ay)]
                m.d.sync += [x.eq(next_ax), y.eq(next_ay)]
                m.d.sync += entry.eq(Mux(ends["plane"], 0, entry + 1))
        return ends

    def _write(self, m: Module, compress: Compress, pe: Value, advance: Signal) -> None:
        """Write a word of activations, and then the directory entry that may come with it."""
        p, write = self._p, self.cmd.payload
        written = Signal()  # the word; its entry is not
        is_act = compress.act_write & ~written
        m.d.comb += [
            self.cmd.valid.eq(is_act | compress.dir_write),
            advance.eq(~self.cmd.valid | (self.cmd.ready & ~(is_act & compress.dir_write))),
            write.pe.eq(pe),
            write.command.write.eq(1),
        ]
        fields: Any = write.command
        with m.If(is_act):
            m.d.comb += [
                fields.space.eq(Space.ACT),
                fields.addr.eq(compress.act_addr[: p.act_addr_bits]),
                fields.data.eq(compress.act_data.as_value()),
            ]
        with m.Else():
            m.d.comb += [
                fields.space.eq(Space.DIRECTORY),
                fields.addr.eq(compress.dir_addr),
                fields.data.eq(compress.dir_data.as_value()),
            ]
        with m.If(self.cmd.valid & self.cmd.ready):
            m.d.sync += written.eq(is_act & compress.dir_write)
