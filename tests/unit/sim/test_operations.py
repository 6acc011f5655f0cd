"""What gates of products and sums take: netlists worked out by hand, and operands that matter."""

from dataclasses import replace

import numpy as np
import pytest

from zeroskip.base.errors import SimulationError
from zeroskip.flow.synth.gates import Gate, Gates
from zeroskip.flow.synth.liberty import OWN_LIBERTY, read_liberty
from zeroskip.flow.synth.netlist import synthesize
from zeroskip.flow.synth.power import CellPower, Power
from zeroskip.sim.energy.activity import Add, Event, Multiply, Operands, Unit
from zeroskip.sim.energy.gate_values import gate_values
from zeroskip.sim.energy.operations import add_pj, multiply_pj, with_operations
from zeroskip.sim.energy.technology import read_technology

LIBRARY = read_liberty(OWN_LIBERTY)
# Each change of an output takes 1 fJ, and nothing else anything.
POWER = Power(
    1.0,
    {
        name: CellPower(dict.fromkeys(cell.inputs, 0.0), dict.fromkeys(cell.functions, 1.0))
        for name, cell in LIBRARY.cells.items()
    },
)
REGISTER = next(name for name, cell in LIBRARY.cells.items() if cell.sequential)
NAND2, FLIP_FLOP = LIBRARY.cells[LIBRARY.nand2], LIBRARY.cells[REGISTER]
# A netlist in Yosys' JSON with input a and output y, 2 bits each; bit 0 of y is the constant 1.
CLOCK, FIRST, SECOND, NAND, KEPT = 2, 3, 4, 5, 6
GATES = Gates(
    {"clk": (CLOCK,), "a": (FIRST, SECOND), "y": ("1", KEPT)},
    (
        Gate(
            REGISTER,
            {FLIP_FLOP.clock or "": CLOCK, "D": NAND, next(iter(FLIP_FLOP.functions)): KEPT},
        ),
        Gate(LIBRARY.nand2, {"A": FIRST, "B": SECOND, next(iter(NAND2.functions)): NAND}),
    ),
)


def test_nets_are_worked_out() -> None:
    inputs = {"a": np.array([2, 3, 1, 0]), "clk": np.zeros(4, np.int64)}
    nets = gate_values(GATES, inputs, LIBRARY)
    assert nets[NAND].tolist() == [True, False, True, True]
    low, high = (nets[bit] for bit in GATES.ports["y"])
    assert high.tolist() == [False, True, False, True]
    assert low.all()
    loop = replace(GATES, gates=(replace(GATES.gates[1], pins={**GATES.gates[1].pins, "B": NAND}),))
    with pytest.raises(SimulationError, match="a net that nothing drives, or a loop"):
        gate_values(loop, inputs, LIBRARY)


def test_gates_of_a_netlist() -> None:
    text = "module two(input [1:0] a, output y); assign y = ~(a[0] & a[1]); endmodule"
    netlist = synthesize({"two.v": text}, "two", LIBRARY, path=False)
    assert netlist.gates is not None
    (gate,) = netlist.gates.gates
    assert gate.kind == LIBRARY.nand2
    assert {gate.pins[pin] for pin in NAND2.inputs} == set(netlist.gates.ports["a"])
    inner = "module one(input [1:0] a, output y); (* keep_hierarchy *) two inside(a, y); endmodule"
    assert synthesize({"t.v": text, "o.v": inner}, "one", LIBRARY, path=False).gates is None


def test_operands_decide_what_a_product_takes() -> None:
    rng = np.random.default_rng(1)
    drawn = rng.integers(-8, 8, (60, 2))
    held = np.column_stack([np.full(60, 5), drawn[:, 1]])
    still = np.full((60, 2), 5)
    much, less, none = (
        multiply_pj(x, 4, 4, LIBRARY, POWER, fast=True) for x in (drawn, held, still)
    )
    # The first product is the only change of what stands still.
    assert much > less > 20 * none
    # So many changes of gates: an array of 16 digits of ands and adders has some 20 a product.
    assert 10e-3 < much < 80e-3
    events = [Event(Unit.ARITHMETIC, "products", Multiply(4, 4), 60)]
    known = read_technology()
    busy = drawn[drawn.all(axis=1)]
    pj = multiply_pj(busy, 4, 4, LIBRARY, POWER, fast=True)
    found = with_operations(known, events, Operands(busy, busy), LIBRARY, POWER, fast=True)
    assert found.multiply.at(4) == pytest.approx(pj)
    assert found.multiply.at(8) / known.multiply.at(8) == pytest.approx(pj / known.multiply.at(4))
    assert found.add == known.add


def test_zeros_between_products_are_theirs() -> None:
    rng = np.random.default_rng(2)
    busy = rng.integers(1, 8, (40, 2))
    half = np.stack([busy, np.zeros_like(busy)], axis=1).reshape(-1, 2)
    events = [Event(Unit.ARITHMETIC, "products", Multiply(4, 4), 40)]
    pj = multiply_pj(half, 4, 4, LIBRARY, POWER, fast=False)
    found = with_operations(
        read_technology(), events, Operands(half, half), LIBRARY, POWER, fast=False
    )
    assert found.multiply.at(4) == pytest.approx(2 * pj)


def test_plain_and_fast_sums_are_other_gates() -> None:
    rows = np.random.default_rng(3).integers(-32, 32, (40, 2))
    plain, fast = (add_pj(rows, 6, LIBRARY, POWER, fast=fast) for fast in (False, True))
    assert 6e-3 < plain != fast < 60e-3


def test_a_sum_of_drawn_operands() -> None:
    events = [Event(Unit.ACCUMULATORS, "additions", Add(6), 1)]
    found = with_operations(read_technology(), events, None, LIBRARY, POWER, fast=True)
    assert 6e-3 < found.add.at(6) < 60e-3
