"""What boards need of an array."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from amaranth.lib import wiring

from zeroskip.hw.board.boards import Board
from zeroskip.hw.board.protocol import FRAME_BYTES
from zeroskip.hw.board.top import Hosted

__all__ = ["BoardArray", "Need"]

ParamsT = TypeVar("ParamsT")


@dataclass(frozen=True)
class Need:
    """A memory of the board's top.

    Parameters
    ----------
    name : an image's SRAM as the engine's ``files`` names it; others by their own.
    path : of the memory inside the board's top, where the array is ``array``.
    depth, width : rows, and bits of a row.
    content : an image has contents for it.
    shared : one port reads and writes, see :class:`.Ports`. A test holds it against
        the Verilog.
    """

    name: str
    path: str
    depth: int
    width: int
    content: bool
    shared: bool

    @property
    def bits(self) -> int:
        """Rows times width."""
        return self.depth * self.width


class BoardArray(ABC, Generic[ParamsT]):
    """An array of certain sizes, as it is on a board.

    Parameters
    ----------
    params : its sizes.

    Attributes
    ----------
    engine : name of the flow that it is of.
    wire_ps : what a wire takes on an ECP5, for Yosys to choose where to save LUTs; None for its own
        guess, which is for paths that are mostly cells.
    """

    engine: str
    wire_ps: int | None = None

    def __init__(self, params: ParamsT) -> None:
        self.params = params

    @property
    @abstractmethod
    def hosted(self) -> Hosted:
        """The array with its host port."""

    @property
    @abstractmethod
    def inside(self) -> Mapping[str, partial[wiring.Component]]:
        """Modules by name that are instances in the array, and made by themselves."""

    @property
    @abstractmethod
    def memories(self) -> Sequence[Need]:
        """Memories of the array."""

    @property
    @abstractmethod
    def short_paths(self) -> bool:
        """Whether LUTs are spent on shorter paths; an array that fills a small FPGA has none."""

    @property
    def apart(self) -> Mapping[str, str]:
        """Modules that are mapped by themselves for an ECP5, by the paths of their instances.

        What is equal in all instances is then not made once for all of them: that would be one
        register somewhere, and long wires from there. Paths are those inside the board's top.
        """
        return {}

    @property
    def advice(self) -> str:
        """What to do where it does not fit a board, as an imperative."""
        return f"compile for smaller memories, or fewer PEs than {self.hosted.num_pes}"

    def clock_mhz(self, board: Board) -> float:
        """Return the clock that bitstreams for a board are made for, unless told otherwise."""
        return board.clock_mhz

    @property
    def needs(self) -> list[Need]:
        """Memories of the board's top with this array."""
        frames = Need("buffer", "deframe.buffer", FRAME_BYTES, 8, content=False, shared=False)
        return [*self.memories, frames]
