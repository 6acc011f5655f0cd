"""Hand-over: moves outputs of SCNN into the source activation files of EIE, on the chip."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.chip.formats import handoff_layout
from zeroskip.hw.common.control import Control, StatusBit
from zeroskip.hw.common.params import address_bits
from zeroskip.hw.eie import formats as eie
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn import formats as scnn
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Handoff"]


class _State(enum.Enum, shape=4):
    IDLE = 0
    RAM = 1  # ask which activation RAM holds the result
    PE = 2
    ENTRY = 3  # ask the directory for a channel
    WORD = 4  # ask for a word of activations
    ANSWER = 5
    WALK = 6
    FILL = 7  # the rest of the last row


class Handoff(wiring.Component):
    """Copies SCNN's outputs into EIE's activation file 0, one position a cycle.

    The order is: PEs by number, directory entries of a PE, rows and columns of its tile that lie
    in the plane. Position ``n`` of that order goes to row ``n // num_pes`` of EIE's PE
    ``n % num_pes``. Zeros are written, too, and fill the last row: nothing of an input before is
    left in any row that EIE reads.

    It is a host of both engines, and works while neither runs.

    Members
    -------
    go : In, begin; only while ``busy`` is low.
    config : In, where the outputs are; stable until ``busy`` is low.
    busy : Out, at work.
    scnn_cmd, scnn_rsp, eie_cmd : the engines' host ports.
    """

    go: Signal
    config: data.View
    busy: Signal
    scnn_cmd: stream.Interface
    scnn_rsp: stream.Interface
    eie_cmd: stream.Interface

    def __init__(self, scnn_params: ScnnParams, eie_params: EieParams) -> None:
        self._s, self._e = scnn_params, eie_params
        super().__init__({
            "go": In(1),
            "config": In(handoff_layout(scnn_params)),
            "busy": Out(1),
            "scnn_cmd": Out(stream.Signature(scnn.command_layout(scnn_params))),
            "scnn_rsp": In(stream.Signature(scnn.host_bits(scnn_params))),
            "eie_cmd": Out(stream.Signature(eie.command_layout(eie_params))),
        })

    def elaborate(self, platform: object) -> Module:
        s, e = self._s, self._e
        m = Module()
        config = self.config
        state = Signal(_State)
        after = Signal(_State)
        ram = Signal()
        # The PE, its place in the grid, and what it has of the plane.
        pe = Signal(8)
        pe_x = Signal(4)
        pe_y = Signal(4)
        columns = Signal(s.acc_addr_bits)
        rows = Signal(s.acc_addr_bits)
        channel = Signal(s.channel_bits + 1)
        # The next stored entry: its lane in ``word``, and how many are left with it.
        word = Signal(scnn.act_word_layout(s))
        address = Signal(s.act_addr_bits)
        lane = Signal(address_bits(s.mult_i))
        left = Signal(s.act_count_bits)
        base = Signal(s.acc_addr_bits + 1)
        # The output at hand, and where it goes.
        x = Signal(s.acc_addr_bits)
        y = Signal(s.acc_addr_bits)
        row_start = Signal(s.acc_addr_bits + 1)
        position = Signal(s.acc_addr_bits + 1)
        to_pe = Signal(8)
        to_row = Signal(e.act_addr_bits)

        ask, answer = self.scnn_cmd.payload.command, self.scnn_rsp.payload
        entry = word[lane]
        stored = Signal(s.acc_addr_bits + 2)
        hit = Signal()
        behind = Signal()
        value = Signal(signed(s.act_bits))
        m.d.comb += [
            self.busy.eq(state != _State.IDLE),
            self.scnn_rsp.ready.eq(1),
            position.eq(row_start + x),
            stored.eq(base + entry.run),
            hit.eq((left != 0) & (stored == position)),
            # A stored zero beyond the plane: nobody asks for it.
            behind.eq((left != 0) & (stored < position)),
            value.eq(Mux(hit, entry.value, 0)),
        ]
        with m.If(config.block_x >= s.pes_x.bit_length()):
            m.d.comb += columns.eq(_share(pe_x, config.full_x, config.wo, config.rem_x))
        with m.Else():
            inside = pe_x & ~(~0 << config.block_x)[:4]
            m.d.comb += columns.eq(_share(inside, config.full_x, config.wo, config.rem_x))
        with m.If(config.block_y >= s.pes_y.bit_length()):
            m.d.comb += rows.eq(_share(pe_y, config.full_y, config.ho, config.rem_y))
        with m.Else():
            inside = pe_y & ~(~0 << config.block_y)[:4]
            m.d.comb += rows.eq(_share(inside, config.full_y, config.ho, config.rem_y))

        with m.Switch(state):
            with m.Case(_State.IDLE), m.If(self.go):
                m.d.sync += [
                    state.eq(_State.RAM),
                    pe.eq(0),
                    pe_x.eq(0),
                    pe_y.eq(0),
                    channel.eq(0),
                    to_pe.eq(0),
                    to_row.eq(0),
                ]
            with m.Case(_State.RAM):
                m.d.comb += [ask.space.eq(scnn.Space.CONTROL), ask.addr.eq(Control.STATUS)]
            with m.Case(_State.PE):
                m.d.sync += channel.eq(0)
                with m.If((columns != 0) & (rows != 0) & (config.channels != 0)):
                    m.d.sync += state.eq(_State.ENTRY)
                with m.Else():
                    self._next_pe(m, state, pe, pe_x, pe_y)
            with m.Case(_State.ENTRY):
                m.d.comb += [
                    ask.space.eq(scnn.Space.DIRECTORY),
                    ask.addr.eq(Cat((config.base + channel)[: s.channel_bits], ram)),
                ]
            with m.Case(_State.WORD):
                m.d.comb += [ask.space.eq(scnn.Space.ACT), ask.addr.eq(Cat(address, ram))]
            with m.Case(_State.ANSWER), m.If(self.scnn_rsp.valid):
                self._take(m, after, state, ram, word, address, lane, left, answer)
                with m.If(after == _State.ENTRY):
                    m.d.sync += [x.eq(0), y.eq(0), row_start.eq(0), base.eq(0)]
            with m.Case(_State.WALK):
                m.d.comb += self.eie_cmd.valid.eq(~behind)
                step = self.eie_cmd.ready & ~behind
                with m.If(behind | (step & hit)):
                    m.d.sync += [left.eq(left - 1), base.eq(stored + 1), lane.eq(lane + 1)]
                    with m.If(lane == s.mult_i - 1):
                        m.d.sync += [lane.eq(0), address.eq(address + 1)]
                        with m.If(left != 1):
                            m.d.sync += state.eq(_State.WORD)
                with m.If(step):
                    m.d.sync += [x.eq(x + 1), to_pe.eq(to_pe + 1)]
                    with m.If(to_pe == e.num_pes - 1):
                        m.d.sync += [to_pe.eq(0), to_row.eq(to_row + 1)]
                    with m.If(x == columns - 1):
                        m.d.sync += [
                            x.eq(0),
                            y.eq(y + 1),
                            row_start.eq(row_start + config.y_stride),
                        ]
                        with m.If(y == rows - 1):
                            m.d.sync += [channel.eq(channel + 1), state.eq(_State.ENTRY)]
                            with m.If(channel == config.channels - 1):
                                self._next_pe(m, state, pe, pe_x, pe_y)
            with m.Case(_State.FILL):
                m.d.comb += self.eie_cmd.valid.eq(to_pe != 0)
                with m.If(to_pe == 0):
                    m.d.sync += state.eq(_State.IDLE)
                with m.Elif(self.eie_cmd.ready):
                    m.d.sync += to_pe.eq(Mux(to_pe == e.num_pes - 1, 0, to_pe + 1))
        asking = (state == _State.RAM) | (state == _State.ENTRY) | (state == _State.WORD)
        m.d.comb += [
            self.scnn_cmd.valid.eq(asking),
            self.scnn_cmd.payload.pe.eq(pe),
            # Said, or the Verilog would have them in a block that nothing ever triggers.
            ask.write.eq(0),
            ask.data.eq(0),
        ]
        with m.If(asking & self.scnn_cmd.ready):
            m.d.sync += [after.eq(state), state.eq(_State.ANSWER)]
        write = self.eie_cmd.payload
        m.d.comb += [
            write.pe.eq(to_pe),
            write.command.space.eq(Space.ACT),
            write.command.write.eq(1),
            write.command.addr.eq(to_row),
            write.command.data.eq(Mux(state == _State.FILL, 0, value)),
        ]
        return m

    def _take(
        self,
        m: Module,
        after: Any,
        state: Any,
        ram: Signal,
        word: Any,
        address: Signal,
        lane: Signal,
        left: Signal,
        answer: Signal,
    ) -> None:
        """Take SCNN's answer to what was asked in state ``after``."""
        with m.Switch(after):
            with m.Case(_State.RAM):
                source = (answer & StatusBit.SOURCE).any()
                m.d.sync += [ram.eq(source ^ ~self.config.swapped), state.eq(_State.PE)]
            with m.Case(_State.ENTRY):
                found_layout = scnn.directory_layout(self._s)
                found = data.View(found_layout, answer[: found_layout.size])
                m.d.sync += [address.eq(found.start), left.eq(found.count), lane.eq(0)]
                m.d.sync += state.eq(Mux(found.count == 0, _State.WALK, _State.WORD))
            with m.Case(_State.WORD):
                m.d.sync += [word.eq(answer), state.eq(_State.WALK)]

    def _next_pe(self, m: Module, state: Any, pe: Signal, pe_x: Signal, pe_y: Signal) -> None:
        """Go on with the next PE, or fill the last row."""
        m.d.sync += [pe.eq(pe + 1), pe_x.eq(pe_x + 1)]
        with m.If(pe_x == self._s.pes_x - 1):
            m.d.sync += [pe_x.eq(0), pe_y.eq(pe_y + 1)]
        m.d.sync += state.eq(Mux(pe == self._s.num_pes - 1, _State.FILL, _State.PE))


def _share(place: Value, full: Value, whole: Value, rest: Value) -> Value:
    """Count what of the plane the PE at ``place`` in its block has, in one direction."""
    return Mux(place < full, whole, Mux(place == full, rest, 0))
