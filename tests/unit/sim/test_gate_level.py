"""Energy from changes of gates' pins: what liberty files and waves say, and how it adds up."""

import gzip
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.arrays import EIE, SCNN
from tests.support.both import draw_both
from tests.support.images import scnn_image
from zeroskip.base.errors import InputError, SimulationError
from zeroskip.cli.app import app
from zeroskip.cli.guard import run_guarded
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.flow.synth.liberty import read_liberty
from zeroskip.flow.synth.power import Power, check_energies, read_power
from zeroskip.sim.eie.gates import draw_network as draw_eie
from zeroskip.sim.energy.gate_level import gate_energy
from zeroskip.sim.energy.gate_power import cell_energy
from zeroskip.sim.energy.toggles import count_toggles

LIBERTY = """\
library (small) {
  capacitive_load_unit (1, pf);
  nom_voltage : 2;
  cell (INV) { area : 1;
    pin (A) { direction : input; capacitance : 0.001; }
    pin (Y) { direction : output; function : "!A"; }
  }
  cell (NAND2) { area : 1;
    pin (A) { direction : input; capacitance : 0.002;
      internal_power () { when : "B"; power (x) { values ("0.001"); } } }
    pin (B) { direction : input; capacitance : 0.004; }
    pin (Y) { direction : output; function : "!(A B)";
      internal_power () { related_pin : "A";
        rise_power (x) { index_1 ("1, 2"); values ("0.006, 9", "9, 9"); }
        fall_power (x) { index_1 ("1, 2"); values ("0.010, 9", "9, 9"); } }
      internal_power () { related_pin : "B"; rise_power (x) { values ("0.004"); }
        fall_power (scalar) { values ("0"); } }
    }
  }
  cell (DFF) { area : 4;
    ff (IQ, IQN) { next_state : "D"; clocked_on : "!CK"; }
    pin (CK) { direction : input; capacitance : 0.001; clock : true;
      internal_power () { rise_power (x) { values ("0.003"); }
        fall_power (x) { values ("0.005"); } } }
    pin (D) { direction : input; capacitance : 0.001; }
    pin (Q) { direction : output; function : "IQ"; }
  }
}
"""

WAVES = """\
$scope module array $end
$var wire 1 ! clk $end
$var wire 3 " control__phase [2:0] $end
$scope module pe_0 $end
$scope module g1 $end
$var wire 1 # A $end
$var wire 1 $ B $end
$upscope $end
$upscope $end
$upscope $end
$enddefinitions $end
#0
0!
b0 "
0#
0$
#1
1!
1#
#2
0!
b10 "
#3
1!
0#
#4
0!
1$
#5
1!
1#
b0 "
#6
0!
0#
"""


@pytest.fixture
def power(tmp_path: Path) -> Power:
    path = tmp_path / "small.lib"
    path.write_text(LIBERTY)
    return read_power(read_liberty(path), path)


def test_energies_of_a_library(power: Power) -> None:
    nand2 = power.cells["NAND2"]
    assert power.volts == 2
    assert nand2.pins_ff == {"A": 2, "B": 4}
    # Of both directions, then of both inputs; a zero is what something else has.
    assert nand2.inside_fj == pytest.approx({"A": 1, "Y": (8 + 4) / 2})
    assert power.load_fj(3) == pytest.approx(3 * 4 / 2)


@pytest.mark.parametrize(
    "changes",
    [
        # Nothing is measured where an operating point is only one of several.
        {
            "nom_voltage : 2;": "operating_conditions (slow) { voltage : 1; } operating_conditions "
            '(typical) { voltage : 2; } default_operating_conditions : "typical";'
        },
        {"nom_voltage : 2;": "nom_voltage : 2; operating_conditions (a) { voltage : 1; } "
            "operating_conditions (b) { voltage : 3; }"},
        {"nom_voltage : 2;": "voltage_map (VSS, 0.0); voltage_map (VDD, 2.0);"},
        {"(1, pf)": '(1000, "fF")'},
        {"nom_voltage : 2;": 'nom_voltage : 20; voltage_unit : "100mV";', '"0.0': '"0000.0'},
        {"capacitance : 0.002;": "rise_capacitance : 0.003; fall_capacitance : 0.001;"},
        {"capacitance : 0.002;": "", "nom_voltage : 2;": "nom_voltage : 2; "
            "default_input_pin_cap : 0.002;"},
        {"NAND2": '"2-input$nand"'},
        {"\n": "\r\n", "library": "\ufefflibrary"},
    ],
)  # fmt: skip
def test_what_libraries_say_in_other_ways(
    tmp_path: Path, power: Power, changes: dict[str, str]
) -> None:
    text = LIBERTY
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    if "voltage_unit" in text:
        # Energies are in units of capacitance times a hundredth of a square volt.
        text = re.sub(r'"0000\.0(\d+)', lambda found: f'"{float(f"0.0{found[1]}") * 100}', text)
    path = tmp_path / "odd.lib.gz"
    path.write_bytes(gzip.compress(text.encode()))
    library = read_liberty(path)
    found = read_power(library, path)
    assert found.volts == pytest.approx(power.volts)
    assert library.nand2 in ("NAND2", "c_2_input_nand")
    cells = {("NAND2" if name == library.nand2 else name): it for name, it in found.cells.items()}
    assert cells.keys() == power.cells.keys()
    for name, cell in power.cells.items():
        assert cells[name].pins_ff == pytest.approx(dict(cell.pins_ff))
        assert cells[name].inside_fj == pytest.approx(dict(cell.inside_fj))


def test_cells_without_energies(tmp_path: Path, power: Power) -> None:
    path = tmp_path / "small.lib"
    path.write_text(LIBERTY)
    library = read_liberty(path)
    check_energies(["NAND2", "DFF"], library, power)
    with pytest.raises(InputError, match=r"library small has no internal_power for cell INV, whi"):
        check_energies(["INV", "DFF"], library, power)


def test_the_clock_of_a_flip_flop(tmp_path: Path) -> None:
    (tmp_path / "small.lib").write_text(LIBERTY)
    library = read_liberty(tmp_path / "small.lib")
    assert library.cells["DFF"].clock == "CK"
    assert library.nand2 == "NAND2"


def test_energy_of_a_cell(power: Power, tmp_path: Path) -> None:
    (tmp_path / "small.lib").write_text(LIBERTY)
    library = read_liberty(tmp_path / "small.lib")
    # Three changes of A, one of B, two of Y: loads of inputs, Y inside, and A twice for nothing.
    changes = {"A": 3, "B": 1, "Y": 2}
    expected = 3 * power.load_fj(2) + power.load_fj(4) + 2 * 6 + 2 * 1
    assert cell_energy("NAND2", changes, library, power) == pytest.approx((0, 0, expected))
    changes = {"CK": 10, "D": 2, "Q": 1}
    clock = 10 * (4 + power.load_fj(1))
    assert cell_energy("DFF", changes, library, power) == pytest.approx((
        clock,
        2 * power.load_fj(1),
        0,
    ))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("internal_power", "other_power", "has no internal_power"),
        ("nom_voltage : 2;", "", "says nothing of power"),
        ("(1, pf)", "(1, furlong)", "says nothing of power"),
        ("capacitance : ", "other : ", "has no capacitance of any input"),
        ('"0.006, 9"', '"0.0.6, 9"', "is no number"),
    ],
)
def test_libraries_without_energies(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "small.lib"
    path.write_text(LIBERTY.replace(old, new))
    with pytest.raises(InputError, match=message):
        read_power(read_liberty(path), path)


def test_changes_while_the_array_runs(tmp_path: Path) -> None:
    (tmp_path / "waves.vcd").write_text(WAVES)
    found = count_toggles(tmp_path / "waves.vcd", lambda path, _: path[-1] == "g1")
    assert found.nets == {(("array", "pe_0", "g1"), "A"): "#", (("array", "pe_0", "g1"), "B"): "$"}
    # The phase is 2 from its change until it is 0 again: A falls and rises, B rises.
    assert found.changes["#"] == 2
    assert found.changes["$"] == 1
    assert found.cycles == 1
    (tmp_path / "waves.vcd").write_text(WAVES.replace("control__phase", "other"))
    with pytest.raises(SimulationError, match="lack control__phase"):
        count_toggles(tmp_path / "waves.vcd", lambda *_: True)


def test_images_that_are_too_large(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, _ = draw_eie(replace(EIE, num_pes=5), 1)
    image.save(tmp_path / "image")
    arguments = ["energy", str(tmp_path / "image"), "--gates", str(tmp_path / "small.lib")]
    assert run_guarded(app, "zeroskip", arguments) == 2
    assert "gates of at most 4 PEs are run, and the image is for 5" in capsys.readouterr().err
    assert run_guarded(app, "zeroskip", [*arguments, "--plot", str(tmp_path / "x.svg")]) == 2
    assert "leave --tech and --plot out" in capsys.readouterr().err


def test_images_that_are_not_of_one_array_of_few_pes(
    draw_network: Callable[..., QuantGraph[QuantLinear]], tmp_path: Path
) -> None:
    both, inputs, _ = draw_both(draw_network, 0)
    engines = " and ".join(part.engine for part in both.parts)
    with pytest.raises(InputError, match=f"has {engines}: give one whose layers are all of one"):
        gate_energy(both, inputs, tmp_path / "small.lib")
    grid = scnn_image("grid", QuantGraph((1, 1, 1), (), ()), replace(SCNN, pes_x=3), ())
    # A grid has no number of PEs that could be set.
    with pytest.raises(InputError, match=r"--set scnn\.pes_x=2 --set scnn\.pes_y=2"):
        gate_energy(grid, inputs, tmp_path / "small.lib")
