"""A chip's registers and memory that this computer can address."""

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.flow.host.line import HostError

__all__ = ["MappedMemory", "MappedRegisters", "map_memory", "map_registers"]


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


def map_registers(path: Path, offset: int = 0) -> MappedRegisters:
    """Map the registers of a chip, as of ``/dev/uio0``.

    Parameters
    ----------
    path, offset : file or device, and where they begin in it, in pages.

    Raises
    ------
    HostError
        If they cannot be mapped.
    """
    return MappedRegisters(_map(path, mmap.PAGESIZE, offset))


def map_memory(path: Path, offset: int, size: int) -> MappedMemory:
    """Map ``size`` bytes of memory, as of a reserved region of ``/dev/mem``.

    Parameters and errors are those of :func:`map_registers`.
    """
    return MappedMemory(_map(path, size, offset))


def _map(path: Path, length: int, offset: int) -> mmap.mmap:
    try:
        file = os.open(path, os.O_RDWR | os.O_SYNC)
        try:
            return mmap.mmap(file, length, offset=offset)
        except ValueError as error:  # of files; devices say that there is no such address
            raise HostError(
                f"{path} cannot be mapped: it has {os.fstat(file).st_size} bytes, and {length} "
                f"from byte {offset} on are needed"
            ) from error
        finally:
            os.close(file)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise HostError(f"{path} cannot be mapped: {reason or error}") from error
