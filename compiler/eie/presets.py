"""Named arrays, with the placement that goes with them."""

from dataclasses import dataclass, replace

from zeroskip.compiler.eie.place import Strategy
from zeroskip.hw.eie.params import EieParams

__all__ = ["DEFAULT_PRESET", "PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """An array and how networks are placed on it.

    Parameters
    ----------
    params : of the array.
    placement : see :data:`.Strategy`.
    about : one line for ``--help``.
    """

    params: EieParams
    placement: Strategy
    about: str


# What the paper gives of a PE (EIE, section IV and VI): 128 KB of Spmat SRAM in words of 64 bits,
# 16,384 pointers, 2 KB of activation SRAM (here split in source and destination), 64
# accumulators. Biases and descriptors are ours.
_PAPER = EieParams(
    num_pes=64,
    queue_depth=8,
    run_bits=4,
    word_bits=64,
    spmat_words=16384,
    num_pointers=16384,
    num_acts=512,
    num_accs=64,
    num_biases=512,
    num_descriptors=32,
)
_BEST = replace(_PAPER, queue_depth=16, run_bits=5, pointers_first=True, skip_padding=True)

DEFAULT_PRESET = "small"

PRESETS = {
    "small": Preset(EieParams(), "schedule", "8 PEs for small networks; the default"),
    "paper": Preset(
        _PAPER,
        "interleave",
        "64 PEs as in the EIE paper: run lengths of 4 bits, interleaved rows, queues of 8",
    ),
    "best": Preset(
        _BEST,
        "schedule",
        "the paper's PEs and SRAMs: run lengths of 5 bits, pointers before queues of 16, padding "
        "skipped, "
        "rows balanced and columns scheduled",
    ),
}
