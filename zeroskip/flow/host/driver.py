"""What an engine's folder offers to drive its array on a board: plain Python, as its host."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zeroskip.flow.host.board import Board

__all__ = ["BoardResult", "Driver", "Progress"]

Progress = Callable[[str, int, int], None]
"""Called with a step's name, how much of it is done, and of how much."""


@dataclass(frozen=True, eq=False)
class BoardResult:
    """What a board did with ``n`` inputs.

    Parameters
    ----------
    result : (n, columns) int64, the last layer's outputs, in the network's order.
    cycles : (n,) int64, from start to the end of the program, summed over segments.
    counters : (n, passes, num_pes, stall classes) int64 cycles; None if the array has none.
    """

    result: NDArray[np.int64]
    cycles: NDArray[np.int64]
    counters: NDArray[np.int64] | None


class Driver(Protocol):
    """Functions that drive an array; a module has them."""

    def check_board(self, board: Board, part: Any) -> None:
        """Check that a board holds the array that a part of an image was compiled for.

        Raises
        ------
        HostError
            If not.
        """
        ...

    def load_image(
        self, board: Board, part: Any, *, check: bool = True, progress: Progress | None = None
    ) -> None:
        """Write what a part has in the SRAMs at first.

        Parameters
        ----------
        check : ask the board whether it has the right array.
        progress : see :data:`Progress`.

        Raises
        ------
        HostError
            If the board has another array, refuses or does not answer.
        """
        ...

    def run_image(
        self,
        board: Board,
        part: Any,
        columns: NDArray[np.int64],
        *,
        counters: bool = True,
        progress: Progress | None = None,
    ) -> BoardResult:
        """Run inputs through a part that was loaded.

        Parameters
        ----------
        columns : (n, columns) quantised inputs, see :func:`.quantize_input`.
        counters : read the cycle counters, if the array has some.
        progress : see :data:`Progress`.

        Raises
        ------
        HostError
            If the board refuses or does not answer, or a run does not end.
        """
        ...
