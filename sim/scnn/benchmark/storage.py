"""What the memories of an SCNN PE take in bits, beside the paper's."""

from dataclasses import dataclass

from amaranth.hdl import Shape, ShapeLike

from zeroskip.hw.scnn.act_read import ACT_QUEUE_DEPTH, acts_layout
from zeroskip.hw.scnn.formats import (
    act_word_layout,
    directory_layout,
    item_layout,
)
from zeroskip.hw.scnn.packing import Packing
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.products import addend_layout

__all__ = ["MemoryBits", "scnn_storage"]

_KIBIBYTE = 8 * 1024


@dataclass(frozen=True)
class MemoryBits:
    """A memory.

    Parameters
    ----------
    name : what it is.
    paper : bits of the paper's; None where it says nothing of one.
    here : bits.
    about : how these come about.
    per_pe : of each PE; else of the array.
    """

    name: str
    paper: int | None
    here: int
    about: str
    per_pe: bool


def scnn_storage(params: ScnnParams) -> tuple[MemoryBits, ...]:
    """List the memories of an array, those of a PE first.

    The paper's are those of Parashar et al., ISCA 2017, section V: 10 KB of activations in and out,
    500 bytes of weight FIFO, accumulators of 24 bits in two sets.
    """
    p = params

    def width(layout: ShapeLike) -> int:
        return Shape.cast(layout).width

    act, entry = width(act_word_layout(p)), width(directory_layout(p))
    item, beat = item_layout(p), Packing.of(p).beat
    weights = width(item["weights"].shape)
    kept = width(item["channel"].shape) + width(item["count"].shape) + 1
    queued, addend = width(acts_layout(p)), width(addend_layout(p))
    tables = p.num_streams * p.mult_f
    of_pe = (
        ("activations", 2 * 10 * _KIBIBYTE, p.act_words * act,
         f"{p.act_words} words of {p.mult_i} x ({p.act_bits} + {p.run_bits})"),
        ("weight FIFO", 50 * 4 * 20, p.weight_depth * weights,
         (f"{p.weight_depth} vectors of {p.mult_f} x ({p.weight_bits} + {p.acc_addr_bits}): "
          "decoded, with offsets")),
        ("accumulators", 2 * 32 * 32 * 24, 2 * p.accs * p.acc_bits,
         f"2 x {p.banks} x {p.bank_entries} of {p.acc_bits}"),
        ("directory", None, p.num_channels * entry,
         f"{p.num_channels} channels of {entry}"),
        ("queues before banks", None, p.banks * p.scatter_depth * addend,
         f"{p.banks} x {p.scatter_depth} products of {addend}"),
        ("activations read ahead", None, ACT_QUEUE_DEPTH * queued,
         f"{ACT_QUEUE_DEPTH} vectors of {queued}"),
        ("headers read ahead", None, p.block_depth * kept,
         f"{p.block_depth} of {kept}"),
    )  # fmt: skip
    of_array = (
        ("weights on their way", p.num_streams * p.stream_beats * beat,
         f"{p.num_streams} streams x {p.stream_beats} beats of {beat}"),
        ("biases", p.num_streams * p.num_biases * p.acc_bits,
         f"{p.num_streams} streams x {p.num_biases} of {p.acc_bits}"),
        ("taps", tables * p.num_taps * p.acc_addr_bits,
         f"{tables} copies of {p.num_taps} of {p.acc_addr_bits}"),
        ("codebooks", tables * p.num_codebooks * p.num_codes * p.weight_bits,
         f"{tables} copies of {p.num_codebooks} x {p.num_codes} of {p.weight_bits}"),
    )  # fmt: skip
    return (
        *(MemoryBits(*memory, per_pe=True) for memory in of_pe),
        *(MemoryBits(name, None, bits, about, per_pe=False) for name, bits, about in of_array),
    )
