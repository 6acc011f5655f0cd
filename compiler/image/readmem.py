"""SRAM contents as ``$readmemh`` text: one row per line, every row with the same digits."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["from_hex", "to_hex"]

_LIMB_BYTES = 8
_NEWLINE = ord("\n")


def _digits(width: int) -> int:
    return -(-width // 4)


def to_hex(words: NDArray[np.uint64], width: int) -> bytes:
    """Write rows as hexadecimal lines.

    Parameters
    ----------
    words : (rows, limbs), limbs of 64 bits, lowest first.
    width : bits of a row.
    """
    rows, limbs = words.shape
    text = words[:, ::-1].astype(">u8").tobytes().hex().encode()
    digits = np.frombuffer(text, np.uint8).reshape(rows, 2 * _LIMB_BYTES * limbs)
    lines = np.full((rows, _digits(width) + 1), _NEWLINE, np.uint8)
    lines[:, :-1] = digits[:, digits.shape[1] - _digits(width) :]
    return lines.tobytes()


def from_hex(text: bytes, width: int) -> NDArray[np.uint64]:
    """Read what :func:`to_hex` writes.

    Returns
    -------
    (rows, limbs) words.

    Raises
    ------
    ValueError
        If a line has another length, another digit, or a value wider than ``width``.
    """
    num_digits, limbs = _digits(width), -(-width // (8 * _LIMB_BYTES))
    if len(text) % (num_digits + 1):
        raise ValueError(f"every line must have {num_digits} hexadecimal digits")
    lines = np.frombuffer(text, np.uint8).reshape(-1, num_digits + 1)
    padded = np.full((len(lines), 2 * _LIMB_BYTES * limbs), ord("0"), np.uint8)
    padded[:, padded.shape[1] - num_digits :] = lines[:, :-1]
    try:
        data = bytes.fromhex(padded.tobytes().decode("ascii"))
    except ValueError:
        data = b""
    # `fromhex` skips blanks, so that a line with one comes out short.
    if (lines[:, -1] != _NEWLINE).any() or 2 * len(data) != padded.size:
        raise ValueError(f"every line must have {num_digits} hexadecimal digits")
    words = np.frombuffer(data, ">u8").astype(np.uint64).reshape(-1, limbs)[:, ::-1]
    top_bits = width - 8 * _LIMB_BYTES * (limbs - 1)
    if top_bits < 8 * _LIMB_BYTES and (words[:, -1] >> np.uint64(top_bits)).any():
        raise ValueError(f"every row must fit {width} bits")
    return np.ascontiguousarray(words)
