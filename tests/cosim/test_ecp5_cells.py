"""Our models of ECP5's memory and multiplier against plain Verilog, mapped to them by Yosys."""

import random
import re
import subprocess
from pathlib import Path

import pytest

from zeroskip.flow.synth.yosys import run_yosys
from zeroskip.hw.board.boards import BOARDS
from zeroskip.sim.board.gates import ECP5_CELLS, YOSYS_OPTIONS, cell_models
from zeroskip.sim.rtl.tools import tool_environment

pytestmark = pytest.mark.cosim

# Rows, bits, and parts that are written by themselves: each becomes one block, as wide as it is.
_SHAPES = [(16384, 1, 1), (8192, 2, 1), (4096, 4, 1), (2048, 9, 1), (1024, 18, 2), (512, 36, 4)]

# What is read of a part that is being written is not known, as in hw/verilog/sram_fpga.sv.
_MEMORY = """
module memory #(parameter DEPTH = 16384, WIDTH = 1, PARTS = 1, FILE = "rows_1.hex") (
    input logic clk, rd_en,
    input logic [$clog2(DEPTH)-1:0] rd_addr, wr_addr,
    input logic [PARTS-1:0] wr_en,
    input logic [WIDTH-1:0] wr_data,
    output logic [WIDTH-1:0] rd_data
);
    localparam PART = WIDTH / PARTS;
    (* ram_style = "block" *) logic [WIDTH-1:0] rows [0:DEPTH-1];
    initial $readmemh(FILE, rows);
    always_ff @(posedge clk)
        for (int i = 0; i < PARTS; i++) begin
            if (rd_en)
                rd_data[i * PART +: PART] <= wr_en[i] && wr_addr == rd_addr
                    ? 'x : rows[rd_addr][i * PART +: PART];
            if (wr_en[i]) rows[wr_addr][i * PART +: PART] <= wr_data[i * PART +: PART];
        end
endmodule
"""

# Addresses are often those of the last writes. A read that meets a write must give neither what
# was there nor what comes; that is looked at where it is not by chance.
_BENCH = """
module bench (input clk);
    logic rd_en = 0;
    logic [3:0] wr_en = 0;
    logic [13:0] rd_addr = 0, wr_addr = 0, recent [0:15];
    logic [35:0] wr_data = 0, old;
    int step = 0, same = 0, differ = 0, met = 0, noise = 0;
    %(wires)s
    cells rtl (.*, %(rtl)s);
    netlist gates (.*, %(gates)s);
    initial foreach (recent[i]) recent[i] = 14'($urandom);
    always @(negedge clk) begin
        %(checks)s
        if ({r_ss, r_uu, r_su} == {g_ss, g_uu, g_su}) same++; else differ++;
        if (rd_en && |wr_en && rd_addr[8:0] == wr_addr[8:0]) begin
            met++;
            if (g_36 != old && g_36 != wr_data) noise++;
        end
        rd_en = $urandom %% 4 != 0;
        wr_en = 4'($urandom & $urandom);
        rd_addr = recent[$urandom %% 16];
        wr_addr = $urandom %% 4 == 0 ? recent[$urandom %% 16] : 14'($urandom);
        wr_data = {4'($urandom), $urandom};
        recent[step %% 16] = wr_addr;
        old = rtl.m_36.rows[rd_addr[8:0]];
        step++;
        if (step == 20000) begin
            $display("same %%0d differ %%0d met %%0d noise %%0d", same, differ, met, noise);
            $finish;
        end
    end
endmodule
"""

_CHECK = """
        if (rd_en)
            known[%(n)d] = !(|wr_en[%(parts)d-1:0] && rd_addr %% %(depth)d == wr_addr %% %(depth)d);
        if (known[%(n)d]) if (r_%(bits)d == g_%(bits)d) same++; else differ++;
"""

_MAIN = """
#include "Vtop.h"
int main(int argc, char** argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    Vtop top(&context);
    while (!context.gotFinish()) {
        top.clk = !top.clk;
        top.eval();
    }
}
"""


def _cells() -> str:
    """Return a module of memories of all shapes, and of products with and without signs."""
    outputs = "".join(f", output [{bits - 1}:0] q_{bits}" for _, bits, _ in _SHAPES)
    memories = "".join(
        f'memory #({depth}, {bits}, {parts}, "rows_{bits}.hex") m_{bits} (.clk, .rd_en, '
        f".rd_addr(rd_addr[{(depth - 1).bit_length() - 1}:0]), "
        f".wr_addr(wr_addr[{(depth - 1).bit_length() - 1}:0]), "
        f".wr_en(wr_en[{parts - 1}:0]), .wr_data(wr_data[{bits - 1}:0]), .rd_data(q_{bits}));\n"
        for depth, bits, parts in _SHAPES
    )
    return f"""
module cells (input clk, rd_en, input [13:0] rd_addr, wr_addr, input [3:0] wr_en,
    input [35:0] wr_data, output [35:0] ss, uu, su{outputs});
{memories}
    wire [17:0] a = wr_data[17:0], b = wr_data[35:18];
    assign ss = $signed(a) * $signed(b);
    assign uu = a * b;
    assign su = $signed(a) * $signed({{1'b0, b[16:0]}});
endmodule
"""


def _bench() -> str:
    names = ["ss", "uu", "su", *(f"q_{bits}" for _, bits, _ in _SHAPES)]
    widths = [36, 36, 36, *(bits for _, bits, _ in _SHAPES)]
    wires = [
        f"wire [{bits - 1}:0] {side}_{name.removeprefix('q_')};"
        for name, bits in zip(names, widths, strict=True)
        for side in "rg"
    ]
    ports = [
        ", ".join(f".{name}({side}_{name.removeprefix('q_')})" for name in names) for side in "rg"
    ]
    checks = [
        _CHECK % {"n": number, "depth": depth, "bits": bits, "parts": parts}
        for number, (depth, bits, parts) in enumerate(_SHAPES)
    ]
    known = f"logic [{len(_SHAPES) - 1}:0] known = 0;"
    return _BENCH % {
        "wires": "\n    ".join([*wires, known]),
        "rtl": ports[0],
        "gates": ports[1],
        "checks": "".join(checks),
    }


def _verilate(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["verilator", *YOSYS_OPTIONS, "-Wno-WIDTH", "--timescale", "1ns/1ps", *arguments],
        cwd=folder,
        env=tool_environment(),
        capture_output=True,
        text=True,
    )


@pytest.mark.long("makes and compiles a netlist")
def test_memories_and_products(tmp_path: Path) -> None:
    design = tmp_path / "design"
    design.mkdir()
    for depth, bits, _ in _SHAPES:
        numbers = random.Random(bits)
        rows = "\n".join(f"{numbers.getrandbits(bits):x}" for _ in range(depth))
        for folder in (design, tmp_path):
            (folder / f"rows_{bits}.hex").write_text(rows)
    (design / "cells.sv").write_text(_MEMORY + _cells())
    commands = ["read_verilog -sv cells.sv", "synth_ecp5 -top cells", "rename cells netlist"]
    run_yosys([*commands, "write_verilog -noattr netlist.v"], design)
    netlist = (design / "netlist.v").read_text()
    mapped = re.findall(r"DATA_WIDTH_A\(32'd(\d+)\)", netlist)
    assert sorted(map(int, mapped)) == [bits for _, bits, _ in _SHAPES]
    assert netlist.count("  MULT18X18D ") == 3

    sources = {
        **cell_models(BOARDS["ulx3s-85f"]),
        "design.sv": _MEMORY + _cells() + netlist + _bench(),
        "main.cpp": _MAIN,
    }
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    built = _verilate(
        tmp_path, "--cc", "--exe", "--build", "--x-assign", "unique", "--top", "bench",
        "--prefix", "Vtop", "-DNO_INCLUDES", "-Mdir", "built", *sources,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    out = subprocess.run(
        [tmp_path / "built/Vtop", "+verilator+rand+reset+2", "+verilator+seed+1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.match(r"same (\d+) differ (\d+) met (\d+) noise (\d+)\n", out)
    assert found, out
    same, differ, met, noise = map(int, found.groups())
    assert differ == 0
    assert same > 100_000
    assert noise == met > 100


@pytest.mark.parametrize(
    ("cell", "parameters", "error"),
    [
        ("DP16KD", ".DATA_WIDTH_A(72), .DATA_WIDTH_B(72)", "DATA_WIDTH_A 72"),
        ("DP16KD", ".DATA_WIDTH_A(9), .DATA_WIDTH_B(18)", "DATA_WIDTH_A 9, DATA_WIDTH_B 18"),
        ("DP16KD", '.REGMODE_B("OUTREG")', "REGMODE NOREG, OUTREG"),
        ("DP16KD", '.CSDECODE_A("0b001")', "CSDECODE 0b001, 0b000"),
        ("DP16KD", '.CLKBMUX("INV")', "CLKMUX CLKA, INV"),
        ("DP16KD", '.WRITEMODE_A("WRITETHROUGH")', "WRITEMODE WRITETHROUGH, NORMAL"),
        ("DP16KD", '.CEAMUX("INV")', "CEAMUX"),
        ("MULT18X18D", '.REG_OUTPUT_CLK("CLK0")', "registers are"),
        ("MULT18X18D", '.SOURCEB_MODE("B_C_DYNAMIC")', "SOURCEB_MODE B_C_DYNAMIC"),
    ],
)
def test_other_modes_are_refused(cell: str, parameters: str, error: str, tmp_path: Path) -> None:
    """A netlist with what is not modelled cannot be built, whatever warnings are off."""
    (tmp_path / "top.v").write_text(f"module top; {cell} #({parameters}) cell_0 (); endmodule\n")
    done = _verilate(tmp_path, "--lint-only", "--top", "top", str(ECP5_CELLS), "top.v")
    assert done.returncode
    assert re.search(error, done.stderr), done.stderr
