"""Pack a network's windows into segments that the memories hold."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.place import Placement, local_rows
from zeroskip.compiler.eie.segment import Descriptor
from zeroskip.compiler.eie.window import Window
from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.hw.common.formats import Activation
from zeroskip.hw.eie.params import EieParams

__all__ = ["Draft", "EntriesPart", "Memory", "Planner", "PointersPart"]


class Memory(enum.Enum):
    """The memories that a segment can leave as they are."""

    SPMAT = "spmat_words"
    POINTERS = "num_pointers"
    BIASES = "num_biases"
    CODEBOOKS = "num_descriptors"


@dataclass(frozen=True, eq=False)
class EntriesPart:
    """Entries of a window from one row of the source up to, not with, another."""

    window: Window
    first: int
    after: int


@dataclass(frozen=True, eq=False)
class PointersPart:
    """Pointers (num_pes, n), counted in entries from the start of the SRAM, written from ``base``.

    The last of them is the end of the last column, and may be where the next part begins.
    """

    base: int
    pointers: NDArray[np.int64]


@dataclass(eq=False)
class Draft:
    """A segment without contents.

    Parameters
    ----------
    program : descriptors; none has ``last`` yet.
    passes, load, store : see :class:`.Segment`.
    parts : of each memory that is loaded before this segment, what it then holds for this one
        and those after it: :class:`EntriesPart`, :class:`PointersPart`, windows (of biases) or
        layers (of codebooks).
    """

    program: list[Descriptor] = field(default_factory=list)
    passes: list[int] = field(default_factory=list)
    load: tuple[int, int] | None = None
    store: tuple[int, int] | None = None
    parts: dict[Memory, list[Any]] = field(default_factory=dict)


class Planner:
    """Takes windows in order; each is a pass, or several where a memory is full in between.

    A full memory ends the segment and is loaded anew, and no other memory is: entries that are
    there stay while only pointers are reloaded. A vector that has more rows than an activation
    file stays with the host, which then loads and stores it by parts, and ends segments for it.
    """

    def __init__(self, network: QuantGraph, placement: Placement, params: EieParams) -> None:
        self._p = params
        self._layers = network.layers
        self._heights = [local_rows(positions, params) for positions in placement]
        self._parts: dict[Memory, list[Any]] = {}
        self._used = dict.fromkeys(Memory, 0)
        self._entries = np.zeros(params.num_pes, np.int64)
        self._end_shared = False
        self._drafts = [Draft()]
        self._begin(set(Memory))

    def add(self, window: Window) -> None:
        """Plan the passes of a window."""
        row = 0
        while row < window.src_rows:
            count = self._room(window, row)
            full = self._full(window, count, last=row + count == window.src_rows)
            if full or self._must_end(window, row, count):
                self._begin(full)
            else:
                self._emit(window, row, count)
                row += count

    def finish(self) -> Sequence[Draft]:
        """Return the segments."""
        if self._drafts[0].load is None:
            self._drafts[0].load = (0, self._heights[0])
        if self._drafts[-1].store is None:
            self._drafts[-1].store = (0, self._heights[-1])
        return self._drafts

    def _begin(self, full: set[Memory]) -> None:
        """Begin a segment, unless it has only just begun; load the memories ``full`` anew."""
        if self._drafts[-1].program:
            self._drafts.append(Draft())
        for memory in full:
            self._parts[memory] = self._drafts[-1].parts[memory] = []
            self._used[memory] = 0
        if Memory.SPMAT in full:
            self._entries[:] = 0
        # The end of the last column stands for the start of the next one only if that follows it.
        self._end_shared &= not full & {Memory.SPMAT, Memory.POINTERS}

    def _with_host(self, vector: int) -> bool:
        """Tell if a vector, 0 for the network's input, is too long for the activation files."""
        return self._heights[vector] > self._p.num_acts

    def _room(self, window: Window, row: int) -> int:
        """Count the rows of the source, from ``row``, that a pass can take."""
        p = self._p
        rows = window.src_rows - row
        if self._with_host(window.layer):
            rows = min(rows, p.num_acts - row % p.num_acts)
        base = self._used[Memory.POINTERS] - self._end_shared
        rows = min(rows, (p.num_pointers - 1 - base) // p.num_pes)
        more = window.ends[:, row + 1 : row + max(rows, 0) + 1] - window.ends[:, row : row + 1]
        free = p.spmat_entries - self._entries[:, None]
        return int(np.count_nonzero((more <= free).all(axis=0)))

    def _full(self, window: Window, count: int, *, last: bool) -> set[Memory]:
        """Find the memories that have no room for a pass of ``count`` rows of the source."""
        p, used = self._p, self._used
        full: set[Memory] = set()
        if not count:
            base = used[Memory.POINTERS] - self._end_shared
            fits = base + p.num_pes + 1 <= p.num_pointers
            full.add(Memory.SPMAT if fits else Memory.POINTERS)
        elif last and used[Memory.BIASES] + window.rows > p.num_biases:
            full.add(Memory.BIASES)
        known = self._parts[Memory.CODEBOOKS]
        if window.layer not in known and len(known) == p.num_descriptors and not p.plain:
            full.add(Memory.CODEBOOKS)
        return full

    def _must_end(self, window: Window, row: int, count: int) -> bool:
        """Return whether a pass has to be in another segment, even if the memories had room."""
        p, draft = self._p, self._drafts[-1]
        if not draft.program:
            return False
        needs_load = self._with_host(window.layer) and row % p.num_acts == 0
        needs_store = draft.store is not None and (
            draft.passes[-1] != window.layer or window.after - draft.store[0] > p.num_acts
        )
        return needs_load or needs_store or len(draft.program) == p.num_descriptors

    def _emit(self, window: Window, row: int, count: int) -> None:
        """Put a pass into the segment."""
        p, draft, used = self._p, self._drafts[-1], self._used
        layer, height = self._layers[window.layer], self._heights[window.layer + 1]
        drain = row + count == window.src_rows
        loaded, stored = self._with_host(window.layer), self._with_host(window.layer + 1)
        file_row, dst_row = (row % p.num_acts if loaded else row), window.first
        if loaded and not file_row:
            draft.load = (row, min(p.num_acts, window.src_rows - row))
        if drain and stored:
            start = draft.store[0] if draft.store else window.first
            draft.store = (start, window.after - start)
            dst_row -= start

        ptr_base = used[Memory.POINTERS] - self._end_shared
        pointers = window.encoded.pointers[:, row * p.num_pes : (row + count) * p.num_pes + 1]
        pointers = pointers + (self._entries - window.ends[:, row])[:, None]
        self._parts[Memory.SPMAT].append(EntriesPart(window, row, row + count))
        self._parts[Memory.POINTERS].append(PointersPart(ptr_base, pointers))
        codebooks = self._parts[Memory.CODEBOOKS]
        if window.layer not in codebooks:
            codebooks.append(window.layer)
        draft.program.append(
            Descriptor(
                src_base=file_row,
                src_rows=count,
                ptr_base=ptr_base,
                codebook=0 if p.plain else codebooks.index(window.layer),
                last_code=0 if p.plain else int(layer.codes.data.max(initial=0)),
                drain_rows=window.rows,
                dst_base=dst_row if drain else 0,
                bias_base=used[Memory.BIASES] if drain else 0,
                shift=int(layer.shift),
                drain=drain,
                activation=Activation.RELU if layer.relu else Activation.IDENTITY,
                swap=drain and window.after == height and not stored,
                last=False,
            )
        )
        draft.passes.append(window.layer)
        if drain:
            self._parts[Memory.BIASES].append(window)
            used[Memory.BIASES] += window.rows
        used[Memory.POINTERS] = ptr_base + pointers.shape[1]
        self._entries = pointers[:, -1].copy()
        self._end_shared = True
