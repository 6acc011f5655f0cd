"""Testbench in plain Verilog of a top: a memory and a master on its bus, for any simulator."""

from collections.abc import Iterable
from pathlib import Path

from zeroskip.flow.template import fill, instance
from zeroskip.hw.common.bundle import Port
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import REGISTER_BITS, Register

__all__ = ["TESTED_TOPS", "testbench"]

_TEXT = Path(__file__).with_name("testbench.v")

TESTED_TOPS = {"axi": True, "axi_stream": False, "wishbone": False}
"""Buses that there is a testbench for, and whether the models count cycles with what is on it."""

_PARTS = {
    "axi": ("axi", "memory"),
    "axi_stream": ("axi", "stream"),
    "wishbone": ("wishbone", "memory"),
}
"""What is on the bus, and where inputs and outputs are: texts ``testbench_PART.v``."""


def testbench(top: str, bus: str, ports: Iterable[Port], port: SystemParams) -> str:
    """Write the testbench of a top.

    Parameters
    ----------
    top : module that is tested.
    bus : one of :data:`TESTED_TOPS`.
    ports : of the module.
    port : of the chip to its memory.
    """
    master, moved = (_TEXT.with_name(f"testbench_{part}.v").read_text() for part in _PARTS[bus])
    parts = {"INSTANCE": instance(ports), "BUS": master, "DATA": moved}
    values = {
        "CHIP": top,
        "TIMED_VALUE": int(TESTED_TOPS[bus]),
        "DATA_BITS": port.data_bits,
        "ADDR_BITS": port.addr_bits,
        "BEAT_SHIFT": port.beat_shift,
        "REGISTER_BITS": REGISTER_BITS,
    } | {f"{register.name}_ADDRESS": int(register) for register in Register}
    return fill(_TEXT.read_text(), parts, values)
