"""Proofs, for all inputs and any number of cycles, of what the units of the system offer.

What a stream offers stays until it is taken; the two sources of the engine's commands never offer
any at once, so none can be lost between them; and no word or row is given twice or left out.
"""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.support.prove import prove
from zeroskip.hw.common import formats as common
from zeroskip.hw.eie import host as eie
from zeroskip.hw.system import jobs
from zeroskip.hw.system.check import Check
from zeroskip.hw.system.fetch import Fetch
from zeroskip.hw.system.load import Load
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.registers import Registers
from zeroskip.hw.system.sequence import Sequence
from zeroskip.hw.system.store import Store

pytest.importorskip("pyosys")

P = SystemParams(data_bits=64, addr_bits=16)
ENGINE = jobs.Engine(
    common.command_layout(common.host_layout(8, eie.Space)),
    {1: jobs.Memory(1, 2, 32), 2: jobs.Memory(1, 2, 128)},
    2,
    100,
)
Gate = Callable[[Any, Value], Value]


class Open(wiring.Component):
    """A unit whose inputs are all left open, but for rules of whoever drives it.

    Parameters
    ----------
    dut : the unit.
    rules : of an input, by name, what it is made of what is open.
    queued : streams that are the head of a :class:`.Queue`, which keeps its payload.

    Members
    -------
    bad : Out, a stream has not kept what it offered.
    """

    bad: Signal

    def __init__(self, dut: Any, rules: dict[str, Gate], queued: tuple[str, ...] = ()) -> None:
        self.dut, self._rules, self._queued = dut, rules, queued
        self._leaves = {
            "__".join(map(str, path)): (path, member, Value.cast(value))
            for path, member, value in dut.signature.flatten(dut)
        }
        inputs = {name: In(len(value)) for name, (path, member, value) in self._leaves.items()
                  if member.flow == In}  # fmt: skip
        super().__init__({**inputs, "bad": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = self.dut
        for name, (_, member, value) in self._leaves.items():
            if member.flow == In:
                rule = self._rules.get(name, lambda _, given: given)
                m.d.comb += value.eq(rule(self.dut, getattr(self, name)))
        wrong = []
        for name, (path, member, _) in self._leaves.items():
            base, _, last = name.rpartition("__")
            if last == "valid" and member.flow == Out:
                port = reduce(_step, path[:-1], self.dut)
                kept = Const(0) if base in self._queued else Value.cast(port.payload)
                stalled, before = Signal(), Signal(len(kept))
                m.d.sync += [stalled.eq(port.valid & ~port.ready), before.eq(kept)]
                wrong.append(stalled & (~port.valid | (kept != before)))
        assert wrong
        m.d.comb += self.bad.eq(Cat(wrong).any())
        return m


STOPPED: dict[str, Gate] = {"o__ready": lambda dut, given: given | dut.stop}
WRITTEN: dict[str, Gate] = {
    "go": lambda dut, given: given & dut.idle,
    "written": lambda dut, given: given & ~(dut.request.valid | dut.o.valid | dut.reading),
}
UNITS: dict[str, Any] = {
    "fetch": (lambda: Fetch(P), {}, ("o",)),
    "check": (lambda: Check(P, [ENGINE]), STOPPED),
    "load": (lambda: Load(P, [ENGINE]), {"go": lambda dut, given: given & dut.ready}),
    "store": (lambda: Store(P, ENGINE), WRITTEN),
    "registers": (lambda: Registers(P, {"TOY_LANES": 3}), {}),
    "sequence": (lambda: Sequence(P, [ENGINE]), {}),
}


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_offered_stays(unit: str, tmp_path: Path) -> None:
    make, rules, *queued = UNITS[unit]
    answer = prove(Open(make(), rules, *queued), tmp_path)
    assert "Property proved." in answer, answer[-2000:]


def _step(whole: Any, name: str | int) -> Any:
    """Take a member, or one of several."""
    return whole[name] if isinstance(name, int) else getattr(whole, name)


class Joined(wiring.Component):
    """Sequence and Load, and everything else left open.

    Members
    -------
    bad : Out, both offer an engine a command.
    """

    bad: Signal

    def __init__(self) -> None:
        engines = [ENGINE, ENGINE]
        self._sequence, self._load = Sequence(P, engines), Load(P, engines)
        self._driven = {
            "load_ready", "load_level", "load_words", "load_unbegun", "load_done", "load_failure",
        }  # fmt: skip
        flat = [
            (f"{name}__{'__'.join(map(str, path))}", path, member, Value.cast(value))
            for name, unit in (("sequence", self._sequence), ("load", self._load))
            for path, member, value in unit.signature.flatten(unit)
        ]
        self._open = [
            (name, value) for name, path, member, value in flat
            if member.flow == In and path[0] not in {*self._driven, "go", "job", "hold"}
        ]  # fmt: skip
        ports = {name: In(len(value)) for name, value in self._open}
        super().__init__({**ports, "bad": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sequence, m.submodules.load = sequence, load = self._sequence, self._load
        m.d.comb += [value.eq(getattr(self, name)) for name, value in self._open]
        for name in self._driven:
            m.d.comb += getattr(sequence, name).eq(getattr(load, name.removeprefix("load_")))
        m.d.comb += [
            load.go.eq(sequence.load_go),
            load.job.eq(sequence.i.payload),
            load.hold.eq(sequence.load_hold),
            self.bad.eq(
                load.words_out.valid
                & Cat(
                    control.valid & (load.engine == number)
                    for number, control in enumerate(sequence.control)
                ).any()
            ),
        ]
        return m


@pytest.mark.long("a proof of seconds")
def test_words_and_commands_never_meet(tmp_path: Path) -> None:
    answer = prove(Joined(), tmp_path)
    assert "Property proved." in answer, answer[-2000:]


def test_the_proof_can_fail(tmp_path: Path) -> None:
    """Nobody may stop Check while it is stalled, but whoever then takes what it offers."""
    answer = prove(Open(Check(P, [ENGINE]), {}), tmp_path)
    assert "was asserted in frame" in answer, answer[-2000:]
