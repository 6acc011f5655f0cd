"""What ``zeroskip host`` drives: a board at a serial port, or a chip whose memory is mapped."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.cli.output import Steps
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.system.build import build_system
from zeroskip.flow.flow import flow_on_board, kind_of_board
from zeroskip.flow.host import Board, Line
from zeroskip.flow.host.chip import ChipHost, read_identity
from zeroskip.flow.host.driver import BoardResult
from zeroskip.flow.host.mapped import map_memory, map_registers
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.board.process import board_clock, count_differences
from zeroskip.sim.run import run

__all__ = ["Device", "MappedChip", "Place", "SerialBoard"]


class Device(Protocol):
    """Something that an image can be loaded to, and run on.

    Attributes
    ----------
    name : by which it is remembered what it holds.
    retries : requests that had to be sent again.
    """

    retries: int

    @property
    def name(self) -> str: ...

    def identify(self) -> tuple[dict[str, Any], str]:
        """Ask what it is: a JSON document, and a line for people."""
        ...

    def load(self, image: Image, steps: Steps) -> int:
        """Load an image; return how many words."""
        ...

    def run(
        self, image: Image, columns: NDArray[np.int64], steps: Steps, *, load: bool
    ) -> BoardResult:
        """Run (n, elements) inputs in fixed point; load the image first if ``load`` says so."""
        ...

    def differences(
        self, image: Image, samples: NDArray[np.float64], result: BoardResult
    ) -> tuple[int, int | None]:
        """Count outputs that are not golden's, and cycles that are not the cycle model's.

        No cycles if it depends on the memory how many there are.
        """
        ...


@dataclass
class SerialBoard:
    """A board at a serial port; see :class:`Device`."""

    port: str | None
    baud: int
    patience: float
    retries: int = 0

    @property
    def name(self) -> str:
        """The port.

        Raises
        ------
        InputError
            If none was named.
        """
        if self.port is None:
            raise InputError("--port must name a serial port, such as /dev/ttyUSB1: it is missing")
        return self.port

    @contextmanager
    def _board(self) -> Iterator[Board]:
        with Line(self.name, self.baud, board_clock(self.name) or time.monotonic) as line:
            board = Board(line, patience=self.patience)
            yield board
            self.retries = board.retries

    def identify(self) -> tuple[dict[str, Any], str]:
        with self._board() as board:
            identity = board.identify()
        engine = kind_of_board(identity.engine)
        document = {
            "port": self.port,
            "engine": engine,
            "host_interface": identity.version,
            "num_pes": identity.num_pes,
            "clock_hz": identity.clock_hz,
            "params_digest": identity.digest.hex(),
        }
        return document, (
            f"{engine.upper()} array of {identity.num_pes} PEs at {identity.clock_hz / 1e6:g} MHz, "
            f"host interface {identity.version}, parameters {identity.digest.hex()}"
        )

    def load(self, image: Image, steps: Steps) -> int:
        found = flow_on_board(image)
        part = found.board_part(image)
        with self._board() as board:
            found.driver.load_image(board, part, progress=steps)
        return sum(len(sram.words) for sram in part.srams.values())

    def run(
        self, image: Image, columns: NDArray[np.int64], steps: Steps, *, load: bool
    ) -> BoardResult:
        found = flow_on_board(image)
        part, driver = found.board_part(image), found.driver
        with self._board() as board:
            driver.check_board(board, part)
            if load:
                driver.load_image(board, part, check=False, progress=steps)
            return driver.run_image(board, part, columns, progress=steps)

    def differences(
        self, image: Image, samples: NDArray[np.float64], result: BoardResult
    ) -> tuple[int, int | None]:
        return count_differences(image, samples, result)


@dataclass(frozen=True)
class Place:
    """A place in a file or device: ``FILE`` or ``FILE@OFFSET``, the offset in pages."""

    file: Path
    offset: int

    @classmethod
    def read(cls, text: str, option: str) -> "Place":
        """Read what an option says.

        Raises
        ------
        ParameterError
            If it is no such place.
        """
        found = re.fullmatch(r"([^@]+)(?:@(0[xX][0-9a-fA-F]+|\d+))?", text)
        offset = int(found[2] or "0", 0) if found else 1
        if found is None or offset % 4096:
            raise ParameterError(
                option, text, "FILE or FILE@OFFSET, with whole pages of 4096 bytes"
            )
        return cls(Path(found[1]), offset)


@dataclass
class MappedChip:
    """A chip that this computer addresses, as ``/dev/uio0`` or ``/dev/mem``; see :class:`Device`.

    Parameters
    ----------
    registers, memory : where they are; memory may be missing to identify the chip.
    base : address on the chip's bus of the memory; None: as it is in its file.
    patience : seconds that a list may take.
    """

    registers: Place
    memory: Place | None
    base: int | None
    patience: float
    retries: int = 0

    @property
    def name(self) -> str:
        return f"{self.registers.file}@{self.registers.offset:#x}"

    def identify(self) -> tuple[dict[str, Any], str]:
        registers = map_registers(self.registers.file, self.registers.offset)
        found = read_identity(registers)
        document = {"registers": str(self.registers.file), **found}
        return document, (
            f"chip of version {found['version']} with a port of {found['port_bits']} bits to "
            f"memory, number of its arrays {found['array']:#010x}, sizes "
            + " ".join(map(str, found["sizes"]))
        )

    def load(self, image: Image, steps: Steps) -> int:
        steps("load", 0, 1)
        host = self._host(image)
        host.load()
        steps("load", 1, 1)
        return host.words

    def run(
        self, image: Image, columns: NDArray[np.int64], steps: Steps, *, load: bool
    ) -> BoardResult:
        host = self._host(image)
        if load:
            host.load()
        return host.run_held(columns, steps)

    def differences(
        self, image: Image, samples: NDArray[np.float64], result: BoardResult
    ) -> tuple[int, int | None]:
        golden = run(image, samples, "golden").result.reshape(result.result.shape)
        return int(np.count_nonzero(golden != result.result)), None

    def _host(self, image: Image) -> ChipHost:
        if self.memory is None:
            raise InputError("--memory must name the chip's memory, such as /dev/mem@0x40000000")
        registers = map_registers(self.registers.file, self.registers.offset)
        port = SystemParams(data_bits=read_identity(registers)["port_bits"])
        base = self.memory.offset if self.base is None else self.base
        system = build_system(image, port, base=base)
        memory = map_memory(self.memory.file, self.memory.offset, system.map.bytes)
        return ChipHost(registers, memory, image, system, self.patience)
