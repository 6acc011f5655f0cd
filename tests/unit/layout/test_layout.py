"""Layout: what is our own between the programs of Debian that place, route, time and check."""

import json
import re
import shutil
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest

from zeroskip.base.errors import ParameterError, ToolError
from zeroskip.cli.app import app
from zeroskip.cli.guard import run_guarded
from zeroskip.compiler.engine import engine
from zeroskip.flow.layout.block import Block, Instance
from zeroskip.flow.layout.checks import finished_def, is_same_netlist, spice
from zeroskip.flow.layout.clock import grow_clock
from zeroskip.flow.layout.floor import Floor
from zeroskip.flow.layout.lef import read_lef, with_wide_vias
from zeroskip.flow.layout.place import Placement, Row, legal_placement
from zeroskip.flow.layout.programs import OSU018, PACKAGES
from zeroskip.flow.layout.route import obstacles
from zeroskip.flow.layout.tiling import draw_tiling, tile_array
from zeroskip.flow.layout.timing import spef
from zeroskip.flow.layout.unit import UnitName, find_unit, unit_name
from zeroskip.flow.layout.wires import make_tree, read_wires, wire_um

LEF = """\
LAYER metal1
  TYPE ROUTING ;
  DIRECTION HORIZONTAL ;
  PITCH 1 ;
  WIDTH 0.5 ;
  RESISTANCE RPERSQ 0.1 ;
  CAPACITANCE CPERSQDIST 2e-4 ;
  EDGECAPACITANCE 1e-4 ;
END metal1
LAYER metal2
  TYPE ROUTING ;
  DIRECTION VERTICAL ;
  PITCH 0.8 ;
  WIDTH 0.5 ;
  RESISTANCE RPERSQ 0.2 ;
END metal2
LAYER metal3
  TYPE ROUTING ;
  DIRECTION HORIZONTAL ;
  PITCH 1 ;
  WIDTH 0.5 ;
END metal3
VIA M2_M1 DEFAULT
  LAYER metal1 ;
    RECT -0.200 -0.200 0.200 0.200 ;
  LAYER via ;
    RECT -0.100 -0.100 0.100 0.100 ;
  LAYER metal2 ;
    RECT -0.200 -0.200 0.200 0.200 ;
END M2_M1
SITE core
  SIZE 0.8 BY 10 ;
END core
MACRO INV
  SIZE 1.6 BY 10 ;
  PIN A
    DIRECTION INPUT ;
    PORT
      LAYER metal1 ;
        RECT 0.2 2.0 0.6 3.0 ;
    END
  END A
  PIN Y
    DIRECTION OUTPUT ;
    PORT
      LAYER metal1 ;
        RECT 1.0 2.0 1.4 8.0 ;
    END
  END Y
END INV
MACRO FILL
  SIZE 0.8 BY 10 ;
END FILL
"""

BLOCK = Block(
    "pair",
    ("a",),
    ("y",),
    frozenset(),
    (),
    {"g0": Instance("INV", {"A": "a", "Y": "n"}), "g1": Instance("INV", {"A": "n", "Y": "y"})},
    0,
)

ROUTED = """\
PINS 2 ;
END PINS
NETS 1 ;
- n
  ( g0 Y )
  ( g1 A )
+ ROUTED metal1 ( 920 1050 ) M2_M1
  NEW metal2 ( 920 1050 ) ( * 2050 ) ( 1000 * ) M2_M1 ;
END NETS
SPECIALNETS 1 ;
- n
+ ROUTED metal1 40 ( 1010 2050 ) ;
END SPECIALNETS
END DESIGN
"""


def run_cli(*arguments: str) -> int:
    return run_guarded(app, "zeroskip", arguments)


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    """Two inverters, one above the other; the upper is upside down, its input near the rail."""
    (tmp_path / "cells.lef").write_text(LEF)
    placement = Placement(
        (Row(("g0",), (0,)), Row(("g1",), (1,))), 4, {"left": ("a",), "right": ("y",)}
    )
    return Floor(BLOCK, read_lef(tmp_path / "cells.lef"), OSU018, placement, 3)


def test_floor(floor: Floor) -> None:
    assert floor.utilization == pytest.approx(2 * 1.6 / (2 * 4 * 0.8))
    assert floor.fills == 4
    assert floor.shapes("g0", "Y") == [("metal1", pytest.approx((9.0, 10.0, 9.4, 16.0)))]
    assert floor.shapes("g1", "A") == [("metal1", pytest.approx((9.0, 25.0, 9.4, 26.0)))]
    text = floor.to_def()
    assert "- g1 INV + PLACED ( 880 1800 ) FS ;" in text
    assert "- f0_2 FILL + PLACED ( 960 800 ) N ;" in text
    # Pins stand on tracks, which go through the middles of places.
    assert all(round(y * 100) % 100 == 50 for _, _, y in floor.pins.values())


def test_pins_without_room_on_a_metal_take_two(floor: Floor) -> None:
    metals = floor.lef.metals
    lef = replace(
        floor.lef, metals={**metals, "metal4": metals["metal2"], "metal5": metals["metal3"]}
    )
    # 20 tracks at the left, and 4 below.
    pins = {"left": tuple(f"l{n}" for n in range(20)), "bottom": ("b0", "b1")}
    many = replace(floor, lef=lef, placement=replace(floor.placement, pins=pins), metals=5)
    found = many.pins
    assert {layer for layer, _, _ in found.values()} == {"metal2", "metal3", "metal5"}
    assert len(set(found.values())) == 22
    low, high = ([y for layer, _, y in found.values() if layer == m] for m in ("metal3", "metal5"))
    assert all(min(abs(y - z) for z in side if z != y) >= 2 for side in (low, high) for y in side)
    # Fewer metals leave no choice.
    assert {layer for layer, _, _ in replace(many, metals=4).pins.values()} == {"metal2", "metal3"}


def test_wires_stay_inside_and_come_to_pins(floor: Floor) -> None:
    boxes = [*obstacles(floor, 3)]
    width, height = floor.die

    def free(layer: str, x: float, y: float) -> bool:
        return not any(
            layer == metal and left <= x <= right and low <= y <= high
            for metal, (left, low, right, high) in boxes
        )

    assert all(free(layer, x, y) for layer, x, y in floor.pins.values())
    for metal in floor.lef.metals:
        assert free(metal, width / 2, height / 2)
        for x, y in ((-0.4, 9), (width + 0.4, 9), (9, -0.4), (9, height + 0.4)):
            assert not free(metal, x, y)
    assert not free("metal1", 9, 7)  # a rail is there


def test_wires_and_their_delays(floor: Floor) -> None:
    wires = read_wires(ROUTED)
    assert wires["n"].pieces == [
        ("metal2", (920, 1050), (920, 2050)), ("metal2", (920, 2050), (1000, 2050)),
    ]  # fmt: skip
    assert wire_um(wires) == pytest.approx({"metal2": 10.8})
    # The wire ends at 10, 20.5 um, where no pin is.
    tree = make_tree(floor, "n", wires["n"])
    assert tree.driver == ("g0", "Y")
    assert tree.loose == 1
    # Via, 10 um, then 0.8 um of 0.2 ohm a square, via; half a width to the pin counts nothing.
    assert sum(ohm for _, _, ohm in tree.ohms) == pytest.approx(0.1 + 6 + 4 + 0.32 + 6)
    whole = ROUTED.replace("( * 2050 ) ( 1000 * )", "( * 2550 )")
    tree = make_tree(floor, "n", read_wires(whole)["n"])
    assert not tree.loose
    lines = list(spef(floor, {"n": tree}))
    assert {"*I g0:Y O", "*I g1:A I"} <= set(lines)
    # From pin to pin, each node is there once, and nothing stands alone.
    rows = [line.split() for line in lines[lines.index("*RES") + 1 : lines.index("*END")]]
    assert len({name for _, one, two, _ in rows for name in (one, two)}) == len(rows) + 1


def test_capacitance_of_a_wire(floor: Floor) -> None:
    text = "NETS 1 ;\n- n\n+ ROUTED metal1 ( 920 1250 ) ( 1920 * ) ;\nEND NETS\n"
    tree = make_tree(floor, "n", read_wires(text)["n"])
    # 10 um of its width of 0.5 um, and of both edges.
    assert sum(tree.pf) == pytest.approx(10 * (0.5 * 2e-4 + 2 * 1e-4))


def test_finished_def_has_rails_and_whole_ends(floor: Floor) -> None:
    more = "( 1010 2050 )\n  NEW metal1 40 ( 990 2050 ) ( 1000 * ) ;"
    text = finished_def(floor, ROUTED.replace("( 1010 2050 ) ;", more))
    assert "metal1 40 ( 1010 2050 ) ( 1000 2050 )" in text
    assert "metal1 40 ( 990 2050 ) ( 1000 * ) ;" in text
    assert re.search(r"^PINS 4 ;\n- gnd \+ NET gnd", text, re.MULTILINE)
    assert "SPECIALNETS 3 ;" in text
    rails = read_wires(text)
    # A bar, and a rail for each edge of a row that is of its net.
    assert len(rails["gnd"].pieces) == 3
    assert len(rails["vdd"].pieces) == 2


def test_spice_names_nets_by_pins(floor: Floor) -> None:
    lines = spice(floor).splitlines()
    assert ".subckt pair a y vdd gnd" in lines
    assert "Xg1 n y INV" in lines


def test_other_netlists_are_told() -> None:
    same = "a |a\nCell pin lists are equivalent.\nCircuits match uniquely.\n"
    assert is_same_netlist(same)
    assert not is_same_netlist(same.replace("a |a", "a |b **Mismatch**"))
    assert not is_same_netlist("NET mismatches: Class fragments follow\nNetlists do not match.\n")


def test_vias_are_widened_above_the_lowest_metal() -> None:
    changed = [
        (old, new)
        for old, new in zip(LEF.splitlines(), with_wide_vias(LEF).splitlines(), strict=True)
        if old != new
    ]
    ((_, new),) = changed
    assert new.split()[1:5] == ["-0.200", "-0.250", "0.200", "0.250"]


@pytest.mark.parametrize("utilization", [1.0, 0.5])
def test_cells_never_overlap(floor: Floor, utilization: float) -> None:
    text = "g0 -80 0 80 1000 0 1\ng1 40 0 200 1000 0 1\ntwpin_a -90 5 -80 8 0 -1\n"
    placed = legal_placement(BLOCK, floor.lef, text, utilization)
    (row,) = placed.rows
    assert row.cells == ("g0", "g1")
    assert row.sites[1] >= row.sites[0] + 2
    assert placed.sites == (4 if utilization == 1 else 8)
    assert sorted(pin for side in placed.pins.values() for pin in side) == ["a", "y"]


def test_pins_stand_where_their_cells_are(floor: Floor) -> None:
    # Four rows of 24 cells, about a square; those at its edge have pins.
    names = [(row, place) for row in range(4) for place in range(24)]
    edge = [(row, place) for row, place in names if row in (0, 3) or place in (0, 23)]
    cells = {f"g{r}_{p}": Instance("INV", {"A": f"a{r}_{p}", "Y": "y"}) for r, p in names}
    block = Block("square", tuple(f"a{r}_{p}" for r, p in edge), (), frozenset(), (), cells, 0)
    text = "".join(f"g{r}_{p} {160 * p} 0 {160 * p + 160} 0 0 {r}\n" for r, p in names)
    placed = Floor(block, floor.lef, OSU018, legal_placement(block, floor.lef, text, 1.0), 3)
    places = {cell.name: cell for cell in placed.cells}
    for pin, (_, x, y) in placed.pins.items():
        cell = places[f"g{pin[1:]}"]
        assert abs(cell.x - x) + abs(cell.y - y) < 32
    assert {pin for side in placed.placement.pins.values() for pin in side} == set(block.inputs)


def test_missing_programs_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name in ("magic", "sta") else "/")
    monkeypatch.setattr(Path, "is_file", lambda self: True)
    assert run_cli("layout", "--unit", "act_queue", "-o", str(tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert "opensta, magic are not installed: run 'apt-get install" in error
    assert not (tmp_path / "out").exists()


def test_units_are_found_by_name() -> None:
    assert unit_name("eie-pe", "scnn") == UnitName("eie", ())
    assert unit_name("arithm.accs", "eie") == UnitName("eie", ("arithm", "accs"))
    with pytest.raises(ParameterError, match="one of"):
        unit_name("none-pe", "eie")
    params = engine("eie").presets["small"].params
    text, module, inside = find_unit(UnitName("eie", ("arithm",)), params)
    assert f"module {module} " in text
    assert inside == ["accs", "multiply"]
    text, module, inside = find_unit(UnitName("eie", ("lnzd",)), params)
    assert f"module {module} " in text
    both = r"the unit must be one of .*act_queue.*lnzd.*not 'queue'"
    with pytest.raises(ParameterError, match=both):
        find_unit(UnitName("eie", ("queue",)), params)


def test_an_array_is_tiled_with_blocks_that_fill_its_pes() -> None:
    blocks = {"logic": 16.0, "weights": 470.0, "even": 66.0, "odd": 66.0, "sums": 3.0}
    tiling = tile_array(blocks, 8, around=24.0)
    assert (tiling.columns, tiling.rows) == (4, 2)
    assert tiling.mm2 == pytest.approx((8 * 621 + 24) / 1e6)
    assert {box.name: box.um2 for box in tiling.pe} == pytest.approx(blocks)
    wide, high = tiling.pe_um
    assert wide == pytest.approx(high)
    for one, two in combinations(tiling.pe, 2):
        beside = one.left + one.width <= two.left + 1e-9 or two.left + two.width <= one.left + 1e-9
        above = (
            one.bottom + one.height <= two.bottom + 1e-9
            or two.bottom + two.height <= one.bottom + 1e-9
        )
        assert beside or above
    picture = draw_tiling(tiling, "an estimate", 0.005)
    assert picture.count("<use ") == 8
    assert "dashed: the paper" in picture
    assert "dashed" not in draw_tiling(tiling, "an estimate")
    with pytest.raises(ParameterError, match="the area of block sums must be above 0"):
        tile_array({"sums": 0.0}, 1)
    with pytest.raises(ParameterError, match="pes must be at least 1, not 0"):
        tile_array(blocks, 0)


@pytest.mark.long("places and routes for half a minute where the programs are installed")
def test_queue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = [name for name in PACKAGES if shutil.which(name) is None]
    if missing or not OSU018.file("lef").is_file():
        pytest.skip(f"the packages of 'zeroskip layout' are not installed: {missing}")
    out = tmp_path / "out"
    arguments = ["layout", "--unit", "act_queue", "--preset", "small", "-o", str(out), "--json"]
    assert run_cli(*arguments) == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert shown == {**json.loads((out / "summary.json").read_text()), "folder": str(out)}
    assert (shown["failed_nets"], shown["loose_ends"], shown["drc"]["violations"]) == (0, 0, 0)
    assert shown["lvs"]
    assert shown["hold_ns"] > 0
    assert 0 < shown["clock_ns"][0] < shown["clock_ns"][1] < 2
    assert shown["utilization"] >= 0.85
    assert shown["period_ns_without_wires"] < shown["period_ns"] < 4
    kinds = {".v", ".def", ".gds", ".spef", ".svg", ".spice"}
    assert kinds <= {path.suffix for path in out.iterdir()}
    # A folder that holds something else is left alone.
    (tmp_path / "other").mkdir()
    assert run_cli(*arguments[:-2], str(tmp_path / "other")) == 2
    assert "is no layout" in capsys.readouterr().err


def test_the_clock_comes_to_all_through_equally_many_buffers(floor: Floor) -> None:
    names = [(row, place) for row in range(6) for place in range(30)]
    cells = {f"g{r}_{p}": Instance("INV", {"A": "clk", "Y": f"y{r}_{p}"}) for r, p in names}
    outputs = tuple(f"y{r}_{p}" for r, p in names)
    block = Block("square", ("clk",), outputs, frozenset(), (), cells, 0)
    text = "".join(f"g{r}_{p} {160 * p} 0 {160 * p + 160} 0 0 {r}\n" for r, p in names)
    technology = replace(OSU018, clock_buffer="INV")
    placement = legal_placement(block, floor.lef, text, 0.8)
    grown, placed = grow_clock(block, floor.lef, technology, placement)
    driver = {cell.nets["Y"]: (name, cell) for name, cell in grown.instances.items()}
    depths = set()
    for name in cells:
        net, depth = grown.instances[name].nets["A"], 0
        while net != "clk":
            net, depth = driver[net][1].nets["A"], depth + 1
        depths.add(depth)
    assert depths == {3}
    assert max(len(ends) for net, ends in grown.nets.items() if net.startswith("clk")) <= 16
    assert len(grown.nets["clk"]) == 1
    for row in placed.rows:
        assert all(one + 2 <= two for one, two in pairwise(row.sites))
        assert row.sites[-1] + 2 <= placed.sites
    with pytest.raises(ToolError, match="no room for the clock's buffers"):
        grow_clock(block, floor.lef, technology, legal_placement(block, floor.lef, text, 1.0))
