"""Estimate the area of SRAMs at 45 nm; no memory compiler is at hand."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from zeroskip.flow.synth.liberty import OWN_LIBERTY, UM2_PER_GE, read_liberty
from zeroskip.flow.synth.netlist import Sram, synthesize

__all__ = ["SOURCES", "SramArea", "sram_area"]

_PAPER_UM2_PER_BIT = 594_786 / (162 * 1024 * 8)
_OPENRAM_UM2_PER_BIT = 1 / 0.826
_LARGE_BITS, _SMALL_BITS = 16 * 1024, 4 * 1024

SOURCES = (
    f"SRAMs from {_LARGE_BITS // 1024} kbit: {_PAPER_UM2_PER_BIT:.3f} um2 per bit, as "
    "Han et al. have (ISCA 2016: 594,786 um2 for 162 KB); smaller ones, and the bound of all: "
    f"{_OPENRAM_UM2_PER_BIT:.2f} um2 per bit, as OpenRAM has for FreePDK45 (0.826 Mb/mm2); the "
    f"bound of those under {_SMALL_BITS // 1024} kbit: synthesized as flip-flops"
)
"""What the figures are from."""


@dataclass(frozen=True)
class SramArea:
    """Areas in um2 at 45 nm: what is expected, and what it may come to at worst."""

    model: float
    bound: float

    def __add__(self, other: "SramArea") -> "SramArea":
        return SramArea(self.model + other.model, self.bound + other.bound)


def sram_area(srams: Iterable[Sram]) -> SramArea:
    """Estimate the area of SRAMs, see :data:`SOURCES`.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    total = SramArea(0.0, 0.0)
    for sram in srams:
        dense = _PAPER_UM2_PER_BIT if sram.bits >= _LARGE_BITS else _OPENRAM_UM2_PER_BIT
        if sram.bits < _SMALL_BITS:
            bound = _as_flipflops(sram.depth, sram.width)
        else:
            bound = sram.bits * _OPENRAM_UM2_PER_BIT
        total += SramArea(min(sram.bits * dense, bound), bound)
    return total


_FLIPFLOPS = """\
module memory (
    input clk, rd_en, wr_en,
    input [{abits}:0] rd_addr, wr_addr,
    output reg [{high}:0] rd_data,
    input [{high}:0] wr_data
);
    reg [{high}:0] rows [0:{last}];
    always @(posedge clk) begin
        if (rd_en) rd_data <= rows[rd_addr];
        if (wr_en) rows[wr_addr] <= wr_data;
    end
endmodule
"""


@cache
def _as_flipflops(depth: int, width: int) -> float:
    """Synthesize a memory of ``sram_1r1w``'s ports with flip-flops for its bits; um2 at 45 nm."""
    text = _FLIPFLOPS.format(
        abits=max(1, (depth - 1).bit_length()) - 1, high=width - 1, last=depth - 1
    )
    netlist = synthesize({"memory.v": text}, "memory", read_liberty(OWN_LIBERTY), path=False)
    memory = netlist.modules["memory"]
    return (memory.registers + memory.combinational) * UM2_PER_GE
