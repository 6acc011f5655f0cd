"""Sequencer: makes the passes of a run."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.common.counters import counter_addr_bits
from zeroskip.hw.common.descriptor_read import DescriptorRead, program_row_bits
from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS
from zeroskip.hw.common.run_control import RunControl, RunSignature
from zeroskip.hw.scnn.control import Phase, control_layout
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORDS, StallClass, descriptor_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Sequencer"]


class _Step(enum.Enum, shape=2):
    WIPE = 0
    BEGIN = 1
    RUN = 2


class Sequencer(wiring.Component):
    """Control of the passes of a run.

    Of a pass, the wait for its descriptor, the wiping of accumulators (``bank_entries`` cycles),
    and the two cycles in which it is made the one at work and begun, are SETUP. The next
    descriptor is read ahead. A start between runs leaves accumulators, activations, and the place
    where the last pass stopped writing as they are.

    A run ends behind a pass whose outputs find no room, as what comes would read what is not there.

    Members
    -------
    run : ``In(RunSignature())``, commands, see :class:`.RunControl`. There is one activation RAM,
        and so nothing that ``keep`` changes.
    control : Out, to all PEs, see ``control_layout``.
    pass_done : In, its outputs are written, or there are none, and its weights have come.
    lost : In, an output finds no room; before ``pass_done``.
    overflow : Out, outputs of the last run found none.
    load_en, load_row, load_data : In, write a word of the program.
    """

    run: Any
    control: data.View
    pass_done: Signal
    lost: Signal
    overflow: Signal
    load_en: Signal
    load_row: Signal
    load_data: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "run": In(RunSignature()),
            "control": Out(control_layout(params)),
            "pass_done": In(1),
            "lost": In(1),
            "overflow": Out(1),
            "load_en": In(1),
            "load_row": In(program_row_bits(DESCRIPTOR_WORDS, params.num_descriptors)),
            "load_data": In(DESCRIPTOR_WORD_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        p, c, layout = self._p, self.control, descriptor_layout(self._p)
        m = Module()
        m.submodules.run_control = runs = RunControl(
            max(p.entry_addr_bits, counter_addr_bits(p, StallClass)), p.descriptor_addr_bits
        )
        m.submodules.descriptor_read = reader = DescriptorRead(
            layout, DESCRIPTOR_WORDS, p.num_descriptors
        )
        now, ahead = Signal(layout), reader.descriptor
        step = Signal(_Step)
        entry = Signal(p.entry_addr_bits)
        wiping = Signal()
        connect(m, flipped(self.run), runs.run)
        m.d.comb += [
            runs.ready.eq(reader.valid),
            runs.last.eq(now.last | self.overflow),
            # The last run's last descriptor is still there when the next run begins.
            reader.flush.eq(runs.flush | runs.begin),
            reader.load_en.eq(self.load_en),
            reader.load_row.eq(self.load_row),
            reader.load_data.eq(self.load_data),
            c.flush.eq(runs.flush),
            c.descriptor.eq(now),
            c.number.eq(runs.number),
            c.wipe.eq(runs.clear_sums | wiping),
            c.wipe_entry.eq(entry),
            c.counter_clear.eq(runs.counter_clear),
            c.counter_row.eq(runs.sweep),
        ]
        # Registers keep what begins a pass out of the program memory's address path.
        m.d.sync += [reader.first.eq(runs.begin), reader.next.eq(c.start & ~now.last)]
        with m.If(self.lost):
            m.d.sync += self.overflow.eq(1)
        with m.If(runs.begin):
            m.d.sync += self.overflow.eq(0)
        with m.If(runs.setup):
            m.d.comb += c.phase.eq(Phase.SETUP)
        with m.If(runs.turn | runs.flush):
            m.d.sync += now.eq(Mux(runs.turn, ahead, 0))
        with m.If(runs.turn):
            m.d.sync += step.eq(Mux(ahead.wipe, _Step.WIPE, _Step.BEGIN))
        # A clearing wipes all entries several times, and so ends where it begins.
        with m.If(c.wipe):
            m.d.sync += entry.eq(entry + 1)
        with m.If(runs.working), m.Switch(step):
            with m.Case(_Step.WIPE):
                m.d.comb += [c.phase.eq(Phase.SETUP), wiping.eq(1)]
                with m.If(entry.all()):
                    m.d.sync += step.eq(_Step.BEGIN)
            with m.Case(_Step.BEGIN):
                m.d.comb += [c.phase.eq(Phase.SETUP), c.start.eq(1)]
                m.d.sync += step.eq(_Step.RUN)
            with m.Case(_Step.RUN):
                m.d.comb += [c.phase.eq(Phase.RUN), runs.done.eq(self.pass_done)]
        with m.If(runs.flush):
            m.d.sync += [entry.eq(0), self.overflow.eq(0)]
        return m
