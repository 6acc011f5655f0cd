"""Outputs of SCNN as a stream: every position of a plane, zeros with them."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.control import Control, StatusBit
from zeroskip.hw.common.params import address_bits
from zeroskip.hw.scnn.formats import (
    Space,
    act_word_layout,
    command_layout,
    directory_layout,
    host_bits,
    plane_layout,
    plane_value_layout,
)
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.pe_walk import PeWalk

__all__ = ["PlaneRead"]


class _State(enum.Enum, shape=3):
    IDLE = 0
    RAM = 1  # which activation RAM holds the result
    PE = 2
    ENTRY = 3  # wait for the directory entry of a channel
    WORD = 4  # wait for a word of activations
    WALK = 5
    DROP = 6  # a word that holds nothing of the plane
    END = 7  # the last value is still to be taken


class _Question(enum.Enum, shape=2):
    STATUS = 0
    ENTRY = 1
    WORD = 2


class PlaneRead(wiring.Component):
    """Reads SCNN's outputs, and gives one position a cycle.

    The order is: PEs by number, directory entries of a PE, rows and columns of its tile that lie
    in the plane. It is a host of the array, and works while that does not run. What comes next of a
    PE is asked for while positions are given; its answer waits at the array's port.

    Members
    -------
    go : In, begin; only while ``busy`` is low.
    plane : In, where the outputs are, at least one; stable until ``busy`` is low.
    busy : Out, at work.
    cmd, rsp : the array's host port.
    o : ``Out(stream(plane_value_layout))``, the values.
    """

    go: Signal
    plane: data.View
    busy: Signal
    cmd: stream.Interface
    rsp: stream.Interface
    o: stream.Interface

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "go": In(1),
            "plane": In(plane_layout(params)),
            "busy": Out(1),
            "cmd": Out(stream.Signature(command_layout(params))),
            "rsp": In(stream.Signature(host_bits(params))),
            "o": Out(stream.Signature(plane_value_layout(params))),
        })

    def elaborate(self, platform: object) -> Module:
        p, plane = self._p, self.plane
        m = Module()
        m.submodules.pe_walk = pes = PeWalk(p, plane_layout(p))
        state = Signal(_State)
        ram = Signal()
        # Directory entries of the PE that have come; the next word.
        entries = Signal(p.channel_bits + 1)
        address = Signal(p.act_addr_bits)
        asking = Signal()
        question = Signal(_Question)
        # The next stored entry: its lane in ``word``, and how many are left with it.
        word = Signal(act_word_layout(p))
        lane = Signal(address_bits(p.mult_i))
        left = Signal(p.act_count_bits)
        base = Signal(p.acc_addr_bits + 1)
        # The output at hand.
        x = Signal(p.acc_addr_bits)
        y = Signal(p.acc_addr_bits)
        row_start = Signal(p.acc_addr_bits + 1)
        position = Signal(p.acc_addr_bits + 1)
        stored = Signal(p.acc_addr_bits + 2)
        hit = Signal()
        behind = Signal()
        found = Signal()
        entry: Any = word[lane]
        m.d.comb += [
            pes.plane.eq(plane),
            pes.start.eq(self.go),
            self.busy.eq(state != _State.IDLE),
            position.eq(row_start + x),
            stored.eq(base + entry.run),
            hit.eq((left != 0) & (stored == position)),
            # A stored zero beyond the plane: nobody asks for it.
            behind.eq((left != 0) & (stored < position)),
            found.eq((state == _State.WALK) & ~behind),
        ]
        step = self._give(m, found, Mux(hit, entry.value, 0), state)

        all_came = entries == plane.channels
        answer, answered = self.rsp.payload, Signal()
        layout = directory_layout(p)
        where = data.View(layout, answer[: layout.size])

        def ask(what: _Question) -> None:
            m.d.sync += [asking.eq(1), question.eq(what)]

        def next_pe() -> None:
            m.d.comb += pes.step.eq(1)
            m.d.sync += state.eq(Mux(pes.last, _State.END, _State.PE))

        row_of_entry = Cat((plane.base + entries)[: p.channel_bits], ram)
        self._send(m, asking, question, pes.pe, row_of_entry, Cat(address, ram))
        m.d.comb += answered.eq(self.rsp.valid & self.rsp.ready)
        with m.Switch(state):
            with m.Case(_State.IDLE), m.If(self.go):
                ask(_Question.STATUS)
                m.d.sync += state.eq(_State.RAM)
            with m.Case(_State.RAM):
                m.d.comb += self.rsp.ready.eq(1)
                with m.If(answered):
                    source = (answer & StatusBit.SOURCE).any()
                    m.d.sync += [ram.eq(source ^ ~plane.swapped), state.eq(_State.PE)]
            with m.Case(_State.PE):
                m.d.sync += entries.eq(0)
                with m.If((pes.columns != 0) & (pes.rows != 0) & (plane.channels != 0)):
                    ask(_Question.ENTRY)
                    m.d.sync += state.eq(_State.ENTRY)
                with m.Else():
                    next_pe()
            with m.Case(_State.ENTRY):
                m.d.comb += self.rsp.ready.eq(1)
                with m.If(answered):
                    m.d.sync += [address.eq(where.start), left.eq(where.count), lane.eq(0)]
                    m.d.sync += [x.eq(0), y.eq(0), row_start.eq(0), base.eq(0)]
                    m.d.sync += entries.eq(entries + 1)
                    with m.If(where.count != 0):
                        ask(_Question.WORD)
                        m.d.sync += state.eq(_State.WORD)
                    with m.Else():
                        m.d.sync += state.eq(_State.WALK)
                        with m.If(entries + 1 != plane.channels):
                            ask(_Question.ENTRY)
            with m.Case(_State.WORD):
                m.d.comb += self.rsp.ready.eq(1)
                with m.If(answered):
                    m.d.sync += [word.eq(answer), address.eq(address + 1), state.eq(_State.WALK)]
                    with m.If(left > p.mult_i):
                        ask(_Question.WORD)
                    with m.Elif(~all_came):
                        ask(_Question.ENTRY)
            with m.Case(_State.WALK):
                with m.If(behind | (step & hit)):
                    m.d.sync += [left.eq(left - 1), base.eq(stored + 1), lane.eq(lane + 1)]
                    with m.If(lane == p.mult_i - 1):
                        m.d.sync += lane.eq(0)
                        with m.If(left != 1):
                            m.d.sync += state.eq(_State.WORD)
                with m.If(step):
                    m.d.sync += x.eq(x + 1)
                    with m.If(x == pes.columns - 1):
                        m.d.sync += [
                            x.eq(0),
                            y.eq(y + 1),
                            row_start.eq(row_start + plane.y_stride),
                        ]
                        with m.If(y == pes.rows - 1):
                            # More words have been asked for if more is left than is in this one.
                            with m.If(left > p.mult_i - lane):
                                m.d.sync += state.eq(_State.DROP)
                            with m.Elif(all_came):
                                next_pe()
                            with m.Else():
                                m.d.sync += state.eq(_State.ENTRY)
            with m.Case(_State.DROP):
                m.d.comb += self.rsp.ready.eq(1)
                with m.If(answered):
                    with m.If(all_came):
                        next_pe()
                    with m.Else():
                        ask(_Question.ENTRY)
                        m.d.sync += state.eq(_State.ENTRY)
        return m

    def _give(self, m: Module, found: Value, value: Value, state: Any) -> Value:
        """Give values from a register, as only what comes behind one says that it is not the last.

        Returns whether the value that was ``found`` is taken in this cycle.
        """
        held = Signal()
        kept = Signal(signed(self._p.act_bits), reset_less=True)
        output = self.o.payload
        ended = state == _State.END
        m.d.comb += [
            self.o.valid.eq(held & (found | ended)),
            output.value.eq(kept),
            output.last.eq(ended),
        ]
        taken = found & (~held | self.o.ready)
        with m.If(taken):
            m.d.sync += [held.eq(1), kept.eq(value)]
        with m.If(ended & (~held | self.o.ready)):
            m.d.sync += [held.eq(0), state.eq(_State.IDLE)]
        return taken

    def _send(
        self, m: Module, asking: Signal, question: Any, pe: Value, entry: Value, word: Value
    ) -> None:
        """Send the question, with the number of a directory entry or of a word and its RAM."""
        fields = self.cmd.payload.command
        m.d.comb += [
            self.cmd.valid.eq(asking),
            self.cmd.payload.pe.eq(pe),
            # Said, or the Verilog would have them in a block that nothing ever triggers.
            fields.write.eq(0),
            fields.data.eq(0),
        ]
        with m.Switch(question):
            with m.Case(_Question.STATUS):
                m.d.comb += [fields.space.eq(Space.CONTROL), fields.addr.eq(Control.STATUS)]
            with m.Case(_Question.ENTRY):
                m.d.comb += [fields.space.eq(Space.DIRECTORY), fields.addr.eq(entry)]
            with m.Default():
                m.d.comb += [fields.space.eq(Space.ACT), fields.addr.eq(word)]
        with m.If(self.cmd.valid & self.cmd.ready):
            m.d.sync += asking.eq(0)
