"""A chip's registers and memory that this computer can address."""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.flow.host.line import HostError

__all__ = ["MappedMemory", "MappedRegisters", "map_files"]


class MappedRegisters:
    """Registers in a mapping, each read and written as a whole.

    Parameters
    ----------
    mapping : of their first bytes, for instance of ``/dev/uio0``.
    """

    def __init__(self, mapping: Any) -> None:
        self._words = np.frombuffer(mapping, np.uint32)

    def read(self, register: int) -> int:
        return int(self._words[register // 4])

    def write(self, register: int, value: int) -> None:
        self._words[register // 4] = value


class MappedMemory:
    """Memory in a mapping.

    Parameters
    ----------
    mapping : of its bytes, which can be written.
    """

    def __init__(self, mapping: Any) -> None:
        self._bytes = np.frombuffer(mapping, np.uint8)

    def read(self, at: int, size: int) -> NDArray[np.uint8]:
        return self._bytes[at : at + size]

    def write(self, at: int, data: NDArray[np.uint8]) -> None:
        self._bytes[at : at + len(data)] = data


@contextmanager
def map_files(
    registers: Path, memory: Path, size: int, *, offsets: tuple[int, int] = (0, 0)
) -> Iterator[tuple[MappedRegisters, MappedMemory]]:
    """Map registers and memory, as ``/dev/uio0`` and a reserved region of ``/dev/mem``.

    Parameters
    ----------
    registers, memory : files, or devices.
    size : bytes of memory.
    offsets : where both begin in their files, in pages.

    Raises
    ------
    HostError
        If one of them cannot be mapped.
    """
    mapped = [
        _map(path, length, offset)
        for path, length, offset in (
            (registers, mmap.PAGESIZE, offsets[0]),
            (memory, size, offsets[1]),
        )
    ]
    yield MappedRegisters(mapped[0]), MappedMemory(mapped[1])


def _map(path: Path, length: int, offset: int) -> mmap.mmap:
    try:
        file = os.open(path, os.O_RDWR | os.O_SYNC)
        try:
            return mmap.mmap(file, length, offset=offset)
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        raise HostError(f"{path} cannot be mapped: {error}") from error
