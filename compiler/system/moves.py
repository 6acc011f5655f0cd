"""What engines do for an inference, move by move, before anything has an address.

An engine says it in :meth:`.Engine.moves`, as if it were alone and had number 0;
:func:`.join_parts` puts those of several behind one another, and :func:`.build_system` lays them
out in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from zeroskip.hw.system.formats import row_bytes
from zeroskip.hw.system.params import SystemParams

__all__ = ["Load", "Move", "Moves", "RowTensor", "RowsIn", "RowsOut", "Run", "Weights"]


@dataclass(frozen=True, eq=False)
class Load:
    """Words for a memory of the array.

    Parameters
    ----------
    name : of the words, unique among the loads of a network.
    about : what they are, for people.
    space : address space of the engine's host port.
    pe : whose memory.
    words : (n, limbs) uint64 for rows 0 up, limbs of 64 bits, lowest first.
    width : bits of a word.
    engine : its number.
    """

    name: str
    about: str
    space: int
    pe: int
    words: NDArray[np.uint64]
    width: int
    engine: int = 0


@dataclass(frozen=True, eq=False)
class Weights:
    """Beats of weights that the array takes while it is at work; the fields are those of Load."""

    name: str
    about: str
    words: NDArray[np.uint64]
    width: int
    engine: int = 0


@dataclass(frozen=True)
class RowsIn:
    """Rows of a tensor, to the activation file that is loaded next.

    Parameters
    ----------
    tensor, first, rows : what is moved, or what it is a part of.
    beats : of the port, if not all rows are moved once.
    engine : its number.
    row : of the file, the first that is written.
    """

    tensor: str
    first: int
    rows: int
    beats: int | None = None
    engine: int = 0
    row: int = 0


@dataclass(frozen=True)
class Run:
    """A run of the array's program.

    Parameters
    ----------
    takes : the rows that came in last become the source; else it goes on with what it has.
    begins : of a recurrent network, whose runs are steps: a sequence begins.
    beside : of an engine whose inputs lie in RAMs that a run uses: it may begin with the last
        INPUT before it, which always finds room, and waits by itself for what comes.
    engine : its number.
    """

    takes: bool
    begins: bool = False
    beside: bool = False
    engine: int = 0


@dataclass(frozen=True)
class RowsOut:
    """Rows of an activation file, from row 0 up, to a tensor.

    Parameters
    ----------
    tensor, first, rows : where they go.
    destination : from the destination file; else from the source, which has the result of a run
        that swaps at its end.
    beats : of the port, if not all rows are moved once.
    made_from : number of the first pass of the run before that drains these rows, where later ones
        drain those behind its: they can leave as they are made. Else None.
    engine : its number.
    """

    tensor: str
    first: int
    rows: int
    destination: bool
    beats: int | None = None
    made_from: int | None = None
    engine: int = 0


Move = Load | Weights | RowsIn | Run | RowsOut


@dataclass(frozen=True, eq=False)
class RowTensor:
    """A tensor as it lies in memory, as an engine sees it: rows of all lanes.

    Parameters
    ----------
    name : of it; that of the layer that makes it.
    rows, lanes, bits : its rows, values of a row, and bits of a value, two's complement.
    packed : rows narrower than a beat lie next to one another; else each takes whole beats.
    frac : fraction bits of a value.
    positions : (elements,) int64, ``row * lanes + lane`` of each element; what is left over is 0.
    """

    name: str
    rows: int
    lanes: int
    bits: int
    frac: int
    positions: NDArray[np.int64]
    packed: bool = False

    def row_bytes(self, port: SystemParams) -> int:
        """Count the bytes that a row takes in memory."""
        return row_bytes(self.lanes * self.bits, port, packed=self.packed)

    def places(self, port: SystemParams) -> NDArray[np.int64]:
        """Return, for each element, the bit of memory at which it begins."""
        row, lane = np.divmod(self.positions, self.lanes)
        return 8 * row * self.row_bytes(port) + lane * self.bits


@dataclass(frozen=True, eq=False)
class Moves:
    """All moves of a network.

    Parameters
    ----------
    setup : once after a reset: what no inference changes.
    inference : of every inference, in order.
    tensors : that lie in memory, by engine: the input of a part first, its output last, and
        between them what does not fit the array.
    bounded : what an inference is instead where an array finds no room for it, with all that it
        loads; nothing if there is always room.
    in_place : engines whose inputs and outputs are in RAMs that a run uses, so nothing of it
        overlaps; others load a file, and read one, while they use another.
    per_step : of a part of a recurrent network: they are of a single step.
    """

    setup: tuple[Load, ...]
    inference: tuple[Move, ...]
    tensors: tuple[RowTensor, ...]
    bounded: tuple[Move, ...] = ()
    in_place: frozenset[int] = frozenset()
    per_step: bool = False

    def __iter__(self) -> Iterator[Move]:
        """Give all moves of all lists."""
        return chain(self.setup, self.inference, self.bounded)
