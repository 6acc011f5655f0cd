"""The schema of a memory image's ``map.json``: what lies where, for whoever integrates the chip."""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, JsonValue

from zeroskip.compiler.image.strict import Count, Size, StrictEntry

__all__ = ["SCHEMA", "BlockEntry", "ListEntry", "MemoryMap", "TensorEntry"]

SCHEMA = 3
"""Raised with every change of names or meaning."""


class BlockEntry(StrictEntry):
    """Block of the memory image: a command list, an array's SRAM contents, or a buffer.

    Fields
    ------
    name : of it, unique.
    address, bytes : where it begins, and its size without what fills it up to the next block.
    about : what it is for.
    """

    name: str
    address: Count
    bytes: Size
    about: str


class TensorEntry(StrictEntry):
    """How values of a tensor lie in its blocks.

    A value is ``lane_bits`` wide, two's complement, times ``2**-frac``. That of element ``i`` is
    in row ``positions[i] // lanes``, from bit ``positions[i] % lanes * lane_bits`` up of the row's
    ``row_bytes``, lowest byte first. Bits without a value are 0 in an input, and 0 in an output.

    Fields
    ------
    name : of it.
    rows, row_bytes, lanes, lane_bits, frac : see above.
    positions : see above; None if element ``i`` is at position ``i``.
    elements : how many there are.
    """

    name: str
    rows: Size
    row_bytes: Size
    lanes: Size
    lane_bits: Size
    frac: int
    elements: Size
    positions: tuple[Count, ...] | None

    def first_bits(self) -> NDArray[np.int64]:
        """Return where each element begins in the buffer: (elements,) int64, in bits."""
        positions = np.arange(self.elements) if self.positions is None else self.positions
        rows, lanes = np.divmod(np.array(positions, np.int64), self.lanes)
        return rows * self.row_bytes * 8 + lanes * self.lane_bits


class ListEntry(StrictEntry):
    """A command list.

    Fields
    ------
    name : of it; it lies in the block of this name.
    address, bytes : for the registers LIST.
    commands : END included.
    reads, writes : bytes that go over the port by block, the list itself included.
    words : written to memories of the array.
    """

    name: str
    address: Count
    bytes: Size
    commands: Size
    reads: dict[str, Count]
    writes: dict[str, Count]
    words: Count


class MemoryMap(StrictEntry):
    """Everything that a host has to know to use a memory image.

    Fields
    ------
    format, schema_version : see :data:`SCHEMA`.
    zeroskip : version of the program that wrote it.
    name : of the network.
    engines : parameters of each array by its engine, in the order of the numbers that commands have
        for them.
    port : parameters of the port, see :class:`.SystemParams`.
    base, bytes : of the memory, for the registers WINDOW; ``memory.bin`` holds its first bytes,
        the rest is 0.
    blocks : all that is in the memory, in order.
    lists : ``setup`` first, then one for each pair of an input and an output block.
    bounded : for each pair, the list that the chip does instead if there is no room for what the
        other makes; none if there always is.
    input, output : see :class:`TensorEntry`.
    sha256 : of ``memory.bin``.
    """

    format: Literal["zeroskip-system"] = "zeroskip-system"
    schema_version: Annotated[int, Field(alias="schema")] = SCHEMA
    zeroskip: str
    name: str
    engines: dict[str, dict[str, JsonValue]]
    port: dict[str, int]
    base: Count
    bytes: Size
    blocks: tuple[BlockEntry, ...]
    lists: tuple[ListEntry, ...]
    bounded: tuple[ListEntry, ...]
    input: TensorEntry
    output: TensorEntry
    sha256: str

    def block(self, name: str) -> BlockEntry:
        """Return a block by its name."""
        return next(block for block in self.blocks if block.name == name)

    def list(self, name: str) -> ListEntry:
        """Return a command list by its name."""
        return next(one for one in (*self.lists, *self.bounded) if one.name == name)

    def traffic(self, name: str) -> dict[str, Any]:
        """Return the bytes that a list moves: ``read``, ``written``, and by block."""
        one = self.list(name)
        return {
            "read": sum(one.reads.values()),
            "written": sum(one.writes.values()),
            "reads": dict(one.reads),
            "writes": dict(one.writes),
        }
