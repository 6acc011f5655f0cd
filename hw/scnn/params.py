"""Sizes of the SCNN array, fixed when its Verilog is generated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from zeroskip.base.errors import ParameterError
from zeroskip.hw.common.params import ArrayParams, address_bits

__all__ = ["DESCRIPTOR_BITS", "MOST_POOL", "PRESETS", "ScnnParams"]

DESCRIPTOR_BITS = 384
"""Bits of a descriptor in the program memory."""

MOST_POOL = 4
"""Most rows, and most columns, of a pooling window whose maximum the PPU takes."""

# name: (smallest, largest) value that the RTL is built and tested for.
_RANGES = {
    "pes_x": (1, 16),
    "pes_y": (1, 16),
    "num_streams": (1, 256),
    "mult_f": (1, 8),
    "mult_i": (1, 8),
    "banks": (1, 128),
    "bank_entries": (2, 1024),
    "scatter_depth": (1, 64),
    "weight_depth": (2, 256),
    "block_depth": (2, 64),
    "run_bits": (1, 8),
    "field_bits": (2, 16),
    "code_bits": (1, 8),
    "weight_bits": (2, 16),
    "act_bits": (2, 16),
    "acc_bits": (8, 64),
    "act_words": (4, 1 << 16),
    "act_fifo_words": (0, 1 << 12),
    "num_channels": (2, 1 << 12),
    "plane_units": (1, 4),
    "stream_beats": (2, 1 << 16),
    "num_taps": (2, 1 << 10),
    "num_biases": (2, 1 << 16),
    "num_codebooks": (1, 256),
    "num_descriptors": (2, 1 << 10),
}


@dataclass(frozen=True, kw_only=True)
class ScnnParams(ArrayParams):
    """Sizes of an SCNN array (Parashar et al., ISCA 2017, sections IV and V).

    Wrong values raise :class:`.ParameterError`.

    Parameters
    ----------
    pes_x, pes_y : PEs of the grid, columns and rows.
    num_streams : weight streams. With one, all PEs get the same weights, as in the paper; with
        more, blocks of PEs can work on different output channels of the same pixels.
    mult_f, mult_i : weights (F) and activations (I) of a Cartesian product; a PE has F x I
        multipliers.
    banks : accumulator banks of a PE, a power of two (the paper: 2 F I).
    bank_entries : accumulators of a bank, a power of two, in each of two sets.
    scatter_depth : products that wait before a bank.
    weight_depth : vectors of F weights that a PE's weight FIFO holds; the weights of one channel
        and output-channel group must fit.
    block_depth : headers of weight blocks that a PE holds ahead.
    run_bits : width of the zero count before a stored weight or activation.
    field_bits : width of a stored weight: a code or the value itself.
    code_bits : width of a code; the codebook has ``2**code_bits`` entries.
    weight_bits, act_bits : width of a weight and of an activation, signed.
    acc_bits : width of an accumulator, two's complement that wraps.
    act_words : vectors of I activations in a PE's activation RAM.
    act_fifo_words : vectors of I activations from the position bus that wait in a PE for their
        weights; with 0 the array has no bus.
    num_channels : channels (times phases) that a PE's directory holds.
    plane_units : units that move planes between memory and PEs at a time, a power of two; each has
        PEs of its own, a word of activations of which it reads or writes in a cycle.
    stream_beats : beats of packed weights that wait before a stream.
    num_taps : kernel positions, of all phases.
    num_biases : biases of a stream, over all passes.
    num_codebooks, num_descriptors : codebooks, and descriptors of the program.
    counters : build the cycle counters.
    """

    pes_x: int = 1
    pes_y: int = 1
    num_streams: int = 1
    mult_f: int = 4
    mult_i: int = 4
    banks: int = 32
    bank_entries: int = 32
    scatter_depth: int = 4
    weight_depth: int = 50
    block_depth: int = 8
    run_bits: int = 4
    field_bits: int = 16
    code_bits: int = 8
    weight_bits: int = 16
    act_bits: int = 16
    acc_bits: int = 32
    act_words: int = 2048
    act_fifo_words: int = 0
    num_channels: int = 2048
    plane_units: int = 1
    stream_beats: int = 256
    num_taps: int = 256
    num_biases: int = 2048
    num_codebooks: int = 16
    num_descriptors: int = 64
    counters: bool = True

    ranges: ClassVar[Mapping[str, tuple[int, int]]] = _RANGES

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("banks", "bank_entries", "plane_units"):
            if getattr(self, name) & (getattr(self, name) - 1):
                raise ParameterError(name, getattr(self, name), "a power of two")
        if self.plane_units > self.pes_x:
            raise ParameterError(
                "plane_units", self.plane_units, f"at most the {self.pes_x} PEs of a row"
            )
        if self.field_bits < self.code_bits:
            raise ParameterError(
                "code_bits", self.code_bits, f"at most field_bits = {self.field_bits}"
            )
        if self.field_bits > self.weight_bits:
            raise ParameterError(
                "field_bits", self.field_bits, f"at most weight_bits = {self.weight_bits}"
            )
        if self.descriptor_bits > DESCRIPTOR_BITS:
            raise ParameterError(
                "banks * bank_entries",
                self.accs,
                f"at most {1 << self._most_acc_addr_bits}",
                f"a descriptor of {DESCRIPTOR_BITS} bits has no room for more, with "
                f"act_words = {self.act_words}, num_channels = {self.num_channels}, "
                f"num_biases = {self.num_biases} and num_codebooks = {self.num_codebooks}",
            )
        if self.num_streams > self.num_pes:
            raise ParameterError("num_streams", self.num_streams, f"at most the {self.num_pes} PEs")

    @property
    def descriptor_bits(self) -> int:
        """Width of a descriptor, see :func:`.descriptor_layout`."""
        return 16 * self.acc_addr_bits + self._other_descriptor_bits

    @property
    def _other_descriptor_bits(self) -> int:
        """Bits of a descriptor that do not depend on the number of accumulators."""
        fields = 2 * self.act_addr_bits + 3 * self.channel_bits + self.bias_addr_bits
        return 72 + fields + self.codebook_bits

    @property
    def _most_acc_addr_bits(self) -> int:
        return (DESCRIPTOR_BITS - self._other_descriptor_bits) // 16

    @property
    def num_pes(self) -> int:
        """PEs of the array."""
        return self.pes_x * self.pes_y

    def plane_unit(self, x: Any, y: Any) -> Any:
        """Return the number of the unit that moves planes of the PE at column ``x``, row ``y``.

        PEs side by side, and one above the other, have different ones: whatever blocks of PEs have
        a part of a plane, the units have about as much to do.
        """
        return (x + y * max(1, self.plane_units // 2)) & (self.plane_units - 1)

    @property
    def mults(self) -> int:
        """Multipliers of a PE, F x I."""
        return self.mult_f * self.mult_i

    @property
    def accs(self) -> int:
        """Accumulators of a set of a PE."""
        return self.banks * self.bank_entries

    @property
    def acc_addr_bits(self) -> int:
        """Width of an accumulator's address; the lowest ``bank_bits`` name its bank."""
        return address_bits(self.accs)

    @property
    def bank_bits(self) -> int:
        """Bits of an accumulator's address that name its bank; 0 with one bank."""
        return self.banks.bit_length() - 1

    def drain_lanes(self, out_sx: int, pool_x: int = 1) -> int:
        """Return the outputs of a row of a step of the drain, ``out_sx`` accumulators apart.

        As many as there are activations in a word, and as there are different banks among them; of
        these, as many as whole windows of ``pool_x`` columns have, so that 0 is too few for any.
        """
        shared = out_sx & -out_sx  # every bank comes again after banks / shared outputs
        return min(self.mult_i, max(1, self.banks // shared)) // pool_x * pool_x

    def drain_width(self, out_sx: int, pool_x: int = 1, *, halos: bool = False) -> int:
        """Return how many columns of outputs a step of the drain covers, those of all phases.

        Where windows have an even number of columns and no PE has parts of its neighbours' outputs
        (``halos``), a lane has two of them, of which the greater sum goes on.
        """
        if pool_x % 2 == 0 and not halos:
            return 2 * self.drain_lanes(2, pool_x // 2)
        return self.drain_lanes(out_sx, pool_x) * out_sx

    @property
    def entry_addr_bits(self) -> int:
        """Width of an address inside a bank."""
        return address_bits(self.bank_entries)

    @property
    def act_addr_bits(self) -> int:
        """Width of an address of an activation RAM."""
        return address_bits(self.act_words)

    @property
    def act_count_bits(self) -> int:
        """Width of a number of stored activations, up to a full RAM."""
        return (self.act_words * self.mult_i).bit_length()

    @property
    def channel_bits(self) -> int:
        """Width of a number of a channel in a directory."""
        return address_bits(self.num_channels)

    @property
    def header_channel_bits(self) -> int:
        """Width of a number of a channel in a header of weights: of those of all owners."""
        return address_bits(self.num_channels * self.num_streams)

    @property
    def weight_count_bits(self) -> int:
        """Width of a number of weight vectors in a block, up to a full FIFO."""
        return self.weight_depth.bit_length()

    @property
    def tap_bits(self) -> int:
        """Width of a number of a tap."""
        return address_bits(self.num_taps)

    @property
    def codebook_bits(self) -> int:
        """Width of a number of a codebook."""
        return address_bits(self.num_codebooks)

    @property
    def min_acc(self) -> int:
        """Smallest accumulator, where a maximum starts."""
        return -(1 << (self.acc_bits - 1))


# The paper gives 8 x 8 PEs of 4 x 4 multipliers, 10 KB of IARAM and of OARAM a PE (values of 16
# bits with runs of 4: 1,024 vectors each, here in one RAM), 50 entries of weight FIFO, 32 banks of
# 32 accumulators in two sets. Its accumulators have 24 bits; streams, directories and what feeds
# them are ours.
PRESETS = {
    "paper": ScnnParams(
        pes_x=8,
        pes_y=8,
        num_streams=16,
        act_fifo_words=128,
        num_channels=1024,
        plane_units=4,
        stream_beats=4608,
        num_codebooks=28,
        num_descriptors=128,
    ),
    "tile": ScnnParams(),
    "tiny": ScnnParams(
        pes_x=2,
        pes_y=2,
        mult_f=2,
        mult_i=2,
        banks=8,
        bank_entries=16,
        scatter_depth=2,
        weight_depth=16,
        block_depth=2,
        act_words=128,
        num_channels=128,
        stream_beats=16,
        num_taps=32,
        num_biases=64,
        num_codebooks=2,
        num_descriptors=8,
    ),
    # Widths and tables that the digits CNN needs, with room to spare.
    "board": ScnnParams(
        mult_f=2,
        mult_i=2,
        banks=8,
        bank_entries=64,
        scatter_depth=2,
        weight_depth=32,
        block_depth=2,
        field_bits=8,
        code_bits=4,
        weight_bits=8,
        act_bits=8,
        acc_bits=24,
        act_words=512,
        num_channels=128,
        stream_beats=16,
        num_taps=32,
        num_biases=128,
        num_codebooks=2,
        num_descriptors=16,
        counters=False,
    ),
}
"""Presets of SCNN's array: ``paper`` (the ISCA paper's 64 PEs), ``tile`` (one PE), ``tiny`` (for
tests), ``board`` (one PE for an FPGA)."""
