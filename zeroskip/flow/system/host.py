"""Images in the memory of a board's chip: load them, and run inputs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.flow.host.board import Board
from zeroskip.flow.host.chip import ChipHost
from zeroskip.flow.host.driver import BoardResult, Progress
from zeroskip.flow.host.line import HostError
from zeroskip.hw.board.protocol import params_digest
from zeroskip.hw.board.system import BOARD_KIND, SystemSpace

if TYPE_CHECKING:
    from zeroskip.flow.system.board import BoardSystem

__all__ = ["BoardMemory", "BoardRegisters", "check_board", "load_image", "run_image"]

_SECONDS = 10.0
"""That a list may take."""

_ROWS = 512
"""Rows of the memory from one report of progress to the next."""


class BoardRegisters:
    """Registers of a chip behind a serial line."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def read(self, register: int) -> int:
        return int(self._board.read(SystemSpace.REGISTER, register // 4, 1, size=4)[0])

    def write(self, register: int, value: int) -> None:
        word = np.array([[value]], np.uint64)
        self._board.write(SystemSpace.REGISTER, register // 4, word, size=4)


class BoardMemory:
    """Memory of a chip behind a serial line.

    Parameters
    ----------
    board : at the line.
    beat : bytes of a row.
    progress : called as bytes are written, see :data:`.Progress`.
    """

    def __init__(self, board: Board, beat: int, progress: Progress | None = None) -> None:
        self._board, self._beat = board, beat
        self.progress: Any = progress or (lambda *_: None)

    def read(self, at: int, size: int) -> NDArray[np.uint8]:
        rows = -(-size // self._beat)
        words = self._board.read(SystemSpace.MEMORY, at // self._beat, rows, size=self._beat)
        return words.astype("<u8").view(np.uint8)[:size]

    def write(self, at: int, data: NDArray[np.uint8]) -> None:
        padded = np.zeros(-(-len(data) // self._beat) * self._beat, np.uint8)
        padded[: len(data)] = data
        words = padded.view("<u8").astype(np.uint64)[:, None]
        for first in range(0, len(words), _ROWS):
            self.progress("load", first, len(words))
            part, row = words[first : first + _ROWS], at // self._beat + first
            self._board.write(SystemSpace.MEMORY, row, part, size=self._beat)
        self.progress("load", len(words), len(words))


def check_board(board: Board, part: BoardSystem) -> None:
    """Check that a board holds the chip that an image was compiled for, see :class:`.Driver`."""
    identity = board.identify()
    wanted = params_digest(dataclasses.asdict(part.params))
    if identity.engine != BOARD_KIND or identity.digest != wanted:
        raise HostError(
            f"the board has another chip ({identity.num_pes} PEs) than the one that image "
            f"{part.image.name!r} is for, with {part.params.memory_bytes} bytes of memory: make a "
            "bitstream of this image, or compile the network with the board's parameters"
        )


def load_image(
    board: Board, part: BoardSystem, *, check: bool = True, progress: Progress | None = None
) -> None:
    """Write a compiled network's memory image to the memory of a board's chip.

    Parameters and errors are those of :class:`.Driver`.
    """
    if check:
        check_board(board, part)
    _host(board, part, progress).put()


def run_image(
    board: Board,
    part: BoardSystem,
    columns: NDArray[np.int64],
    *,
    counters: bool = True,
    progress: Progress | None = None,
) -> BoardResult:
    """Run inputs through the network in the memory of a board's chip.

    Parameters and errors are those of :class:`.Driver`. The result has no stall counters, as a
    chip gives none to its host.
    """
    del counters
    return _host(board, part).run_held(columns, progress)


def _host(board: Board, part: BoardSystem, progress: Progress | None = None) -> ChipHost:
    memory = BoardMemory(board, part.params.port.beat_bytes, progress)
    registers = BoardRegisters(board)
    return ChipHost(registers, memory, part.image, part.system, _SECONDS, board.line.clock)
