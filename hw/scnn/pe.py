"""Processing element: F x I multipliers with their weights, activations and accumulators."""

from amaranth.hdl import Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.common.counters import Counters
from zeroskip.hw.scnn.accumulators import Accumulators
from zeroskip.hw.scnn.act_ram import ActRam
from zeroskip.hw.scnn.act_read import ActRead
from zeroskip.hw.scnn.control import Phase, control_layout
from zeroskip.hw.scnn.formats import (
    Space,
    StallClass,
    bus_word_layout,
    host_bits,
    host_layout,
    item_layout,
    step_layout,
)
from zeroskip.hw.scnn.groups import Groups
from zeroskip.hw.scnn.multiplier_array import MultiplierArray
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.ppu import Ppu
from zeroskip.hw.scnn.scatter import Scatter
from zeroskip.hw.scnn.weight_fifo import WeightFifo

__all__ = ["ScnnPe"]


class ScnnPe(wiring.Component):
    """One PE of the array (SCNN, figure 6).

    Weights and activations meet in the multiplier array; products go through the scatter network
    to the accumulator banks; the post-processing unit makes outputs of finished accumulators,
    its own and those of neighbours, and compresses them into the activation RAM.

    Members
    -------
    pe_x, pe_y : In, place in the grid, constant.
    control : In, from the sequencer, see ``control_layout``.
    weights : ``In(stream(item_layout))``, the broadcast; ``ready`` depends on the state alone.
    group_ready : Out, a finished set of accumulators waits to be drained.
    drained : In, it has been.
    draining : In, the array's drain is at work, for the counters.
    loading : In, see :class:`.ActRam`.
    step, bias : In, step of the drain in this cycle, and bias of its output channel.
    halo_out : Out, the accumulators that were read by the step of the cycle before, a lane each.
    halo_in : In, ``halo_out`` of the neighbours (dx, dy) = (-1, -1), (0, -1), (1, -1), (-1, 0),
        (1, 0), (-1, 1), (0, 1), (1, 1); 0 where there is none.
    ppu_busy : Out, outputs are on their way to the activation RAM.
    overflow : Out, one of them found no room and is lost.
    output_lanes, output_data : Out, every output of the walk, in order, in the same cycle in all
        PEs, up to I a cycle.
    send, receive : ``Out``, ``In(stream(bus_word_layout))``, the position bus, if there is one.
    bus_busy : Out, words of the pass are on their way to this PE.
    host, host_en : In, a host command for this PE; while there is a run, only writes of activations
        that it waits for.
    host_data : Out, answer to a command that read in the cycle before.
    """

    pe_x: Signal
    pe_y: Signal
    control: data.View
    weights: stream.Interface
    group_ready: Signal
    drained: Signal
    draining: Signal
    loading: Signal
    step: data.View
    bias: Signal
    halo_out: data.View
    halo_in: data.View
    ppu_busy: Signal
    overflow: Signal
    output_lanes: Signal
    output_data: data.View
    send: stream.Interface
    receive: stream.Interface
    bus_busy: Signal
    host: data.View
    host_en: Signal
    host_data: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = p = params
        acc = signed(p.acc_bits)
        sums = data.ArrayLayout(acc, p.mult_i)
        words = stream.Signature(bus_word_layout(p))
        bus = {"send": Out(words), "receive": In(words), "bus_busy": Out(1)}
        super().__init__({
            "pe_x": In(4),
            "pe_y": In(4),
            "control": In(control_layout(p)),
            "weights": In(stream.Signature(item_layout(p))),
            "group_ready": Out(1),
            "drained": In(1),
            "draining": In(1),
            "loading": In(1),
            "step": In(step_layout(p)),
            "bias": In(acc),
            "halo_out": Out(sums),
            "halo_in": In(data.ArrayLayout(sums, 8)),
            "ppu_busy": Out(1),
            "overflow": Out(1),
            "output_lanes": Out(p.mult_i),
            "output_data": Out(data.ArrayLayout(signed(p.act_bits), p.mult_i)),
            "host": In(host_layout(p)),
            "host_en": In(1),
            "host_data": Out(host_bits(p)),
            **(bus if p.act_fifo_words else {}),
        })

    def elaborate(self, platform: object) -> Module:
        p, c, work = self._p, self.control, self.control.descriptor
        m = Module()
        flushed = ResetInserter(c.flush)
        fifo, acts, mults, scatter = WeightFifo(p), ActRead(p), MultiplierArray(p), Scatter(p)
        accs, groups, ram, ppu = Accumulators(p), Groups(p), ActRam(p), Ppu(p)
        m.submodules.weight_fifo = flushed(fifo)
        m.submodules.act_read = flushed(acts)
        m.submodules.multiplier_array = flushed(mults)
        m.submodules.scatter = flushed(scatter)
        m.submodules.accumulators = flushed(accs)
        m.submodules.group_turns = flushed(groups)
        m.submodules.ppu = flushed(ppu)
        m.submodules.act_ram = ram

        connect(m, flipped(self.weights), fifo.i)
        connect(m, fifo.header, acts.i)
        connect(m, acts.o, mults.acts)
        bus_wait = Signal()
        if p.act_fifo_words:
            connect(m, acts.send, flipped(self.send))
            connect(m, flipped(self.receive), acts.receive)
            m.d.comb += [
                self.bus_busy.eq(acts.bus_busy),
                bus_wait.eq(work.bus & fifo.header.valid & ~acts.o.valid),
            ]
        m.d.comb += [
            fifo.needed.eq(acts.needed),
            fifo.row.eq(mults.row),
            acts.descriptor.eq(work),
            acts.start.eq(c.start),
            acts.next_block.eq(fifo.next_block),
            acts.directory.eq(ram.directory),
            acts.word.eq(ram.word),
            mults.coming.eq(fifo.coming),
            mults.weights.eq(fifo.weights),
            mults.open.eq(groups.open),
            mults.set.eq(groups.set),
            mults.ready.eq(scatter.ready),
            scatter.valid.eq(mults.valid),
            scatter.set.eq(mults.products_set),
        ]
        for to_row, from_row in zip(scatter.products, mults.products, strict=True):
            for to, product in zip(to_row, from_row, strict=True):
                connect(m, product, to)
        for to, head in zip(accs.heads, scatter.heads, strict=True):
            connect(m, head, to)
        m.d.comb += [
            groups.start.eq(c.start),
            groups.groups.eq(work.groups),
            groups.swap.eq(work.drain),
            groups.ended.eq(mults.ended),
            groups.drained.eq(self.drained),
            groups.waiting.eq(mults.waiting | scatter.waiting | accs.waiting),
            self.group_ready.eq(groups.group_ready),
            accs.maximum.eq(work.maximum),
            accs.init_min.eq(work.init_min),
            accs.read.eq(Mux(self.step.valid, self.step.lanes, 0)),
            accs.read_addr.eq(self.step.addr),
            accs.read_step.eq(self.step.spacing),
            accs.read_set.eq(groups.finished_set),
            accs.read_pairs.eq(self.step.pairs),
            accs.wipe.eq(c.wipe),
            accs.wipe_entry.eq(c.wipe_entry),
        ]

        # The step goes on with what it has read.
        m.d.sync += [ppu.step.eq(self.step), ppu.bias.eq(self.bias)]
        m.d.comb += [
            self.halo_out.eq(accs.read_data),
            ppu.own.eq(accs.read_data),
            ppu.greater.eq(accs.greater),
            ppu.halo_in.eq(self.halo_in),
            ppu.pe_x.eq(self.pe_x),
            ppu.pe_y.eq(self.pe_y),
            ppu.descriptor.eq(work),
            ppu.start.eq(c.start),
            self.ppu_busy.eq(ppu.busy),
            self.overflow.eq(ppu.overflow),
            self.output_lanes.eq(ppu.output_lanes),
            self.output_data.eq(ppu.output_data),
        ]
        self._connect_ram(m, acts, ram, ppu)
        if p.counters:
            self._count(m, mults, groups, ram, bus_wait)
        else:
            m.d.comb += self.host_data.eq(ram.host_answer)
        return m

    def _connect_ram(self, m: Module, acts: ActRead, ram: ActRam, ppu: Ppu) -> None:
        """Let the activation RAM be read, written, and served to the host."""
        host = self.host
        m.d.comb += [
            ram.directory_en.eq(acts.directory_en),
            ram.directory_row.eq(acts.directory_row),
            ram.loading.eq(self.loading),
            acts.absent.eq(ram.absent),
            ram.word_en.eq(acts.word_en),
            ram.word_row.eq(acts.word_row),
            ram.act_write.eq(ppu.act_write),
            ram.act_addr.eq(ppu.act_addr),
            ram.act_data.eq(ppu.act_data),
            ram.dir_write.eq(ppu.dir_write),
            ram.dir_addr.eq(ppu.dir_addr),
            ram.dir_data.eq(ppu.dir_data),
            ram.host_act.eq(self.host_en & (host.space == Space.ACT)),
            ram.host_dir.eq(self.host_en & (host.space == Space.DIRECTORY)),
            ram.host_write.eq(host.write),
            ram.host_addr.eq(host.addr),
            ram.host_data.eq(host.data),
        ]

    def _count(
        self, m: Module, mults: MultiplierArray, groups: Groups, ram: ActRam, bus_wait: Signal
    ) -> None:
        """Attribute the cycle to a stall class, and answer the host's reads of counters."""
        p, c = self._p, self.control
        m.submodules.counters = counters = Counters(p, StallClass, p.mults)
        stall_class = Signal(StallClass)
        exchange = self.step.valid & ((self.step.dx != 0) | (self.step.dy != 0))
        with m.If(c.phase == Phase.SETUP):
            m.d.comb += stall_class.eq(StallClass.SETUP)
        with m.Elif(mults.issued):
            m.d.comb += stall_class.eq(StallClass.FRAGMENTATION)
        with m.Elif(mults.blocked):
            m.d.comb += stall_class.eq(StallClass.CONFLICT)
        with m.Elif(groups.open & ~groups.done):
            m.d.comb += stall_class.eq(Mux(bus_wait, StallClass.BUS, StallClass.STARVED))
        with m.Elif(self.draining):
            m.d.comb += stall_class.eq(Mux(exchange, StallClass.HALO, StallClass.DRAIN))
        with m.Else():
            m.d.comb += stall_class.eq(StallClass.BARRIER)
        m.d.comb += [
            counters.count.eq(c.phase != Phase.IDLE),
            counters.descriptor.eq(c.number),
            counters.useful.eq(Mux(mults.issued, mults.useful, 0)),
            counters.stall_class.eq(stall_class),
        ]
        answer = counters.serve(m, c, self.host, self.host_en, Space.COUNTER, ram.host_answer)
        m.d.comb += self.host_data.eq(answer)
