"""Testbench in plain Verilog of a top: a memory and a master on its bus, for any simulator."""

from collections.abc import Iterable
from pathlib import Path

from zeroskip.flow.template import fill, instance
from zeroskip.hw.common.bundle import Port
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import REGISTER_BITS, Register

__all__ = ["TESTED_TOPS", "testbench"]

_TEXT = Path(__file__).with_name("testbench.v")

TESTED_TOPS = {"axi": True, "wishbone": False}
"""Buses that there is a testbench for, and whether the models count cycles with its memory; what is
on the bus is in ``testbench_BUS.v``."""


def testbench(top: str, bus: str, ports: Iterable[Port], port: SystemParams) -> str:
    """Write the testbench of a top.

    Parameters
    ----------
    top : module that is tested.
    bus : one of :data:`TESTED_TOPS`.
    ports : of the module.
    port : of the chip to its memory.
    """
    parts = {
        "INSTANCE": instance(ports),
        "BUS": _TEXT.with_name(f"testbench_{bus}.v").read_text(),
    }
    values = {
        "CHIP": top,
        "TIMED_VALUE": int(TESTED_TOPS[bus]),
        "DATA_BITS": port.data_bits,
        "ADDR_BITS": port.addr_bits,
        "BEAT_SHIFT": port.beat_shift,
        "REGISTER_BITS": REGISTER_BITS,
    } | {f"{register.name}_ADDRESS": int(register) for register in Register}
    return fill(_TEXT.read_text(), parts, values)
