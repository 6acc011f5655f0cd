"""Read JSON, zip and deflated data without taking more than their size warrants.

A file of a few bytes can promise gigabytes: sizes in a header, zeros that were deflated, brackets
within brackets. What is read here is bounded by the bytes that are there, or by what the caller
expects, before memory is taken for it.
"""

import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

__all__ = ["Expected", "inflate", "inflated_limit", "parse_json", "read_member", "read_npz"]

Expected = tuple[Any, tuple[int, ...]]
"""Element type and shape of an array."""

_MAX_DEPTH = 64
_CHUNK = 1 << 20
_SMALL = 1 << 17
"""Bytes that anything may inflate to."""

_RATIO = 128
"""Times that data may grow when it is inflated; text, JSON and weights stay far below."""

_WORDS = 80
"""Characters of what NumPy and zipfile say, who repeat what they read."""

_EITHER = 32 + zlib.MAX_WBITS
"""The header says of which format it is."""

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def parse_json(text: bytes | str) -> Any:
    """Parse JSON of at most 64 levels.

    Raises
    ------
    ValueError
        If it is not JSON, or is nested more deeply, so that whoever walks it would not return.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested more than {_MAX_DEPTH} deep") from None
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if _most_brackets(data) > _MAX_DEPTH and _is_deep(value):
        raise ValueError(f"it is nested more than {_MAX_DEPTH} deep")
    return value


def inflated_limit(size: int) -> int:
    """Return how many bytes ``size`` deflated bytes may become."""
    return _SMALL + _RATIO * size


def inflate(data: bytes, most: int | None = None) -> bytes:
    """Inflate data of zlib's format, or of gzip's.

    Parameters
    ----------
    data : deflated.
    most : bytes of the result, at most; :func:`inflated_limit` holds as well.

    Raises
    ------
    ValueError
        If it is damaged, or becomes more.
    """
    limit = inflated_limit(len(data))
    limit = limit if most is None else min(most, limit)
    unpack = zlib.decompressobj(wbits=_EITHER)
    try:
        found = unpack.decompress(data, limit + 1)
    except zlib.error as error:
        raise ValueError(f"it cannot be inflated: {error}") from error
    if len(found) > limit:
        raise ValueError(f"{len(data)} deflated bytes become more than {limit}")
    if not unpack.eof:
        raise ValueError("deflated data ends early")
    return found


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a member of a zip file.

    Raises
    ------
    ValueError
        If it would inflate to more than its deflated size warrants.
    KeyError, zipfile.BadZipFile
        If it is not there, or damaged.
    """
    info = archive.getinfo(name)
    limit = inflated_limit(info.compress_size)
    if info.file_size > limit:
        raise ValueError(
            f"{name} has {info.compress_size} bytes, and cannot become {info.file_size}"
        )
    try:
        with archive.open(info) as member:
            found = member.read(limit + 1)
    except (NotImplementedError, RuntimeError, zlib.error, EOFError) as error:
        # Encryption, methods that Python has not, data that ends early.
        raise zipfile.BadZipFile(f"{name}: {error}") from error
    if len(found) > limit:
        raise ValueError(f"{name} has {info.compress_size} bytes, and becomes more than {limit}")
    return found


def read_npz(data: bytes, expected: Mapping[str, Expected]) -> dict[str, NDArray[Any]]:
    """Read the arrays of an ``.npz`` file.

    Parameters
    ----------
    data : the file.
    expected : element type and shape of every array that it must have, by name.

    Raises
    ------
    ValueError
        If an array is missing, superfluous, no array, or of another type or shape; nothing is read
        of it then.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            wanted = {f"{name}.npy": name for name in expected}
            for member, name in wanted.items():
                if member not in names:
                    raise ValueError(f"{name} is missing")
            if len(names) > len(wanted):
                extra = sorted(set(names) - set(wanted)) or sorted(names)
                raise ValueError(f"{extra[0].removesuffix('.npy')} is superfluous")
            return {
                name: _array(read_member(archive, member), name, *expected[name])
                for member, name in wanted.items()
            }
    except (OSError, EOFError, KeyError, OverflowError, NotImplementedError) as error:
        raise ValueError(f"it cannot be read as .npz: {str(error)[:_WORDS]}") from error
    except zipfile.BadZipFile as error:
        raise ValueError(f"it cannot be read as .npz: {str(error)[:_WORDS]}") from error


def _array(data: bytes, name: str, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Read an ``.npy`` file of this type and shape."""
    file = io.BytesIO(data)
    try:
        found, fortran, kind = _HEADERS[npy.read_magic(file)](file)
    except (ValueError, KeyError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        # NumPy repeats the header, which may be long.
        raise ValueError(f"{name} is no array: {str(error)[:_WORDS]}") from error
    dtype = np.dtype(dtype)
    if kind != dtype or found != tuple(shape):
        raise ValueError(f"{name} must be {_sizes(tuple(shape))} x {dtype}, not {found} x {kind}")
    count = math.prod(found)
    if len(data) - file.tell() != count * dtype.itemsize:
        raise ValueError(
            f"{name} must have {count * dtype.itemsize} bytes, not {len(data) - file.tell()}"
        )
    flat = np.frombuffer(data, dtype, count, file.tell())
    return flat.reshape(found, order="F" if fortran else "C").copy()


def _sizes(shape: tuple[int, ...]) -> str:
    return str(shape[0]) if len(shape) == 1 else str(shape)


def _most_brackets(data: bytes) -> int:
    """Count how deep the brackets of a text are, at most, those in its strings included."""
    deepest = depth = 0
    for start in range(0, len(data), _CHUNK):
        part = np.frombuffer(data, np.uint8, min(_CHUNK, len(data) - start), start)
        steps = ((part == ord("[")) | (part == ord("{"))).astype(np.int32)
        steps -= (part == ord("]")) | (part == ord("}"))
        levels = np.cumsum(steps)
        deepest = max(deepest, depth + int(levels.max()))
        depth += int(levels[-1])
    return deepest


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH + 1):
        level = [
            inner
            for node in level
            if isinstance(node, (dict, list))
            for inner in (node.values() if isinstance(node, dict) else node)
        ]
    return bool(level)
