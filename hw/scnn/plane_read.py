"""Outputs of SCNN as a stream: every position of a plane, zeros with them."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.queue import Queue
from zeroskip.hw.scnn.formats import (
    HOST_READS,
    Space,
    act_word_layout,
    command_layout,
    directory_layout,
    host_bits,
    plane_group_layout,
    plane_phases_layout,
    plane_spread_layout,
)
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.pe_walk import PeWalk
from zeroskip.hw.scnn.spread import Spread

__all__ = ["PlaneRead"]


class _State(enum.Enum, shape=3):
    IDLE = 0
    PE = 1  # has it anything?
    ENTRY = 2  # ask for a directory entry
    KNOWN = 3  # wait for that of the next channel
    WORD = 4  # ask for its words
    REST = 5  # all of the PE has been asked for


class PlaneRead(wiring.Component):
    """Reads SCNN's outputs, and gives a group of positions a cycle.

    The order is: the unit's PEs by number, directory entries of a PE, which are phases of channels,
    rows and columns of its tile that lie in the plane; a group is up to ``lanes`` positions of a
    row, as far as the word at hand says what they are. It is a host of the array, and works while
    that does not run. Questions go ahead of the positions, and their answers wait at the array's
    port: a directory entry is asked for before the words of the entry in front of it.

    Parameters
    ----------
    params : sizes of the array.
    lanes : positions of a group, at most I.
    unit : see :class:`.PeWalk`.

    Members
    -------
    go : In, begin; only while ``busy`` is low.
    plane, spread : In, where the outputs are, at least one; stable until ``busy`` is low.
    busy : Out, at work.
    cmd, rsp : the array's host port.
    o : ``Out(stream(plane_group_layout))``, the values.
    """

    go: Signal
    plane: data.View
    spread: data.View
    busy: Signal
    cmd: stream.Interface
    rsp: stream.Interface
    o: stream.Interface

    def __init__(self, params: ScnnParams, lanes: int, unit: int = 0) -> None:
        self._p, self._lanes, self._unit = params, lanes, unit
        p = params
        super().__init__({
            "go": In(1),
            "plane": In(plane_phases_layout(p)),
            "spread": In(plane_spread_layout(p)),
            "busy": Out(1),
            "cmd": Out(stream.Signature(command_layout(p))),
            "rsp": In(stream.Signature(host_bits(p))),
            "o": Out(stream.Signature(plane_group_layout(p, lanes))),
        })
        self._state = Signal(_State, name="state")
        # Entries that have been asked for, and channels that words have been asked for of.
        self._entries = Signal(p.channel_bits + 1, name="entries")
        self._begun = Signal(p.channel_bits + 1, name="begun")
        # The entry that has come and no words have been asked for of.
        self._known = Signal(name="known")
        self._entry = Signal(directory_layout(p), name="entry")
        # The channel that words are asked for of: the next, and entries that are left to ask for;
        # all of its entries, until its positions are given.
        self._address = Signal(p.act_addr_bits, name="address")
        self._unasked = Signal(p.act_count_bits, name="unasked")
        self._waits = Signal(name="waits")
        self._count = Signal(p.act_count_bits, name="count")
        # The channel whose positions are given: whether there is one, whether all were given, and
        # entries that have not been passed, those of the word at hand among them.
        self._giving = Signal(name="giving")
        self._over = Signal(name="over")
        self._left = Signal(p.act_count_bits, name="left")
        self._base = Signal(p.acc_addr_bits + 1, name="base")
        # The value at hand in the tile, and the first of its row; its position, and that of its
        # row; the next entry's phase.
        self._x = Signal(p.acc_addr_bits, name="x")
        self._y = Signal(p.acc_addr_bits, name="y")
        self._column = Signal(p.acc_addr_bits, name="column")
        self._place = Signal(p.acc_addr_bits + 1, name="place")
        self._row_start = Signal(p.acc_addr_bits + 1, name="row_start")
        self._phase_x = Signal(p.acc_addr_bits, name="phase_x")
        self._phase_y = Signal(p.acc_addr_bits, name="phase_y")

    def elaborate(self, platform: object) -> Module:
        plane, state = self.plane, self._state
        m = Module()
        m.submodules.pe_walk = pes = PeWalk(self._p, plane_phases_layout(self._p), self._unit)
        m.submodules.spread_walk = spread = Spread(self._p)
        # Of the answers that are still to be taken, which are words.
        m.submodules.kinds = kinds = Queue(unsigned(1), HOST_READS, head=True)
        held = Signal()
        spread.follow(m, pes, self.go, plane, self.spread)
        m.d.comb += [
            self.busy.eq((state != _State.IDLE) | held),
        ]
        self._ask(m, pes, spread.channels, kinds)
        ends = self._give(m, pes, kinds, held)
        loads = self._waits & (~self._giving | ends)
        with m.If(ends):
            m.d.sync += self._giving.eq(0)
        with m.If(loads):
            m.d.sync += [
                self._waits.eq(0),
                self._giving.eq(1),
                self._over.eq((self._phase_x >= pes.columns) | (self._phase_y >= pes.rows)),
                self._left.eq(self._count),
                self._x.eq(self._phase_x),
                self._column.eq(self._phase_x),
                self._y.eq(self._phase_y),
                *(place.eq(0) for place in (self._base, self._place, self._row_start)),
                self._phase_x.eq(self._phase_x + 1),
            ]
            with m.If(self._phase_x + 1 >= plane.sx):
                last = self._phase_y + 1 >= plane.sy
                m.d.sync += [
                    self._phase_x.eq(0),
                    self._phase_y.eq(Mux(last, 0, self._phase_y + 1)),
                ]
        return m

    def _ask(self, m: Module, pes: PeWalk, channels: Value, kinds: Queue) -> None:
        """Ask for entries and words, and take the entries that come.

        Longer than other functions: a case for each state.
        """
        p, state, fields = self._p, self._state, self.cmd.payload.command
        is_entry, is_word = state == _State.ENTRY, state == _State.WORD
        m.d.comb += [
            self.cmd.valid.eq((is_entry | is_word) & kinds.i.ready),
            self.cmd.payload.pe.eq(pes.pe),
            # Said, or the Verilog would have them in a block that nothing ever triggers.
            fields.write.eq(0),
            fields.data.eq(0),
            fields.space.eq(Mux(is_word, Space.ACT, Space.DIRECTORY)),
            fields.addr.eq(
                Mux(
                    is_word,
                    self._address,
                    (self.plane.base + self._entries)[: p.channel_bits],
                )
            ),
            kinds.i.valid.eq(self.cmd.valid & self.cmd.ready),
            kinds.i.payload.eq(is_word),
        ]
        # The PE is done with, or none of the unit's.
        leaves = Signal()
        asked = self.cmd.valid & self.cmd.ready
        more = self._entries != channels
        nothing = (pes.columns == 0) | (pes.rows == 0) | (channels == 0)
        with m.If(self.rsp.valid & kinds.o.valid & ~kinds.o.payload & ~self._known):
            m.d.sync += [
                self._known.eq(1),
                self._entry.eq(self.rsp.payload[: len(Value.cast(self._entry))]),
            ]
        with m.Switch(state):
            with m.Case(_State.IDLE), m.If(self.go):
                m.d.sync += state.eq(_State.PE)
            with m.Case(_State.PE):
                m.d.sync += [self._entries.eq(0), self._begun.eq(0)]
                m.d.sync += [self._phase_x.eq(0), self._phase_y.eq(0)]
                m.d.comb += leaves.eq(~pes.own)
                m.d.sync += state.eq(Mux(nothing, _State.REST, _State.ENTRY))
            with m.Case(_State.ENTRY), m.If(asked):
                m.d.sync += self._entries.eq(self._entries + 1)
                # Entries of two channels are asked for before the first one's words.
                first = (self._entries == 0) & (channels != 1)
                m.d.sync += state.eq(Mux(first, _State.ENTRY, _State.KNOWN))
            with m.Case(_State.KNOWN), m.If(self._known & ~self._waits):
                m.d.sync += [
                    self._known.eq(0),
                    self._waits.eq(1),
                    self._count.eq(self._entry.count),
                    self._address.eq(self._entry.start),
                    self._unasked.eq(self._entry.count),
                    self._begun.eq(self._begun + 1),
                ]
                with m.If(self._entry.count != 0):
                    m.d.sync += state.eq(_State.WORD)
                with m.Else():
                    self._go_on(m, channels, more, self._begun + 1)
            with m.Case(_State.WORD), m.If(asked):
                m.d.sync += [
                    self._address.eq(self._address + 1),
                    self._unasked.eq(self._unasked - p.mult_i),
                ]
                with m.If(self._unasked <= p.mult_i):
                    self._go_on(m, channels, more, self._begun)
            with m.Case(_State.REST):
                m.d.comb += leaves.eq(~self._waits & ~self._giving)
        m.d.comb += pes.step.eq(leaves)
        with m.If(leaves):
            m.d.sync += state.eq(Mux(pes.last, _State.IDLE, _State.PE))

    def _go_on(self, m: Module, channels: Value, more: Value, begun: Value) -> None:
        """Go on behind a channel's words."""
        after = Mux(begun == channels, _State.REST, _State.KNOWN)
        m.d.sync += self._state.eq(Mux(more, _State.ENTRY, after))

    def _give(self, m: Module, pes: PeWalk, kinds: Queue, held: Signal) -> Signal:
        """Give groups; return whether a channel is done with in this cycle.

        Longer than other functions: how far a group goes, and where the next begins, is made of
        the same terms.
        """
        p, lanes = self._p, self._lanes
        bits = len(self._row_start) + 2
        word = data.View(act_word_layout(p), self.rsp.payload[: act_word_layout(p).size])
        entries: list[Any] = [word[place] for place in range(p.mult_i)]
        is_word = Signal()
        position = self._place
        behind, after, position_after = (
            Signal(bits, name=name) for name in ("behind", "after", "position_after")
        )
        more, gives, taken, pops = (
            Signal(name=name) for name in ("more", "gives", "taken", "pops")
        )
        count = Signal(range(lanes + 1))
        ends_row, ends_plane, ends, moves = Signal(), Signal(), Signal(), Signal()
        # Positions of the entries, as far as the word has some. They are counted from the base: the
        # word comes late, and its runs are narrow.
        places: list[Value] = []
        before: Value = Const(0, 1)
        for entry in entries:
            places.append(before + entry.run)
            before = before + entry.run + 1
        here, row_after = (Signal(signed(bits), name=name) for name in ("here", "row_after"))
        m.d.comb += [
            here.eq(position - self._base),
            row_after.eq(self._row_start + self.plane.y_stride - self._base),
        ]

        def is_behind(position: Value, name: str) -> Signal:
            """Say whether a position is behind the word's last entry."""
            found = Signal(name=name)
            for place, at in enumerate(places):
                with m.If(place < self._left):
                    m.d.comb += found.eq(position > at)
            return found

        behinds = [is_behind(here + lane, f"behind_{lane}") for lane in range(lanes + 1)]
        row_behind = is_behind(row_after, "row_behind")
        # Whether a column lies in the tile is known early, and what the word says late.
        columns = [self._x + lane * self.plane.sx for lane in range(lanes + 1)]
        in_tile = [column < pes.columns for column in columns]
        last_row = self._y + self.plane.sy >= pes.rows
        # What is behind the word's last entry is known only if the channel has no more.
        known = [~(more & one) for one in behinds]
        inside = [there & one for there, one in zip(in_tile, known, strict=True)][:lanes]
        m.d.comb += [
            is_word.eq(self.rsp.valid & kinds.o.valid & kinds.o.payload),
            more.eq(self._left > p.mult_i),
            count.eq(sum(inside, start=Value.cast(0))),
            gives.eq(self._giving & ~self._over & ((self._left == 0) | is_word) & inside[0]),
            moves.eq(~held | self.o.ready),
            taken.eq(gives & moves),
            after.eq(self._x),
            ends_row.eq(self._x >= pes.columns),
            position_after.eq(position),
            ends_plane.eq(ends_row & last_row),
            behind.eq(Mux(ends_row, self._row_start + self.plane.y_stride, position_after)),
        ]
        # Behind each lane it is added up before it is known how many lanes have a value.
        for lane, one in enumerate(inside, 1):
            with m.If(one):
                m.d.comb += [
                    after.eq(columns[lane]),
                    ends_row.eq(~in_tile[lane]),
                    position_after.eq(position + lane),
                ]
        # A word is done with when the next position is behind its entries; at the end of the plane
        # in any case, as what is left are zeros that nobody asks for.
        # The last value of the row is told from the lanes that lie in the tile.
        row_unknown = Const(0, 1)
        for lane in range(lanes):
            row_unknown |= in_tile[lane] & ~in_tile[lane + 1] & ~known[lane]
        row_passed = last_row | row_behind | row_unknown
        passed = ~in_tile[0] | ~known[0] | (moves & Mux(in_tile[-1], behinds[-1], row_passed))
        # Without more words, all that is asked of the last one is whether it is there.
        all_given = moves & in_tile[0] & ~in_tile[-1] & last_row
        m.d.comb += [
            pops.eq(self._giving & (self._left != 0) & is_word & (self._over | passed)),
            ends.eq(
                self._giving & ~more & ((self._left == 0) | is_word) & (self._over | all_given)
            ),
            kinds.o.ready.eq(self.rsp.valid & self.rsp.ready),
            self.rsp.ready.eq(Mux(is_word, pops, kinds.o.valid & ~kinds.o.payload & ~self._known)),
            self.o.valid.eq(held),
        ]
        with m.If(pops):
            m.d.sync += [
                self._left.eq(Mux(more, self._left - p.mult_i, 0)),
                self._base.eq(self._base + (places[-1] + 1)),
            ]
        with m.If(held & self.o.ready):
            m.d.sync += held.eq(0)
        with m.If(taken):
            m.d.sync += [held.eq(1), self.o.payload.count.eq(count)]
            m.d.sync += [self._x.eq(after), self._place.eq(behind)]
            with m.If(ends_row):
                m.d.sync += [
                    self._x.eq(self._column),
                    self._y.eq(self._y + self.plane.sy),
                    self._row_start.eq(behind),
                ]
            with m.If(ends_plane):
                m.d.sync += self._over.eq(1)
            for lane in range(lanes):
                hits = (
                    Mux((place < self._left) & (at == here + lane), entry.value, 0)
                    for place, (at, entry) in enumerate(zip(places, entries, strict=True))
                )
                m.d.sync += self.o.payload.values[lane].eq(reduce(or_, hits))
        return ends
