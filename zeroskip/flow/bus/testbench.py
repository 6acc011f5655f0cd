"""Testbench in plain Verilog of an AXI top: a memory and a master, for any simulator."""

from pathlib import Path

from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import REGISTER_BITS, Register

__all__ = ["testbench"]

_TEXT = Path(__file__).with_name("testbench.v")


def testbench(top: str, port: SystemParams) -> str:
    """Write the testbench of a top.

    Parameters
    ----------
    top : module that is tested.
    port : of the chip to its memory.
    """
    values = {
        "CHIP": top,
        "DATA_BITS": port.data_bits,
        "ADDR_BITS": port.addr_bits,
        "BEAT_SHIFT": port.beat_shift,
        "REGISTER_BITS": REGISTER_BITS,
    } | {f"{register.name}_ADDRESS": int(register) for register in Register}
    text = _TEXT.read_text()
    # A name may be the end of another.
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(name, str(values[name]))
    return text
