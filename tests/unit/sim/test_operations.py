"""What gates of products and sums take: netlists worked out by hand, and operands that matter."""

import numpy as np
import pytest

from zeroskip.base.errors import SimulationError
from zeroskip.flow.synth.liberty import OWN_LIBERTY, read_liberty
from zeroskip.flow.synth.power import CellPower, Power
from zeroskip.sim.energy.activity import Add, Event, Multiply, Operands, Unit
from zeroskip.sim.energy.operations import multiply_pj, simulate_gates, with_operations
from zeroskip.sim.energy.technology import read_technology

LIBRARY = read_liberty(OWN_LIBERTY)
# Each change of an output takes 1 fJ, and nothing else anything.
POWER = Power(
    1.0,
    {
        name: CellPower(dict.fromkeys(cell.inputs, 0.0), dict.fromkeys(cell.functions, 1.0), 0.0)
        for name, cell in LIBRARY.cells.items()
    },
)
REGISTER = next(name for name, cell in LIBRARY.cells.items() if cell.sequential)
NETLIST = f"""\
module two(clk, a, y);
  wire [1:0] kept;
  {LIBRARY.nand2} g0 (
    .A(a[0]),
    .B(a[1]),
    .{next(iter(LIBRARY.cells[LIBRARY.nand2].functions))}(nand)
  );
  {REGISTER} r (
    .{LIBRARY.cells[REGISTER].clock}(clk),
    .D(nand),
    .{next(iter(LIBRARY.cells[REGISTER].functions))}(\\kept [1])
  );
  assign y[1:0] = {{ \\kept [1], 1'h1 }};
endmodule
"""


def _given(**bits: list[int]) -> dict[str, np.ndarray]:
    return {name: np.array(values, np.bool_) for name, values in bits.items()}


def test_nets_are_worked_out() -> None:
    inputs = {"a[0]": [0, 1, 1, 0], "a[1]": [1, 1, 0, 0], "clk": [0, 0, 0, 0]}
    nets, cells = simulate_gates(NETLIST, _given(**inputs), LIBRARY)
    assert nets["nand"].tolist() == [True, False, True, True]
    assert nets["y[1]"].tolist() == [False, True, False, True]
    assert nets["y[0]"].all()
    assert [kind for kind, _ in cells] == [LIBRARY.nand2, REGISTER]
    with pytest.raises(SimulationError, match="a net that nothing drives, or a loop"):
        simulate_gates(NETLIST.replace("a[1]", "nand"), _given(**inputs), LIBRARY)


def test_operands_decide_what_a_product_takes() -> None:
    rng = np.random.default_rng(1)
    drawn = rng.integers(-8, 8, (60, 2))
    held = np.column_stack([np.full(60, 5), drawn[:, 1]])
    still = np.full((60, 2), 5)
    much, less, none = (multiply_pj(x, 4, 4, LIBRARY, POWER) for x in (drawn, held, still))
    # The first product is the only change of what stands still.
    assert much > less > 20 * none
    # So many changes of gates: an array of 16 digits of ands and adders has some 20 a product.
    assert 10e-3 < much < 80e-3
    events = [Event(Unit.ARITHMETIC, "products", Multiply(4, 4), 60)]
    known = read_technology()
    found = with_operations(known, events, Operands(drawn, drawn), LIBRARY, POWER)
    assert found.multiply.at(4) == pytest.approx(much)
    assert found.multiply.at(8) / known.multiply.at(8) == pytest.approx(much / known.multiply.at(4))
    assert found.add == known.add


def test_a_sum_of_drawn_operands() -> None:
    events = [Event(Unit.ACCUMULATORS, "additions", Add(6), 1)]
    found = with_operations(read_technology(), events, None, LIBRARY, POWER)
    assert 6e-3 < found.add.at(6) < 60e-3
