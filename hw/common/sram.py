"""Memories that become SRAM macros: in Verilog, an instance of ``verilog/sram_1r1w.sv``."""

from amaranth.hdl import ClockSignal, Fragment, Instance, Shape, ShapeLike
from amaranth.lib.memory import Memory

from hw.common.memory import NamedMemory

__all__ = ["SramPlatform", "sram"]

_TAG = {"zeroskip_sram": "1"}


def sram(shape: ShapeLike, depth: int, name: str) -> Memory:
    """Make a memory of ``depth`` rows to be an SRAM: one synchronous read, one write port.

    A read of a row that is written in the same cycle returns the old word. Contents at power-up
    are not defined.
    """
    return NamedMemory(shape, depth, name, attrs=_TAG)


class SramPlatform:
    """Platform for ``verilog.convert``; other memories stay as Amaranth emits them.

    Parameters
    ----------
    has_multipliers : leave products to the multipliers that an FPGA has, instead of making them
        of gates, see :class:`hw.common.multiply.Multiply`.
    """

    def __init__(self, *, has_multipliers: bool = False) -> None:
        self.has_multipliers = has_multipliers

    def get_memory(self, memory: Memory) -> Fragment | Instance:
        """Replace ``memory`` if :func:`sram` made it."""
        if "zeroskip_sram" not in memory.attrs:
            return memory.elaborate(None)
        (read,), (write,) = memory.read_ports, memory.write_ports
        if read.domain == "comb" or read.transparent_for or len(write.en) != 1:
            raise ValueError(f"SRAM of {memory.depth} rows must have plain synchronous ports")
        return Instance(
            "sram_1r1w",
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
