"""Registers: what a processor sees of the system, over AXI4-Lite, and the interrupt."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.bus.register_file import RegisterFile
from zeroskip.hw.common.formats import COUNTER_BITS
from zeroskip.hw.system.axi import AxiLite
from zeroskip.hw.system.jobs import ADDRESS_BITS, failure_layout, list_layout, window_layout
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import REGISTER_BITS, system_registers

__all__ = ["Registers"]


class Registers(wiring.Component):
    """The system behind its :class:`.RegisterFile`.

    Parameters
    ----------
    params : of the port to memory.
    sizes : of the arrays, see :func:`.engine_sizes`.

    Members
    -------
    axi : ``In(AxiLite)``.
    interrupt : Out.
    start, listed : Out, queue a list.
    ready : In, it would be.
    left : In, an inference is queued or under way.
    halt : Out, abandon them.
    done, failed : In, an inference is done; all were abandoned.
    failure : In, why.
    count, cycles : In, inferences that were done, and cycles of the last.
    beat_read, beat_written : In, the memory gives a beat; it takes one.
    rerun : In, an inference is begun again.
    window : Out, what may be read and written; a cycle behind the registers.
    """

    axi: Any
    interrupt: Signal
    start: Signal
    listed: Any
    ready: Signal
    left: Signal
    halt: Signal
    done: Signal
    failed: Signal
    failure: Any
    count: Signal
    cycles: Signal
    beat_read: Signal
    beat_written: Signal
    rerun: Signal
    window: Any

    def __init__(self, params: SystemParams, sizes: Mapping[str, int]) -> None:
        self._description = system_registers(params, sizes)
        super().__init__({
            "axi": In(AxiLite(REGISTER_BITS)),
            "interrupt": Out(1),
            "start": Out(1),
            "listed": Out(list_layout()),
            "ready": In(1),
            "left": In(1),
            "halt": Out(1),
            "done": In(1),
            "failed": In(1),
            "failure": In(failure_layout()),
            "count": In(COUNTER_BITS),
            "cycles": In(COUNTER_BITS),
            "beat_read": In(1),
            "beat_written": In(1),
            "rerun": In(1),
            "window": Out(window_layout()),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.file = file = RegisterFile(self._description)
        connect(m, flipped(self.axi), file.axi)
        held, shown, came, asked = file.held, file.shown, file.came, file.asked
        base = _checked(Cat(held.window, held.window_high))
        size = _checked(Cat(held.window_bytes, held.window_bytes_high))
        m.d.sync += [self.window.base.eq(base), self.window.end.eq(base + size)]

        # An inference that is done is started again as soon as there is room.
        again, again_now, was_ready = Signal(), Signal(), Signal(init=1)
        m.d.comb += [
            again_now.eq((again | self.done) & held.control_auto_restart),
            self.start.eq((asked.control_ap_start | again_now) & self.ready),
            self.halt.eq(asked.control_stop & self.left),
        ]
        m.d.sync += [again.eq(again_now & ~self.start & ~self.failed), was_ready.eq(self.ready)]
        error = Signal(failure_layout())
        with m.If(self.failed):
            m.d.sync += error.eq(self.failure)
        with m.Elif(self.start):
            m.d.sync += error.eq(0)
        counters: dict[str, tuple[Value, Value]] = {
            name: (Signal(COUNTER_BITS, name=name), event)
            for name, event in (
                ("busy_cycles", self.left),
                ("beats_read", self.beat_read),
                ("beats_written", self.beat_written),
                ("reruns", self.rerun),
            )
        }
        for name, (counter, event) in counters.items():
            m.d.sync += counter.eq(counter + event)
            m.d.comb += shown[name].eq(counter)
        m.d.comb += [
            self.listed.addr.eq(_checked(Cat(held.list, held.list_high))),
            self.listed.bytes.eq(held.list_bytes),
            self.listed.input.eq(_checked(Cat(held.input, held.input_high))),
            self.listed.output.eq(_checked(Cat(held.output, held.output_high))),
            file.busy.eq(self.left),
            shown.control_ap_start.eq(self.left),
            shown.control_ap_idle.eq(~self.left),
            shown.control_ap_ready.eq(self.ready),
            came.control_ap_done.eq(self.done),
            came.control_refused.eq(file.refused | asked.control_ap_start & ~self.ready),
            came.isr_done.eq(self.done & held.ier_done),
            came.isr_ready.eq(self.ready & ~was_ready & held.ier_ready),
            came.isr_error.eq(self.failed & held.ier_error),
            self.interrupt.eq(held.gie_enable & (held.isr_done | held.isr_ready | held.isr_error)),
            shown.error_code.eq(error.error),
            shown.error_command.eq(error.number),
            shown.done.eq(self.count),
            shown.cycles.eq(self.cycles),
        ]
        return m


def _checked(address: Value) -> Value:
    """Return the bits of an address that are looked at, and one for all that are higher."""
    return Cat(address[: ADDRESS_BITS - 1], address[ADDRESS_BITS - 1 :].any())
