"""Bit layouts of the SCNN array: what the compiler writes and what the RTL reads.

``docs/scnn.md`` says what the fields mean for a convolution; each layout stands here once.
"""

import enum

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data

from zeroskip.hw.common import formats as common
from zeroskip.hw.common.formats import ADDR_BITS, DESCRIPTOR_WORD_BITS, Activation
from zeroskip.hw.scnn.packing import Packing
from zeroskip.hw.scnn.params import DESCRIPTOR_BITS, ScnnParams

__all__ = [
    "DESCRIPTOR_WORDS",
    "HOST_READS",
    "PLANE_BITS",
    "VERSION",
    "Space",
    "StallClass",
    "act_entry_layout",
    "act_word_layout",
    "block_layout",
    "bus_word_layout",
    "command_layout",
    "counter_row",
    "descriptor_layout",
    "directory_layout",
    "host_bits",
    "host_layout",
    "item_layout",
    "plane_group_layout",
    "plane_load_layout",
    "plane_memory_layout",
    "plane_phases_layout",
    "plane_spread_layout",
    "readable_rows",
    "sram_files",
    "step_layout",
    "weight_entry_layout",
    "weight_word_layout",
]

VERSION = 6
"""Version of the host interface and of the layouts, read from ``Control.VERSION``."""

DESCRIPTOR_WORDS = DESCRIPTOR_BITS // DESCRIPTOR_WORD_BITS
"""A descriptor is this many words of the program memory, lowest first."""

_MOST_BEATS = 1 << ADDR_BITS


HOST_READS = 4
"""Reads of the host that are on their way at most: enough for one a cycle."""

PLANE_BITS = 28
"""Width of a place in memory, counted in values from where a plane's rows begin."""


class StallClass(enum.IntEnum):
    """What a PE's multipliers did; counted in multiplier-cycles, F x I a PE and cycle of a run.

    In a cycle that issues a pair of vectors, products of two non-zeros count as USEFUL, the
    multipliers left over as FRAGMENTATION; any other cycle counts whole for one class.
    """

    USEFUL = 0
    """Made a product of a non-zero weight and a non-zero (or kept) activation."""
    FRAGMENTATION = 1
    """Had no operands in a cycle that issued a pair: a short vector or a stored zero."""
    CONFLICT = 2
    """Held a pair while a queue before a bank was full."""
    STARVED = 3
    """Had no pair: weights or activations were not there yet."""
    BARRIER = 4
    """Had finished its group (or the pass) while another PE had not."""
    HALO = 5
    """Waited for accumulators while sums of neighbours were being fetched."""
    DRAIN = 6
    """Waited for accumulators while outputs were being written."""
    SETUP = 7
    """Waited for the descriptor, or for the accumulators to be wiped."""
    BUS = 8
    """Had weights, but no activations for them yet from the position bus."""


class Space(enum.IntEnum):
    """Host address spaces. Memories of PEs and streams take their number from the command."""

    CONTROL = 0
    PROGRAM = 1
    CODEBOOK = 2
    TAP = 3
    BIAS = 4
    ACT = 5
    DIRECTORY = 6
    COUNTER = 7


def act_entry_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out a stored activation: its value, and the zeros before it (paper, section III)."""
    return data.StructLayout({"value": signed(p.act_bits), "run": unsigned(p.run_bits)})


def act_word_layout(p: ScnnParams) -> data.ArrayLayout:
    """Lay out a row of an activation RAM: I stored activations."""
    return data.ArrayLayout(act_entry_layout(p), p.mult_i)


def directory_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out where a channel's activations are: first word, and number of stored entries."""
    return data.StructLayout({
        "start": unsigned(p.act_addr_bits),
        "count": unsigned(p.act_count_bits),
    })


def plane_phases_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out where outputs are that are read as a plane, in ``sy`` x ``sx`` phases.

    ``channels`` directory entries from ``base`` up, of every PE: one for each phase of a channel;
    the other fields are as in :func:`descriptor_layout`.
    """
    tile = unsigned(p.acc_addr_bits)
    return data.StructLayout({
        "base": unsigned(p.channel_bits),
        "channels": unsigned(p.channel_bits + 1),
        "wo": tile,
        "ho": tile,
        "y_stride": tile,
        "full_x": unsigned(5),
        "full_y": unsigned(5),
        "rem_x": tile,
        "rem_y": tile,
        "block_x": unsigned(3),
        "block_y": unsigned(3),
        "sx": tile,
        "sy": tile,
    })


def plane_load_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out where a plane is to be stored, as :func:`plane_phases_layout`.

    Tiles have ``ho`` x ``wo`` values; those of the last PEs of a block have ``rem_y`` rows and
    ``rem_x`` columns, which may be more. ``y_stride``: row stride of positions inside a phase.
    ``dense``: zeros inside the plane are stored, too. ``append``: each PE goes on behind what the
    plane before has put there, else it begins at row ``word``. ``limit``: first row that is not
    written.
    """
    flag, row = unsigned(1), p.act_addr_bits
    fields = {"dense": flag, "append": flag, "word": unsigned(row), "limit": unsigned(row + 1)}
    return data.StructLayout({**plane_phases_layout(p).members, **fields})


def plane_spread_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out how directory entries are dealt to blocks of PEs, which are numbered row-major.

    Fields
    ------
    blocks_x, blocks_y : blocks across and down that have some; only these are counted.
    full_blocks : of those, how many have ``channels`` of them.
    rem_channels : entries of the next; those behind it have none.
    """
    return data.StructLayout({
        "blocks_x": unsigned(5),
        "blocks_y": unsigned(5),
        "full_blocks": unsigned(9),
        "rem_channels": unsigned(p.channel_bits + 1),
    })


def plane_memory_layout() -> data.StructLayout:
    """Lay out where values of a plane are in memory, counted in values.

    Fields
    ------
    first : of the first PE, behind the address of the command.
    tile_x, tile_y : from a PE to the next of its block, across and down.
    block, block_row : from a block to the next across, and from a row of blocks to the next.
    channel, row : from a channel to the next, and from a row to the next.
    rows : from a row of a phase to the next.
    """
    names = ("first", "tile_x", "tile_y", "block", "block_row", "channel", "row", "rows")
    return data.StructLayout({name: unsigned(PLANE_BITS) for name in names})


def plane_group_layout(p: ScnnParams, lanes: int) -> data.StructLayout:
    """Lay out values of a plane that lie side by side in a row of a tile: ``count`` of them."""
    return data.StructLayout({
        "values": data.ArrayLayout(signed(p.act_bits), lanes),
        "count": range(lanes + 1),
    })


def weight_entry_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out a stored weight: code or value, and the zeros before it."""
    return data.StructLayout({"field": unsigned(p.field_bits), "run": unsigned(p.run_bits)})


def weight_word_layout(p: ScnnParams) -> data.ArrayLayout:
    """Lay out a vector of F stored weights."""
    return data.ArrayLayout(weight_entry_layout(p), p.mult_f)


def block_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out the header of a block of weights: one channel (phase) and output-channel group.

    Fields
    ------
    channel : number of the channel in the directory, less the descriptor's ``src_base``; in
        a pass with ``bus``, its owner's number times ``src_entries``, and that number behind it.
    tap_base : number of the block's first tap.
    count : weight vectors; 0 only with ``last``.
    last : the group ends after this block.
    """
    return data.StructLayout({
        "channel": unsigned(p.header_channel_bits),
        "tap_base": unsigned(p.tap_bits),
        "count": unsigned(p.weight_count_bits),
        "last": unsigned(1),
    })


def bus_word_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out a word of activations on its way from its owner to the PEs of the same position.

    Fields
    ------
    acts : a row of the owner's activation RAM.
    lanes : which of them are activations; none: the word only ends a round.
    channel : directory entry of the owner, less ``src_base``; behind the bus, as in headers.
    first : the first word of a channel (phase) from its owner.
    final : the last word of the channel, from all owners that have tiles of it.
    last : the round ends: its owner, behind the bus all owners, have sent all of their entries.
    second_x, second_y : it is of the second of two tiles of owners, across and down.
    """
    return data.StructLayout({
        "acts": act_word_layout(p),
        "lanes": unsigned(p.mult_i),
        "channel": unsigned(p.header_channel_bits),
        "first": unsigned(1),
        "final": unsigned(1),
        "last": unsigned(1),
        "second_x": unsigned(1),
        "second_y": unsigned(1),
    })


def item_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out what is broadcast to the PEs in a cycle: a vector of weights, decoded.

    Fields
    ------
    weights : F times the weight's ``value`` (0: none) and the ``offset`` that it adds to an
        activation's position to give the address of the accumulator.
    first : the first vector of a block, whose ``channel`` (with ``src_base``) and ``count`` these
        are.
    last : the group ends after this block; the same in all vectors of the block.
    empty : there are no weights: the group ends, that is all (``first`` and ``last`` are set).
    """
    weight = data.StructLayout({
        "value": signed(p.weight_bits),
        "offset": unsigned(p.acc_addr_bits),
    })
    return data.StructLayout({
        "weights": data.ArrayLayout(weight, p.mult_f),
        "channel": unsigned(p.header_channel_bits),
        "count": unsigned(p.weight_count_bits),
        "first": unsigned(1),
        "last": unsigned(1),
        "empty": unsigned(1),
    })


def step_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out a step of the drain, the same for all PEs.

    Fields
    ------
    valid : there is a step.
    lanes : those that have a part. Lane n is for the output n * ``spacing`` columns right of lane
        0's, and for the accumulator so many after lane 0's.
    spacing : ``out_sx``, or 2 with ``pairs``.
    pairs : each lane reads the accumulator behind its own, too, and goes on with the greater sum.
    addr : lane 0's; every PE reads the accumulators of ``lanes``, and sets them back to the initial
        value.
    dx, dy : where the values go to is where they come from: each PE takes the values read by its
        neighbour at (x + dx, y + dy), or its own if both are 0.
    first, last : first and last step of the outputs; their own accumulators are read in the first.
    x, y : lane 0's output, in the PE's tile.
    pool_first, pool_last : they are of the first, and of the last row of their windows.
    row_end : the last of the outputs ends a row of the phase.
    channel_end : it ends the phase, and so a channel of the destination directory.
    """
    return data.StructLayout({
        "valid": unsigned(1),
        "lanes": unsigned(p.mult_i),
        "spacing": unsigned(3),
        "pairs": unsigned(1),
        "addr": unsigned(p.acc_addr_bits),
        "dx": signed(2),
        "dy": signed(2),
        "x": unsigned(p.acc_addr_bits),
        "y": unsigned(p.acc_addr_bits),
        "first": unsigned(1),
        "last": unsigned(1),
        "pool_first": unsigned(1),
        "pool_last": unsigned(1),
        "row_end": unsigned(1),
        "channel_end": unsigned(1),
    })


def descriptor_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out one pass, in the order of the program. See ``docs/scnn.md`` for the geometry.

    Fields
    ------
    groups : output-channel groups of every stream, at least 1.
    kc, kc_last : output channels of a group, and of the last group; at least 1.
    log_kc : ``2**log_kc >= kc``; a weight's place in its block is ``tap * 2**log_kc + k``.
    k_stride, y_stride : accumulators from one output channel, and from one row, to the next.
    origin : accumulator of output (0, 0) of the tile, for output channel 0.
    wo, ho : outputs of a tile, across and down.
    halo_left, halo_right, halo_top, halo_bottom : columns and rows of a PE's accumulators that
        belong to its neighbours there; at most ``wo`` and ``ho``.
    full_x, rem_x, full_y, rem_y : PEs of a block that have full tiles, and outputs that the
        next one has; those after have none.
    block_x, block_y : log2 of the PEs across and down that share a weight stream and a plane.
    src_base : number, in the directory, that the blocks' channels are relative to.
    dst_base : number of the first channel written, in the directory.
    dst_word : row at which the pass begins to write; with ``append`` it goes on behind the pass
        before instead.
    dst_limit : first row that the pass may not write. What would be there is lost, and the run
        ends behind the pass.
    out_sx, out_sy : phases into which outputs are split, that is, strides of the next layer.
    out_y_stride : row stride of the positions of outputs, the next layer's ``y_stride``.
    pool_x, pool_y : what is written is the maximum of windows of so many columns and rows of
        outputs, side by side, of which ``wo`` and ``ho``, ``rem_x`` and ``rem_y`` are multiples; 1:
        the outputs themselves. At most ``MOST_POOL``, columns also at most the lanes of a step.
        Where one is not 1, ``out_sx`` and ``out_sy`` are.
    bias_base : bias of output channel 0 of the pass.
    shift : right shift of the sum.
    codebook : which codebook; ``plain``: stored weights are values, sign-extended.
    activation : the :class:`.Activation` of outputs.
    maximum : accumulate the maximum instead of the sum; ``init_min``: from the smallest number
        instead of 0.
    keep_zeros : stored zeros of the source are activations; ``out_dense``: store every output.
    wipe : set all accumulators to the initial value before the pass.
    drain : write outputs (else the accumulators keep their sums; ``groups`` must be 1).
    bus : channels are sent by the PEs that made them, their owners; else each PE reads its own.
    src_block_x, src_block_y : log2 of the PEs across and down of a block of owners: those of a
        block of this pass, or twice as many.
    src_entries : directory entries that each owner sends, from ``src_base`` up.
    src_step_x, src_step_y : added to positions of the second of two tiles of owners, across or
        down, that are one tile of this pass.
    last : the program ends here.
    """
    tile, channels = unsigned(p.acc_addr_bits), unsigned(p.channel_bits)
    layout = data.StructLayout({
        "groups": unsigned(12),
        "kc": unsigned(p.acc_addr_bits + 1),
        "kc_last": unsigned(p.acc_addr_bits + 1),
        "log_kc": unsigned(4),
        "k_stride": unsigned(p.acc_addr_bits + 1),
        "y_stride": tile,
        "origin": tile,
        "wo": tile,
        "ho": tile,
        "halo_left": tile,
        "halo_right": tile,
        "halo_top": tile,
        "halo_bottom": tile,
        "full_x": unsigned(5),
        "full_y": unsigned(5),
        "rem_x": tile,
        "rem_y": tile,
        "block_x": unsigned(3),
        "block_y": unsigned(3),
        "src_base": channels,
        "dst_base": channels,
        "dst_word": unsigned(p.act_addr_bits),
        "dst_limit": unsigned(p.act_addr_bits + 1),
        "append": unsigned(1),
        "out_sx": unsigned(3),
        "out_sy": unsigned(3),
        "out_y_stride": tile,
        "pool_x": unsigned(3),
        "pool_y": unsigned(3),
        "bias_base": unsigned(p.bias_addr_bits),
        "shift": unsigned(6),
        "codebook": unsigned(p.codebook_bits),
        "plain": unsigned(1),
        "activation": Activation,
        "maximum": unsigned(1),
        "init_min": unsigned(1),
        "keep_zeros": unsigned(1),
        "out_dense": unsigned(1),
        "wipe": unsigned(1),
        "drain": unsigned(1),
        "bus": unsigned(1),
        "src_block_x": unsigned(3),
        "src_block_y": unsigned(3),
        "src_entries": unsigned(p.channel_bits + 1),
        "src_step_x": tile,
        "src_step_y": tile,
        "last": unsigned(1),
    })
    assert Shape.cast(layout).width == p.descriptor_bits
    return layout


def host_bits(p: ScnnParams) -> int:
    """Return the width of the host port's data: 64, or a row of activations if that is wider."""
    return max(64, Shape.cast(act_word_layout(p)).width)


def host_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out a host command as a PE sees it: write ``data`` to row ``addr`` of a space, or read.

    COUNTER has the rows of ``counter_row``.
    """
    return common.host_layout(host_bits(p), Space)


def command_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out a host command, and the number of the PE (y * pes_x + x) or stream it is for."""
    return common.command_layout(host_layout(p))


def counter_row(number: int, stall: int) -> int:
    """Give the row, in space COUNTER, of descriptor ``number``'s counter of a stall class."""
    return number << (len(StallClass) - 1).bit_length() | stall


def readable_rows(p: ScnnParams) -> dict[Space, tuple[int, int]]:
    """Return how many rows a host can read, and of how many RAMs, by space, without CONTROL."""
    rows = {Space.ACT: (p.act_words, 1), Space.DIRECTORY: (p.num_channels, 1)}
    if p.counters:
        rows[Space.COUNTER] = counter_row(p.num_descriptors, 0), 1
    return rows


def sram_files(p: ScnnParams) -> dict[str, tuple[int, int]]:
    """Return names, depths and widths (bits) of the SRAMs that an image loads.

    The name is the file's path in an image, without suffix. ``weights`` are in no SRAM, but stream
    in while a run is under way, and each run has as many beats as it needs.
    """
    width = {
        name: Shape.cast(layout).width
        for name, layout in (("act", act_word_layout(p)), ("directory", directory_layout(p)))
    }
    files = {
        "program": (DESCRIPTOR_WORDS * p.num_descriptors, DESCRIPTOR_WORD_BITS),
        "codebook": (p.num_codebooks * p.num_codes, p.weight_bits),
        "tap": (p.num_taps, p.acc_addr_bits),
        "weights": (_MOST_BEATS, Packing.of(p).beat),
    }
    for stream in range(p.num_streams):
        files[f"stream_{stream}/bias"] = p.num_biases, p.acc_bits
    for pe in range(p.num_pes):
        files |= {
            f"pe_{pe}/act": (p.act_words, width["act"]),
            f"pe_{pe}/directory": (p.num_channels, width["directory"]),
        }
    return files
