"""Central control unit: makes the passes of a run."""

from typing import Any

from amaranth.hdl import C, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.common.counters import counter_addr_bits
from zeroskip.hw.common.descriptor_read import DescriptorRead
from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS, CellKind
from zeroskip.hw.common.run_control import RunControl, RunSignature
from zeroskip.hw.eie.cell_drain import CellDrain
from zeroskip.hw.eie.codebook_load import CodebookLoad
from zeroskip.hw.eie.control import Phase, control_layout
from zeroskip.hw.eie.drain import Drain
from zeroskip.hw.eie.formats import DESCRIPTOR_WORDS, descriptor_layout
from zeroskip.hw.eie.host import stall_classes
from zeroskip.hw.eie.params import EieParams

__all__ = ["Ccu", "sweep_bits"]

_READ_CYCLES = DESCRIPTOR_WORDS + 8
"""Cycles in which the first descriptor is read, and its codebook begun, at most."""


def sweep_bits(p: EieParams) -> int:
    """Return the width of the addresses that a clearing goes through.

    Those of accumulators and counters; and a clearing is not over before the program's first
    descriptor and codebook have been read. It does not wait for them, as after a reset they may be
    whatever the memories hold: it is long enough.
    """
    read = (_READ_CYCLES + (0 if p.plain else p.num_codes)).bit_length()
    return max(p.acc_addr_bits, counter_addr_bits(p, stall_classes(p)), read)


class Ccu(wiring.Component):
    """Control of the passes of a run (EIE, section IV, "Central Control Unit").

    A pass scans the source file and broadcasts every non-zero activation, waits until every queue
    and pipeline is empty, and drains. Meanwhile the next descriptor and its codebook are read: the
    next pass begins in the cycle after this one. Behind the last pass of a program comes the
    first. So a run that follows a clearing, or a run, finds its first pass ready. What a host
    writes to program or codebooks makes all be read anew, from the first descriptor on.

    Members
    -------
    run : ``In(RunSignature())``, commands, see :class:`.RunControl`. The source is an activation
        file.
    control : Out, to all PEs, see ``control_layout``.
    codebook : Out, to all PEs, the weights, unless they are plain; changes as a pass begins.
    pass_start, pass_descriptor : Out, begin the scan of a pass.
    pass_done : In, the scan is over, and no PE has work in a queue or pipeline.
    load_program, load_codebook, load_row, load_data : In, write a word of a descriptor, or a
        weight.
    free : Out, of three activation files, the one that is neither source nor destination, as it
        is from the next cycle on.
    taken : In, of three: the destination is in use, and the drain waits.
    at_work, drains : Out, of three: a run is under way; the pass at work drains.
    made : Out, of three: the row of the destination behind the last that a pass has written.
    """

    run: Any
    control: data.View
    codebook: Signal
    pass_start: Signal
    pass_descriptor: data.View
    pass_done: Signal
    load_program: Signal
    load_codebook: Signal
    load_row: Signal
    load_data: Signal
    free: Signal
    taken: Signal
    at_work: Signal
    drains: Signal
    made: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        files = {
            "free": Out(params.file_bits),
            "taken": In(1),
            "at_work": Out(1),
            "drains": Out(1),
            "made": Out(params.act_addr_bits),
        }
        super().__init__({
            **(files if params.streams else {}),
            "run": In(RunSignature(params.act_files, sequences=params.cells)),
            "control": Out(control_layout(params)),
            **({} if params.plain else {"codebook": Out(params.codebook_bits)}),
            "pass_start": Out(1),
            "pass_descriptor": Out(descriptor_layout(params)),
            "pass_done": In(1),
            "load_program": In(1),
            "load_codebook": In(1),
            "load_row": In(params.descriptor_addr_bits + params.code_bits),
            "load_data": In(DESCRIPTOR_WORD_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        """Make the parts and connect them: longer than other functions, but a list of wires."""
        p, c, layout = self._p, self.control, descriptor_layout(self._p)
        m = Module()
        m.submodules.run_control = runs = RunControl(
            sweep_bits(p), p.descriptor_addr_bits, p.act_files, sequences=p.cells
        )
        m.submodules.descriptor_read = reader = DescriptorRead(
            layout, DESCRIPTOR_WORDS, p.num_descriptors
        )
        m.submodules.drain = drain = Drain(p)
        now = Signal(layout, reset_less=True)
        ahead = reader.descriptor
        draining = Signal()
        starts = Signal()
        drains: tuple[Any, ...] = (drain,)
        is_cell: Value = C(0, 1)
        if p.cells:
            is_cell = now.cell != CellKind.NONE
            drains = drain, self._drain_cells(m, drain, now, runs.fresh, starts, is_cell)
        else:
            m.d.comb += drain.start.eq(starts)

        def made_by(name: str) -> Value:
            """Return a signal of the drain that is at work."""
            outputs, *units = (getattr(one, name) for one in drains)
            return Mux(is_cell, units[0], outputs) if units else outputs

        # What the reader has, or reads, is what comes next.
        ordered, anew = Signal(), Signal()
        m.d.comb += anew.eq(runs.flush | self.load_program | self.load_codebook)
        m.d.sync += ordered.eq(~anew)
        connect(m, flipped(self.run), runs.run)
        m.d.comb += [
            runs.ready.eq(reader.valid if p.plain else self._load_codebooks(m, reader, runs, anew)),
            runs.swap.eq(now.swap),
            runs.last.eq(now.last),
            reader.flush.eq(anew),
            reader.first.eq((~ordered & ~anew) | (runs.turn & ahead.last)),
            reader.next.eq(runs.turn & ~ahead.last),
            reader.load_en.eq(self.load_program),
            reader.load_row.eq(self.load_row),
            reader.load_data.eq(self.load_data),
            drain.rows.eq(now.drain_rows),
            *(one.flush.eq(runs.flush) for one in drains),
            *(one.bias_base.eq(now.bias_base) for one in drains),
            *(one.dst_base.eq(now.dst_base) for one in drains),
            self.pass_start.eq(runs.turn),
            self.pass_descriptor.eq(ahead),
            c.flush.eq(runs.flush),
            c.source.eq(self.run.source),
            c.acc_read.eq(made_by("acc_read")),
            c.acc_row.eq(made_by("acc_row")),
            c.bias_row.eq(made_by("bias_row")),
            c.clear.eq(runs.clear_sums | made_by("clear")),
            c.clear_row.eq(Mux(runs.clear_sums, runs.sweep, made_by("clear_row"))),
            c.act_write.eq(made_by("write")),
            c.act_row.eq(made_by("write_row")),
            c.counter_clear.eq(runs.counter_clear),
            c.counter_row.eq(runs.sweep),
            c.shift.eq(now.shift),
            c.activation.eq(now.activation),
            c.descriptor.eq(runs.number),
        ]
        if p.streams:
            m.d.comb += [
                self.free.eq(runs.free),
                c.destination.eq(runs.destination),
                self.at_work.eq(self.run.counting),
                self.drains.eq(draining),
                self.made.eq(made_by("write_row")),
            ]
        with m.If(runs.turn):
            m.d.sync += now.eq(ahead)
        self._set_phase(m, runs, now, draining, starts, made_by("done"))
        return m

    def _drain_cells(
        self, m: Module, drain: Drain, now: Any, fresh: Value, starts: Value, is_cell: Value
    ) -> CellDrain:
        """Add the drain of hidden units, which takes the place of ``drain`` where cells are made.

        Parameters
        ----------
        now : descriptor of the pass at work.
        fresh : its run begins a sequence.
        starts, is_cell : a drain starts; it is one of cells.
        """
        c = self.control
        m.submodules.cell_drain = cell_drain = CellDrain(self._p)
        m.d.comb += [
            drain.start.eq(starts & ~is_cell),
            cell_drain.start.eq(starts & is_cell),
            cell_drain.kind.eq(now.cell),
            cell_drain.units.eq(now.drain_rows),
            cell_drain.state_base.eq(now.state_base),
            c.cells.eq(cell_drain.cells),
            c.cells.recur.eq(now.recur),
            c.cells.blank.eq(now.past & fresh),
            c.cells.begin.eq(fresh),
        ]
        if self._p.delta:
            m.d.comb += [c.cells.delta.eq(now.delta), c.cells.threshold.eq(now.threshold)]
        return cell_drain

    def _set_phase(
        self,
        m: Module,
        runs: RunControl,
        now: Any,
        draining: Signal,
        starts: Signal,
        done: Value,
    ) -> None:
        """Go from a pass's computing to its drain, and from that to its end.

        Parameters
        ----------
        runs, now : the run's control, and the descriptor of its pass at work.
        draining : set while the pass drains.
        starts : set when a drain is to start.
        done : the drain at work is done.
        """
        c = self.control
        with m.If(runs.setup):
            m.d.comb += c.phase.eq(Phase.SETUP)
        with m.Elif(runs.working & ~draining):
            m.d.comb += c.phase.eq(Phase.COMPUTE)
            # Every queue and pipeline is empty, not merely silent: then nothing is lost.
            over = self.pass_done
            if self._p.streams:
                over &= ~(now.drain & self.taken)
            with m.If(over):
                m.d.comb += [starts.eq(now.drain), runs.done.eq(~now.drain)]
                m.d.sync += draining.eq(now.drain)
        with m.Elif(runs.working):
            m.d.comb += [c.phase.eq(Phase.DRAIN), runs.done.eq(done)]
            m.d.sync += draining.eq(~done)
        with m.If(runs.flush):
            m.d.sync += draining.eq(0)

    def _load_codebooks(
        self, m: Module, reader: DescriptorRead, runs: RunControl, forget: Value
    ) -> Value:
        """Read the codebook of the next pass ahead; return whether it is there."""
        m.submodules.codebook_load = codebooks = CodebookLoad(self._p)
        m.d.comb += [
            codebooks.forget.eq(forget),
            codebooks.load_en.eq(self.load_codebook),
            codebooks.load_row.eq(self.load_row),
            codebooks.load_data.eq(self.load_data),
            codebooks.codebook.eq(reader.descriptor.codebook),
            codebooks.last_code.eq(reader.descriptor.last_code),
            codebooks.valid.eq(reader.valid),
            codebooks.turn.eq(runs.turn),
            self.codebook.eq(codebooks.weights),
        ]
        return codebooks.ready
