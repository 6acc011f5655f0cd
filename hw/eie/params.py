"""Sizes of the EIE array, fixed when its Verilog is generated."""

import dataclasses
from dataclasses import dataclass
from typing import Any

__all__ = ["EieParams", "ParamError"]


class ParamError(ValueError):
    """A parameter lies outside what the hardware can be built with."""


# name: (smallest, largest) value that the RTL is built and tested for. The widest entry, 8 + 8
# bits, fits the smallest word.
_RANGES = {
    "num_pes": (1, 256),
    "queue_depth": (1, 256),
    "run_bits": (1, 8),
    "code_bits": (1, 8),
    "weight_bits": (2, 32),
    "act_bits": (2, 32),
    "acc_bits": (8, 64),
    "word_bits": (16, 512),
    "spmat_words": (2, 1 << 20),
    "num_pointers": (4, 1 << 20),
    "num_acts": (2, 1 << 16),
    "num_accs": (2, 1 << 16),
    "num_biases": (2, 1 << 16),
    "num_descriptors": (2, 1 << 12),
}


def _log2_ceil(count: int) -> int:
    """Bits that count ``count`` different values, at least 1: no signal is ever 0 bits wide."""
    return max(1, (count - 1).bit_length())


@dataclass(frozen=True, kw_only=True)
class EieParams:
    """Sizes of an EIE array (Han et al., ISCA 2016, section III and IV).

    Every memory size counts rows of one PE. Wrong values raise :class:`ParamError`.

    Parameters
    ----------
    num_pes : PEs, 1 to 256, each with one multiplier; any number, not only powers of two.
    queue_depth : entries of a PE's activation queue.
    run_bits : width of the zero count before an entry (the paper's z).
    code_bits : width of a weight code (the paper's v).
    weight_bits : width of a shared weight in the codebook, signed.
    act_bits : width of an activation, signed.
    acc_bits : width of an accumulator, two's complement that wraps.
    word_bits : width of a word of the Spmat SRAM, which holds whole entries only.
    spmat_words : words of the Spmat SRAM.
    num_pointers : column pointers, in two banks of half as many.
    num_acts : activations in each of the two activation files (source and destination).
    num_accs : accumulators, that is, rows of the matrix a PE works on in one pass.
    num_biases : biases, over all layers.
    num_descriptors : descriptors of the program, and codebooks beside them.
    pointers_first : read pointers before the queue, so that empty columns take no queue entry.
    skip_padding : take a padding entry and the entry after it, if in one word, in one cycle.
    counters : build the cycle counters.
    """

    num_pes: int = 8
    queue_depth: int = 8
    run_bits: int = 4
    code_bits: int = 4
    weight_bits: int = 16
    act_bits: int = 16
    acc_bits: int = 32
    word_bits: int = 64
    spmat_words: int = 16384
    num_pointers: int = 16384
    num_acts: int = 512
    num_accs: int = 256
    num_biases: int = 1024
    num_descriptors: int = 32
    pointers_first: bool = False
    skip_padding: bool = False
    counters: bool = True

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if name not in _RANGES:
                if not isinstance(value, bool):
                    raise ParamError(f"{name} must be true or false, not {value!r}")
                continue
            low, high = _RANGES[name]
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ParamError(
                    f"{name} must be a whole number from {low} to {high}, not {value!r}"
                )
        if self.num_pointers % 2:
            raise ParamError(f"num_pointers must be even (two banks), not {self.num_pointers}")
        if self.acc_bits < self.act_bits:
            raise ParamError(
                f"acc_bits must be at least act_bits = {self.act_bits}, not {self.acc_bits}"
            )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "EieParams":
        """Make parameters from a dictionary as :func:`dataclasses.asdict` gives it."""
        names = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(values) - set(names)):
            raise ParamError(f"unknown parameter {unknown[0]!r}; there are {', '.join(names)}")
        return cls(**values)

    @property
    def entry_bits(self) -> int:
        """Width of a stored entry."""
        return self.code_bits + self.run_bits

    @property
    def entries_per_word(self) -> int:
        """Entries in a word of the Spmat SRAM; none straddles two words."""
        return self.word_bits // self.entry_bits

    @property
    def max_run(self) -> int:
        """Longest run of zeros that one entry can carry, and the run of every padding entry."""
        return (1 << self.run_bits) - 1

    @property
    def spmat_entries(self) -> int:
        """Entries that one PE's Spmat SRAM holds."""
        return self.spmat_words * self.entries_per_word

    @property
    def pe_bits(self) -> int:
        """Width of a PE's number."""
        return _log2_ceil(self.num_pes)

    @property
    def slot_bits(self) -> int:
        """Width of an entry's position in its word."""
        return _log2_ceil(self.entries_per_word)

    @property
    def word_addr_bits(self) -> int:
        """Width of an address of the Spmat SRAM."""
        return _log2_ceil(self.spmat_words)

    @property
    def pointer_addr_bits(self) -> int:
        """Width of a pointer's number; the lowest bit is its bank."""
        return _log2_ceil(self.num_pointers)

    @property
    def act_addr_bits(self) -> int:
        """Width of an address in an activation file."""
        return _log2_ceil(self.num_acts)

    @property
    def acc_addr_bits(self) -> int:
        """Width of an accumulator's address, the PE-local row."""
        return _log2_ceil(self.num_accs)

    @property
    def bias_addr_bits(self) -> int:
        """Width of an address of the bias SRAM."""
        return _log2_ceil(self.num_biases)

    @property
    def descriptor_addr_bits(self) -> int:
        """Width of a descriptor's number."""
        return _log2_ceil(self.num_descriptors)

    @property
    def num_codes(self) -> int:
        """Entries of a codebook; entry 0 is literally 0."""
        return 1 << self.code_bits

    @property
    def max_act(self) -> int:
        """Largest activation."""
        return (1 << (self.act_bits - 1)) - 1

    @property
    def min_act(self) -> int:
        """Smallest activation."""
        return -(1 << (self.act_bits - 1))
