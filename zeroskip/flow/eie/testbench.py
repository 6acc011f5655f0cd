"""What a host of EIE does in another way than others, in the testbench of an array by itself."""

from collections.abc import Sequence
from pathlib import Path

from zeroskip.flow import testbench as common
from zeroskip.hw.common.bundle import Port
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams

__all__ = ["testbench"]

_OWN = Path(__file__).with_suffix(".v")


def testbench(top: str, ports: Sequence[Port], p: EieParams) -> str:
    """Write the testbench of an array, which no rows stream into or out of.

    Parameters
    ----------
    top : module that is tested.
    ports : of the module.
    p : of the array.
    """
    values = {
        "WORD_BITS": p.act_bits,
        "FILE_BITS": p.file_bits,
        "ROW_BITS": p.act_addr_bits,
        # Status bits 1 and 5, see StatusBit.
        "SOURCE": "{answer[5], answer[1]}" if p.file_bits > 1 else "answer[1]",
        "ACT_SPACE": int(Space.ACT),
    }
    return common.testbench(top, ports, _OWN.read_text(), driven=(), values=values)
