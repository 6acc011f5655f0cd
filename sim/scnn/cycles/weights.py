"""Read the vectors that each weight stream sends in a pass, and when they can be sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.compiler.scnn.run import ScnnDescriptor
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.scnn.streams import PackedPass, StreamReader, split_beats

__all__ = ["StreamWork", "stream_work"]

_NOTHING = np.zeros((0, 1), np.uint64)


@dataclass(frozen=True, eq=False)
class StreamWork:
    """Blocks of weights of all streams in a pass, one stream behind the other.

    Parameters
    ----------
    begin : (streams + 1,) int64, first block of each stream.
    channel, count : (blocks,) int64, channel in the source directory less ``src_base``, and
        vectors.
    last : (blocks,) int64, whether a group ends with the block.
    first : (blocks + 1,) int64, number of each block's first vector.
    banks : (vectors, F) int32, bank that each weight's offset stands for, -1 if the weight is 0.
    used : (vectors,) int64, weights of each that are not 0.
    items : (streams + 1,) int64, first item of each stream.
    needs, leaves : (items,) int64, see :class:`.PackedPass`.
    beats : of all streams that belong to the pass.
    """

    begin: NDArray[np.int64]
    channel: NDArray[np.int64]
    count: NDArray[np.int64]
    last: NDArray[np.int64]
    first: NDArray[np.int64]
    banks: NDArray[np.int32]
    used: NDArray[np.int64]
    items: NDArray[np.int64]
    needs: NDArray[np.int64]
    leaves: NDArray[np.int64]
    beats: int


def stream_work(
    params: ScnnParams, program: Sequence[ScnnDescriptor], srams: Mapping[str, NDArray[np.uint64]]
) -> list[StreamWork]:
    """Read what the streams bring in every pass of a program.

    Parameters
    ----------
    params : of the array.
    program : descriptors from START on.
    srams : contents by name, (rows, limbs) uint64, rows from 0 up; see
        :func:`.sram_files`.

    Returns
    -------
    Per pass.

    Raises
    ------
    ValueError
        If a stream ends before its groups do, or has what no stream has.
    """
    readers = [
        StreamReader(beats, f"stream {number}", params)
        for number, beats in enumerate(split_beats(srams.get("weights"), params))
    ]
    found = []
    for descriptor in program:
        parts = [
            reader.read(descriptor.groups, plain=descriptor.plain)
            for reader in readers[: _streams_in_use(params, descriptor)]
        ]
        found.append(_join(params, descriptor, srams, parts))
    return found


def _streams_in_use(params: ScnnParams, descriptor: ScnnDescriptor) -> int:
    across = -(-params.pes_x >> descriptor.block_x)
    return across * -(-params.pes_y >> descriptor.block_y)


def _join(
    params: ScnnParams,
    descriptor: ScnnDescriptor,
    srams: Mapping[str, NDArray[np.uint64]],
    parts: Sequence[PackedPass],
) -> StreamWork:
    banks = np.concatenate([_banks(params, descriptor, srams, part) for part in parts])
    count = np.concatenate([part.count for part in parts])
    return StreamWork(
        begin=np.cumsum([0, *(len(part.count) for part in parts)]),
        channel=np.concatenate([part.channel for part in parts]),
        count=count,
        last=np.concatenate([part.last for part in parts]),
        first=np.concatenate([[0], np.cumsum(count)]),
        banks=banks,
        used=(banks >= 0).sum(axis=1),
        items=np.cumsum([0, *(len(part.needs) for part in parts)]),
        needs=np.concatenate([part.needs for part in parts]),
        leaves=np.concatenate([part.leaves for part in parts]),
        beats=sum(part.beats for part in parts),
    )


def _banks(
    params: ScnnParams,
    descriptor: ScnnDescriptor,
    srams: Mapping[str, NDArray[np.uint64]],
    stream: PackedPass,
) -> NDArray[np.int32]:
    """Decode vectors of weights: runs to places in the block, these to banks of offsets."""
    zero = stream.fields == 0
    if not descriptor.plain:
        begin = descriptor.codebook * params.num_codes
        book = np.zeros(params.num_codes, np.uint64)
        codebook = srams.get("codebook", _NOTHING)[begin : begin + params.num_codes, 0]
        book[: len(codebook)] = codebook
        zero |= book[stream.fields] == 0
    taps = np.zeros(params.num_taps, np.int64)
    table = srams.get("tap", _NOTHING)[:, 0]
    taps[: len(table)] = table
    places = descriptor.log_kc, descriptor.k_stride, params.banks
    return _decode(stream.runs, zero, stream.tap_base, stream.count, taps, places)


@njit(cache=True)
def _decode(
    runs: NDArray[np.int64],
    zero: NDArray[np.bool_],
    tap_base: NDArray[np.int64],
    count: NDArray[np.int64],
    taps: NDArray[np.int64],
    places: tuple[int, int, int],
) -> NDArray[np.int32]:
    log_kc, k_stride, num_banks = places
    banks = np.full(runs.shape, np.int32(-1))
    row = 0
    for block in range(len(count)):
        place = 0
        for _ in range(count[block]):
            for lane in range(runs.shape[1]):
                place += runs[row, lane]
                if not zero[row, lane]:
                    tap = (tap_base[block] + (place >> log_kc)) % len(taps)
                    k = place & ((1 << log_kc) - 1)
                    banks[row, lane] = (taps[tap] + k * k_stride) % num_banks
                place += 1
            row += 1
    return banks
