"""Rows of memories as limbs of 64 bits: equal lanes side by side, and programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from amaranth.lib import data
from numpy.typing import NDArray

from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS, pack

__all__ = ["pack_lanes", "program_words", "signed_field", "unpack_lanes", "unsigned_field"]

_LIMB_BITS = 64


def pack_lanes(
    lanes: NDArray[np.uint64], bits: int, word_bits: int | None = None
) -> NDArray[np.uint64]:
    """Put the lanes of each row side by side, lane 0 lowest.

    Parameters
    ----------
    lanes : (rows, lanes) uint64, each below ``2**bits``.
    bits : of a lane, at most 64.
    word_bits : of a row; as many as the lanes have, if None.

    Returns
    -------
    (rows, limbs) uint64, limbs of 64 bits, lowest first.
    """
    rows, count = lanes.shape
    words = np.zeros((rows, -(-(word_bits or count * bits) // _LIMB_BITS)), np.uint64)
    for lane in range(count):
        limb, shift = divmod(lane * bits, _LIMB_BITS)
        words[:, limb] |= lanes[:, lane] << np.uint64(shift)
        if shift + bits > _LIMB_BITS:
            words[:, limb + 1] |= lanes[:, lane] >> np.uint64(_LIMB_BITS - shift)
    return words


def unpack_lanes(words: NDArray[np.uint64], bits: int, count: int) -> NDArray[np.uint64]:
    """Take apart what :func:`pack_lanes` put together: (rows, ``count``) uint64."""
    lanes = np.empty((len(words), count), np.uint64)
    mask = np.uint64((1 << bits) - 1)
    for lane in range(count):
        limb, shift = divmod(lane * bits, _LIMB_BITS)
        value = words[:, limb] >> np.uint64(shift)
        if shift + bits > _LIMB_BITS:
            value |= words[:, limb + 1] << np.uint64(_LIMB_BITS - shift)
        lanes[:, lane] = value & mask
    return lanes


def signed_field(lanes: NDArray[np.uint64], offset: int, bits: int) -> NDArray[np.int64]:
    """Read a two's complement field of ``bits`` at ``offset`` of every lane."""
    top = np.uint64(_LIMB_BITS - bits - offset)
    return (lanes << top).view(np.int64) >> np.int64(_LIMB_BITS - bits)


def unsigned_field(values: NDArray[np.int64], bits: int) -> NDArray[np.uint64]:
    """Cut two's complement to ``bits``."""
    return values.astype(np.int64, copy=False).view(np.uint64) & np.uint64((1 << bits) - 1)


def program_words(
    program: Sequence[Any], layout: data.StructLayout, per_descriptor: int
) -> NDArray[np.uint64]:
    """Pack descriptors to words of the program SRAM, (rows, 1), lowest word of each first.

    Parameters
    ----------
    program : dataclasses with the fields of ``layout``; others are 0.
    layout : of a descriptor.
    per_descriptor : words of each.

    Raises
    ------
    ValueError
        If a field does not fit its bits.
    """
    words: list[int] = []
    # What a layout has not must be 0.
    known = {name for name, _ in layout}
    for descriptor in program:
        fields = {name: int(value) for name, value in asdict(descriptor).items()}
        packed = pack(
            layout, **{name: fields[name] for name in fields if fields[name] or name in known}
        )
        for _ in range(per_descriptor):
            words.append(packed & (1 << DESCRIPTOR_WORD_BITS) - 1)
            packed >>= DESCRIPTOR_WORD_BITS
    return np.array(words, np.uint64).reshape(-1, 1)
