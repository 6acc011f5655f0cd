"""Sizes of the EIE array, fixed when its Verilog is generated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from zeroskip.base.errors import ParameterError
from zeroskip.hw.common.params import ArrayParams, address_bits
from zeroskip.hw.common.tanh import GATE_BITS

__all__ = ["EieParams"]

_MOST_STATES = 1 << 11
"""States of a PE; with them, and as many rows, a descriptor still fits its two words."""

_MOST_WITH_DELTA = {
    "num_acts": 1 << 10,
    "num_pointers": 1 << 16,
    "num_biases": 1 << 12,
    "num_descriptors": 1 << 8,
}
"""Largest values with ``delta``: a descriptor then has room for a threshold."""

_WIDEST_PLAIN = 12
"""Width of a plain weight, at most: that of ESE."""

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
    # With rows of 15 bits, a descriptor of the largest sizes just fits its two words.
    "num_acts": (2, 1 << 15),
    "act_files": (2, 3),
    "num_accs": (2, 1 << 15),
    "num_biases": (2, 1 << 16),
    "num_descriptors": (2, 1 << 12),
    "num_states": (2, _MOST_STATES),
    "num_references": (2, 1 << 14),
}


@dataclass(frozen=True, kw_only=True)
class EieParams(ArrayParams):
    """Sizes of an EIE array (Han et al., ISCA 2016, section III and IV).

    Every memory size counts rows of one PE. Wrong values raise :class:`.ParameterError`.

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
    num_acts : activations in each activation file.
    act_files : activation files: 2, a source and a destination; or 3, and then rows of a third
        one stream in, and rows of any stream out, while a run is under way. In a chip there are
        always 3.
    num_accs : accumulators, that is, rows of the matrix a PE works on in one pass.
    num_biases : biases, over all layers.
    num_descriptors : descriptors of the program, and codebooks beside them.
    num_states : states of recurrent cells, that is, hidden units of a PE over all layers; without
        ``cells`` there are none.
    num_references : references, that is, rows that passes over changes scan in a step; without
        ``delta`` there are none.
    pointers_first : read pointers before the queue, so that empty columns take no queue entry.
    skip_padding : take a padding entry and the entry after it, if in one word, in one cycle.
    counters : build the cycle counters.
    cells : build what the cells of LSTM and GRU need: functions, products and states in each PE.
    peepholes : build what peepholes of LSTMs need besides.
    delta : build what it takes to multiply by changes of what cells read: references and kept sums
        in each PE.
    plain : entries hold weights themselves, of ``weight_bits`` bits, 12 at most, instead of codes
        (ESE); there are no codebooks.
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
    act_files: int = 2
    num_states: int = 64
    num_references: int = 512
    pointers_first: bool = False
    skip_padding: bool = False
    counters: bool = True
    cells: bool = False
    peepholes: bool = False
    delta: bool = False
    plain: bool = False

    ranges: ClassVar[Mapping[str, tuple[int, int]]] = _RANGES

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_pointers % 2:
            raise ParameterError("num_pointers", self.num_pointers, "even (two banks)")
        if self.cells:
            for name, most in (
                ("act_bits", GATE_BITS),
                ("num_acts", _MOST_STATES),
                ("num_accs", _MOST_STATES),
            ):
                if (value := getattr(self, name)) > most:
                    raise ParameterError(name, value, f"at most {most} in an array with cells")
        if self.peepholes and not self.cells:
            raise ParameterError("peepholes", self.peepholes, "false in an array without cells")
        if self.peepholes and self.acc_bits < GATE_BITS:
            rule = f"at least {GATE_BITS} in an array with peepholes"
            raise ParameterError("acc_bits", self.acc_bits, rule)
        if self.delta and not self.cells:
            raise ParameterError("delta", self.delta, "false in an array without cells")
        for name, most in _MOST_WITH_DELTA.items() if self.delta else ():
            if (value := getattr(self, name)) > most:
                raise ParameterError(name, value, f"at most {most} in an array with delta")
        if self.plain and self.weight_bits > _WIDEST_PLAIN:
            rule = f"at most {_WIDEST_PLAIN} in an array of plain weights"
            raise ParameterError("weight_bits", self.weight_bits, rule)
        if self.entry_bits > self.word_bits:
            rule = f"at least {self.entry_bits}, the bits of an entry"
            raise ParameterError("word_bits", self.word_bits, rule)

    @property
    def value_bits(self) -> int:
        """Width of a factor: of an activation or, with ``delta``, of the difference of two."""
        return self.act_bits + self.delta

    @property
    def stored_bits(self) -> int:
        """Width of a stored weight: of its code, or, where weights are plain, of itself."""
        return self.weight_bits if self.plain else self.code_bits

    @property
    def num_codes(self) -> int:
        """Different stored weights, 0 among them."""
        return 1 << self.stored_bits

    @property
    def codebook_bits(self) -> int:
        """Bits of a codebook; 0 where weights are plain."""
        return 0 if self.plain else self.num_codes * self.weight_bits

    @property
    def entry_bits(self) -> int:
        """Width of a stored entry."""
        return self.stored_bits + self.run_bits

    @property
    def entries_per_word(self) -> int:
        """Entries in a word of the Spmat SRAM; none straddles two words."""
        return self.word_bits // self.entry_bits

    @property
    def spmat_entries(self) -> int:
        """Entries that one PE's Spmat SRAM holds."""
        return self.spmat_words * self.entries_per_word

    @property
    def pe_bits(self) -> int:
        """Width of a PE's number."""
        return address_bits(self.num_pes)

    @property
    def slot_bits(self) -> int:
        """Width of an entry's position in its word."""
        return address_bits(self.entries_per_word)

    @property
    def word_addr_bits(self) -> int:
        """Width of an address of the Spmat SRAM."""
        return address_bits(self.spmat_words)

    @property
    def pointer_addr_bits(self) -> int:
        """Width of a pointer's number; the lowest bit is its bank."""
        return address_bits(self.num_pointers)

    @property
    def act_addr_bits(self) -> int:
        """Width of an address in an activation file."""
        return address_bits(self.num_acts)

    @property
    def file_bits(self) -> int:
        """Width of an activation file's number."""
        return address_bits(self.act_files)

    @property
    def state_addr_bits(self) -> int:
        """Width of an address of the states."""
        return address_bits(self.num_states)

    @property
    def reference_addr_bits(self) -> int:
        """Width of an address of the references."""
        return address_bits(self.num_references)

    @property
    def streams(self) -> bool:
        """Whether there is a file that rows stream into while a run is under way."""
        return self.act_files > 2

    @property
    def acc_addr_bits(self) -> int:
        """Width of an accumulator's address, the PE-local row."""
        return address_bits(self.num_accs)
