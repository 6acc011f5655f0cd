"""Read programs, headers, weights and biases back from SRAM contents of the SCNN engine.

Nothing here is shared with the encoder but the bit layouts, so that an error of the encoder
cannot cancel against itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from numpy.typing import NDArray

from zeroskip.hw.scnn.formats import (
    block_layout,
    weight_entry_layout,
)
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.golden.words import Descriptor, Srams, signed, take_bits, unpack

__all__ = ["Block", "StreamReader", "weight_values"]


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


class StreamReader:
    """Reads the groups of one weight stream, one after the other, from row 0 on.

    Parameters
    ----------
    weights, headers : contents of the stream's weight and header SRAM.
    name : for messages.
    params : the widths.
    """

    def __init__(
        self,
        weights: NDArray[np.uint64],
        headers: NDArray[np.uint64],
        name: str,
        params: ScnnParams,
    ) -> None:
        self._name, self._params = name, params
        self._headers = headers
        self._header = self._vector = 0
        self._layout = block_layout(params)
        self._entries = _entries(weights, params)

    def group(self, log_kc: int) -> Iterator[Block]:
        """Yield the blocks of the next group; weight number ``n`` is tap ``n >> log_kc``.

        Raises
        ------
        ValueError
            If headers or vectors end before the group does, or if a vector is half empty before
            the end of its block.
        """
        while True:
            if self._header >= len(self._headers):
                raise ValueError(f"{self._name} must have more than {self._header} headers")
            head = unpack(int(self._headers[self._header, 0]), self._layout)
            self._header += 1
            if not head["count"]:
                if not head["last"]:
                    raise ValueError(f"{self._name} must not have an empty block before the last")
                return
            yield self._block(head, log_kc)
            if head["last"]:
                return

    def _block(self, head: dict[str, int], log_kc: int) -> Block:
        size = self._params.mult_f
        if head["count"] > self._params.weight_depth:
            raise ValueError(
                f"{self._name} must have at most {self._params.weight_depth} vectors a block, "
                f"not {head['count']}"
            )
        first, last = self._vector * size, (self._vector + head["count"]) * size
        if last > len(self._entries[0]):
            raise ValueError(
                f"{self._name} must have more than {len(self._entries[0]) // size} vectors"
            )
        self._vector += head["count"]
        fields, runs = (part[first:last] for part in self._entries)
        number = np.cumsum(runs + 1) - 1
        there = np.flatnonzero(fields)
        return Block(
            channel=head["channel"],
            taps=head["tap_base"] + (number[there] >> log_kc),
            outputs=number[there] & ((1 << log_kc) - 1),
            fields=fields[there],
        )


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


def _entries(
    words: NDArray[np.uint64], params: ScnnParams
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Take rows of a weight SRAM apart to fields and runs, entry after entry."""
    layout: Any = weight_entry_layout(params)
    width = Shape.cast(layout).width
    if not len(words):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    parts: list[NDArray[np.int64]] = []
    for name in ("field", "run"):
        field = layout[name]
        lanes = np.zeros((len(words), params.mult_f), np.uint64)
        for lane in range(params.mult_f):
            lanes[:, lane] = take_bits(words, lane * width + field.offset, field.width)
        parts.append(lanes.ravel().astype(np.int64))
    return parts[0], parts[1]
