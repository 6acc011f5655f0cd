"""Keep the figures of the EIE paper (Han et al., ISCA 2016) as numbers.

The paper gives the bars of its figures 8, 11, 12 and 13 in no text or table, so what stands here
comes from its prose and tables, or was measured on the simulator and data that its authors
published; each constant says which.
"""

from zeroskip.sim.eie.benchmark.layers import EIE_LAYERS

__all__ = [
    "AUTHORS_BALANCE",
    "AUTHORS_SPMAT_READS",
    "LOAD_BALANCE",
    "RANDOM_REAL_WORK",
    "SPEED_256_OVER_64",
]

LOAD_BALANCE = {layer.name: layer.theoretical_us / layer.actual_us for layer in EIE_LAYERS}
"""Table IV: theoretical over actual time at 64 PEs and queue depth 8, which is what figures 8
and 13 show there."""

SPEED_256_OVER_64 = 3.25
"""Section VII: throughput of 256 PEs over that of 64."""

AUTHORS_BALANCE = {2: 0.695, 4: 0.845, 8: 0.895, 16: 0.910, 32: 0.910, 64: 0.910, 128: 0.910,
                   256: 0.910}  # fmt: skip
"""The authors' simulator on their AlexNet FC8 (4096 x 1000, 25.66 % non-zero weights, 42.9 %
non-zero inputs, 64 PEs): balance by the size of its ring buffer, of which one slot stays empty.
Beside figure 8."""

AUTHORS_SPMAT_READS = {16: 258_386, 32: 158_921, 64: 100_900, 128: 60_396, 256: 32_551,
                       512: 16_468}  # fmt: skip
"""Spmat reads of all 64 PEs by the width of a word, on the same data. Beside figure 9."""

_PES: tuple[int, ...] = (1, 8, 16, 32, 64, 128, 256)
_AT_9, _AT_4 = (0.78, 0.78, 0.79, 0.81, 0.84, 0.90, 1.00), (0.48, 0.49, 0.51, 0.56, 0.64, 0.79, 1.0)
RANDOM_REAL_WORK: dict[str, dict[int, float]] = {
    name: dict(zip(_PES, shares, strict=True))
    for name, shares in {
        "Alex-6": _AT_9,
        "Alex-7": _AT_9,
        "Alex-8": (0.99, 0.99, 0.99, 1.00, 1.00, 1.00, 1.00),
        "VGG-6": _AT_4,
        "VGG-7": _AT_4,
        "VGG-8": (0.99, 0.99, 0.99, 0.99, 1.00, 1.00, 1.00),
        "NT-We": (0.83, 0.85, 0.89, 0.97, 1.00, 1.00, 1.00),
        "NT-Wd": (0.85, 0.85, 0.85, 0.85, 0.87, 0.88, 0.92),
        "NT-LSTM": (0.81, 0.83, 0.83, 0.85, 0.90, 0.97, 1.00),
    }.items()
}
"""Computed from the densities of table III, by number of PEs: real entries over all entries, for
weights at independent random places, 4-bit runs, interleaved rows. Not printed in the paper.
Beside figure 12."""
