"""Outputs of SCNN as a stream: every position of a plane, zeros with them."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.params import address_bits
from zeroskip.hw.scnn.formats import (
    Space,
    act_word_layout,
    command_layout,
    directory_layout,
    host_bits,
    plane_layout,
    plane_spread_layout,
    plane_value_layout,
)
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.pe_walk import PeWalk
from zeroskip.hw.scnn.spread import Spread

__all__ = ["PlaneRead"]


class _State(enum.Enum, shape=3):
    IDLE = 0
    PE = 1
    ENTRY = 2  # wait for the directory entry of a channel
    WORD = 3  # wait for a word of activations
    WALK = 4
    DROP = 5  # a word that holds nothing of the plane
    END = 6  # the last value is still to be taken


class _Question(enum.Enum, shape=1):
    ENTRY = 0
    WORD = 1


class PlaneRead(wiring.Component):
    """Reads SCNN's outputs, and gives one position a cycle.

    The order is: PEs by number, directory entries of a PE, rows and columns of its tile that lie
    in the plane. It is a host of the array, and works while that does not run. What comes next of a
    PE is asked for while positions are given; its answer waits at the array's port.

    Members
    -------
    go : In, begin; only while ``busy`` is low.
    plane, spread : In, where the outputs are, at least one; stable until ``busy`` is low.
    busy : Out, at work.
    cmd, rsp : the array's host port.
    o : ``Out(stream(plane_value_layout))``, the values.
    """

    go: Signal
    plane: data.View
    spread: data.View
    busy: Signal
    cmd: stream.Interface
    rsp: stream.Interface
    o: stream.Interface

    def __init__(self, params: ScnnParams) -> None:
        self._p = p = params
        super().__init__({
            "go": In(1),
            "plane": In(plane_layout(p)),
            "spread": In(plane_spread_layout(p)),
            "busy": Out(1),
            "cmd": Out(stream.Signature(command_layout(p))),
            "rsp": In(stream.Signature(host_bits(p))),
            "o": Out(stream.Signature(plane_value_layout(p))),
        })
        self._state = Signal(_State, name="state")
        # Directory entries of the PE at hand.
        self._channels = Signal(p.channel_bits + 1, name="channels")
        # Directory entries of the PE that have come; the next word.
        self._entries = Signal(p.channel_bits + 1, name="entries")
        self._address = Signal(p.act_addr_bits, name="address")
        self._asking = Signal(name="asking")
        self._question = Signal(_Question, name="question")
        # The next stored entry: its lane in ``word``, and how many are left with it.
        self._word = Signal(act_word_layout(p), name="word")
        self._lane = Signal(address_bits(p.mult_i), name="lane")
        self._left = Signal(p.act_count_bits, name="left")
        self._base = Signal(p.acc_addr_bits + 1, name="base")
        # The output at hand.
        self._x = Signal(p.acc_addr_bits, name="x")
        self._y = Signal(p.acc_addr_bits, name="y")
        self._row_start = Signal(p.acc_addr_bits + 1, name="row_start")

    def elaborate(self, platform: object) -> Module:
        plane, state = self.plane, self._state
        m = Module()
        m.submodules.pe_walk = pes = PeWalk(self._p, plane_layout(self._p))
        m.submodules.spread_walk = spread = Spread(self._p)
        m.d.comb += [
            pes.plane.eq(plane),
            pes.start.eq(self.go),
            spread.spread.eq(self.spread),
            spread.most.eq(plane.channels),
            spread.start.eq(self.go),
            spread.step.eq(pes.step),
            spread.ends_block.eq(pes.ends_block),
            spread.ends_row.eq(pes.ends_row),
            spread.ends_blocks.eq(pes.ends_blocks),
            self._channels.eq(spread.channels),
            self.busy.eq(state != _State.IDLE),
        ]
        self._send(m, pes.pe)
        with m.If((state == _State.IDLE) & self.go):
            m.d.sync += state.eq(_State.PE)
        with m.If(state == _State.PE):
            m.d.sync += self._entries.eq(0)
            with m.If((pes.columns != 0) & (pes.rows != 0) & (self._channels != 0)):
                self._ask(m, _Question.ENTRY)
                m.d.sync += state.eq(_State.ENTRY)
            with m.Else():
                self._next_pe(m, pes)
        self._walk(m, pes)
        self._take_answer(m, pes)
        return m

    def _ask(self, m: Module, question: _Question) -> None:
        m.d.sync += [self._asking.eq(1), self._question.eq(question)]

    def _next_pe(self, m: Module, pes: PeWalk) -> None:
        m.d.comb += pes.step.eq(1)
        m.d.sync += self._state.eq(Mux(pes.last, _State.END, _State.PE))

    def _walk(self, m: Module, pes: PeWalk) -> None:
        """Go from position to position of a channel."""
        lane, left, x, y = self._lane, self._left, self._x, self._y
        position, stored = Signal(len(self._row_start)), Signal(len(self._base) + 1)
        hit, behind, found = Signal(), Signal(), Signal()
        entry: Any = self._word[lane]
        m.d.comb += [
            position.eq(self._row_start + x),
            stored.eq(self._base + entry.run),
            hit.eq((left != 0) & (stored == position)),
            # A stored zero beyond the plane: nobody asks for it.
            behind.eq((left != 0) & (stored < position)),
            found.eq((self._state == _State.WALK) & ~behind),
        ]
        step = self._give(m, found, Mux(hit, entry.value, 0))
        with m.If((self._state == _State.WALK) & (behind | (step & hit))):
            m.d.sync += [left.eq(left - 1), self._base.eq(stored + 1), lane.eq(lane + 1)]
            with m.If(lane == self._p.mult_i - 1):
                m.d.sync += lane.eq(0)
                with m.If(left != 1):
                    m.d.sync += self._state.eq(_State.WORD)
        with m.If(step):
            m.d.sync += x.eq(x + 1)
            with m.If(x == pes.columns - 1):
                m.d.sync += [
                    x.eq(0),
                    y.eq(y + 1),
                    self._row_start.eq(self._row_start + self.plane.y_stride),
                ]
                with m.If(y == pes.rows - 1):
                    # More words have been asked for if more is left than is in this one.
                    with m.If(left > self._p.mult_i - lane):
                        m.d.sync += self._state.eq(_State.DROP)
                    with m.Elif(self._entries == self._channels):
                        self._next_pe(m, pes)
                    with m.Else():
                        m.d.sync += self._state.eq(_State.ENTRY)

    def _take_answer(self, m: Module, pes: PeWalk) -> None:
        """Take the answer that is waited for, and ask for what is behind it."""
        p, state = self._p, self._state
        answer, layout = self.rsp.payload, directory_layout(p)
        where = data.View(layout, answer[: layout.size])
        all_came = self._entries == self._channels
        with m.Switch(state), m.Case(_State.ENTRY, _State.WORD, _State.DROP):
            m.d.comb += self.rsp.ready.eq(1)
        with m.If(self.rsp.valid & self.rsp.ready), m.Switch(state):
            with m.Case(_State.ENTRY):
                m.d.sync += [
                    self._address.eq(where.start),
                    self._left.eq(where.count),
                    self._entries.eq(self._entries + 1),
                    self._lane.eq(0),
                    self._base.eq(0),
                    self._x.eq(0),
                    self._y.eq(0),
                    self._row_start.eq(0),
                ]
                with m.If(where.count != 0):
                    self._ask(m, _Question.WORD)
                    m.d.sync += state.eq(_State.WORD)
                with m.Else():
                    m.d.sync += state.eq(_State.WALK)
                    with m.If(self._entries + 1 != self._channels):
                        self._ask(m, _Question.ENTRY)
            with m.Case(_State.WORD):
                m.d.sync += [self._word.eq(answer), state.eq(_State.WALK)]
                m.d.sync += self._address.eq(self._address + 1)
                with m.If(self._left > p.mult_i):
                    self._ask(m, _Question.WORD)
                with m.Elif(~all_came):
                    self._ask(m, _Question.ENTRY)
            with m.Case(_State.DROP):
                with m.If(all_came):
                    self._next_pe(m, pes)
                with m.Else():
                    self._ask(m, _Question.ENTRY)
                    m.d.sync += state.eq(_State.ENTRY)

    def _give(self, m: Module, found: Value, value: Value) -> Value:
        """Give values from a register, as only what comes behind one says that it is not the last.

        Returns whether the value that was ``found`` is taken in this cycle.
        """
        held = Signal()
        kept = Signal(signed(self._p.act_bits), reset_less=True)
        output = self.o.payload
        ended = self._state == _State.END
        m.d.comb += [
            self.o.valid.eq(held & (found | ended)),
            output.value.eq(kept),
            output.last.eq(ended),
        ]
        taken = found & (~held | self.o.ready)
        with m.If(taken):
            m.d.sync += [held.eq(1), kept.eq(value)]
        with m.If(ended & (~held | self.o.ready)):
            m.d.sync += [held.eq(0), self._state.eq(_State.IDLE)]
        return taken

    def _send(self, m: Module, pe: Value) -> None:
        """Send the question that is to be asked."""
        fields = self.cmd.payload.command
        entry = (self.plane.base + self._entries)[: self._p.channel_bits]
        m.d.comb += [
            self.cmd.valid.eq(self._asking),
            self.cmd.payload.pe.eq(pe),
            # Said, or the Verilog would have them in a block that nothing ever triggers.
            fields.write.eq(0),
            fields.data.eq(0),
        ]
        with m.Switch(self._question):
            with m.Case(_Question.ENTRY):
                m.d.comb += [fields.space.eq(Space.DIRECTORY), fields.addr.eq(entry)]
            with m.Default():
                m.d.comb += [fields.space.eq(Space.ACT), fields.addr.eq(self._address)]
        with m.If(self.cmd.valid & self.cmd.ready):
            m.d.sync += self._asking.eq(0)
