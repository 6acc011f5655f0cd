"""The container ``model.zsk``: a whole compressed network in one file. Needs NumPy only.

Layout, all numbers little-endian::

    8 bytes   89 5A 53 4B 0D 0A 1A 0A ("ZSK" framed as PNG does, to show text-mode copies)
    u16       version
    u16       0
    u32, u32  bytes of the header in the file, its CRC-32
    ...       header: JSON, deflated
    ...       the sections of every tensor in the header's order, each followed by its CRC-32
    32 bytes  SHA-256 of all before

The header has ``tensors`` (see :mod:`.zsk_tensor`, with the ``bytes`` of each
section), ``graph`` (the exported program without its tensors, or null) and ``meta``.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.bounded import inflate, parse_json
from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.zsk_tensor import (
    DTYPES,
    StoredTensor,
    check_elements,
    decode_tensor,
)

__all__ = ["MAGIC", "VERSION", "Container", "dumps", "load", "loads"]

MAGIC = b"\x89ZSK\r\n\x1a\n"
VERSION = 1

_START = struct.Struct("<8sHHII")
_HASH = 32
_MAX_HEADER = 1 << 26
_SECTIONS = {"plain": 1, "sparse": 3, "shared": 4}


@dataclass(frozen=True, eq=False)
class Container:
    """What a ``.zsk`` file holds.

    Parameters
    ----------
    tensors : encoded, in the order of the state dict.
    graph : see :mod:`zeroskip.compiler.compress.zsk_graph`; None if the file has none.
    meta : anything about the network that JSON can say.
    """

    tensors: tuple[StoredTensor, ...]
    graph: dict[str, Any] | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state dict; bfloat16 tensors as uint16 bits."""
        return {stored.name: decode_tensor(stored)[0] for stored in self.tensors}

    def dtypes(self) -> Mapping[str, str]:
        """Return each tensor's element type by its torch name."""
        return {stored.name: stored.record["dtype"] for stored in self.tensors}

    def shared(self, name: str) -> tuple[NDArray[np.uint8], NDArray[Any]] | None:
        """Return codes and codebook of a tensor, or None if it is not shared."""
        stored = next(stored for stored in self.tensors if stored.name == name)
        _, codes, codebook = decode_tensor(stored)
        return None if codes is None or codebook is None else (codes, codebook)


def dumps(container: Container) -> bytes:
    """Return the file."""
    records = [
        {**stored.record, "bytes": [len(section) for section in stored.sections]}
        for stored in container.tensors
    ]
    text = {"tensors": records, "graph": container.graph, "meta": container.meta}
    header = zlib.compress(json.dumps(text, separators=(",", ":")).encode(), 9)
    parts = [_START.pack(MAGIC, VERSION, 0, len(header), zlib.crc32(header)), header]
    for stored in container.tensors:
        for section in stored.sections:
            parts += [section, struct.pack("<I", zlib.crc32(section))]
    body = b"".join(parts)
    return body + hashlib.sha256(body).digest()


def load(path: Path | str) -> Container:
    """Read a file.

    Raises
    ------
    InputError
        If it is missing, damaged, truncated, of another version, or no ``.zsk`` file.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    return loads(data, str(path))


def loads(data: bytes, name: str = "the data") -> Container:
    """Read the contents of a file; ``name`` is for messages. See :func:`load`."""
    if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
        raise InputError(f"{name} is no .zsk file")
    if len(data) < _START.size + _HASH:
        raise InputError(f"{name} is truncated: it has {len(data)} bytes, too few for any network")
    _, version, reserved, length, crc = _START.unpack_from(data)
    if version != VERSION or reserved:
        raise InputError(
            f"{name} is a .zsk file of version {version}.{reserved}, but this program reads "
            f"{VERSION}.0"
        )
    end = _START.size + length
    if end + _HASH > len(data):
        raise InputError(f"{name} is truncated: its header alone has {length} bytes")
    header = data[_START.size : end]
    if zlib.crc32(header) != crc:
        raise InputError(f"{name} is damaged: the checksum of its header is wrong")
    text = _parse(header, name)
    tensors, position = [], end
    needed = end + _HASH + sum(sum(r["bytes"]) + 4 * len(r["bytes"]) for r in text["tensors"])
    if needed != len(data):
        what = "truncated" if needed > len(data) else "damaged"
        raise InputError(f"{name} is {what}: it has {len(data)} of {needed} bytes")
    for record in text["tensors"]:
        sections = []
        for number, size in enumerate(record["bytes"]):
            section = data[position : position + size]
            (crc,) = struct.unpack_from("<I", data, position + size)
            if zlib.crc32(section) != crc:
                raise InputError(
                    f"{name} is damaged: the checksum of section {number} of tensor "
                    f"{record['name']!r} is wrong"
                )
            sections.append(section)
            position += size + 4
        kept = {key: value for key, value in record.items() if key != "bytes"}
        tensors.append(StoredTensor(kept, sections))
    if hashlib.sha256(data[:-_HASH]).digest() != data[-_HASH:]:
        raise InputError(f"{name} is damaged: its SHA-256 is wrong")
    return Container(tuple(tensors), text["graph"], text["meta"])


def _parse(header: bytes, name: str) -> dict[str, Any]:
    """Return the header, checked: what was written by someone else may hold anything."""
    try:
        text = parse_json(inflate(header, _MAX_HEADER))
        if not isinstance(text["meta"], dict) or not isinstance(text["graph"], (dict, type(None))):
            raise TypeError("meta and graph must be objects")
        names: set[str] = set()
        for record in text["tensors"]:
            _check_record(record)
            if record["name"] in names:
                raise ValueError(f"two tensors are called {record['name']!r}")
            names.add(record["name"])
        check_elements(text["tensors"])
    except (ValueError, TypeError, KeyError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{name} has a header that cannot be read: {what}") from error
    return text


def _check_record(record: dict[str, Any]) -> None:
    """Check types and ranges of what the header says of a tensor."""
    numbers = [*record["shape"], *record["bytes"]]
    for key, high in (("code_bits", 8), ("run_bits", 8), ("values", 255), ("entries", 1 << 40)):
        if key in record:
            low = 1 if key.endswith("bits") else 0
            if type(record[key]) is not int or not low <= record[key] <= high:
                raise ValueError(f"{key} must be from {low} to {high}, not {record[key]!r}")
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError(f"sizes must be whole numbers, not {numbers}")
    if type(record["name"]) is not str or record["dtype"] not in DTYPES:
        raise ValueError(f"a tensor is {record['name']!r} of type {record['dtype']!r}")
    if len(record["bytes"]) != _SECTIONS[record["kind"]]:
        raise ValueError(f"{record['name']!r} has {len(record['bytes'])} sections")
    if record["kind"] == "plain":
        if record["store"] not in DTYPES or type(record["deflated"]) is not bool:
            raise ValueError(f"{record['name']!r} is stored as {record['store']!r}")
    elif record["order"] not in ("C", "F") or "entries" not in record or "run_bits" not in record:
        raise ValueError(f"{record['name']!r} has no order, entries or run_bits")
    elif record["kind"] == "shared" and record["values"] >= 1 << record["code_bits"]:
        raise ValueError(
            f"the codebook of {record['name']!r} has {record['values']} values, more than its "
            f"{record['code_bits']} bits tell apart"
        )
