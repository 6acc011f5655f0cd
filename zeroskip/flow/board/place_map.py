"""Find the place of each bit of a memory in the blocks that Yosys makes of it.

Found by experiment rather than by rule: every bit of a memory gets a number, and the memory is
mapped once for each bit of these numbers, with contents that are that bit. What ends at a place
in the blocks then spells the number of the bit that is there.
"""

import json
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import ToolError
from zeroskip.flow.synth.yosys import run_yosys
from zeroskip.hw.board.boards import Family

__all__ = ["BlockMap", "map_memories", "settings_of"]


@dataclass(frozen=True, eq=False)
class BlockMap:
    """Map from the bits of a memory of some shape to blocks.

    Parameters
    ----------
    blocks : the end of each block's name, such as ``.0.1``.
    settings : what each block is set to, besides its contents.
    places : (depth, width) int32: number of the block, times bits of a block's contents, plus
        the bit's position in these.
    block_bits : bits of a block's contents.
    """

    blocks: tuple[str, ...]
    settings: tuple[dict[str, str], ...]
    places: NDArray[np.int32]
    block_bits: int


def settings_of(cell: Any) -> dict[str, str]:
    """Return a block's parameters without its contents."""
    return {
        name: value
        for name, value in sorted(cell["parameters"].items())
        if not name.startswith("INIT") and name not in ("WID", "GSR")
    }


def contents_of(cell: Any) -> NDArray[np.bool_]:
    """Return a block's contents: the bits of its INIT parameters, one after the other."""
    pattern = r"INIT(VAL|_RAM)?_[0-9A-F]{1,2}"
    names = sorted(n for n in cell["parameters"] if re.fullmatch(pattern, n))
    text = "".join(cell["parameters"][name][::-1] for name in names)
    bits = np.frombuffer(text.encode(), np.uint8) == ord("1")
    if cell["type"] == _NO_PARITY:
        # As those of its like with parity, which is every ninth bit.
        return np.pad(bits.reshape(-1, 8), ((0, 0), (0, 1))).ravel()
    return bits


def map_memories(
    family: Family, shapes: Collection[tuple[int, int]], folder: Path
) -> dict[tuple[int, int], BlockMap]:
    """Find the maps of memories of some (depth, width).

    Raises
    ------
    ToolError
        If Yosys is not there, or makes something else than blocks of a memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text: list[str] = []
    for depth, width in shapes:
        number = np.arange(1, depth * width + 1).reshape(depth, width)
        for bit in range(int(depth * width).bit_length()):
            name = f"m_{depth}_{width}_{bit}"
            rows = (number >> bit & 1).astype(np.uint8)[:, ::-1]
            lines = ["".join(map(str, row)) for row in rows]
            (folder / f"{name}.bin").write_text("\n".join(lines) + "\n")
            text.append(_module(name, depth, width))
    (folder / "memories.v").write_text("\n".join(text))
    for library in family.files:
        shutil.copy(library, folder)
    run_yosys(
        [
            "read_verilog -sv memories.v",
            "proc",
            "opt",
            "memory_dff",
            "memory -nomap",
            "opt_clean",
            *(family.memories or [f"{family.synth} -run map_ram:map_ffram"]),
            "write_json memories.json",
        ],
        folder,
    )
    modules = json.loads((folder / "memories.json").read_text())["modules"]
    return {shape: _map(modules, *shape) for shape in shapes}


# Gowin's block memory of 8 bits and less.
_NO_PARITY = "SDPB"


def _module(name: str, depth: int, width: int) -> str:
    """Return an SRAM as in sram_fpga.sv, with contents."""
    bits = max(1, (depth - 1).bit_length())
    return f"""\
module {name}(input clk, rd_en, wr_en, input [{bits - 1}:0] rd_addr, wr_addr,
  output reg [{width - 1}:0] rd_data, input [{width - 1}:0] wr_data);
  (* ram_style = "block" *) reg [{width - 1}:0] rows [0:{depth - 1}];
  initial $readmemb("{name}.bin", rows);
  always @(posedge clk) begin
    if (rd_en) rd_data <= wr_en && wr_addr == rd_addr ? {width}'bx : rows[rd_addr];
    if (wr_en) rows[wr_addr] <= wr_data;
  end
endmodule
"""


def _map(modules: Any, depth: int, width: int) -> BlockMap:
    numbers: NDArray[np.int64] | None = None
    blocks: tuple[str, ...] = ()
    settings: tuple[dict[str, str], ...] = ()
    for bit in range(int(depth * width).bit_length()):
        cells = {
            name.removeprefix("rows"): cell
            for name, cell in modules[f"m_{depth}_{width}_{bit}"]["cells"].items()
            if name.startswith("rows.")
        }
        found = tuple(sorted(cells))
        contents = np.array([contents_of(cells[name]) for name in found])
        if numbers is None:
            blocks, numbers = found, np.zeros(contents.shape, np.int64)
            settings = tuple(settings_of(cells[name]) for name in found)
        if found != blocks or contents.shape != numbers.shape or not contents.size:
            raise ToolError(f"Yosys made no blocks of a memory of {depth} rows of {width} bits")
        numbers += contents.astype(np.int64) << bit
    assert numbers is not None
    places = np.full(depth * width + 1, -1, np.int32)
    places[numbers.ravel()] = np.arange(numbers.size, dtype=np.int32)
    if (places[1:] < 0).any() or np.count_nonzero(numbers) != depth * width:
        raise ToolError(f"the blocks of a memory of {depth} rows of {width} bits lack bits of it")
    return BlockMap(blocks, settings, places[1:].reshape(depth, width), numbers.shape[1])
