"""Say which words of SCNN's RTL are not golden's, and compare what PEs have stored."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.run import ActStore
from zeroskip.compiler.scnn.tiles import encode_tiles
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.result import PartResult
from zeroskip.sim.scnn.rtl_files import BlockStore, ScnnResult

__all__ = ["ConvDifference", "StoreDifference", "compare_stores"]


@dataclass(frozen=True)
class ConvDifference:
    """An output of the RTL that is not golden's; beyond the plane 0 is expected.

    ``channel`` is its number in the user's network.
    """

    sample: int
    layer: str
    channel: int
    y: int
    x: int
    pe: int
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"input {self.sample}, layer {self.layer}, channel {self.channel}, row {self.y}, "
            f"column {self.x}, PE {self.pe}: expected {self.expected}, got {self.got}"
        )


@dataclass(frozen=True)
class StoreDifference:
    """A word that a PE has stored, and that is not what the encoder makes of golden's outputs."""

    sample: int
    layer: str
    pe: int
    memory: str
    row: int
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"input {self.sample}, layer {self.layer}, PE {self.pe} of its block, {self.memory} "
            f"{self.row}: expected {self.expected:#x}, got {self.got:#x}"
        )


def compare_stores(
    part: ScnnPart, model: PartResult, raw: ScnnResult, most: int
) -> Iterator[tuple[int, int, list[StoreDifference]]]:
    """Compare directories and words that the host read with what the encoder makes.

    Parameters
    ----------
    part : that was run.
    model : what golden gives.
    raw : what the hardware gave.
    most : differences to list of each block of PEs.

    Yields
    ------
    Of each block: words compared, how many differ, and the first of those.
    """
    for sample, runs in enumerate(raw.stores):
        for run, stores in zip(part.runs, runs, strict=True):
            for store, blocks in zip(run.stores, stores, strict=True):
                for number, got in enumerate(blocks):
                    yield _compare_block(part.params, model, store, number, got, sample, most)


def _compare_block(
    params: ScnnParams,
    model: PartResult,
    store: ActStore,
    number: int,
    got: BlockStore,
    sample: int,
    most: int,
) -> tuple[int, int, list[StoreDifference]]:
    block = store.blocks[number]
    if block.start == block.stop:
        return 0, 0, []
    assert block.tensor != INPUT
    values = model.tensors[block.tensor][sample, block.start : block.stop]
    present = _present(params, store, number)
    # Where a PE's outputs begin is up to what was written before.
    mask = np.uint64((1 << params.act_addr_bits) - 1)
    first = (got.directory[:, 0] & mask).astype(np.int64)
    right = encode_tiles(params, store.layout, values, np.where(present, first, 0))
    words, differ, found = 0, 0, []
    for pe in np.flatnonzero(present).tolist():
        pairs = [
            ("entry of the directory", 0, right.directory(params)[pe][:, None],
             got.directory[pe][:, None]),
            ("row of the activation RAM", int(first[pe]), right.words[pe],
             got.words[pe][first[pe] :]),
        ]  # fmt: skip
        for memory, base, expected, have in pairs:
            rows = max(len(expected), len(have))
            expected, have = _padded(expected, rows), _padded(have, rows)
            words += rows
            wrong = np.flatnonzero((expected != have).any(axis=1))
            differ += len(wrong)
            for row in wrong[:most].tolist():
                pair = _whole(expected[row]), _whole(have[row])
                found.append(StoreDifference(sample, block.tensor, pe, memory, base + row, *pair))
    return words, differ, found[:most]


def _present(params: ScnnParams, store: ActStore, number: int) -> NDArray[np.bool_]:
    """Find which PEs of a block the grid has."""
    layout = store.layout
    y, x = np.divmod(np.arange(1 << layout.block_x + layout.block_y), 1 << layout.block_x)
    block_y, block_x = divmod(number, -(-params.pes_x >> layout.block_x))
    y, x = y + (block_y << layout.block_y), x + (block_x << layout.block_x)
    return (y < params.pes_y) & (x < params.pes_x)


def _padded(words: NDArray[np.uint64], rows: int) -> NDArray[np.uint64]:
    return np.pad(words, ((0, rows - len(words)), (0, 0)))


def _whole(limbs: NDArray[np.uint64]) -> int:
    return sum(limb << 64 * place for place, limb in enumerate(limbs.tolist()))
