"""What a host of SCNN does in another way than others, in the testbench of an array by itself."""

from collections.abc import Sequence
from pathlib import Path

from zeroskip.flow import testbench as common
from zeroskip.hw.common.bundle import Port
from zeroskip.hw.scnn.formats import host_bits
from zeroskip.hw.scnn.packing import Packing
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["testbench"]

_OWN = Path(__file__).with_suffix(".v")


def testbench(top: str, ports: Sequence[Port], p: ScnnParams) -> str:
    """Write the testbench of an array, into which weights stream.

    Parameters
    ----------
    top : module that is tested.
    ports : of the module.
    p : of the array.
    """
    values = {"WORD_BITS": host_bits(p), "BEAT_BITS": Packing.of(p).beat}
    driven = "weights__payload", "weights__valid"
    return common.testbench(top, ports, _OWN.read_text(), driven=driven, values=values)
