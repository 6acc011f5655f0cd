"""What is left open of proofs about the position bus, and the smallest array that has one."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.formats import bus_word_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["WORD", "OpenBus", "P"]

P = ScnnParams(
    mult_i=1,
    mult_f=1,
    banks=2,
    bank_entries=2,
    weight_depth=2,
    run_bits=1,
    field_bits=2,
    code_bits=2,
    weight_bits=2,
    act_bits=2,
    num_channels=4,
    act_fifo_words=2,
)
WORD = bus_word_layout(P)


class OpenBus(wiring.Component):
    """What is left open of a proof: words that are offered, and stalls.

    Members
    -------
    words, valid, ready : In, of each stream that comes in, and each that goes out.
    others : In, what else is open.
    bad : Out.
    """

    words: Any
    valid: Signal
    ready: Signal
    bad: Signal

    def __init__(self, ins: int, outs: int, others: Mapping[str, ShapeLike]) -> None:
        super().__init__({
            "words": In(WORD).array(ins),
            "valid": In(ins),
            "ready": In(outs),
            "bad": Out(1),
            **{name: In(shape) for name, shape in others.items()},
        })

    def offer(self, m: Module, number: int, port: Any, word: Any, may: Any) -> Any:
        """Offer a word, if it may be, until it is taken; return whether it is taken."""
        stalled = Signal(name=f"stalled_{number}")
        kept: Any = Signal(WORD, name=f"kept_{number}")
        m.d.sync += [stalled.eq(port.valid & ~port.ready), kept.eq(port.payload)]
        m.d.comb += [
            port.valid.eq(stalled | (self.valid[number] & may)),
            port.payload.eq(Mux(stalled, kept, word)),
        ]
        return port.valid & port.ready
