"""Turn a convolution's weights into each stream's blocks; ``docs/scnn.md``."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.geometry import Tap
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["StreamBlocks", "encode_weights", "tap_words"]


@dataclass(frozen=True, eq=False)
class StreamBlocks:
    """Blocks of weights that a stream reads in a pass.

    Parameters
    ----------
    entries : (entries,) uint64, stored weights; the run is above bit 32.
    blocks : (blocks, 5) int64, of each the channel, the first tap, its entries, whether the group
        ends with it, and its place in the order of channels (phases), the same for all streams.
    """

    entries: NDArray[np.uint64]
    blocks: NDArray[np.int64]


def tap_words(phases: Sequence[Sequence[Tap]], origin: int, y_stride: int) -> NDArray[np.uint64]:
    """List what the tap table holds for a pass, the taps of each phase one after the other.

    Raises
    ------
    ValueError
        If ``origin`` leaves no room before the tile.
    """
    words = [origin + tap.dy * y_stride + tap.dx for taps in phases for tap in taps]
    if words and min(words) < 0:
        raise ValueError(f"origin must be at least {origin - min(words)}, not {origin}")
    return np.array(words, np.uint64)


def encode_weights(
    conv: QuantConv,
    fields: NDArray[np.uint64],
    phases: Sequence[Sequence[Tap]],
    outputs: Sequence[range],
    channels: range,
    kc: int,
    groups: int,
    params: ScnnParams,
    numbers: NDArray[np.int64] | None = None,
) -> tuple[StreamBlocks, ...]:
    """Encode the weights of a pass.

    A block that has more vectors than the PEs' FIFO is cut into several of the same channel.
    Time is linear in the weights.

    Parameters
    ----------
    conv : the layer; its groups are made of blocks that only some outputs have.
    fields : of all the layer's weights, from :func:`.stored_fields`.
    phases : taps of each phase, from :func:`.phase_taps`.
    outputs : output channels of each stream; group ``g`` are those from ``g * kc`` on.
    channels : input channels.
    kc, groups : output channels of a group, and groups of every stream.
    params : widths and the FIFO's size.
    numbers : of each of ``channels``, directory number of its first phase, relative to the pass's
        ``src_base``; unless given, channels stand one behind the other from 0 on. Headers of a
        group have them in ascending order.
    """
    if numbers is None:
        numbers = np.arange(len(channels)) * len(phases)
    order = np.argsort(numbers, kind="stable")
    every = [(tap.r, tap.s) for phase in phases for tap in phase]
    taps = np.array(every, np.int64).reshape(-1, 2)
    bases = np.cumsum([0, *(len(phase) for phase in phases)])
    log_kc = (kc - 1).bit_length()
    limits = params.max_run, params.weight_depth * params.mult_f
    geometry = (kc, log_kc, groups, conv.groups)
    found: list[StreamBlocks] = []
    for of_stream in outputs:
        span = (of_stream.start, of_stream.stop, channels.start)
        nothing = np.empty(0, np.uint64), np.empty((0, 0), np.int64)
        walk = order, numbers
        sizes = _encode(fields, taps, bases, walk, span, geometry, limits, *nothing)
        entries, blocks = np.empty(sizes[0], np.uint64), np.empty((sizes[1], 5), np.int64)
        _encode(fields, taps, bases, walk, span, geometry, limits, entries, blocks)
        found.append(StreamBlocks(entries, blocks))
    return tuple(found)


@njit(cache=True)
def _encode(
    fields: NDArray[np.uint64],
    taps: NDArray[np.int64],
    bases: NDArray[np.int64],
    channels: tuple[NDArray[np.int64], NDArray[np.int64]],
    span: tuple[int, int, int],
    geometry: tuple[int, int, int, int],
    limits: tuple[int, int],
    entries: NDArray[np.uint64],
    blocks: NDArray[np.int64],
) -> tuple[int, int]:
    """Write a stream's entries and blocks, if there is room for any.

    Returns their numbers.
    """
    k_start, k_stop, c_start = span
    order, numbers = channels
    kc, log_kc, num_groups, conv_groups = geometry
    num_k, per_group = fields.shape[0], fields.shape[1]
    k_per_group = num_k // conv_groups
    write = blocks.size > 0
    num_phases = len(bases) - 1
    at, block = 0, 0
    for g in range(num_groups):
        k_base = k_start + g * kc
        begin = block
        for rank in range(len(order)):
            c = c_start + order[rank]
            # Only the outputs of the channel's own group of the convolution have weights.
            owner = c // per_group
            low = max(k_base, owner * k_per_group)
            high = min(k_base + kc, k_stop, (owner + 1) * k_per_group)
            if low >= high:
                continue
            kernels = fields[:, c - owner * per_group]
            for phase in range(num_phases):
                header = int(numbers[order[rank]]) + phase, rank * num_phases + phase
                tap_range = bases[phase], bases[phase + 1]
                outputs = k_base, low, high, log_kc
                at, block = _encode_phase(
                    kernels, taps, tap_range, outputs, header, limits, at, block, entries, blocks
                )
        if block == begin:
            if write:
                blocks[block] = 0
            block += 1
        if write:
            blocks[block - 1, 3] = 1
    return at, block


@njit(cache=True)
def _encode_phase(
    kernels: NDArray[np.uint64],
    taps: NDArray[np.int64],
    tap_range: tuple[int, int],
    outputs: tuple[int, int, int, int],
    header: tuple[int, int],
    limits: tuple[int, int],
    at: int,
    block: int,
    entries: NDArray[np.uint64],
    blocks: NDArray[np.int64],
) -> tuple[int, int]:
    """Write the blocks of a phase of an input channel, if there is room for any.

    Parameters
    ----------
    kernels : (outputs, R, S) of the channel.
    taps, tap_range : (taps, 2) of all phases, and which of them are the phase's.
    outputs : first output channel of the group, those that have weights, and the group's log2.
    header : channel and place of the blocks, as in :class:`StreamBlocks`.
    at, block : numbers of entries and of blocks before; those behind it are returned.
    """
    max_run, capacity = limits
    (first, stop), (k_base, low, high, log_kc) = tap_range, outputs
    write = blocks.size > 0
    # `position` is the place after the last entry, from the block's first tap on.
    count, position, first_tap = 0, 0, first
    for tap in range(first, stop):
        r, s = taps[tap]
        for k in range(low, high):
            field = kernels[k, r, s]
            if field == 0:
                continue
            place = (tap - first_tap << log_kc) + k - k_base
            entry = np.uint64(0)
            while entry == 0:
                if count == capacity:
                    if write:
                        _put_block(blocks[block], header, first_tap, count)
                    block += 1
                    count, position, first_tap = 0, 0, tap
                    place = k - k_base
                # An entry of weight 0 bridges a run that is too long for its field.
                run = min(place - position, max_run)
                entry = field if place - position <= max_run else np.uint64(0)
                if write:
                    entries[at] = entry | np.uint64(run) << np.uint64(32)
                position += run + 1
                count += 1
                at += 1
    if count:
        if write:
            _put_block(blocks[block], header, first_tap, count)
        block += 1
    return at, block


@njit(cache=True)
def _put_block(
    block: NDArray[np.int64], header: tuple[int, int], first_tap: int, count: int
) -> None:
    """Write a row of ``StreamBlocks.blocks`` for a block that does not end its group."""
    channel, place = header
    block[0], block[1], block[2], block[3], block[4] = channel, first_tap, count, 0, place
