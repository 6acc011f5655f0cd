"""Measure what products and sums take in a library: gates of both, simulated on their operands."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from zeroskip.base.errors import SimulationError
from zeroskip.base.progress import Progress
from zeroskip.flow.synth.liberty import Liberty
from zeroskip.flow.synth.netlist import synthesize
from zeroskip.flow.synth.power import Power
from zeroskip.hw.common.add import add
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.common.multiply import Multiply as Multiplier
from zeroskip.sim.energy.activity import Add, Event, Multiply, Operands
from zeroskip.sim.energy.gate_power import cell_energy
from zeroskip.sim.energy.gate_values import gate_values, word_bits
from zeroskip.sim.energy.technology import Curve, Technology

__all__ = ["add_pj", "multiply_pj", "with_operations"]

CostT = TypeVar("CostT", Multiply, Add)

_SEED, _DRAWN_ROWS, _MOST_ROWS = 1, 1000, 4000


class _Plain(wiring.Component):
    """A product or a sum of two numbers in one cycle, as synthesis makes it."""

    a: Signal
    b: Signal
    result: Signal

    def __init__(self, a_bits: int, b_bits: int, *, product: bool) -> None:
        self._product = product
        bits = a_bits + b_bits if product else max(a_bits, b_bits)
        super().__init__({
            "a": In(signed(a_bits)), "b": In(signed(b_bits)), "result": Out(signed(bits)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.result.eq(self.b * self.a if self._product else self.a + self.b)
        return m


class _Selecting(_Plain):
    """A sum that chooses between both carries of its upper half, see :func:`.add`."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.result.eq(add(m, self.a, self.b, len(self.a)).as_signed())
        return m


def with_operations(
    technology: Technology,
    events: Sequence[Event],
    operands: Operands | None,
    library: Liberty,
    power: Power,
    *,
    fast: bool,
    progress: Progress | None = None,
) -> Technology:
    """Return constants whose products and sums take what gates of a library take for them.

    The product and the sum that there are most of are measured by themselves, with the operands
    that the array has for them; others are to it as they were.

    Parameters
    ----------
    technology : the constants.
    events : of the array.
    operands : of its multipliers and adders; drawn evenly unless given.
    library, power : the cells.
    fast : see :func:`multiply_pj` and :func:`add_pj`.
    progress : see :data:`.Progress`.

    Raises
    ------
    ToolError, SimulationError
        If a tool is missing or fails, or gates compute something else.
    """
    drawn = np.random.default_rng(_SEED)
    found: dict[str, Curve] = {}
    most = _commonest(events, Multiply)
    if most is not None:
        bits = most.other_bits, most.bits
        rows = _rows(None if operands is None else operands.factors, bits, drawn)
        pj = multiply_pj(rows, *bits, library, power, fast=fast, progress=progress)
        # What comes and goes beside products, where there is a zero, is theirs.
        pj *= len(rows) / max(1, np.count_nonzero(rows.all(axis=1)))
        found["multiply"] = _scaled(technology.multiply, pj / most.pj(technology))
    total = _commonest(events, Add)
    if total is not None:
        rows = _rows(None if operands is None else operands.added, (total.bits, total.bits), drawn)
        pj = add_pj(rows, total.bits, library, power, fast=fast, progress=progress)
        found["add"] = _scaled(technology.add, pj / total.pj(technology))
    return technology.model_copy(update=found)


def _commonest(events: Sequence[Event], kind: type[CostT]) -> CostT | None:
    """Return the cost of class ``kind`` with the largest count times width; None without any."""
    counts: dict[CostT, float] = {}
    for event in events:
        if isinstance(event.cost, kind):
            counts[event.cost] = counts.get(event.cost, 0.0) + event.count * event.cost.bits
    return max(counts, key=lambda cost: counts[cost], default=None)


def _rows(
    known: NDArray[np.int64] | None, bits: tuple[int, int], drawn: np.random.Generator
) -> NDArray[np.int64]:
    if known is not None and len(known) > 1:
        return known[:_MOST_ROWS]
    return np.stack([drawn.integers(-(1 << n - 1), 1 << n - 1, _DRAWN_ROWS) for n in bits], axis=1)


def _scaled(curve: Curve, factor: float) -> Curve:
    return curve.model_copy(update={"pj": [factor * pj for pj in curve.pj]})


def multiply_pj(
    operands: NDArray[np.int64],
    act_bits: int,
    weight_bits: int,
    library: Liberty,
    power: Power,
    *,
    fast: bool,
    progress: Progress | None = None,
) -> float:
    """Return what the gates of a multiplier take for a pair of operands, in pJ, without registers.

    Parameters
    ----------
    operands : (n, 2) factors, at least two rows.
    act_bits, weight_bits : widths of both.
    library, power : cells.
    fast : it is :class:`.Multiply`, over two cycles; else a plain product.
    progress : see :data:`.Progress`.

    Raises
    ------
    SimulationError
        If the gates compute another product.
    """
    given = dict(zip("ab", operands.T, strict=True))
    wanted = operands.prod(axis=1)
    if fast:
        multiplier = Multiplier(act_bits, weight_bits)
        return _measure(multiplier, given, {"product": wanted}, 1, library, power, progress)
    multiplier = _Plain(act_bits, weight_bits, product=True)
    return _measure(multiplier, given, {"result": wanted}, 0, library, power, progress)


def add_pj(
    operands: NDArray[np.int64],
    bits: int,
    library: Liberty,
    power: Power,
    *,
    fast: bool,
    progress: Progress | None = None,
) -> float:
    """Return what the gates of the accumulators' adder take for a sum; see :func:`multiply_pj`.

    Parameters
    ----------
    operands : (n, 2) addends, at least two rows.
    bits : of both, and of the sum.
    library, power, progress : as there.
    fast : it is that of :func:`.add`; else a plain sum.
    """
    adder = _Selecting(bits, bits, product=False) if fast else _Plain(bits, bits, product=False)
    given = dict(zip("ab", operands.T, strict=True))
    return _measure(adder, given, {"result": operands.sum(axis=1)}, 0, library, power, progress)


def _measure(
    component: wiring.Component,
    given: Mapping[str, NDArray[np.int64]],
    wanted: Mapping[str, NDArray[np.int64]],
    delay: int,
    library: Liberty,
    power: Power,
    progress: Progress | None,
) -> float:
    """Map a component, run it, see that it gives what is ``wanted``, and return pJ a row.

    Parameters
    ----------
    component : of gates without feedback.
    given, wanted : (n,) numbers at ports, these ``delay`` rows later.
    library, power, progress : see :func:`multiply_pj`.
    """
    text = {"operation.v": emit_verilog(component, "operation")}
    gates = synthesize(text, "operation", library, path=False, progress=progress).gates
    assert gates is not None
    rows = len(next(iter(given.values())))
    idle = {port: np.zeros(rows, np.int64) for port in gates.ports.keys() & {"clk", "rst"}}
    nets = gate_values(gates, {**idle, **given}, library)
    for port, numbers in wanted.items():
        bits = gates.ports[port]
        for place, (net, values) in enumerate(
            zip(bits, word_bits(numbers, len(bits)), strict=True)
        ):
            if not np.array_equal(nets[net][delay:], values[: rows - delay]):
                raise SimulationError(f"gates of an operation give another bit {place} of {port}")
    fj = 0.0
    for gate in gates.gates:
        if not library.cells[gate.kind].sequential:
            changes = {
                pin: int(np.count_nonzero(nets[net][1:] != nets[net][:-1]))
                for pin, net in gate.pins.items()
            }
            fj += cell_energy(gate.kind, changes, library, power)[2]
    return fj / 1e3 / (rows - 1)
