"""Words and rows as bytes of a memory, lowest first, and commands as they are read there."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.system.moves import RowTensor
from zeroskip.hw.common.formats import pack
from zeroskip.hw.system.formats import (
    COMMAND_BYTES,
    Op,
    command_layout,
    word_bytes,
)
from zeroskip.hw.system.params import SystemParams

__all__ = ["SystemCommand", "command_bytes", "tensor_bytes", "words_bytes"]


@dataclass(frozen=True, kw_only=True)
class SystemCommand:
    """A command; the fields are those of :func:`.command_layout`."""

    op: Op
    space: int = 0
    wait: int = 0
    pe: int = 0
    engine: int = 0
    row: int = 0
    addr: int = 0
    count: int = 1


def command_bytes(command: SystemCommand) -> bytes:
    """Pack a command.

    Raises
    ------
    ValueError
        If a field does not fit.
    """
    fields = asdict(command) | {"op": command.op.value, "wait": int(command.wait)}
    return pack(command_layout(), **fields).to_bytes(COMMAND_BYTES, "little")


def words_bytes(words: NDArray[np.uint64], width: int) -> bytes:
    """Put the words of a memory one after the other, each in its power of two of bytes.

    Parameters
    ----------
    words : (n, limbs), limbs of 64 bits, lowest first.
    width : bits of a word.
    """
    size = word_bytes(width)
    flat = np.ascontiguousarray(words.astype("<u8")).view(np.uint8)
    padded = np.zeros((len(words), size), np.uint8)
    kept = min(size, flat.shape[1])
    padded[:, :kept] = flat[:, :kept]
    return padded.tobytes()


def tensor_bytes(
    tensor: RowTensor, values: NDArray[np.int64], port: SystemParams
) -> NDArray[np.uint8]:
    """Lay fixed-point values out in memory as rows of all lanes, as INPUT reads them.

    Parameters
    ----------
    tensor : whose values they are.
    values : (n, elements) in fixed point.
    port : whose beats rows fill.

    Returns
    -------
    (n, rows, bytes of a row).
    """
    lanes = np.zeros((len(values), tensor.rows * tensor.lanes), np.int64)
    lanes[:, tensor.positions] = values
    bits = (lanes[..., None] >> np.arange(tensor.bits)).astype(np.uint8) & 1
    rows = bits.reshape(len(values), tensor.rows, tensor.lanes * tensor.bits)
    packed = np.packbits(rows, axis=2, bitorder="little")
    found = np.zeros((len(values), tensor.rows, tensor.row_bytes(port)), np.uint8)
    found[..., : packed.shape[2]] = packed
    return found
