"""Canonical Huffman coding of small alphabets, in NumPy alone.

A table is only the length of each symbol's code: codes of equal length are consecutive numbers in
the order of their symbols, shorter codes come first (as in DEFLATE, RFC 1951 section 3.2.2).
"""

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError

__all__ = ["MAX_LENGTH", "code_lengths", "decode", "encode"]

MAX_LENGTH = 15
"""Longest code, so that a length fits half a byte."""

_CHUNK = 1 << 22
"""Bits decoded at a time, which bounds memory."""


def code_lengths(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the lengths of an optimal prefix code of at most :data:`MAX_LENGTH` bits.

    By package-merge (Larmore and Hirschberg, 1990), which without the limit gives what Huffman's
    algorithm gives. Symbols that do not occur have length 0; one that is alone has length 1.

    Parameters
    ----------
    counts : (symbols,) how often each occurs; at most 2**15 different ones.
    """
    used = np.flatnonzero(counts)
    lengths = np.zeros(len(counts), np.uint8)
    if used.size <= 1:
        lengths[used] = 1
        return lengths
    # A package is (weight, how often each symbol is in it); symbols break ties, so that tables
    # are the same everywhere.
    leaves = sorted((int(counts[symbol]), [int(symbol)]) for symbol in used)
    packages = leaves
    for _ in range(MAX_LENGTH - 1):
        pairs = zip(packages[::2], packages[1::2], strict=False)
        merged = [(a[0] + b[0], a[1] + b[1]) for a, b in pairs]
        packages = sorted([*leaves, *merged], key=lambda package: package[0])
    for _, symbols in packages[: 2 * used.size - 2]:
        np.add.at(lengths, symbols, 1)
    return lengths


def encode(symbols: NDArray[np.integer], lengths: NDArray[np.uint8]) -> bytes:
    """Return the codes of ``symbols``, first bit first, filled up to a whole byte with zeros."""
    codes = _codes(lengths)
    length = lengths[symbols].astype(np.int64)
    ends = np.cumsum(length)
    total = int(ends[-1]) if ends.size else 0
    bits = np.zeros(total, np.uint8)
    start, code = ends - length, codes[symbols]
    for bit in range(int(lengths.max(initial=0))):
        has = length > bit
        bits[start[has] + bit] = (code[has] >> (length[has] - 1 - bit)) & 1
    return np.packbits(bits).tobytes()


def decode(data: bytes, lengths: NDArray[np.uint8], count: int) -> NDArray[np.uint16]:
    """Return the ``count`` symbols that :func:`encode` wrote.

    Raises
    ------
    InputError
        If the table is no prefix code, or ``data`` ends too early, is too long, or has a code
        that no symbol has.
    """
    symbol_of, length_of, width = _lookup(lengths)
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    # Before memory is taken for what a damaged header promises.
    if count > len(bits):
        raise InputError(f"a bit stream of {len(bits)} bits cannot have {count} symbols")
    found = np.zeros(count, np.uint16)
    done = position = 0
    while done < count:
        # What each position would decode to is looked up for all at once; only the walk from
        # code to code is a loop.
        chunk = np.concatenate([bits[position : position + _CHUNK], np.zeros(width, np.uint8)])
        windows = np.zeros(len(chunk) - width, np.uint16)
        for bit in range(width):
            windows |= chunk[bit : len(chunk) - width + bit].astype(np.uint16) << (width - 1 - bit)
        steps = length_of[windows].tolist()
        # Codes that the chunk cuts off are left for the next one.
        last = len(steps) - (width if position + _CHUNK < len(bits) else 0)
        starts: list[int] = []
        place = 0
        while place < last and done + len(starts) < count:
            if not steps[place]:
                raise InputError("a bit stream has a code that its table does not have")
            starts.append(place)
            place += steps[place]
        if not starts:
            raise InputError(f"a bit stream ends after {done} of {count} symbols")
        found[done : done + len(starts)] = symbol_of[windows[starts]]
        done += len(starts)
        position += place
    if position > len(bits) or len(bits) - position >= 8 or bits[position:].any():
        raise InputError(f"a bit stream of {count} symbols is {len(bits)} bits, not {position}")
    return found


def _codes(lengths: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the code of each symbol as a number."""
    codes = np.zeros(len(lengths), np.int64)
    code = previous = 0
    for symbol in _canonical(lengths):
        code <<= int(lengths[symbol]) - previous
        previous = int(lengths[symbol])
        codes[symbol] = code
        code += 1
    return codes


def _canonical(lengths: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the symbols that have a code, in the order of their codes."""
    used = np.flatnonzero(lengths)
    return used[np.argsort(lengths[used], kind="stable")]


def _lookup(lengths: NDArray[np.uint8]) -> tuple[NDArray[np.uint16], NDArray[np.uint8], int]:
    """Return symbol and length for every number of ``width`` bits, and ``width``."""
    width = int(lengths.max(initial=0))
    order = _canonical(lengths)
    repeats = np.left_shift(1, width - lengths[order].astype(np.int64))
    filled = int(repeats.sum())
    if width > MAX_LENGTH or filled > 1 << width:
        raise InputError("a Huffman table is no prefix code")
    symbol_of = np.zeros(1 << width, np.uint16)
    length_of = np.zeros(1 << width, np.uint8)
    symbol_of[:filled] = np.repeat(order, repeats)
    length_of[:filled] = np.repeat(lengths[order], repeats)
    return symbol_of, length_of, width
