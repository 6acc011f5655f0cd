"""Host of a chip whose registers and memory this computer can address."""

import mmap
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.compiler.image.image import Image
from zeroskip.compiler.system.build import SystemImage
from zeroskip.compiler.system.map import ListEntry, TensorEntry
from zeroskip.flow.flow import image_sizes
from zeroskip.flow.host.line import HostError
from zeroskip.hw.system.formats import Error
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import (
    IDENTITY,
    SYSTEM_VERSION,
    Event,
    Register,
    State,
    array_id,
)

__all__ = ["MappedChip", "MappedRegisters", "Registers", "map_files"]


class Registers(Protocol):
    """Access to registers, by their byte address."""

    def read(self, register: int) -> int:
        """Read a register."""
        ...

    def write(self, register: int, value: int) -> None:
        """Write a register."""
        ...


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


class MappedChip:
    """A chip with a network in its memory.

    Parameters
    ----------
    registers : of the chip.
    memory : bytes from where the image was laid out for, which can be written.
    image, system : the network, and how it lies in memory.
    patience : seconds that a list may take; None: for ever.

    Raises
    ------
    HostError
        If there is no chip, or one that the image is not for; nothing is written then.
    """

    def __init__(
        self,
        registers: Registers,
        memory: Any,
        image: Image,
        system: SystemImage,
        patience: float | None = 10.0,
    ) -> None:
        self._registers, self._patience = registers, patience
        self._map, self._contents = system.map, system.memory
        self._memory = np.frombuffer(memory, np.uint8)
        self._check(image_sizes(image))

    def _check(self, sizes: Mapping[str, int]) -> None:
        """See that the chip is what the image is for."""
        port = SystemParams(**self._map.port)
        found = self._registers.read(Register.IDENTITY)
        if found != IDENTITY:
            raise HostError(f"no Zeroskip chip answers: its identity is {found:#x}")
        version = self._registers.read(Register.VERSION)
        if version & 0xFFFF != SYSTEM_VERSION:
            raise HostError(
                f"the chip has registers of version {version & 0xFFFF}, and this program knows "
                f"{SYSTEM_VERSION}: use the version of Zeroskip that made its Verilog"
            )
        beat = version >> 16 & 0xFF
        if beat != port.beat_bytes:
            raise HostError(
                f"the chip's port to memory has {8 * beat} bits, and the image is for "
                f"{port.data_bits}: lay it out with --port {8 * beat}"
            )
        if self._registers.read(Register.ARRAY) != array_id(port, sizes):
            raise HostError(
                f"image {self._map.name!r} is for an array of other sizes than the chip's: compile "
                "it for those that its registers from 0x80 up tell"
            )

    def load(self) -> None:
        """Put the image into memory, and load what stays in the chip.

        Raises
        ------
        HostError
            If the chip is at work, or loading fails.
        """
        if not self._registers.read(Register.CONTROL) & State.AP_IDLE:
            raise HostError("the chip is at work: let it end, or reset it")
        size = len(self._contents)
        self._memory[:size] = np.frombuffer(self._contents, np.uint8)
        self._memory[size : self._map.bytes] = 0
        self._write_wide(Register.WINDOW, self._map.base)
        self._write_wide(Register.WINDOW_BYTES, self._map.bytes)
        self._registers.write(Register.IER, Event.DONE | Event.ERROR)
        self._run(self._map.list("setup"))

    def run(self, inputs: ArrayLike) -> NDArray[np.int64]:
        """Run inferences one after the other.

        Parameters
        ----------
        inputs : (n, elements) in fixed point.

        Returns
        -------
        (n, elements) in fixed point.

        Raises
        ------
        HostError
            If one is abandoned; the code and the number of the command are named.
        """
        return np.array([self._infer(row) for row in np.asarray(inputs, np.int64)])

    def _infer(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        entry = self._map.input
        bits = np.zeros(8 * entry.rows * entry.row_bytes, np.uint8)
        places = _places(entry)
        if values.shape != (len(places),):
            raise HostError(f"an input has {len(places)} elements, not {values.size}")
        for bit in range(entry.lane_bits):
            bits[places + bit] = values >> bit & 1
        self._block("input_0")[: len(bits) // 8] = np.packbits(bits, bitorder="little")
        self._run(self._map.list("infer_0"))
        entry = self._map.output
        bits = np.unpackbits(self._block("output_0"), bitorder="little").astype(np.int64)
        weights = 1 << np.arange(entry.lane_bits, dtype=np.int64)
        weights[-1] = -weights[-1]
        return (bits[_places(entry)[:, None] + np.arange(entry.lane_bits)] * weights).sum(axis=1)

    def _block(self, name: str) -> NDArray[np.uint8]:
        block = self._map.block(name)
        begin = block.address - self._map.base
        return self._memory[begin : begin + block.bytes]

    def _run(self, commands: ListEntry) -> None:
        """Start a list, and wait for its end."""
        registers = self._registers
        done = registers.read(Register.DONE)
        self._write_wide(Register.LIST, commands.address)
        registers.write(Register.LIST_BYTES, commands.bytes)
        registers.write(Register.CONTROL, State.AP_START)
        begun = time.monotonic()
        while not registers.read(Register.CONTROL) & State.AP_IDLE:
            if self._patience is not None and time.monotonic() - begun > self._patience:
                registers.write(Register.CONTROL, State.STOP)
                raise HostError(f"list {commands.name!r} did not end in {self._patience:g} s")
        registers.write(Register.ISR, registers.read(Register.ISR))
        if registers.read(Register.DONE) == done:
            word = registers.read(Register.ERROR)
            code = {one.value: one.name for one in Error}.get(word & 15, "unknown")
            raise HostError(
                f"list {commands.name!r} was abandoned with error {code} at command {word >> 8}"
            )

    def _write_wide(self, register: Register, value: int) -> None:
        """Write two registers, lower half first."""
        self._registers.write(register, value & 0xFFFFFFFF)
        self._registers.write(register + 4, value >> 32)


def _places(entry: TensorEntry) -> NDArray[np.int64]:
    """Return the lowest bit of each element in its buffer."""
    given = entry.positions
    positions = np.arange(entry.elements) if given is None else np.array(given, np.int64)
    rows, lanes = np.divmod(positions, entry.lanes)
    return rows * entry.row_bytes * 8 + lanes * entry.lane_bits


@contextmanager
def map_files(
    registers: Path, memory: Path, size: int, *, offsets: tuple[int, int] = (0, 0)
) -> Iterator[tuple[MappedRegisters, mmap.mmap]]:
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
    yield MappedRegisters(mapped[0]), mapped[1]


def _map(path: Path, length: int, offset: int) -> mmap.mmap:
    try:
        file = os.open(path, os.O_RDWR | os.O_SYNC)
        try:
            return mmap.mmap(file, length, offset=offset)
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        raise HostError(f"{path} cannot be mapped: {error}") from error
