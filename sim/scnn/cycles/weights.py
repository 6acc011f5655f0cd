"""Read the vectors that each weight stream sends in a pass, from its SRAMs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from zeroskip.compiler.scnn.run import ScnnDescriptor
from zeroskip.hw.scnn.formats import block_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["StreamWork", "stream_work"]

_LIMB_BITS = 64
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
    """

    begin: NDArray[np.int64]
    channel: NDArray[np.int64]
    count: NDArray[np.int64]
    last: NDArray[np.int64]
    first: NDArray[np.int64]
    banks: NDArray[np.int32]
    used: NDArray[np.int64]


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
        If a stream ends before its groups do, or a block has more vectors than there are.
    """
    headers = [_headers(params, srams, number) for number in range(params.num_streams)]
    block_at = np.zeros(params.num_streams, np.int64)
    vector_at = np.zeros(params.num_streams, np.int64)
    found = []
    for descriptor in program:
        streams = _streams_in_use(params, descriptor)
        parts = []
        for number in range(streams):
            channel, tap_base, count, last = headers[number]
            ends = np.flatnonzero(last[block_at[number] :])
            if len(ends) < descriptor.groups:
                raise ValueError(
                    f"stream {number} has {len(ends)} groups left, not {descriptor.groups}"
                )
            here = slice(block_at[number], block_at[number] + ends[descriptor.groups - 1] + 1)
            vectors = int(count[here].sum())
            limbs = -(-(params.field_bits + params.run_bits) * params.mult_f // _LIMB_BITS)
            rows = srams.get(f"stream_{number}/weight", np.zeros((0, limbs), np.uint64))
            rows = rows[vector_at[number] : vector_at[number] + vectors]
            if len(rows) < vectors:
                raise ValueError(f"stream {number} has {len(rows)} vectors left, not {vectors}")
            banks = _banks(params, descriptor, srams, rows, tap_base[here], count[here])
            parts.append((channel[here], count[here], last[here], banks))
            block_at[number] = here.stop
            vector_at[number] += vectors
        found.append(_join(parts))
    return found


def _streams_in_use(params: ScnnParams, descriptor: ScnnDescriptor) -> int:
    across = -(-params.pes_x >> descriptor.block_x)
    return across * -(-params.pes_y >> descriptor.block_y)


def _join(
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray]],
) -> StreamWork:
    channel, count, last, banks = (np.concatenate(column) for column in zip(*parts, strict=True))
    return StreamWork(
        begin=np.cumsum([0, *(len(part[0]) for part in parts)]),
        channel=channel,
        count=count,
        last=last,
        first=np.concatenate([[0], np.cumsum(count)]),
        banks=banks,
        used=(banks >= 0).sum(axis=1),
    )


def _headers(
    params: ScnnParams, srams: Mapping[str, NDArray[np.uint64]], number: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Take apart the headers of a stream: channel, tap_base, count, last."""
    layout = block_layout(params)
    words = srams.get(f"stream_{number}/block", _NOTHING)

    def field(name: str) -> NDArray[np.int64]:
        return _field(words, layout[name].offset, layout[name].width)

    return field("channel"), field("tap_base"), field("count"), field("last")


def _field(words: NDArray[np.uint64], offset: int, width: int) -> NDArray[np.int64]:
    """Read unsigned bits from ``offset`` on of each row of limbs."""
    limb, shift = divmod(offset, _LIMB_BITS)
    value = words[:, limb] >> np.uint64(shift)
    if shift + width > _LIMB_BITS:
        value |= words[:, limb + 1] << np.uint64(_LIMB_BITS - shift)
    return (value & np.uint64((1 << width) - 1)).astype(np.int64)


def _banks(
    params: ScnnParams,
    descriptor: ScnnDescriptor,
    srams: Mapping[str, NDArray[np.uint64]],
    rows: NDArray[np.uint64],
    tap_base: NDArray[np.int64],
    count: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Decode vectors of weights: runs to places in the block, these to banks of offsets."""
    width = params.field_bits + params.run_bits
    lanes = [
        [_field(rows, lane * width, params.field_bits) for lane in range(params.mult_f)],
        [
            _field(rows, lane * width + params.field_bits, params.run_bits)
            for lane in range(params.mult_f)
        ],
    ]
    fields, runs = (np.stack(lane, axis=1) for lane in lanes)
    zero = fields == 0
    if not descriptor.plain:
        begin = descriptor.codebook * params.num_codes
        book = np.zeros(params.num_codes, np.uint64)
        codebook = srams.get("codebook", _NOTHING)[begin : begin + params.num_codes, 0]
        book[: len(codebook)] = codebook
        zero |= book[fields & (params.num_codes - 1)] == 0
    taps = np.zeros(params.num_taps, np.int64)
    table = srams.get("tap", _NOTHING)[:, 0]
    taps[: len(table)] = table
    places = descriptor.log_kc, descriptor.k_stride, params.banks
    return _decode(runs, zero, tap_base, count, taps, places)


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
