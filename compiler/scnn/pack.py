"""Pack the blocks of weight streams to beats, and put those of all streams into one order."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.compiler.image.words import pack_lanes
from zeroskip.compiler.scnn.encode import StreamBlocks
from zeroskip.hw.scnn.packing import (
    PLACED,
    Packing,
    packed_header_layout,
    packed_place_layout,
    schedule_layout,
)
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Beats", "interleave", "order_beats", "pack_blocks"]

Beats = tuple[NDArray[np.int64], NDArray[np.uint64]]
"""Of beats in their order, (beats,) the streams, and (beats, limbs) the bits."""

_LIMB_BITS = 64


def pack_blocks(
    stream: StreamBlocks, tap_base: int, params: ScnnParams, *, plain: bool
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Pack the blocks of a stream's pass.

    Parameters
    ----------
    stream : the blocks.
    tap_base : place of the pass's first tap in the tap table.
    params : the widths.
    plain : entries are values, else codes.

    Returns
    -------
    (beats, limbs) uint64, and (beats, 2) int64: group, and place in the order of channels, of what
    the first bit of each beat is part of.
    """
    packing = Packing.of(params)
    header, place = packed_header_layout(params), packed_place_layout(params)
    offsets = np.array(
        [header[name].offset for name in ("skip", "last", "count", "unused")]
        + [packing.header + place[name].offset for name in ("channel", "tap_base")]
    )
    field_bits = params.field_bits if plain else params.code_bits
    sizes = np.array([
        packing.header,
        packing.place,
        packing.plain if plain else packing.shared,
        field_bits,
        params.mult_f,
        packing.beat,
    ])
    most = len(stream.blocks) * (packing.header + packing.place) + len(stream.entries) * sizes[2]
    beats = -(-int(most) // packing.beat)
    limbs = np.zeros(beats * packing.beat // _LIMB_BITS, np.uint64)
    keys = np.zeros((beats, 2), np.int64)
    end = _pack(stream.entries, stream.blocks, tap_base, offsets, sizes, limbs, keys)
    used = -(-end // packing.beat)
    return limbs.reshape(beats, -1)[:used], keys[:used]


def order_beats(
    streams: Sequence[tuple[NDArray[np.uint64], NDArray[np.int64]]],
) -> Beats:
    """Put the beats of a pass's streams into one order, in which none is waited for in vain.

    They are sorted by group and channel of what their first bits are part of, that is, by when
    they are needed first; equal ones by stream.

    A beat ``b`` may find the FIFO of its stream full, and keeps all behind it. That always ends:
    look at the PE that is least far, in groups and channels. PEs wait for one another at ends of
    groups, and for words of a channel, only where another is less far, so this one waits for none.
    If it does not go on, it lacks weights that begin where it is, and

    - either another PE that gets the same weights has no room for them. Then that one has not used
      those before, so is no further, waits for none either, and has weights: it goes on.
    - or their stream lacks a beat, which belongs to what the PE is at. The stream of ``b`` is at
      least as far, as is what ``b`` begins with, so the beat stands before ``b`` and was delivered;
      or it begins in the same place as ``b``, and the PEs of ``b``'s stream are least far as well,
      and have weights: they go on.

    Passes follow one another as groups do.

    Parameters
    ----------
    streams : of each stream, what :func:`pack_blocks` gives.
    """
    numbers = np.concatenate([np.full(len(made[0]), n) for n, made in enumerate(streams)])
    keys = np.concatenate([made[1] for made in streams])
    order = np.lexsort((numbers, keys[:, 1], keys[:, 0]))
    return numbers[order], np.concatenate([made[0] for made in streams])[order]


def interleave(passes: Iterable[Beats], params: ScnnParams) -> NDArray[np.uint64]:
    """Put the beats of a run's passes one behind the other, with a schedule before every few.

    Returns
    -------
    (beats, limbs) uint64, see :func:`.schedule_layout`.
    """
    every = list(passes)
    numbers = np.concatenate([part[0] for part in every])
    beats = np.concatenate([part[1] for part in every])
    layout, packing = schedule_layout(params), Packing.of(params)
    slots = packing.slots
    packets = -(-len(beats) // slots)
    lanes = np.zeros((packets, slots), np.uint64)
    lanes.reshape(-1)[: len(beats)] = numbers
    counts = np.full(packets, slots, np.uint64)
    if packets:
        counts[-1] = len(beats) - (packets - 1) * slots
    schedules = _shift_up(pack_lanes(lanes, packing.number, packing.beat), layout["numbers"].offset)
    schedules[:, 0] |= counts << np.uint64(layout["count"].offset)
    at = np.arange(len(beats)) // slots * (slots + 1) + np.arange(len(beats)) % slots + 1
    found = np.zeros((len(beats) + packets, packing.beat // _LIMB_BITS), np.uint64)
    found[at] = beats
    found[np.arange(packets) * (slots + 1)] = schedules
    return found


def _shift_up(words: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    """Shift rows of limbs by fewer bits than a limb has."""
    moved = words << np.uint64(bits)
    moved[:, 1:] |= words[:, :-1] >> np.uint64(_LIMB_BITS - bits)
    return moved


@njit(cache=True)
def _put(limbs: NDArray[np.uint64], at: int, value: np.uint64) -> None:
    """Write ``value`` from bit ``at`` on, where there are zeros."""
    limb, shift = at >> 6, np.uint64(at & 63)
    limbs[limb] |= value << shift
    if shift and limb + 1 < len(limbs):
        limbs[limb + 1] |= value >> (np.uint64(64) - shift)


@njit(cache=True)
def _pack(
    entries: NDArray[np.uint64],
    blocks: NDArray[np.int64],
    tap_base: int,
    offsets: NDArray[np.int64],
    sizes: NDArray[np.int64],
    limbs: NDArray[np.uint64],
    keys: NDArray[np.int64],
) -> int:
    """Write a pass's bits, and what beats begin with; return the number of bits."""
    header, place, entry_bits, field_bits, f, beat = sizes
    at, entry, known, group = 0, 0, 0, 0
    next_channel, last_tap = 0, -1
    for block in range(len(blocks)):
        channel, tap, count, last, order = blocks[block]
        skip = channel - next_channel
        tap = tap + tap_base if count else last_tap
        if skip < 0 or skip >= PLACED or tap != last_tap:
            skip = PLACED
        vectors = (count + f - 1) // f
        for value, offset in (
            (skip, offsets[0]),
            (last, offsets[1]),
            (vectors, offsets[2]),
            (vectors * f - count, offsets[3]),
        ):
            _put(limbs, at + offset, np.uint64(value))
        if skip == PLACED:
            _put(limbs, at + offsets[4], np.uint64(channel))
            _put(limbs, at + offsets[5], np.uint64(tap))
            at += place
        at += header
        last_tap = tap
        for _ in range(count):
            word = entries[entry]
            field, run = word & np.uint64(0xFFFFFFFF), word >> np.uint64(32)
            _put(limbs, at, field | run << np.uint64(field_bits))
            at += entry_bits
            entry += 1
        while known * beat < at:
            keys[known, 0], keys[known, 1] = group, order
            known += 1
        next_channel = 0 if last else channel + 1
        group += last
    return at
