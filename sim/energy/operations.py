"""Measure what products and sums take in a library: gates of both, simulated on their operands."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TypeVar

import numpy as np
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from zeroskip.base.errors import SimulationError
from zeroskip.base.progress import Progress
from zeroskip.flow.synth.function import evaluate
from zeroskip.flow.synth.liberty import Liberty
from zeroskip.flow.synth.netlist import synthesize
from zeroskip.flow.synth.power import Power
from zeroskip.hw.common.add import add
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.common.multiply import Multiply as Multiplier
from zeroskip.sim.energy.activity import Add, Event, Multiply, Operands
from zeroskip.sim.energy.gate_power import cell_energy
from zeroskip.sim.energy.technology import Curve, Technology

__all__ = ["add_pj", "multiply_pj", "simulate_gates", "with_operations"]

Bits = NDArray[np.bool_]

CostT = TypeVar("CostT", Multiply, Add)

_SEED, _DRAWN_ROWS, _MOST_ROWS = 1, 1000, 4000

_CELL = re.compile(r"^  (\w+) \S+ \(\n(.*?)^  \);", re.MULTILINE | re.DOTALL)
_PIN = re.compile(r"\.(\w+)\(([^)]*)\)")
_ASSIGN = re.compile(r"^  assign (.+?) = (.+?);", re.MULTILINE)
_RANGE = re.compile(r"^(\S+?)\s*\[(\d+):(\d+)\]$")
_CONSTANT = re.compile(r"^(\d+)'([hb])([0-9a-f]+)$")


class _Adder(wiring.Component):
    """The adder of accumulators, by itself."""

    first: Signal
    second: Signal
    total: Signal

    def __init__(self, bits: int) -> None:
        super().__init__({
            "first": In(signed(bits)), "second": In(signed(bits)), "total": Out(signed(bits)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        total = add(m, self.first, self.second, len(self.first))
        m.d.comb += self.total.eq(total.as_signed())
        return m


def with_operations(
    technology: Technology,
    events: Sequence[Event],
    operands: Operands | None,
    library: Liberty,
    power: Power,
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
        pj = multiply_pj(rows, *bits, library, power, progress)
        found["multiply"] = _scaled(technology.multiply, pj / most.pj(technology))
    total = _commonest(events, Add)
    if total is not None:
        rows = _rows(None if operands is None else operands.added, (total.bits, total.bits), drawn)
        pj = add_pj(rows, total.bits, library, power, progress)
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
    progress: Progress | None = None,
) -> float:
    """Return what the gates of :class:`.Multiply` take for a product, in pJ, without registers.

    Parameters
    ----------
    operands : (n, 2) factors, at least two rows.
    act_bits, weight_bits : widths of both.
    library, power : cells.
    progress : see :data:`.Progress`.

    Raises
    ------
    SimulationError
        If the gates compute another product.
    """
    text = _netlist(Multiplier(act_bits, weight_bits), "product_of_two", library, progress)
    words = {"a": (operands[:, 0], act_bits), "b": (operands[:, 1], weight_bits)}
    found, pj = _run(text, words, library, power)
    # A cycle later.
    width = act_bits + weight_bits
    _compare(found, "product", width, operands.prod(axis=1)[:-1], slice(1, None))
    return pj


def add_pj(
    operands: NDArray[np.int64],
    bits: int,
    library: Liberty,
    power: Power,
    progress: Progress | None = None,
) -> float:
    """Return what the gates of the accumulators' adder take for a sum; see :func:`multiply_pj`."""
    text = _netlist(_Adder(bits), "sum_of_two", library, progress)
    words = {"first": (operands[:, 0], bits), "second": (operands[:, 1], bits)}
    found, pj = _run(text, words, library, power)
    _compare(found, "total", bits, operands.sum(axis=1), slice(None))
    return pj


def _netlist(
    component: wiring.Component, name: str, library: Liberty, progress: Progress | None
) -> str:
    text = {f"{name}.v": emit_verilog(component, name)}
    return synthesize(text, name, library, path=False, progress=progress).verilog


def _run(
    text: str, words: Mapping[str, tuple[NDArray[np.int64], int]], library: Liberty, power: Power
) -> tuple[Mapping[str, Bits], float]:
    given = {
        f"{port}[{bit}]": (values >> bit & 1).astype(np.bool_)
        for port, (values, width) in words.items()
        for bit in range(width)
    }
    rows = len(next(iter(given.values())))
    idle = np.zeros(rows, np.bool_)
    nets, cells = simulate_gates(text, {**given, "clk": idle, "rst": idle}, library)
    fj = 0.0
    for kind, pins in cells:
        if not library.cells[kind].sequential:
            changes = {
                pin: int(np.count_nonzero(nets[net][1:] != nets[net][:-1]))
                for pin, net in pins.items()
            }
            fj += cell_energy(kind, changes, library, power)[2]
    return nets, fj / 1e3 / (rows - 1)


def _compare(
    nets: Mapping[str, Bits], port: str, bits: int, wanted: NDArray[np.int64], rows: slice
) -> None:
    for bit in range(bits):
        if not np.array_equal(nets[f"{port}[{bit}]"][rows], (wanted >> bit & 1).astype(np.bool_)):
            raise SimulationError(f"gates of an operation give another bit {bit} of its {port}")


def simulate_gates(
    text: str, inputs: Mapping[str, Bits], library: Liberty
) -> tuple[dict[str, Bits], list[tuple[str, dict[str, str]]]]:
    """Work out every net of a netlist without feedback, in every cycle.

    Flip-flops give what they were given in the cycle before, 0 at first.

    Parameters
    ----------
    text : Verilog of one module, of cells of ``library`` and assignments.
    inputs : value of each bit of the inputs in each cycle, by the bit's name.
    library : the cells.

    Returns
    -------
    The same of all nets, and the kind of each cell with its nets by pin.

    Raises
    ------
    SimulationError
        If a net depends on itself, or nothing drives it.
    """
    cells = [
        (kind, {pin: next(_bits(net)) for pin, net in _PIN.findall(pins) if net.strip()})
        for kind, pins in _CELL.findall(text)
    ]
    cycles = len(next(iter(inputs.values())))
    nets = {**inputs, "1'h0": np.zeros(cycles, np.bool_), "1'h1": np.ones(cycles, np.bool_)}
    waiting: list[tuple[str, str] | tuple[str, dict[str, str]]] = [
        (target, source)
        for left, right in _ASSIGN.findall(text)
        for target, source in zip(_bits(left), _bits(right), strict=True)
    ]
    waiting += cells
    while waiting:
        left = [one for one in waiting if not _work_out(one, nets, library)]
        if len(left) == len(waiting):
            raise SimulationError("gates of an operation have a net that nothing drives, or a loop")
        waiting = left
    return nets, cells


def _work_out(
    one: tuple[str, str] | tuple[str, dict[str, str]], nets: dict[str, Bits], library: Liberty
) -> bool:
    """Compute the outputs of an assignment or a cell; False if an input is not known yet."""
    name, rest = one
    if isinstance(rest, str):
        if rest in nets:
            nets[name] = nets[rest]
        return rest in nets
    cell = library.cells[name]
    reads = [pin for pin in rest if pin not in cell.functions and pin != cell.clock]
    if any(rest[pin] not in nets for pin in reads):
        return False
    if cell.sequential:
        (data,) = (rest[pin] for pin in reads if not _CONSTANT.match(rest[pin]))
        state = np.concatenate([[False], nets[data][:-1]])
        nets.update({net: state for pin, net in rest.items() if pin in cell.functions})
        return True
    at = sum((nets[rest[pin]].astype(np.intp) << place for place, pin in enumerate(reads)), start=0)
    for pin, function in cell.functions.items():
        if pin in rest:
            table = [
                evaluate(function, dict(zip(reads, values[::-1], strict=True)))
                for values in product((False, True), repeat=len(reads))
            ]
            nets[rest[pin]] = np.array(table)[at]
    return True


def _bits(text: str) -> Iterator[str]:
    """Give the bits of an expression of names, ranges, constants and braces, lowest first."""
    text = text.strip()
    if text.startswith("{"):
        for part in reversed(text[1:-1].split(",")):
            yield from _bits(part)
    elif found := _RANGE.match(text):
        high, low = int(found[2]), int(found[3])
        yield from (f"{found[1]}[{bit}]" for bit in range(low, high + 1))
    elif found := _CONSTANT.match(text):
        value = int(found[3], 16 if found[2] == "h" else 2)
        yield from (f"1'h{value >> bit & 1}" for bit in range(int(found[1])))
    else:
        yield re.sub(r"\s+\[", "[", text)
