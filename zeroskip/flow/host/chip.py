"""Host of a chip that runs command lists, wherever its registers and memory are."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.compiler.image.image import Image
from zeroskip.compiler.system.build import SystemImage
from zeroskip.compiler.system.map import ListEntry
from zeroskip.flow.flow import image_sizes
from zeroskip.flow.host.driver import BoardResult, Progress
from zeroskip.flow.host.line import HostError
from zeroskip.hw.system.formats import Error
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import (
    IDENTITY,
    SIZES_AT,
    SYSTEM_VERSION,
    Event,
    Register,
    State,
    array_id,
)

__all__ = ["ChipHost", "Memory", "Registers", "read_identity"]


class Registers(Protocol):
    """Access to registers, by their byte address."""

    def read(self, register: int) -> int:
        """Read a register."""
        ...

    def write(self, register: int, value: int) -> None:
        """Write a register."""
        ...


class Memory(Protocol):
    """Access to a chip's memory."""

    def read(self, at: int, size: int) -> NDArray[np.uint8]:
        """Read ``size`` bytes from byte ``at`` on, a beat's first: (size,) uint8."""
        ...

    def write(self, at: int, data: NDArray[np.uint8]) -> None:
        """Write bytes from byte ``at`` on, a beat's first; their last beat's rest may be zeroed.

        ``data`` is (size,) uint8.
        """
        ...


def read_identity(registers: Registers) -> dict[str, Any]:
    """Ask a chip what it is.

    Returns
    -------
    ``version`` of its registers, ``port_bits`` of its port to memory, ``array``, the number that
    images for it have, and ``sizes`` of its arrays.

    Raises
    ------
    HostError
        If there is no chip, or one of another version.
    """
    found = registers.read(Register.IDENTITY)
    if found != IDENTITY:
        raise HostError(f"no Zeroskip chip answers: its identity is {found:#x}")
    version = registers.read(Register.VERSION)
    if version & 0xFFFF != SYSTEM_VERSION:
        raise HostError(
            f"the chip has registers of version {version & 0xFFFF}, and this program knows "
            f"{SYSTEM_VERSION}: use the version of Zeroskip that made its Verilog"
        )
    sizes = range(registers.read(Register.SIZES))
    return {
        "version": version & 0xFFFF,
        "port_bits": 8 * (version >> 16 & 0xFF),
        "array": registers.read(Register.ARRAY),
        "sizes": [registers.read(SIZES_AT + 4 * place) for place in sizes],
    }


class ChipHost:
    """A chip with a network in its memory.

    Parameters
    ----------
    registers : of the chip.
    memory : from where the image was laid out for.
    image, system : the network, and how it lies in memory.
    patience : seconds that a list may take; None: for ever.
    clock : gives seconds.

    Raises
    ------
    HostError
        If there is no chip, or one that the image is not for; nothing is written then.
    """

    def __init__(
        self,
        registers: Registers,
        memory: Memory,
        image: Image,
        system: SystemImage,
        patience: float | None = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registers, self._memory = registers, memory
        self._patience, self._clock = patience, clock
        self._map, self._contents = system.map, system.memory
        self._check(image_sizes(image))

    def _check(self, sizes: Mapping[str, int]) -> None:
        """See that the chip is what the image is for."""
        port = SystemParams(**self._map.port)
        found = read_identity(self._registers)
        if found["port_bits"] != port.data_bits:
            raise HostError(
                f"the chip's port to memory has {found['port_bits']} bits, and the image is for "
                f"{port.data_bits}: lay it out with --port-bits {found['port_bits']}"
            )
        if found["array"] != array_id(port, sizes):
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
        self.put()
        self.set_up()

    def put(self) -> None:
        """Put the image into memory.

        Raises
        ------
        HostError
            If the chip is at work.
        """
        self._check_idle()
        contents = np.zeros(self._map.bytes, np.uint8)
        contents[: len(self._contents)] = np.frombuffer(self._contents, np.uint8)
        self._memory.write(0, contents)

    def holds(self) -> bool:
        """Tell whether memory holds the image."""
        wanted = np.frombuffer(self._contents, np.uint8)
        return np.array_equal(self._memory.read(0, len(wanted)), wanted)

    def set_up(self) -> None:
        """Load what stays in the chip from the image in memory.

        Raises
        ------
        HostError
            If the chip is at work, or loading fails.
        """
        self._check_idle()
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
            If the chip is at work, or an inference is abandoned; the code and the number of the
            command are named.
        """
        return np.array([self.infer(row) for row in np.asarray(inputs, np.int64)])

    def run_held(self, columns: NDArray[np.int64], progress: Progress | None = None) -> BoardResult:
        """Run inferences of the image that is in memory already.

        Parameters
        ----------
        columns : (n, elements) in fixed point.
        progress : see :data:`Progress`.

        Raises
        ------
        HostError
            If memory holds something else, the chip is at work, or a list is abandoned.
        """
        report: Any = progress or (lambda *_: None)
        if not self.holds():
            raise HostError(
                f"the memory does not hold image {self._map.name!r}: load it first, or give --load"
            )
        self.set_up()
        results: list[NDArray[np.int64]] = []
        cycles: list[int] = []
        for number, values in enumerate(columns):
            report("run", number, len(columns))
            results.append(self.infer(values))
            cycles.append(self.cycles())
        report("run", len(columns), len(columns))
        # As a chip gives its host no counters of stalls.
        return BoardResult(np.array(results), np.array(cycles, np.int64), None)

    @property
    def words(self) -> int:
        """Beats of the image that are put into memory."""
        return -(-len(self._contents) // SystemParams(**self._map.port).beat_bytes)

    def cycles(self) -> int:
        """Ask for the cycles of the last inference."""
        return self._registers.read(Register.CYCLES)

    def infer(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Run an inference of (elements,) in fixed point; see :meth:`run`."""
        entry = self._map.input
        bits = np.zeros(8 * entry.rows * entry.row_bytes, np.uint8)
        places = entry.first_bits()
        if values.shape != (len(places),):
            raise HostError(f"an input has {len(places)} elements, not {values.size}")
        self._check_idle()
        for bit in range(entry.lane_bits):
            bits[places + bit] = values >> bit & 1
        self._memory.write(self._place("input_0")[0], np.packbits(bits, bitorder="little"))
        self._run(self._map.list("infer_0"))
        entry = self._map.output
        bits = np.unpackbits(self._memory.read(*self._place("output_0")), bitorder="little").astype(
            np.int64
        )
        weights = 1 << np.arange(entry.lane_bits, dtype=np.int64)
        weights[-1] = -weights[-1]
        places = entry.first_bits()[:, None] + np.arange(entry.lane_bits)
        return (bits[places] * weights).sum(axis=1)

    def _check_idle(self) -> None:
        if not self._registers.read(Register.CONTROL) & State.AP_IDLE:
            raise HostError("the chip is at work: let it end, or reset it")

    def _place(self, name: str) -> tuple[int, int]:
        """Return where a block begins in memory, and its bytes."""
        block = self._map.block(name)
        return block.address - self._map.base, block.bytes

    def _run(self, commands: ListEntry) -> None:
        """Start a list, and wait for its end; one that others started is left alone."""
        self._check_idle()
        registers = self._registers
        done = registers.read(Register.DONE)
        self._write_wide(Register.LIST, commands.address)
        registers.write(Register.LIST_BYTES, commands.bytes)
        registers.write(Register.CONTROL, State.AP_START)
        begun = self._clock()
        while not registers.read(Register.CONTROL) & State.AP_IDLE:
            if self._patience is not None and self._clock() - begun > self._patience:
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
