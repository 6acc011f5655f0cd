"""Named arrays, with the placement that goes with them."""

from dataclasses import replace

from zeroskip.compiler.engine import Preset
from zeroskip.hw.eie.params import EieParams

__all__ = ["PRESETS"]

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

PRESETS = {
    "small": Preset(
        EieParams(), "8 PEs for small networks; the default", {"placement": "schedule"}
    ),
    "paper": Preset(
        _PAPER,
        "64 PEs as in the EIE paper: run lengths of 4 bits, interleaved rows, queues of 8",
        {"placement": "interleave"},
    ),
    "best": Preset(
        _BEST,
        "the paper's PEs and SRAMs: run lengths of 5 bits, pointers before queues of 16, padding "
        "skipped, rows balanced and columns scheduled",
        {"placement": "schedule"},
    ),
}
"""The option ``placement`` is a :data:`.Strategy`."""
