"""Central control unit: runs the program of descriptors."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.counters import counter_addr_bits
from zeroskip.hw.common.descriptor_read import DescriptorRead
from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS
from zeroskip.hw.eie.codebook_load import CodebookLoad
from zeroskip.hw.eie.control import Phase, control_layout
from zeroskip.hw.eie.drain import Drain
from zeroskip.hw.eie.formats import DESCRIPTOR_WORDS, StallClass, descriptor_layout
from zeroskip.hw.eie.params import EieParams

__all__ = ["Ccu"]


class _State(enum.Enum, shape=3):
    FLUSH = 0  # empty queues and pipelines
    CLEAR = 1  # sweep accumulators and counters
    IDLE = 2
    START = 3
    TURN = 4  # wait for the next descriptor, and make it the one at work
    COMPUTE = 5
    DRAIN = 6


class Ccu(wiring.Component):
    """Control of a run (EIE, section IV, "Central Control Unit").

    A run goes through the program from descriptor 0: scan the source files, broadcast every
    non-zero activation, wait until every queue and pipeline is empty, drain. The next
    descriptor is read ahead, and its codebook loaded while outputs drain.

    ``start``, ``clear`` and ``clear_counters`` may come at any time, and are done in their order.
    A run that is under way, or still waits for a clearing, is then abandoned, and everything
    cleared: of a run that was cut short, nothing can be kept. A clearing of the counters alone
    touches nothing else, so what comes behind it finds source file and sums as they were.

    Members
    -------
    start : In, run the program; its input is in file 0, with ``keep`` in the source file.
    clear : In, set all accumulators and counters to 0, and make file 0 the source (done after
        reset, too).
    clear_counters : In, set the counters to 0; source file and accumulators stay, unless a run
        or a clearing of all is cut short: then it is a clearing of all.
    running : Out, a run or a clearing is under way.
    source : Out, the source file; once ``running`` is low, the file that holds the result.
    control : Out, to all PEs, see ``control_layout``.
    codebook : Out, to all PEs, the weights; changes only while no PE has work.
    pass_start, pass_descriptor : Out, begin the scan of a pass.
    pass_done : In, the scan is over, and no PE has work in a queue or pipeline.
    load_program, load_codebook, load_row, load_data : In, write half a descriptor or a weight.
    """

    start: Signal
    keep: Signal
    clear: Signal
    clear_counters: Signal
    running: Signal
    source: Signal
    control: data.View
    codebook: Signal
    pass_start: Signal
    pass_descriptor: data.View
    pass_done: Signal
    load_program: Signal
    load_codebook: Signal
    load_row: Signal
    load_data: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        super().__init__({
            "start": In(1),
            "keep": In(1),
            "clear": In(1),
            "clear_counters": In(1),
            "running": Out(1),
            "source": Out(1),
            "control": Out(control_layout(params)),
            "codebook": Out(params.num_codes * params.weight_bits),
            "pass_start": Out(1),
            "pass_descriptor": Out(descriptor_layout(params)),
            "pass_done": In(1),
            "load_program": In(1),
            "load_codebook": In(1),
            "load_row": In(params.descriptor_addr_bits + params.code_bits),
            "load_data": In(DESCRIPTOR_WORD_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        p, layout = self._p, descriptor_layout(self._p)
        m = Module()
        m.submodules.descriptor_read = reader = DescriptorRead(
            layout, DESCRIPTOR_WORDS, p.num_descriptors
        )
        m.submodules.codebook_load = codebooks = CodebookLoad(p)
        m.submodules.drain = drain = Drain(p)
        now = Signal(layout, reset_less=True)
        ahead = reader.descriptor
        flush = Signal()
        c = self.control

        state = Signal(_State, init=_State.FLUSH)
        finish = Signal()
        number = Signal(p.descriptor_addr_bits)
        # What a clearing is for: to start anew, and (gentle) to clear the counters only.
        restart = Signal()
        gentle = Signal()
        # Sums and source file are those that the last run left.
        intact = ~self.running | (gentle & ~restart)
        sweep = Signal(max(p.acc_addr_bits, counter_addr_bits(p, StallClass)))
        m.d.comb += [
            reader.flush.eq(flush),
            reader.load_en.eq(self.load_program),
            reader.load_row.eq(self.load_row),
            reader.load_data.eq(self.load_data),
            codebooks.forget.eq(flush),
            codebooks.load_en.eq(self.load_codebook),
            codebooks.load_row.eq(self.load_row),
            codebooks.load_data.eq(self.load_data),
            drain.flush.eq(flush),
            drain.rows.eq(now.drain_rows),
            drain.bias_base.eq(now.bias_base),
            drain.dst_base.eq(now.dst_base),
            self.pass_descriptor.eq(ahead),
            codebooks.codebook.eq(ahead.codebook),
            codebooks.last_code.eq(ahead.last_code),
            c.flush.eq(flush),
            c.source.eq(self.source),
            self.codebook.eq(codebooks.weights),
            c.hold.eq(codebooks.loading),
            c.acc_read.eq(drain.acc_read),
            c.acc_row.eq(drain.acc_row),
            c.bias_row.eq(drain.bias_row),
            c.clear.eq(drain.clear),
            c.clear_row.eq(drain.clear_row),
            c.act_write.eq(drain.write),
            c.act_row.eq(drain.write_row),
            c.counter_row.eq(sweep),
            c.shift.eq(now.shift),
            c.activation.eq(now.activation),
            c.descriptor.eq(number),
        ]
        m.d.comb += self.running.eq(state != _State.IDLE)
        with m.Switch(state):
            with m.Case(_State.FLUSH):
                m.d.comb += flush.eq(1)
                m.d.sync += [sweep.eq(0), number.eq(0), state.eq(_State.CLEAR)]
                with m.If(~gentle):
                    m.d.sync += self.source.eq(0)
            with m.Case(_State.CLEAR):
                m.d.comb += [c.clear.eq(~gentle), c.clear_row.eq(sweep), c.counter_clear.eq(1)]
                m.d.sync += sweep.eq(sweep + 1)
                with m.If(sweep.all()):
                    m.d.sync += [gentle.eq(0), state.eq(Mux(restart, _State.START, _State.IDLE))]
            with m.Case(_State.START):
                m.d.comb += [c.phase.eq(Phase.SETUP), reader.first.eq(1), codebooks.forget.eq(1)]
                m.d.sync += state.eq(_State.TURN)
            with m.Case(_State.TURN):
                m.d.comb += c.phase.eq(Phase.SETUP)
                with m.If(reader.valid):
                    m.d.comb += [self.pass_start.eq(1), reader.next.eq(~ahead.last)]
                    # Already there if it was loaded during the drain of the pass before.
                    m.d.comb += codebooks.load.eq(1)
                    m.d.sync += [now.eq(ahead), state.eq(_State.COMPUTE)]
            with m.Case(_State.COMPUTE):
                # The codebook is the wanted one since the cycle before: it may not be whole yet.
                m.d.comb += c.phase.eq(Mux(codebooks.loading, Phase.SETUP, Phase.COMPUTE))
                # Every queue and pipeline is empty, not merely silent: then nothing is lost.
                with m.If(self.pass_done & ~codebooks.loading):
                    m.d.comb += [drain.start.eq(now.drain), finish.eq(~now.drain)]
                    m.d.sync += state.eq(_State.DRAIN)
            with m.Case(_State.DRAIN):
                m.d.comb += [
                    c.phase.eq(Phase.DRAIN),
                    codebooks.load.eq(reader.valid),
                    finish.eq(drain.done),
                ]
        with m.If(finish):
            m.d.sync += [
                self.source.eq(self.source ^ now.swap),
                number.eq(Mux(now.last, 0, number + 1)),
                state.eq(Mux(now.last, _State.IDLE, _State.TURN)),
            ]
        with m.If(self.clear | self.clear_counters | (self.start & self.running)):
            m.d.sync += [
                restart.eq(self.start),
                gentle.eq(intact & ~self.clear),
                state.eq(_State.FLUSH),
            ]
        with m.Elif(self.start):
            m.d.sync += state.eq(_State.START)
        with m.If(self.start & ~self.keep):
            m.d.sync += self.source.eq(0)
        return m
