"""Mutants of files: bytes flipped and cut, JSON and arrays changed by those who know the format."""

import copy
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["NUMBERS", "mutate_bytes", "mutate_json", "mutate_npz", "to_text"]

NUMBERS = (
    -(1 << 63), -1, 0, 1, 2, 3, 7, 255, 1 << 16, 1 << 24, (1 << 31) - 1, 1 << 31, 1 << 40, 1 << 63,
    10**400, 0.5, 1e308, True, None, "", "input", [], {}, [1 << 40] * 4,
)  # fmt: skip
"""What a value is replaced by."""


def mutate_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    """Flip bits, cut, repeat, or overwrite a part of a file."""
    new = bytearray(data)
    at = int(rng.integers(0, len(new)))
    match int(rng.integers(0, 5)):
        case 0:
            new[at] ^= 1 << int(rng.integers(0, 8))
        case 1:
            del new[at:]
        case 2:
            new[at : at + 8] = bytes(rng.integers(0, 256, 8, np.uint8))
        case 3:
            new[at:at] = new[at : at + int(rng.integers(1, 64))]
        case _:
            new[at : at + 4] = b"\xff\xff\xff\x7f"
    return bytes(new)


def mutate_json(rng: np.random.Generator, document: Any, most: int = 2) -> Any:
    """Change, drop, double or swap values of a document."""
    document = copy.deepcopy(document)
    for _ in range(int(rng.integers(1, most + 1))):
        places = list(_places(document))
        if not places:
            return document
        holder, key = places[int(rng.integers(0, len(places)))]
        kind = int(rng.integers(0, 8))
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif kind == 2 and type(holder[key]) is int:
            holder[key] += int(rng.choice([-1, 1]))
        elif kind == 3:
            other, name = places[int(rng.integers(0, len(places)))]
            holder[key] = copy.deepcopy(other[name])
        else:
            holder[key] = copy.deepcopy(NUMBERS[int(rng.integers(0, len(NUMBERS)))])
    return document


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        for key in value:
            yield value, key
            yield from _places(value[key])
    elif isinstance(value, list):
        for at in range(len(value)):
            yield value, at
            yield from _places(value[at])


def mutate_npz(rng: np.random.Generator, data: bytes) -> bytes:
    """Change an array of an ``.npz`` file, its type, shape or header, or what stands for it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = list(members)
    name = names[int(rng.integers(0, len(names)))]
    array = np.lib.format.read_array(io.BytesIO(members[name]))
    method = zipfile.ZIP_STORED
    match int(rng.integers(0, 9)):
        case 0:
            members[name] = b"no array"
        case 1:
            members[name] = _npy(array.astype(rng.choice(["f8", "i1", "u2", "c16"])))
        case 2:
            members[name] = _npy(np.stack([array, array]))
        case 3:
            del members[name]
        case 4:
            header = "{'descr': '<i8', 'fortran_order': False, 'shape': (1099511627776,), }"
            members[name] = _header(header)
        case 5:
            members[name] = _header("(" * 1000 + ")" * 1000)
        case 6:
            members[name] = members[name] + bytes(1 << 24)
            method = zipfile.ZIP_DEFLATED
        case 7:
            members["more.npy"] = members[name]
        case _:
            flat = array.reshape(-1).copy()
            if flat.size:
                info = np.iinfo(flat.dtype)
                flat[int(rng.integers(0, flat.size))] = int(
                    rng.choice([info.min, info.max, 0, 1, -1 if info.min else 2])
                )
            members[name] = _npy(flat.reshape(array.shape))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for key, value in members.items():
            archive.writestr(key, value)
    return buffer.getvalue()


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _header(text: str) -> bytes:
    data = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data


def to_text(document: Any) -> bytes:
    """Write a document as JSON."""
    return json.dumps(document).encode()
