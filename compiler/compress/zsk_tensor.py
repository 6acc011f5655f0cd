"""A tensor as a ``.zsk`` file holds it: shared, sparse or plain, in NumPy alone."""

import itertools
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.bounded import inflate, inflated_limit
from zeroskip.base.errors import InputError
from zeroskip.compiler.compress import huffman
from zeroskip.compiler.compress.runs import from_entries, to_entries

__all__ = ["DTYPES", "StoredTensor", "check_elements", "decode_tensor", "encode_tensor"]

# bfloat16, which NumPy does not have, is kept as its bits.
DTYPES = {
    "float32": "<f4", "float16": "<f2", "float64": "<f8", "bfloat16": "<u2", "int64": "<i8",
    "int32": "<i4", "int16": "<i2", "int8": "|i1", "uint8": "|u1", "bool": "|b1",
}  # fmt: skip
"""Element types by name, and how their elements lie in the file."""

_MAX_CODE_BITS = 8
_TRAILING = 1 << 24
"""Zeros behind the last entry that the tensors of a file may have together: those of 4,096 tensors,
see :data:`.MOST_TRAILING`."""

_MIN_SHARED = 64
"""Elements a tensor has at least for a codebook to pay."""


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor, encoded.

    Parameters
    ----------
    record : what the header says of it: name, shape, dtype, kind and sizes.
    sections : its bytes. Shared: codebook, tables, codes, runs. Sparse: values, table, runs.
        Plain: the elements.
    """

    record: dict[str, Any]
    sections: list[bytes]

    @property
    def name(self) -> str:
        """Name in the state dict."""
        return self.record["name"]


def encode_tensor(name: str, array: NDArray[Any], dtype: str) -> StoredTensor:
    """Encode a tensor in the way that takes the fewest bytes; nothing is lost.

    Parameters
    ----------
    name : in the state dict.
    array : elements as ``DTYPES[dtype]`` has them.
    dtype : a key of :data:`DTYPES`.
    """
    array = np.asarray(array, DTYPES[dtype], order="C")
    record = {"name": name, "shape": list(array.shape), "dtype": dtype}
    best = _plain(record, array)
    if array.size < _MIN_SHARED or array.dtype.kind == "b":
        return best
    # Elements are compared as bits: -0.0 is not 0.0, and a NaN equals itself.
    bits = array.view(f"<u{array.itemsize}")
    if np.count_nonzero(bits) < array.size // 2:
        best = min(best, *_in_runs({**record, "kind": "sparse"}, bits, (4, 5, 6, 8)), key=_size)
    values = np.unique(bits[bits != 0])
    needed = max(1, int(values.size).bit_length())
    if needed <= _MAX_CODE_BITS:
        # Ascending as numbers, which is how codes are numbered everywhere.
        if dtype != "bfloat16":
            values = values[np.argsort(values.view(array.dtype), kind="stable")]
        # By bits, to be found; they are few.
        by_bits = np.argsort(values, kind="stable")
        codes = np.zeros(bits.shape, np.uint8)
        place = bits != 0
        codes[place] = by_bits[np.searchsorted(values[by_bits], bits[place])] + 1
        record |= {"kind": "shared", "code_bits": needed, "values": len(values)}
        best = min(best, *_in_runs(record, codes, range(2, 9), values.tobytes()), key=_size)
    return best


def decode_tensor(
    stored: StoredTensor,
) -> tuple[NDArray[Any], NDArray[np.uint8] | None, NDArray[Any] | None]:
    """Return the elements, and of a shared tensor the codes, shaped alike, and the codebook.

    Entry 0 of the codebook is 0.

    Raises
    ------
    InputError
        If the bytes are not what :func:`encode_tensor` writes.
    """
    record, sections = stored.record, stored.sections
    shape = tuple(record["shape"])
    size, dtype = math.prod(shape), np.dtype(DTYPES[record["dtype"]])
    try:
        if record["kind"] == "plain":
            return _decode_plain(record, sections[0], dtype).reshape(shape), None, None
        entries, run_bits = record["entries"], record["run_bits"]
        if record["kind"] == "sparse":
            values = np.frombuffer(sections[0], f"<u{dtype.itemsize}")
            runs = huffman.decode(sections[2], _lengths(sections[1], 1 << run_bits), entries)
            flat = from_entries(values, runs, size)
            return _unorder(flat, shape, record["order"]).view(dtype), None, None
        codebook = np.concatenate([[0], np.frombuffer(sections[0], f"<u{dtype.itemsize}")])
        codebook = codebook.astype(f"<u{dtype.itemsize}")
        num_codes = 1 << record["code_bits"]
        if len(codebook) > num_codes:
            raise InputError(
                f"a codebook of {len(codebook) - 1} values needs more than the "
                f"{record['code_bits']} bits of its codes"
            )
        half = (num_codes + 1) // 2
        codes = huffman.decode(sections[2], _lengths(sections[1][:half], num_codes), entries)
        runs = huffman.decode(sections[3], _lengths(sections[1][half:], 1 << run_bits), entries)
        if codes.size and codes.max() >= len(codebook):
            raise InputError(f"a code is {codes.max()}, but the codebook ends at {len(codebook)}")
        dense = _unorder(from_entries(codes, runs, size), shape, record["order"])
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise InputError(f"tensor {record.get('name')!r} cannot be decoded: {error}") from error
    return codebook[dense].view(dtype), dense.astype(np.uint8), codebook.view(dtype)


def check_elements(records: Sequence[Mapping[str, Any]]) -> None:
    """Check that the bytes of a file can tell of as many elements as its header says.

    Parameters
    ----------
    records : of all tensors, each with the ``bytes`` of its sections.

    Raises
    ------
    ValueError
        If not, which would take memory for what is not there.
    """
    trailing = _TRAILING
    for record in records:
        elements = math.prod(record["shape"])
        if record["kind"] == "plain":
            width = np.dtype(DTYPES[record["store"]]).itemsize
            size = sum(record["bytes"])
            limit = (inflated_limit(size) if record["deflated"] else size) // width
        else:
            # Each entry has a code of a bit at least.
            entries = min(record["entries"], 8 * sum(record["bytes"]))
            # What follows the last entry is 0 in no bytes at all.
            trailing -= max(0, elements - (entries << record["run_bits"]))
            limit = elements
        if elements > limit or trailing < 0:
            raise ValueError(
                f"{record['name']!r} has {elements} elements, of which its {sum(record['bytes'])} "
                "bytes cannot tell"
            )


def _plain(record: dict[str, Any], array: NDArray[Any]) -> StoredTensor:
    """Encode elements one by one, as half floats where that is exact."""
    raw, store = array.tobytes(), record["dtype"]
    if store == "float32":
        with np.errstate(over="ignore"):
            half = array.astype("<f2")
        if half.astype("<f4").tobytes() == raw:
            raw, store = half.tobytes(), "float16"
    packed = zlib.compress(raw, 9)
    # What deflates to next to nothing is not believed by a reader.
    deflated = len(packed) < len(raw) <= inflated_limit(len(packed))
    extra = {"kind": "plain", "store": store, "deflated": deflated}
    return StoredTensor({**record, **extra}, [packed if deflated else raw])


def _decode_plain(record: dict[str, Any], data: bytes, dtype: np.dtype) -> NDArray[Any]:
    stored = np.dtype(DTYPES[record["store"]])
    size = math.prod(record["shape"]) * stored.itemsize
    if record["deflated"]:
        data = inflate(data, size)
    if len(data) != size:
        raise InputError(f"tensor {record['name']!r} has {len(data)} bytes, not {size}")
    array = np.frombuffer(data, stored)
    return array if stored == dtype else array.astype(dtype)


def _in_runs(
    record: dict[str, Any],
    array: NDArray[Any],
    widths: Iterable[int],
    codebook: bytes | None = None,
) -> Iterator[StoredTensor]:
    """Encode non-zero elements, or codes of a codebook, in both orders with runs of all widths."""
    for order, run_bits in itertools.product("CF", widths):
        symbols, runs = to_entries(_order(array, order), run_bits)
        lengths = huffman.code_lengths(np.bincount(runs, minlength=1 << run_bits))
        table, sections = _nibbles(lengths), [huffman.encode(runs, lengths)]
        if codebook is not None:
            codes = np.bincount(symbols, minlength=1 << record["code_bits"])
            code_lengths = huffman.code_lengths(codes)
            coded = huffman.encode(symbols, code_lengths)
            sections = [codebook, _nibbles(code_lengths) + table, coded, *sections]
        else:
            sections = [symbols.tobytes(), table, *sections]
        extra = {"order": order, "run_bits": run_bits, "entries": len(symbols)}
        yield StoredTensor({**record, **extra}, sections)


def _size(stored: StoredTensor) -> int:
    """Return the bytes in the file, without header and checksums."""
    return sum(len(section) for section in stored.sections)


def _order(array: NDArray[Any], order: str) -> NDArray[Any]:
    """Flatten; ``F`` runs down the first axis, which pays where whole columns are zero."""
    if order == "F" and array.ndim > 1:
        return np.ascontiguousarray(array.reshape(array.shape[0], -1).T).ravel()
    return array.ravel()


def _unorder(flat: NDArray[Any], shape: tuple[int, ...], order: str) -> NDArray[Any]:
    if order == "F" and len(shape) > 1:
        flat = np.ascontiguousarray(flat.reshape(-1, shape[0]).T)
    return flat.reshape(shape)


def _nibbles(lengths: NDArray[np.uint8]) -> bytes:
    """Pack lengths of codes, at most 15, in half bytes, the first in the low half."""
    padded = np.append(lengths, np.zeros(len(lengths) % 2, np.uint8))
    return (padded[::2] | padded[1::2] << 4).astype(np.uint8).tobytes()


def _lengths(data: bytes, count: int) -> NDArray[np.uint8]:
    packed = np.frombuffer(data, np.uint8)
    lengths = np.stack([packed & 15, packed >> 4], 1).ravel().astype(np.uint8)
    if lengths.size - count not in (0, 1):
        raise InputError(f"a table has {lengths.size} lengths, not {count}")
    return lengths[:count]
