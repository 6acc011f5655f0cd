"""Read descriptors and bit fields back from the words of SRAMs, of either engine."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from amaranth.lib import data
from numpy.typing import NDArray

__all__ = [
    "LIMB_BITS",
    "Descriptor",
    "Srams",
    "read_descriptors",
    "signed",
    "take_bits",
    "unpack",
]

LIMB_BITS = 64

Srams = Mapping[str, NDArray[np.uint64]]
"""Contents by name, see ``sram_files`` of the engine's formats: (rows, limbs) words, limbs of 64
bits, lowest first; rows that are left out are never read."""


@dataclass(frozen=True)
class Descriptor:
    """A descriptor of an array; the fields are those of its ``descriptor_layout``."""

    values: dict[str, int]

    def __getattr__(self, name: str) -> int:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None

    def get(self, name: str) -> int:
        """Return a field that not every array has; 0 if this one's has not."""
        return self.values.get(name, 0)


def read_descriptors(
    words: NDArray[np.uint64], layout: data.StructLayout, size: int
) -> tuple[Descriptor, ...]:
    """Read the descriptors up to the one that ends the program.

    Parameters
    ----------
    words : (rows, 1) of the program SRAM.
    layout : of a descriptor; ``last`` is one of its fields.
    size : words of a descriptor, lowest first.

    Raises
    ------
    ValueError
        If none ends it.
    """
    parts = [int(word) for word in words[:, 0]]
    program: list[Descriptor] = []
    for first in range(0, len(parts) - size + 1, size):
        bits = 0
        for part in reversed(parts[first : first + size]):
            bits = bits << LIMB_BITS | part
        program.append(Descriptor(unpack(bits, layout)))
        if program[-1].last:
            return tuple(program)
    raise ValueError(f"program must have a last descriptor, but none of {len(program)} is it")


def unpack(bits: int, layout: data.StructLayout) -> dict[str, int]:
    """Take packed unsigned fields apart."""
    return {str(name): bits >> field.offset & ((1 << field.width) - 1) for name, field in layout}


def take_bits(words: NDArray[np.uint64], offset: int, width: int) -> NDArray[np.uint64]:
    """Take a field of up to 64 bits out of every word: (rows, limbs) to (rows,)."""
    limb, shift = divmod(offset, LIMB_BITS)
    bits = words[:, limb] >> np.uint64(shift)
    if shift + width > LIMB_BITS:
        bits |= words[:, limb + 1] << np.uint64(LIMB_BITS - shift)
    return bits & np.uint64((1 << width) - 1)


def signed(words: NDArray[np.uint64], bits: int) -> NDArray[np.int64]:
    """Read the lowest ``bits`` as two's complement."""
    unused = LIMB_BITS - bits
    return (words << np.uint64(unused)).view(np.int64) >> np.int64(unused)
