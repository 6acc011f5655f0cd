"""Arrays for boards: sizes with which the digits network fits."""

from dataclasses import replace

from zeroskip.hw.eie.params import EieParams

__all__ = ["BESIDE", "DIGITS"]

# What the digits network needs, rounded up; counters where there is room for them.
_SMALL = EieParams(
    num_pes=4,
    # With columns scheduled, digits take no longer than with 4, in 240 cells of iCE40 fewer.
    queue_depth=2,
    act_bits=8,
    weight_bits=8,
    # An accumulator of 16 bits takes one EBR of iCE40; of more, two.
    acc_bits=16,
    word_bits=16,
    num_pointers=512,
    num_acts=128,
    num_accs=128,
    num_biases=128,
    num_descriptors=4,
    counters=False,
)
# Widths that digits lose no accuracy with; two entries per word, and queues behind the pointers,
# give the shortest paths.
_BIG = EieParams(
    num_pes=16,
    act_bits=8,
    weight_bits=8,
    acc_bits=24,
    word_bits=16,
    spmat_words=1024,
    num_pointers=1024,
    num_acts=64,
    num_accs=64,
    num_biases=64,
    num_descriptors=8,
    pointers_first=True,
    counters=False,
)

BESIDE = replace(
    _BIG,
    num_pes=4,
    act_files=3,
    queue_depth=4,
    spmat_words=4096,
    num_acts=128,
    num_accs=128,
    num_biases=256,
)
"""An array for the Linear layers of the digits CNN, in a chip with one for its convolutions."""

DIGITS = {
    "icebreaker": replace(_SMALL, spmat_words=4096),
    "ulx3s-85f": _BIG,
    "orangecrab-85f": _BIG,
    "ecpix5-85f": _BIG,
    "tangnano9k": replace(_SMALL, spmat_words=1024),
}
"""By board, an array with which the digits network fits."""
