"""Memories that become SRAM macros: in Verilog, instances of modules of ``verilog/srams.v``."""

import enum

from amaranth.hdl import ClockSignal, Fragment, Instance, Shape, ShapeLike
from amaranth.lib.memory import Memory

from zeroskip.hw.common.memory import NamedMemory

__all__ = ["SRAM_MODULES", "Ports", "SramPlatform", "has_short_paths", "sram"]

_TAG = "zeroskip_sram"


class Ports(enum.StrEnum):
    """Ports of an SRAM; the values name their modules."""

    READ_AND_WRITE = "sram_1r1w"
    """A read port and a write port: it can read and write in one cycle."""
    SHARED = "sram_1rw"
    """One port for both: it never reads and writes in one cycle."""


SRAM_MODULES = tuple(ports.value for ports in Ports)
"""Verilog modules of SRAMs."""


def sram(shape: ShapeLike, depth: int, name: str, ports: Ports = Ports.READ_AND_WRITE) -> Memory:
    """Make a memory of ``depth`` rows to be an SRAM, read and written synchronously.

    A read of a row that is written in the same cycle returns the old word. What was read stays at
    the output until the next read. Contents at power-up are not defined.

    Parameters
    ----------
    shape, depth, name : of a row, rows, and of the memory.
    ports : what macros it can be, and which memories of an FPGA. One whose port is shared still
        has a read and a write port here, which are never used in one cycle.
    """
    return NamedMemory(shape, depth, name, attrs={_TAG: ports.value})


def has_short_paths(platform: object) -> bool:
    """Tell if this is for an FPGA with LUTs to spare, which short paths may take."""
    return getattr(platform, "short_paths", False)


class SramPlatform:
    """Platform for ``verilog.convert``; other memories stay as Amaranth emits them.

    Parameters
    ----------
    has_multipliers : leave products to the multipliers that an FPGA has, instead of making them
        of gates, see :class:`.Multiply`.
    short_paths : spend LUTs of an FPGA on shorter paths, in the same cycles.
    """

    def __init__(self, *, has_multipliers: bool = False, short_paths: bool = False) -> None:
        self.has_multipliers = has_multipliers
        self.short_paths = short_paths

    def get_memory(self, memory: Memory) -> Fragment | Instance:
        """Replace ``memory`` if :func:`sram` made it."""
        if _TAG not in memory.attrs:
            return memory.elaborate(None)
        (read,), (write,) = memory.read_ports, memory.write_ports
        if read.domain == "comb" or read.transparent_for or len(write.en) != 1:
            raise ValueError(f"SRAM of {memory.depth} rows must have plain synchronous ports")
        return Instance(
            str(memory.attrs[_TAG]),
            p_DEPTH=memory.depth,
            p_WIDTH=Shape.cast(memory.shape).width,
            p_ABITS=len(read.addr),
            i_clk=ClockSignal(read.domain),
            i_rd_en=read.en,
            i_rd_addr=read.addr,
            o_rd_data=read.data,
            i_wr_en=write.en,
            i_wr_addr=write.addr,
            i_wr_data=write.data,
        )
