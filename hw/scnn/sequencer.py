"""Sequencer: runs the program of descriptors, one pass after the other."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.counters import counter_addr_bits
from zeroskip.hw.common.descriptor_read import DescriptorRead
from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS
from zeroskip.hw.scnn.control import Phase
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORDS, StallClass, descriptor_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Sequencer"]


class _State(enum.Enum, shape=3):
    FLUSH = 0  # empty queues and pipelines
    CLEAR = 1  # sweep accumulators and counters
    IDLE = 2
    START = 3
    TURN = 4  # wait for the next descriptor, and make it the one at work
    WIPE = 5
    BEGIN = 6
    RUN = 7


class Sequencer(wiring.Component):
    """Control of a run: pass by pass, until the descriptor that says ``last``.

    Of a pass, the wait for its descriptor, the wiping of accumulators (``bank_entries`` cycles),
    and the two cycles in which it is made the one at work and begun, are SETUP. The next
    descriptor is read ahead. A ``start`` between runs leaves accumulators, activations, and the
    place where the last pass stopped writing as they are.

    ``start``, ``clear`` and ``clear_counters`` may come at any time, and are done in their order.
    A run that is under way, or still waits for a clearing, is then abandoned, and everything
    cleared: of a run that was cut short, nothing can be kept. A clearing of the counters alone
    touches nothing else, so what comes behind it finds the source RAM and sums as they were.

    Members
    -------
    start : In, run the program; its input is in RAM 0, with ``keep`` in the source RAM.
    clear : In, set all accumulators and counters to 0, and make RAM 0 the source (done after
        reset, too).
    clear_counters : In, set the counters to 0 and leave the rest, unless a run or a clearing of
        all is cut short: then it is a clearing of all.
    running : Out, a run or a clearing is under way.
    source : Out, which activation RAM is the source.
    overflow : Out, outputs of the last run were lost.
    flush : Out, empty everything that is not a memory.
    restart : Out, a run starts: weight streams go back to their first block.
    descriptor, descriptor_number : Out, of the pass at work.
    pass_start : Out, it begins with the next cycle.
    pass_done : In, its outputs are written, or there are none, and its weights have come.
    lost : In, an output found no room.
    phase : Out, for the counters.
    wipe, wipe_entry : Out, set an entry of all banks to its initial value.
    counter_clear, counter_row : Out, clear a counter.
    load_en, load_row, load_data : In, write a word of the program.
    """

    start: Signal
    keep: Signal
    clear: Signal
    clear_counters: Signal
    running: Signal
    source: Signal
    overflow: Signal
    flush: Signal
    restart: Signal
    descriptor: data.View
    descriptor_number: Signal
    pass_start: Signal
    pass_done: Signal
    lost: Signal
    phase: data.View
    wipe: Signal
    wipe_entry: Signal
    counter_clear: Signal
    counter_row: Signal
    load_en: Signal
    load_row: Signal
    load_data: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "start": In(1),
            "keep": In(1),
            "clear": In(1),
            "clear_counters": In(1),
            "running": Out(1),
            "source": Out(1),
            "overflow": Out(1),
            "flush": Out(1),
            "restart": Out(1),
            "descriptor": Out(descriptor_layout(params)),
            "descriptor_number": Out(params.descriptor_addr_bits),
            "pass_start": Out(1),
            "pass_done": In(1),
            "lost": In(1),
            "phase": Out(Phase),
            "wipe": Out(1),
            "wipe_entry": Out(params.entry_addr_bits),
            "counter_clear": Out(1),
            "counter_row": Out(counter_addr_bits(params, StallClass)),
            "load_en": In(1),
            "load_row": In(params.descriptor_addr_bits + 2),
            "load_data": In(DESCRIPTOR_WORD_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        p, now, layout = self._p, self.descriptor, descriptor_layout(self._p)
        m = Module()
        m.submodules.descriptor_read = reader = DescriptorRead(
            layout, DESCRIPTOR_WORDS, p.num_descriptors
        )
        ahead, number = reader.descriptor, self.descriptor_number
        state = Signal(_State, init=_State.FLUSH)
        # What a clearing is for: to start anew, and (gentle) to clear the counters only.
        restart = Signal()
        gentle = Signal()
        # Sums, the source RAM and its end are those that the last run left.
        intact = ~self.running | (gentle & ~restart)
        sweep = Signal(max(p.entry_addr_bits, counter_addr_bits(p, StallClass)))
        m.d.comb += [
            # The last run's last descriptor is still there when the next run starts.
            reader.flush.eq(self.flush | self.restart),
            reader.load_en.eq(self.load_en),
            reader.load_row.eq(self.load_row),
            reader.load_data.eq(self.load_data),
            self.running.eq(state != _State.IDLE),
            self.wipe_entry.eq(sweep),
            self.counter_row.eq(sweep),
        ]
        # Registers keep what begins a pass out of the program memory's address path.
        m.d.sync += [
            reader.first.eq(self.restart),
            reader.next.eq(self.pass_start & ~now.last),
        ]
        with m.If(self.lost):
            m.d.sync += self.overflow.eq(1)
        with m.Switch(state):
            with m.Case(_State.FLUSH):
                m.d.comb += self.flush.eq(1)
                m.d.sync += [sweep.eq(0), number.eq(0), now.eq(0), self.overflow.eq(0)]
                m.d.sync += [self.source.eq(0), state.eq(_State.CLEAR)]
            with m.Case(_State.CLEAR):
                m.d.comb += [self.wipe.eq(~gentle), self.counter_clear.eq(1)]
                m.d.sync += sweep.eq(sweep + 1)
                with m.If(sweep.all()):
                    m.d.sync += [gentle.eq(0), state.eq(Mux(restart, _State.START, _State.IDLE))]
            with m.Case(_State.START):
                m.d.comb += [self.phase.eq(Phase.SETUP), self.restart.eq(1)]
                m.d.sync += [self.overflow.eq(0), state.eq(_State.TURN)]
            with m.Case(_State.TURN):
                m.d.comb += self.phase.eq(Phase.SETUP)
                with m.If(reader.valid):
                    m.d.sync += [now.eq(ahead), sweep.eq(0)]
                    m.d.sync += state.eq(Mux(ahead.wipe, _State.WIPE, _State.BEGIN))
            with m.Case(_State.WIPE):
                m.d.comb += [self.phase.eq(Phase.SETUP), self.wipe.eq(1)]
                m.d.sync += sweep.eq(sweep + 1)
                with m.If(sweep == p.bank_entries - 1):
                    m.d.sync += state.eq(_State.BEGIN)
            with m.Case(_State.BEGIN):
                m.d.comb += [self.phase.eq(Phase.SETUP), self.pass_start.eq(1)]
                m.d.sync += state.eq(_State.RUN)
            with m.Case(_State.RUN):
                m.d.comb += self.phase.eq(Phase.RUN)
                with m.If(self.pass_done):
                    m.d.sync += [
                        self.source.eq(self.source ^ now.swap),
                        number.eq(Mux(now.last, 0, number + 1)),
                        state.eq(Mux(now.last, _State.IDLE, _State.TURN)),
                    ]
        spare = intact & ~self.clear
        with m.If(self.clear | self.clear_counters | (self.start & self.running)):
            m.d.sync += [
                restart.eq(self.start),
                gentle.eq(spare),
                sweep.eq(0),
                state.eq(Mux(spare, _State.CLEAR, _State.FLUSH)),
            ]
        with m.Elif(self.start):
            m.d.sync += state.eq(_State.START)
        with m.If(self.start & ~self.keep):
            m.d.sync += self.source.eq(0)
        return m
