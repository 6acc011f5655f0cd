"""Compiled images on a board: load them, run inputs, read everything there is to read.

Images are taken as they are (:class:`.EiePart`), but only looked at: this module
needs nothing of the compiler but its plain data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.flow.host.board import Board
from zeroskip.flow.host.driver import BoardResult, Progress
from zeroskip.flow.host.line import HostError
from zeroskip.hw.board.protocol import params_digest
from zeroskip.hw.common.control import Control
from zeroskip.hw.eie.host import BOARD_KIND, Space, counter_row, place_of, stall_classes

if TYPE_CHECKING:
    from zeroskip.compiler.eie.part import EiePart
    from zeroskip.compiler.eie.segment import Segment
    from zeroskip.compiler.engine import SramData

__all__ = ["check_board", "load_image", "run_image"]


def check_board(board: Board, part: EiePart) -> None:
    """Check that a board holds the array that an image was compiled for.

    Raises
    ------
    HostError
        If not.
    """
    identity = board.identify()
    if identity.engine != BOARD_KIND or identity.digest != params_digest(
        dataclasses.asdict(part.params)
    ):
        raise HostError(
            f"the board has another array ({identity.num_pes} PEs) than the image was "
            f"compiled for ({part.params.num_pes} PEs): make a bitstream of this part, or "
            "compile the network with the board's parameters"
        )


def load_image(
    board: Board, part: EiePart, *, check: bool = True, progress: Progress | None = None
) -> None:
    """Write what an image has in the SRAMs at first, see :class:`.Driver`."""
    if check:
        check_board(board, part)
    _load(board, part.segments[0].srams, progress)


def run_image(
    board: Board,
    part: EiePart,
    columns: NDArray[np.int64],
    *,
    counters: bool = True,
    progress: Progress | None = None,
) -> BoardResult:
    """Run inputs through an image that was loaded, see :class:`.Driver`."""
    p, report = part.params, progress or (lambda *_: None)
    inputs = np.zeros((len(columns), part.heights[0] * p.num_pes), np.int64)
    inputs[:, part.placement[0]] = columns
    runs = _Runs(board, part, counters=counters and p.counters)
    results: list[NDArray[np.int64]] = []
    cycles: list[int] = []
    counted: list[NDArray[np.int64]] = []
    for number, words in enumerate(inputs.reshape(len(columns), -1, p.num_pes)):
        report("run", number, len(columns))
        vector, spent, classes = runs.run(words, again=number > 0)
        results.append(vector.ravel()[part.placement[-1]])
        cycles.append(spent)
        counted.append(classes)
    report("run", len(columns), len(columns))
    return BoardResult(
        np.array(results),
        np.array(cycles, np.int64),
        np.array(counted) if runs.counters else None,
    )


class _Runs:
    """The segments of an part, run one after the other for each input."""

    def __init__(self, board: Board, part: EiePart, *, counters: bool) -> None:
        self.counters = counters
        self._board, self._p = board, part.params
        self._segments = part.segments
        replaced = {name for segment in part.segments[1:] for name in segment.srams}
        # What later segments have replaced when the next input comes.
        self._again = {name: s for name, s in part.segments[0].srams.items() if name in replaced}

    def run(
        self, rows: NDArray[np.int64], *, again: bool
    ) -> tuple[NDArray[np.int64], int, NDArray[np.int64]]:
        """Run one input, (rows, num_pes); return the last layer's rows, cycles and counters."""
        board = self._board
        board.clear()
        if again:
            _load(board, self._again, None)
        vectors, cycles, layer = {0: rows}, 0, 0
        counted: list[NDArray[np.int64]] = []
        for number, segment in enumerate(self._segments):
            if number:
                _load(board, segment.srams, None)
                board.clear_counters()
            if segment.load:
                first, count = segment.load
                rows = vectors[segment.passes[0]][first : first + count]
                self._write_acts(rows, board.source())
            board.run(keep=number > 0)
            layer = segment.passes[-1] + 1
            cycles += board.control(Control.CYCLES)
            if self.counters:
                counted.append(self._read_counters(segment))
            if segment.store:
                first, count = segment.store
                file = board.source() ^ (not segment.program[-1].swap)
                read = self._read_acts(count, file)
                vectors[layer] = np.concatenate([vectors.get(layer, read[:0])[:first], read])
        shape = (0, self._p.num_pes, len(stall_classes(self._p)))
        return vectors[layer], cycles, np.concatenate([np.zeros(shape, np.int64), *counted])

    def _write_acts(self, rows: NDArray[np.int64], file: int) -> None:
        p = self._p
        words = rows.reshape(-1, 1).view(np.uint64)
        self._board.write(
            Space.ACT, file << p.act_addr_bits, words, size=-(-p.act_bits // 8), across=p.num_pes
        )

    def _read_acts(self, rows: int, file: int) -> NDArray[np.int64]:
        p = self._p
        size = -(-p.act_bits // 8)
        words = self._board.read(
            Space.ACT, file << p.act_addr_bits, rows * p.num_pes, size=size, across=p.num_pes
        )
        # Bits above the activation's may be its sign or not; only its own count.
        unused = np.uint64(64 - p.act_bits)
        acts = (words << unused).view(np.int64) >> unused.astype(np.int64)
        return acts.reshape(rows, p.num_pes)

    def _read_counters(self, segment: Segment) -> NDArray[np.int64]:
        p, passes = self._p, len(segment.program)
        classes, rows = len(stall_classes(p)), counter_row(p, 1, 0)
        count = passes * rows
        words = self._board.read(Space.COUNTER, 0, count * p.num_pes, size=4, across=p.num_pes)
        by_pe = words.astype(np.int64).reshape(passes, rows, p.num_pes)
        return by_pe[:, :classes].transpose(0, 2, 1)


def _load(board: Board, srams: Mapping[str, SramData], progress: Progress | None) -> None:
    report: Any = progress or (lambda *_: None)
    total = sum(len(sram.words) for sram in srams.values())
    done = 0
    for name, sram in srams.items():
        report("load", done, total)
        space, pe, row, step = place_of(name)
        board.write(space, row, sram.words, size=-(-sram.width // 8), pe=pe, step=step)
        done += len(sram.words)
    report("load", total, total)
