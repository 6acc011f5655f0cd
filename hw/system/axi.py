"""The AXI4 port to memory: one identifier, so that all answers come in the order of asking.

Members have the names that AXI gives them; ``payload`` holds what a channel carries. What is not
there is constant: ``size`` is the full beat, ``burst`` INCR, ``cache`` and ``prot`` 0.
"""

from amaranth.hdl import unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.system.params import SystemParams

__all__ = ["AxiLite", "AxiRead", "AxiWrite", "Response", "address_layout"]


class Response(enum.Enum, shape=2):
    """How a transfer ended."""

    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


def address_layout(p: SystemParams) -> data.StructLayout:
    """Lay out a burst: byte address of its first beat, and beats less 1."""
    return data.StructLayout({"addr": unsigned(p.addr_bits), "len": unsigned(8)})


class AxiRead(wiring.Signature):
    """Read channels, as the master sees them."""

    def __init__(self, p: SystemParams) -> None:
        beat = data.StructLayout({
            "data": unsigned(p.data_bits),
            "resp": Response,
            "last": unsigned(1),
        })
        super().__init__({
            "ar": Out(stream.Signature(address_layout(p))),
            "r": In(stream.Signature(beat)),
        })


class AxiWrite(wiring.Signature):
    """Write channels, as the master sees them."""

    def __init__(self, p: SystemParams) -> None:
        beat = data.StructLayout({
            "data": unsigned(p.data_bits),
            "strb": unsigned(p.beat_bytes),
            "last": unsigned(1),
        })
        super().__init__({
            "aw": Out(stream.Signature(address_layout(p))),
            "w": Out(stream.Signature(beat)),
            "b": In(stream.Signature(Response)),
        })


class AxiLite(wiring.Signature):
    """AXI4-Lite of 32 bits, as the master sees it; ``bits`` of an address."""

    def __init__(self, bits: int) -> None:
        word = data.StructLayout({"data": unsigned(32), "strb": unsigned(4)})
        answer = data.StructLayout({"data": unsigned(32), "resp": Response})
        super().__init__({
            "aw": Out(stream.Signature(bits)),
            "w": Out(stream.Signature(word)),
            "b": In(stream.Signature(Response)),
            "ar": Out(stream.Signature(bits)),
            "r": In(stream.Signature(answer)),
        })
