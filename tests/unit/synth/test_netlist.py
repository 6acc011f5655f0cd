from dataclasses import replace
from pathlib import Path

import pytest

from zeroskip.base.errors import ToolError
from zeroskip.flow.synth.liberty import OWN_LIBERTY, read_liberty
from zeroskip.flow.synth.netlist import Netlist, Sram, synthesize
from zeroskip.flow.synth.report import units_of
from zeroskip.flow.synth.sram_area import sram_area
from zeroskip.flow.synth.yosys import run_yosys

OWN = read_liberty(OWN_LIBERTY)

DESIGN = """
module leaf (input clk, input [3:0] a, output [3:0] y);
    wire [7:0] word;
    sram_1r1w #(.DEPTH(32), .WIDTH(8), .ABITS(5)) rows (.clk(clk), .rd_en(1'b1),
        .rd_addr({1'b0, a}), .rd_data(word), .wr_en(1'b0), .wr_addr(5'b0), .wr_data(8'b0));
    assign y = word[7:4] ^ word[3:0];
endmodule
module top (input clk, rst, input [3:0] a, output reg [3:0] count, output z);
    wire [3:0] left_y, right_y;
    leaf left (clk, a, left_y);
    leaf right (clk, count, right_y);
    assign z = ^left_y;
    always @(posedge clk) count <= rst ? 4'b0 : right_y;
endmodule
"""


@pytest.fixture(scope="module")
def netlist() -> Netlist:
    return synthesize({"design.v": DESIGN}, "top", OWN)


def test_areas_by_module(netlist: Netlist) -> None:
    leaf, top = netlist.modules["leaf"], netlist.modules["top"]
    assert leaf.srams == (Sram("rows", 32, 8),)
    assert (leaf.flipflops, leaf.registers) == (0, 0.0)
    assert leaf.combinational == pytest.approx(4 * 2.0)  # four XORs
    assert top.flipflops == 4
    assert top.registers == pytest.approx(4 * 5.667)
    assert top.children == {"left": "leaf", "right": "leaf"}
    assert netlist.below("top") == ["top", "leaf", "leaf"]


def test_units(netlist: Netlist) -> None:
    left, right, own = units_of(netlist, OWN, own="control", paper={"left": 7.0})
    assert (left.name, right.name, own.name) == ("left", "right", "control")
    assert left.logic_ge == pytest.approx(8.0)
    assert left.logic_um2 == pytest.approx(8.0 * 0.798)
    assert (left.paper_um2, right.paper_um2) == (7.0, None)
    assert own.srams == ()
    assert own.registers_ge == pytest.approx(4 * 5.667)


def test_longest_path_goes_through_modules(netlist: Netlist) -> None:
    assert netlist.path is not None
    # Two bits meet, four of these meet; an inverter or two may stand between.
    assert 3 <= netlist.path.levels <= 5
    assert netlist.path.start.startswith("SRAM left.rows rd_data")
    assert netlist.path.end == "port z"
    assert netlist.path.delay_ps is None


def test_the_same_text_twice(netlist: Netlist) -> None:
    told: list[tuple[str, int, int]] = []
    again = synthesize({"design.v": DESIGN}, "top", OWN, progress=lambda *step: told.append(step))
    assert again.verilog == netlist.verilog
    names = list(dict.fromkeys(name for name, _, _ in told))
    assert names == ["synthesize top", "find the longest path of top"]
    for step in names:
        counts = [(done, total) for name, done, total in told if name == step]
        assert counts == sorted(counts)
        assert counts[-1][0] == counts[-1][1]


def test_errors_of_yosys_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="Module `\\\\missing' referenced in module"):
        synthesize({"x.v": "module top; missing m (); endmodule"}, "top", OWN)
    # abc has the cause, Yosys then misses a file.
    library = replace(OWN, text=OWN.text.replace('"!(A&B&C)"', '"!(A&B&Z)"'))
    with pytest.raises(ToolError, match=r"status 1: Mio_ParseFormula.* cannot find var"):
        synthesize({"design.v": DESIGN}, "top", library)
    with pytest.raises(ToolError, match="status 1: No such command"):
        run_yosys(["no_such_pass"], tmp_path)


def test_srams_by_size() -> None:
    large, middle, small = Sram("l", 1024, 32), Sram("m", 256, 32), Sram("s", 8, 4)
    assert sram_area([large]).model == pytest.approx(32768 * 0.4482, rel=1e-3)
    assert sram_area([large]).bound == pytest.approx(32768 * 1.2107, rel=1e-3)
    assert sram_area([middle]).model == sram_area([middle]).bound
    # As flip-flops, with what writes and reads them.
    assert sram_area([small]).bound > 32 * (5.667 + 1) * 0.798
    assert sram_area([small]).model == pytest.approx(32 * 1.2107, rel=1e-3)
    both = sram_area([large, middle])
    assert both.model == sram_area([large]).model + sram_area([middle]).model
