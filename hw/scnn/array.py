"""The SCNN array: a grid of PEs, weight streams, drain, sequencer, and the host port."""

from typing import Any

from amaranth.hdl import (
    Cat,
    ClockSignal,
    Const,
    Instance,
    Module,
    Mux,
    ResetInserter,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.common.host_port import choose_answer, serve_host
from zeroskip.hw.scnn.act_bus import ActBus
from zeroskip.hw.scnn.broadcast import Broadcast
from zeroskip.hw.scnn.drain import Drain
from zeroskip.hw.scnn.formats import (
    HOST_READS,
    VERSION,
    Space,
    command_layout,
    host_bits,
    host_layout,
    readable_rows,
)
from zeroskip.hw.scnn.packing import Packing
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.plane_port import PlanePort
from zeroskip.hw.scnn.ppu import NEIGHBOURS
from zeroskip.hw.scnn.sequencer import Sequencer
from zeroskip.hw.scnn.weight_route import WeightRoute
from zeroskip.hw.scnn.weight_stream import WeightStream

__all__ = ["ARRAY_MODULE", "PE_MODULE", "ScnnArray"]

ARRAY_MODULE = "scnn_array"
PE_MODULE = "scnn_pe"


class ScnnArray(wiring.Component):
    """A grid of PEs under one control (Parashar et al., figure 5).

    The PEs are instances of one Verilog module (``PE_MODULE``, converted on its own from
    :class:`.ScnnPe`): a design of 64 equal PEs then costs the text and the compile time
    of one. Amaranth's simulator needs the PEs put in the places of the instances.

    Members
    -------
    weights : ``In(stream(beat))``, packed weights of all streams, at any time, in the order of
        :func:`.schedule_layout`. A run takes its own; a clearing of all forgets those that came
        before it.
    cmd : ``In(stream(command_layout))``, host commands, which take effect in their order. Those
        to memories wait while a run is under way, those to the control space do not.
    rsp : ``Out(stream(host_bits))``, one answer per read command; 0 to one of what cannot be read,
        see ``readable_rows`` and ``StatusBit.BAD_READ``.
    cmd_<n>, rsp_<n> : the port of each unit that moves planes but the first, which works at the
        host's: see :class:`.PlanePort`. While one has a command, the host has none.
    loading : In, activations come in through these ports, and go on doing so beside a run: it waits
        for entries of directories that have not come, and makes outputs once all have.
    running : Out, a run or a clearing is under way.
    lost : Out, outputs of the last run found no room.
    out_valid, out_pass, out_lanes, out_data : Out, outputs as they leave the PEs' arithmetic: the
        number of the descriptor, lanes that have an output, and the outputs, I of PE 0 in the low
        bits.
    """

    weights: stream.Interface
    cmd: stream.Interface
    rsp: stream.Interface
    loading: Signal
    running: Signal
    lost: Signal
    out_valid: Signal
    out_pass: Signal
    out_lanes: Signal
    out_data: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "weights": In(stream.Signature(Packing.of(params).beat)),
            "cmd": In(stream.Signature(command_layout(params))),
            "rsp": Out(stream.Signature(host_bits(params))),
            **{
                name: member
                for unit in range(1, params.plane_units)
                for name, member in (
                    (f"cmd_{unit}", In(stream.Signature(command_layout(params)))),
                    (f"rsp_{unit}", Out(stream.Signature(host_bits(params)))),
                )
            },
            "loading": In(1),
            "running": Out(1),
            "lost": Out(1),
            "out_valid": Out(1),
            "out_pass": Out(params.descriptor_addr_bits),
            "out_lanes": Out(params.mult_i),
            "out_data": Out(params.num_pes * params.mult_i * params.act_bits),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        m.submodules.sequencer = sequencer = Sequencer(p)
        c = sequencer.control
        drain = Drain(p)
        m.submodules.drain = ResetInserter(c.flush)(drain)
        host = Signal(host_layout(p))
        host_pe = Signal(8)
        host_valid = Signal()
        streaming = Signal(p.num_streams)
        listeners = self._make_streams(m, sequencer, drain, streaming, host, host_pe, host_valid)

        group_ready = Signal(p.num_pes)
        ppu_busy = Signal(p.num_pes)
        overflow = Signal(p.num_pes)
        output_lanes = [Signal(p.mult_i, name=f"output_lanes_{pe}") for pe in range(p.num_pes)]
        draining, loading = Signal(), Signal()
        m.d.sync += loading.eq(self.loading)
        bus_busy = Signal(p.num_pes)
        bus_ports = self._make_bus(m, sequencer, bus_busy)
        sums = p.mult_i * p.acc_bits
        halos = [Signal(sums, name=f"halo_{pe}") for pe in range(p.num_pes)]
        answers = [Signal(host_bits(p), name=f"answer_{pe}") for pe in range(p.num_pes)]
        hands = self._make_plane_ports(m, (host, host_pe, host_valid), answers)
        for pe in range(p.num_pes):
            y, x = divmod(pe, p.pes_x)
            host_en = Signal(name=f"host_en_{pe}")
            hand, hand_pe, hand_valid = hands[p.plane_unit(x, y)]
            m.d.comb += host_en.eq(hand_valid & (hand_pe == pe))
            neighbours = [
                halos[(y + dy) * p.pes_x + x + dx]
                if 0 <= x + dx < p.pes_x and 0 <= y + dy < p.pes_y
                else Const(0, sums)
                for dx, dy in NEIGHBOURS
            ]
            m.submodules[f"pe_{pe}"] = Instance(
                PE_MODULE,
                i_clk=ClockSignal(),
                i_rst=ResetSignal(),
                i_pe_x=Const(x, 4),
                i_pe_y=Const(y, 4),
                i_control=c.as_value(),
                i_weights__payload=listeners.pe_items[pe].payload.as_value(),
                i_weights__valid=listeners.pe_items[pe].valid,
                o_weights__ready=listeners.pe_items[pe].ready,
                o_group_ready=group_ready[pe],
                i_drained=drain.drained,
                i_draining=draining,
                i_loading=loading,
                i_step=drain.step.as_value(),
                i_bias=listeners.pe_biases[pe],
                o_halo_out=halos[pe],
                i_halo_in=Cat(neighbours),
                o_ppu_busy=ppu_busy[pe],
                o_overflow=overflow[pe],
                o_output_lanes=output_lanes[pe],
                o_output_data=self.out_data.word_select(pe, p.mult_i * p.act_bits),
                i_host=hand,
                i_host_en=host_en,
                o_host_data=answers[pe],
                **bus_ports[pe],
            )
        m.d.comb += [
            drain.descriptor.eq(c.descriptor),
            drain.start.eq(c.start),
            # The write port of the activation RAMs is taken by the inputs that still come in.
            drain.ready.eq(group_ready.all() & ~loading),
            # All PEs make the same outputs in the same cycles.
            draining.eq(drain.step.valid | ppu_busy[0]),
            # PEs may have dropped the last blocks before all of their weights have come, and have
            # no weights for the last words on the bus.
            sequencer.pass_done.eq(drain.done & ~ppu_busy[0] & ~streaming.any() & ~bus_busy.any()),
            sequencer.lost.eq(overflow.any()),
            self.lost.eq(sequencer.overflow),
            self.out_valid.eq(output_lanes[0][0]),
            self.out_lanes.eq(output_lanes[0]),
            self.out_pass.eq(c.number),
        ]
        space: Any = self.cmd.payload.command.space
        serve_host(
            m,
            self,
            sequencer.run,
            host,
            host_pe,
            host_valid,
            answers,
            readable=readable_rows(p),
            version=VERSION,
            lost=sequencer.overflow,
            beside=self.loading & ((space == Space.ACT) | (space == Space.DIRECTORY)),
            reads=HOST_READS,
        )
        write = host_valid & host.write
        m.d.comb += [
            sequencer.load_en.eq(write & (host.space == Space.PROGRAM)),
            sequencer.load_row.eq(host.addr),
            sequencer.load_data.eq(host.data),
        ]
        return m

    def _make_plane_ports(
        self, m: Module, hand: tuple[data.View, Signal, Signal], answers: list[Signal]
    ) -> list[tuple[Value, Value, Value]]:
        """Make the ports of the units that move planes; return what is in hand for their PEs."""
        p = self._p
        host, host_pe, host_valid = hand
        hands: list[tuple[Value, Value, Value]] = [(host.as_value(), host_pe, host_valid)]
        for unit in range(1, p.plane_units):
            m.submodules[f"plane_port_{unit}"] = port = PlanePort(p)
            connect(m, flipped(getattr(self, f"cmd_{unit}")), port.cmd)
            connect(m, port.rsp, flipped(getattr(self, f"rsp_{unit}")))
            own = {
                pe: answer
                for pe, answer in enumerate(answers)
                if p.plane_unit(pe % p.pes_x, pe // p.pes_x) == unit
            }
            m.d.comb += port.answer.eq(choose_answer(port.late_pe, own))
            command = Signal(len(host.as_value()), name=f"command_{unit}")
            number, valid = Signal(8, name=f"number_{unit}"), Signal(name=f"valid_{unit}")
            m.d.comb += [
                command.eq(Mux(port.valid, port.host.as_value(), host.as_value())),
                number.eq(Mux(port.valid, port.pe, host_pe)),
                valid.eq(port.valid | host_valid),
            ]
            hands.append((command, number, valid))
        return hands

    def _make_bus(self, m: Module, sequencer: Sequencer, busy: Signal) -> list[dict[str, Any]]:
        """Make the position bus, if there is one, and return what to connect to each PE."""
        p, c = self._p, sequencer.control
        if not p.act_fifo_words:
            return [{}] * p.num_pes
        bus = ActBus(p)
        m.submodules.act_bus = ResetInserter(c.flush)(bus)
        m.d.comb += [bus.descriptor.eq(c.descriptor), bus.start.eq(c.start)]
        return [
            {
                "o_send__payload": send.payload.as_value(),
                "o_send__valid": send.valid,
                "i_send__ready": send.ready,
                "i_receive__payload": receive.payload.as_value(),
                "i_receive__valid": receive.valid,
                "o_receive__ready": receive.ready,
                "o_bus_busy": busy[pe],
            }
            for pe, (send, receive) in enumerate(zip(bus.send, bus.receive, strict=True))
        ]

    def _make_streams(
        self,
        m: Module,
        sequencer: Sequencer,
        drain: Drain,
        streaming: Signal,
        host: data.View,
        host_pe: Signal,
        host_valid: Signal,
    ) -> Broadcast:
        """Make the weight streams, each with its bit of ``streaming``, and what leads to PEs."""
        p, c = self._p, sequencer.control
        m.submodules.broadcast = broadcast = Broadcast(p)
        m.d.comb += [
            broadcast.descriptor.eq(c.descriptor),
            broadcast.start.eq(c.start),
        ]
        m.submodules.route = route = ResetInserter(c.flush)(WeightRoute(p))
        # A command that clears takes effect in the cycle after the one in which it is in hand.
        held = c.flush | (host_valid & host.write & (host.space == Space.CONTROL))
        m.d.comb += [
            route.i.payload.eq(self.weights.payload),
            route.i.valid.eq(self.weights.valid & ~held),
            self.weights.ready.eq(route.i.ready & ~held),
        ]
        # Codebooks and taps are the same in all streams.
        shared = (host.space == Space.CODEBOOK) | (host.space == Space.TAP)
        for number in range(p.num_streams):
            weights = WeightStream(p)
            m.submodules[f"stream_{number}"] = ResetInserter(c.flush)(weights)
            connect(m, route.o[number], weights.beats)
            connect(m, weights.o, broadcast.items[number])
            m.d.comb += [
                weights.descriptor.eq(c.descriptor),
                weights.start.eq(c.start & broadcast.used[number]),
                streaming[number].eq(weights.busy),
                weights.bias_read.eq(drain.bias_read & broadcast.used[number]),
                weights.bias_row.eq(drain.bias_row),
                broadcast.biases[number].eq(weights.bias_data),
                weights.host.eq(host),
                weights.host_en.eq(host_valid & (shared | (host_pe == number))),
            ]
        return broadcast
