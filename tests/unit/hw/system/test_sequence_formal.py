"""Proof, for all inputs and any number of cycles, that Sequence begins every command once.

A bit of a command's row is marked; which one and when is left open, as are all commands, what the
units say, failures and halts. Commands of a kind that have been taken and have not begun, and
their marks, are counted beside the unit.
"""

from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.support.prove import FAILS, PROVED, prove, unstable
from tests.unit.hw.system.system_bench import ENGINE
from zeroskip.hw.system.formats import Error, Op
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.sequence import LOADS, Sequence

pytest.importorskip("pyosys")

P = SystemParams(data_bits=64, addr_bits=16)
MARK = 5
"""Bit of a command's row that tells one command, the watched one, from the others."""


class WatchedSequence(wiring.Component):
    """Sequence, and what was taken and begun.

    Parameters
    ----------
    lost : say that an OUTPUT begins once more than it does.

    Members
    -------
    bad : Out, a command began that was not taken, or once more, or one that was taken was
        forgotten, though nothing had failed; or what the engine is offered has changed.
    """

    bad: Signal

    def __init__(self, *, lost: bool = False) -> None:
        self._lost = lost
        super().__init__({
            "op": In(3), "mask": In(4), "row": In(6), "wrong": In(1), "parity": In(1),
            "give": In(1), "load_ready": In(1), "load_level": In(range(LOADS + 1)),
            "load_words": In(1), "load_unbegun": In(1), "load_done": In(1), "load_wrong": In(1),
            "store_reading": In(1), "store_done": In(1), "store_wrong": In(1), "ready": In(1),
            "running": In(1), "halt": In(1), "quiet": In(1), "left": In(1), "drains": In(1),
            "bad": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p: Any = self
        m.submodules.dut = dut = Sequence(P, [ENGINE])
        job: Any = dut.i.payload
        ops = (Op.LOAD, Op.INPUT, Op.OUTPUT, Op.CONTROL, Op.END)
        kind = Signal(Op, init=Op.END)
        with m.Switch(p.op):
            for number, op in enumerate(ops):
                with m.Case(number):
                    m.d.comb += kind.eq(op)
        busy = Signal()
        m.d.comb += [
            dut.i.valid.eq(p.give),
            job.op.eq(kind),
            job.wait.eq(p.mask),
            job.row.eq(p.row),
            job.failure.error.eq(Mux(p.wrong, Error.UNKNOWN, Error.NONE)),
            job.failure.parity.eq(p.parity),
            dut.load_ready.eq(p.load_ready),
            dut.load_level.eq(p.load_level),
            dut.load_words.eq(p.load_words),
            dut.load_unbegun.eq(p.load_unbegun),
            dut.load_done.eq(p.load_done),
            dut.load_failure.error.eq(Mux(p.load_wrong, Error.READ, Error.NONE)),
            dut.store_idle.eq(~busy),
            dut.store_reading.eq(busy & p.store_reading),
            dut.store_done.eq(busy & p.store_done),
            dut.store_failure.error.eq(Mux(p.store_wrong, Error.WRITE, Error.NONE)),
            dut.control[0].ready.eq(p.ready),
            dut.running.eq(p.running),
            dut.halt.eq(p.halt),
            dut.quiet.eq(p.quiet),
            dut.left.eq(p.left),
            dut.pass_drains.eq(p.drains),
        ]
        with m.If(dut.store_go):
            m.d.sync += busy.eq(1)
        with m.Elif(p.store_done):
            m.d.sync += busy.eq(0)

        taken = dut.i.valid & dut.i.ready & ~dut.stop
        loads = taken & ((kind == Op.LOAD) | (kind == Op.INPUT))
        sends = dut.control[0].valid & dut.control[0].ready & ~dut.stop
        bad = [
            # LOAD and INPUT begin as they are taken, and no failed command does.
            dut.load_go != loads,
            taken & p.wrong,
            dut.store_go & busy,
            unstable(m, dut.control[0], dut.control[0].payload),
        ]
        for op, begins, row in (
            (Op.OUTPUT, dut.store_go, dut.output.row[MARK]),
            (Op.CONTROL, dut.control[0].valid & dut.control[0].ready, None),
            (Op.END, dut.done, None),
        ):
            waits, marked = Signal(name=f"waits_{op.name}"), Signal(name=f"marked_{op.name}")
            takes = taken & (kind == op)
            # Once something has failed, commands may be forgotten, and the engine is cleared.
            old = waits & ~dut.stop
            bad += [takes & waits & ~begins & ~dut.stop]
            if op != Op.CONTROL:
                bad += [begins & ~waits]
            else:
                bad += [sends & ~old]
            if row is not None:
                bad += [begins & (row != marked)]
            with m.If(takes):
                m.d.sync += [waits.eq(1), marked.eq(job.row[MARK])]
            with m.Elif(begins | dut.report):
                m.d.sync += waits.eq(self._lost)
        flags = [Signal(name=f"bad_{number}") for number in range(len(bad))]
        for flag, condition in zip(flags, bad, strict=True):
            m.d.comb += flag.eq(condition)
        whole = flags[0]
        for flag in flags[1:]:
            whole = whole | flag
        m.d.comb += self.bad.eq(whole)
        return m


def test_each_command_begins_once(tmp_path: Path) -> None:
    answer = prove(WatchedSequence(), tmp_path)
    assert PROVED.split("|")[0] in answer, answer[-2000:]


def test_the_proof_can_fail(tmp_path: Path) -> None:
    answer = prove(WatchedSequence(lost=True), tmp_path)
    assert FAILS in answer, answer[-2000:]
