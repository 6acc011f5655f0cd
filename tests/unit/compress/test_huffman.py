"""Huffman coding: what goes in comes out, in as few bits as Shannon and Huffman allow."""

import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress import huffman

SYMBOLS = st.lists(st.integers(0, 31), max_size=300)


def table_of(symbols: np.ndarray, size: int = 32) -> np.ndarray:
    return huffman.code_lengths(np.bincount(symbols, minlength=size))


def huffman_cost(counts: np.ndarray) -> int:
    """Return the bits that Huffman's own algorithm takes."""
    heap = [int(count) for count in counts if count]
    heapq.heapify(heap)
    cost = 0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        cost += both
        heapq.heappush(heap, both)
    return cost


@given(SYMBOLS)
def test_round_trip(drawn: list[int]) -> None:
    symbols = np.array(drawn, np.int64)
    lengths = table_of(symbols)
    data = huffman.encode(symbols, lengths)
    assert huffman.decode(data, lengths, len(symbols)).tolist() == drawn


@given(SYMBOLS.filter(lambda drawn: len(set(drawn)) > 1))
def test_as_short_as_huffman_and_within_a_bit_of_the_entropy(drawn: list[int]) -> None:
    counts = np.bincount(drawn, minlength=32)
    lengths = huffman.code_lengths(counts)
    bits = int((counts * lengths).sum())
    assert bits == huffman_cost(counts)
    share = counts[counts > 0] / counts.sum()
    bound = -(share * np.log2(share)).sum() * counts.sum()
    assert bound - 1e-9 <= bits < bound + counts.sum()
    # A full tree: no shorter code of any symbol is free.
    assert np.sum(2.0 ** -lengths[lengths > 0].astype(float)) == 1.0


def test_lengths_are_limited_where_huffman_would_take_more() -> None:
    fibonacci = [1, 1]
    while len(fibonacci) < 30:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    counts = np.array(fibonacci)
    lengths = huffman.code_lengths(counts)
    assert lengths.max() == huffman.MAX_LENGTH
    assert np.sum(2.0 ** -lengths.astype(float)) <= 1.0
    symbols = np.arange(30).repeat(3)
    assert huffman.decode(huffman.encode(symbols, lengths), lengths, 90).tolist() == list(symbols)


def test_canonical_codes() -> None:
    lengths = np.array([2, 0, 1, 3, 3], np.uint8)
    # 2 -> 0, 0 -> 10, 3 -> 110, 4 -> 111
    assert huffman.encode(np.array([2, 0, 3, 4]), lengths) == bytes([0b01011011, 0b10000000])


def test_streams_longer_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huffman, "_CHUNK", 64)
    symbols = np.random.default_rng(0).geometric(0.3, 2000).clip(max=31)
    lengths = table_of(symbols)
    data = huffman.encode(symbols, lengths)
    assert np.array_equal(huffman.decode(data, lengths, 2000), symbols)


@pytest.mark.parametrize(
    ("data", "lengths", "count", "message"),
    [
        (b"\x00", [1, 1, 1], 3, "a Huffman table is no prefix code"),
        (b"\xff", [1, 0], 2, "a bit stream has a code that its table does not have"),
        (b"", [1, 1], 1, "a bit stream of 0 bits cannot have 1 symbols"),
        (b"\x00", [1, 1], 1 << 40, "a bit stream of 8 bits cannot have 1099511627776 symbols"),
        (b"\xff", [2, 2, 2, 2], 5, "a bit stream ends after 4 of 5 symbols"),
        (b"\x00\x00", [1, 1], 3, "a bit stream of 3 symbols is 16 bits, not 3"),
        (b"\x01", [1, 1], 3, "a bit stream of 3 symbols is 8 bits, not 3"),
    ],
)
def test_damage(data: bytes, lengths: list[int], count: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        huffman.decode(data, np.array(lengths, np.uint8), count)
