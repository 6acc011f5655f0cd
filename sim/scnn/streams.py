"""Read packed streams of weights back, of the SCNN engine.

Nothing here is shared with the encoder but the bit layouts, so that an error of the encoder
cannot cancel against itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.hw.scnn.packing import (
    PLACED,
    Packing,
    packed_header_layout,
    packed_place_layout,
    schedule_layout,
)
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.golden.words import LIMB_BITS, Descriptor, Srams, signed

__all__ = [
    "Block",
    "PackedPass",
    "StreamReader",
    "beat_numbers",
    "split_beats",
    "weight_values",
]

_FINE, _ENDED, _EMPTY, _LARGE, _LEFT = range(5)


@dataclass(frozen=True, eq=False)
class Block:
    """Weights of a channel (phase) for a group of output channels.

    Parameters
    ----------
    channel : directory number, relative to the pass's ``src_base``.
    taps : (n,) int64, numbers of the taps in the tap table, of each weight that is not 0.
    outputs : (n,) int64, output channels inside the group.
    fields : (n,) int64, what is stored: a code, or a value.
    """

    channel: int
    taps: NDArray[np.int64]
    outputs: NDArray[np.int64]
    fields: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PackedPass:
    """What a stream has for a pass, block after block.

    Parameters
    ----------
    channel, tap_base, count, last : (blocks,) int64, see :func:`.block_layout`.
    fields, runs : (vectors, F) int64, stored weights; 0 where a lane has none.
    needs, leaves : (items,) int64, of each vector, and of each block without any: the beat of the
        stream in which its last bit is, and that in which what comes next begins.
    beats : of the stream that belong to the pass.
    """

    channel: NDArray[np.int64]
    tap_base: NDArray[np.int64]
    count: NDArray[np.int64]
    last: NDArray[np.int64]
    fields: NDArray[np.int64]
    runs: NDArray[np.int64]
    needs: NDArray[np.int64]
    leaves: NDArray[np.int64]
    beats: int


class StreamReader:
    """Reads the packed blocks of one weight stream, pass after pass.

    Parameters
    ----------
    beats : (beats, limbs) uint64, those of a run.
    name : for messages.
    params : the widths.
    """

    def __init__(self, beats: NDArray[np.uint64], name: str, params: ScnnParams) -> None:
        self._name, self._params = name, params
        self._limbs = np.ascontiguousarray(beats).reshape(-1)
        self._beat = 0
        self._beats = len(beats)

    @property
    def used_up(self) -> bool:
        """Whether passes have read all beats."""
        return self._beat == self._beats

    def read(self, groups: int, *, plain: bool) -> PackedPass:
        """Read the blocks of the next pass.

        Raises
        ------
        ValueError
            If the beats end before the groups do, a block has more vectors than a PE holds, or none
            though it is not the last, or there is something behind the last.
        """
        p, packing = self._params, Packing.of(self._params)
        header, place = packed_header_layout(p), packed_place_layout(p)
        parts = np.array(
            [(header[n].offset, header[n].width) for n in ("skip", "last", "count", "unused")]
            + [(packing.header + place[n].offset, place[n].width) for n in ("channel", "tap_base")]
            # What header and place are filled up with.
            + [
                (header.size, packing.header - header.size),
                (packing.header + place.size, packing.place - place.size),
            ]
        )
        entry = (p.field_bits, packing.plain) if plain else (p.code_bits, packing.shared)
        sizes = np.array([
            packing.beat, packing.header, packing.place, *entry, p.run_bits, p.mult_f,
            p.weight_depth, self._beat, self._beats, groups,
        ])  # fmt: skip
        nothing = np.empty((0, 4), np.int64), np.empty((0, p.mult_f, 2), np.int64)
        found = _read(self._limbs, parts, sizes, *nothing, np.empty((0, 2), np.int64))
        what, blocks, vectors, items, beat = found
        if what == _ENDED:
            raise ValueError(f"{self._name} must have more than {self._beats} beats of weights")
        if what == _EMPTY:
            raise ValueError(f"{self._name} must not have an empty block before the last")
        if what == _LARGE:
            raise ValueError(f"{self._name} must have at most {p.weight_depth} vectors a block")
        if what == _LEFT:
            raise ValueError(f"{self._name} must have zeros where no field is")
        heads = np.empty((blocks, 4), np.int64)
        entries = np.zeros((vectors, p.mult_f, 2), np.int64)
        ends = np.empty((items, 2), np.int64)
        _read(self._limbs, parts, sizes, heads, entries, ends)
        beats, self._beat = beat - self._beat, beat
        channel, tap_base, count, last = heads.T
        fields, runs = entries[..., 0], entries[..., 1]
        needs, leaves = ends.T
        return PackedPass(channel, tap_base, count, last, fields, runs, needs, leaves, beats)

    def blocks(self, groups: int, log_kc: int, *, plain: bool) -> Iterator[tuple[int, Block]]:
        """Yield the blocks with weights of the next pass, each with the number of its group.

        Weight number ``n`` of a block is tap ``n >> log_kc``. Errors are those of :meth:`read`.
        """
        found = self.read(groups, plain=plain)
        first = np.cumsum([0, *found.count])
        group = np.cumsum(found.last) - found.last
        for block in np.flatnonzero(found.count).tolist():
            here = slice(first[block], first[block + 1])
            fields, runs = found.fields[here].reshape(-1), found.runs[here].reshape(-1)
            number = np.cumsum(runs + 1) - 1
            there = np.flatnonzero(fields)
            yield (
                int(group[block]),
                Block(
                    channel=int(found.channel[block]),
                    taps=found.tap_base[block] + (number[there] >> log_kc),
                    outputs=number[there] & ((1 << log_kc) - 1),
                    fields=fields[there],
                ),
            )


def split_beats(
    words: NDArray[np.uint64] | None, params: ScnnParams
) -> tuple[NDArray[np.uint64], ...]:
    """Give each stream its beats of a run; see :func:`beat_numbers`."""
    numbers = beat_numbers(words, params)
    if words is None:
        words = np.zeros((0, Packing.of(params).beat // LIMB_BITS), np.uint64)
    return tuple(words[numbers == stream] for stream in range(params.num_streams))


def beat_numbers(words: NDArray[np.uint64] | None, params: ScnnParams) -> NDArray[np.int64]:
    """Give the stream of each beat of a run, -1 for schedules.

    Parameters
    ----------
    words : (beats, limbs) uint64, as they lie in memory; None if there are none at all.
    params : the widths.

    Raises
    ------
    ValueError
        If a beat is for a stream that is not there, or the last ones are missing.
    """
    layout, packing = schedule_layout(params), Packing.of(params)
    width = packing.number
    if words is None:
        return np.zeros(0, np.int64)
    numbers = np.full(len(words), -1)
    at = 0
    while at < len(words):
        bits = sum(int(limb) << LIMB_BITS * n for n, limb in enumerate(words[at]))
        count = bits & (1 << layout["count"].width) - 1
        if not 1 <= count <= packing.slots or at + count >= len(words):
            raise ValueError(f"weights must have {count} beats behind beat {at}, as it says")
        bits >>= layout["numbers"].offset
        for slot in range(count):
            numbers[at + 1 + slot] = bits >> slot * width & (1 << width) - 1
        if bits >> count * width:
            raise ValueError(f"weights must have {count} streams only in beat {at}, as it says")
        at += 1 + count
    if numbers.max(initial=0) >= params.num_streams:
        raise ValueError(f"weights must be for {params.num_streams} streams, not {numbers.max()}")
    return numbers


def weight_values(
    fields: NDArray[np.int64], srams: Srams, descriptor: Descriptor, params: ScnnParams
) -> NDArray[np.int64]:
    """Return the weights that stored fields stand for."""
    if descriptor.plain:
        return signed(fields.astype(np.uint64), params.field_bits)
    if fields.max(initial=0) >= params.num_codes:
        raise ValueError(f"codes must be below {params.num_codes}, not {fields.max()}")
    return signed(
        srams["codebook"][descriptor.codebook * params.num_codes + fields, 0], params.weight_bits
    )


@njit(cache=True)
def _bits(limbs: NDArray[np.uint64], at: int, width: int) -> np.int64:
    """Read ``width`` bits, fewer than a limb has, from bit ``at`` on; 0 behind the end."""
    limb, shift = at >> 6, np.uint64(at & 63)
    value = np.uint64(0)
    if limb < len(limbs):
        value = limbs[limb] >> shift
    if shift and limb + 1 < len(limbs):
        value |= limbs[limb + 1] << (np.uint64(64) - shift)
    return np.int64(value & ((np.uint64(1) << np.uint64(width)) - np.uint64(1)))


@njit(cache=True)
def _read(
    limbs: NDArray[np.uint64],
    parts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    heads: NDArray[np.int64],
    entries: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> tuple[int, int, int, int, int]:
    """Read a pass, into the arrays if there is room in ``heads``.

    Returns
    -------
    What is wrong, numbers of blocks, vectors and items, and the beat behind the pass.
    """
    beat, header, place, field_bits, entry_bits, run_bits, f, depth, first, beats, groups = sizes
    write = len(heads) > 0
    at, stop = first * beat, beats * beat
    block, vector, item = 0, 0, 0
    channel, tap_base = -1, 0
    while groups > 0:
        skip = _bits(limbs, at + parts[0, 0], parts[0, 1])
        last = _bits(limbs, at + parts[1, 0], parts[1, 1])
        count = _bits(limbs, at + parts[2, 0], parts[2, 1])
        unused = _bits(limbs, at + parts[3, 0], parts[3, 1])
        channel += 1 + skip
        filler = _bits(limbs, at + parts[6, 0], parts[6, 1])
        if count == 0:
            filler |= skip | unused
        if skip == PLACED:
            filler |= _bits(limbs, at + parts[7, 0], parts[7, 1])
            channel = _bits(limbs, at + parts[4, 0], parts[4, 1])
            tap_base = _bits(limbs, at + parts[5, 0], parts[5, 1])
            at += place
        at += header
        if at > stop:
            return _ENDED, 0, 0, 0, 0
        if filler:
            return _LEFT, 0, 0, 0, 0
        if count == 0 and last == 0:
            return _EMPTY, 0, 0, 0, 0
        if count > depth:
            return _LARGE, 0, 0, 0, 0
        if write:
            heads[block, 0], heads[block, 1] = channel, tap_base
            heads[block, 2], heads[block, 3] = count, last
        groups -= last
        for index in range(max(1, count)):
            lanes = 0 if count == 0 else f - unused if index == count - 1 else f
            for lane in range(lanes):
                if write:
                    entries[vector, lane, 0] = _bits(limbs, at, field_bits)
                    entries[vector, lane, 1] = _bits(limbs, at + field_bits, run_bits)
                at += entry_bits
            if at > stop:
                return _ENDED, 0, 0, 0, 0
            if write:
                ends[item, 0], ends[item, 1] = (at - 1) // beat, at // beat
            item += 1
            if count > 0:
                vector += 1
        block += 1
        if last:
            channel = -1
    behind = (at + beat - 1) // beat
    for bit in range(at, behind * beat):
        if _bits(limbs, bit, 1):
            return _LEFT, 0, 0, 0, 0
    if write:
        ends[item - 1, 1] = behind
    return _FINE, block, vector, item, int(behind)
