"""Compare golden, cycle model and RTL of a CNN, word for word and cycle for cycle."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compiler.graph import INPUT
from compiler.scnn.run import ActStore
from compiler.scnn.tiles import encode_tiles
from hw.scnn.formats import StallClass
from hw.scnn.params import ScnnParams
from sim.rtl.scnn_files import BlockStore, ScnnResult
from sim.run import Progress
from sim.scnn.result import CnnResult
from sim.scnn.run import graph_output, run_cnn
from sim.scnn.walk import map_pass
from sim.verify import CycleDifference, VerifyResult, compare

if TYPE_CHECKING:
    from compiler.scnn.image import CnnImage

__all__ = ["CnnDifference", "CnnVerifyResult", "StoreDifference", "compare_cnn", "verify_cnn"]


@dataclass(frozen=True)
class CnnDifference:
    """An output of the RTL that is not golden's; beyond the plane 0 is expected."""

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


@dataclass(frozen=True, eq=False)
class CnnVerifyResult:
    """What golden, cycle models and RTL agree on.

    Parameters
    ----------
    model, rtl : the two results; the cycle models' outputs are golden's.
    words : SCNN outputs compared, as every PE makes them, those beyond the plane included; rows
        of activation RAMs and directories as the host reads them; and the network's output.
    differ : how many of them differ.
    differences : the first of those.
    counters : counters compared, one per input, layer, PE and stall class, and the cycles of
        each run; without counters in the RTL, only the latter.
    cycles_differ : how many of them differ.
    cycle_differences : the first of those that are of a PE.
    problems : sentences about what cannot be.
    tail : the same for the Linear layers on EIE; None if there are none.
    """

    model: CnnResult
    rtl: CnnResult
    words: int
    differ: int
    differences: tuple[CnnDifference | StoreDifference, ...]
    counters: int
    cycles_differ: int
    cycle_differences: tuple[CycleDifference, ...]
    problems: tuple[str, ...]
    tail: VerifyResult | None

    @property
    def golden(self) -> CnnResult:
        """Golden's outputs."""
        return self.model

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        own = not (self.differ or self.cycles_differ or self.problems)
        return own and (self.tail is None or self.tail.ok)


def verify_cnn(
    image: "CnnImage",
    x: ArrayLike,
    *,
    max_differences: int = 10,
    progress: Progress | None = None,
) -> CnnVerifyResult:
    """Run inputs on all three and compare every output of every pass, and every counter.

    Parameters
    ----------
    image, x, progress : as in :func:`sim.scnn.run.run_cnn`.
    max_differences : list so many of each kind; all are counted.

    Raises
    ------
    InputError, ToolError, SimulationError
        As :func:`sim.scnn.run.run_cnn` does.
    """
    model = run_cnn(image, x, "cycles", progress=progress)
    rtl = run_cnn(image, x, "rtl", progress=progress)
    return compare_cnn(image, model, rtl, max_differences)


def compare_cnn(
    image: "CnnImage", model: CnnResult, rtl: CnnResult, max_differences: int = 10
) -> CnnVerifyResult:
    """Compare a result of the cycle models, which has golden's outputs, with the RTL's."""
    raw = rtl.rtl
    assert raw is not None
    assert model.run_cycles is not None
    found: list[CnnDifference | StoreDifference] = []
    problems = list(raw.problems)
    words = differ = 0
    for part in (
        _compare_passes(image, model, raw, max_differences, problems),
        _compare_stores(image, model, raw, max_differences),
    ):
        for compared, wrong, listed in part:
            words += compared
            differ += wrong
            found += listed[: max_differences - len(found)]
    graph = image.network.graph
    expected, got = graph_output(graph, model.tensors), graph_output(graph, raw.tensors)
    words += expected.size
    differ += (wrong := int(np.count_nonzero(expected != got)))
    if wrong:
        problems.append(f"{wrong} of the {expected.size} outputs that the host has are wrong")

    counters = raw.cycles.size
    cycles_differ = int(np.count_nonzero(model.run_cycles != raw.cycles))
    cycles_found = []
    if rtl.counters is not None:
        assert model.counters is not None
        where = np.argwhere(model.counters != rtl.counters)
        counters += rtl.counters.size
        cycles_differ += len(where)
        for sample, layer, pe, stall in where[:max_differences].tolist():
            at = sample, layer, pe, stall
            pair = int(model.counters[at]), int(rtl.counters[at])
            name, label = graph.layers[layer].name, StallClass(stall).name.lower()
            cycles_found.append(CycleDifference(sample, name, pe, label, *pair))
    tail = None
    if image.tail is not None:
        assert model.tail is not None
        assert rtl.tail is not None
        tail = compare(image.tail, model.tail, rtl.tail, max_differences)
    return CnnVerifyResult(
        model,
        rtl,
        words,
        differ,
        tuple(found),
        counters,
        cycles_differ,
        tuple(cycles_found),
        tuple(problems),
        tail,
    )


_Found = tuple[int, int, list[CnnDifference | StoreDifference]]


def _compare_passes(
    image: "CnnImage", model: CnnResult, raw: ScnnResult, most: int, problems: list[str]
) -> Iterator[_Found]:
    """Compare every output of every pass; tell of outputs that no pass made."""
    made = {layer.name: np.zeros(layer.out_shape, np.bool_) for layer in image.network.graph.layers}
    for run, outputs in zip(image.runs, raw.outputs, strict=True):
        for descriptor, output, got in zip(run.program, run.outputs, outputs, strict=True):
            if output is None:
                continue
            where = map_pass(image.params, descriptor, output)
            name = where.tensor
            if name is None:
                continue
            at = (part[where.inside] for part in (where.channel, where.y, where.x))
            made[name][tuple(at)] = True
            known = where.known
            for sample, values in enumerate(got):
                expected = where.expected(model.tensors[name][sample])
                wrong = np.argwhere(known & (expected != values))
                listed: list[CnnDifference | StoreDifference] = []
                for step, pe in wrong[:most].tolist():
                    channel, y, x = (
                        int(part[step, pe]) for part in (where.channel, where.y, where.x)
                    )
                    pair = int(expected[step, pe]), int(values[step, pe])
                    listed.append(CnnDifference(sample, name, channel, y, x, pe, *pair))
                yield int(np.count_nonzero(known)), len(wrong), listed
    for name, done in made.items():
        if not done.all():
            problems.append(
                f"layer {name}: no pass makes {np.count_nonzero(~done)} of its {done.size} outputs"
            )


def _compare_stores(
    image: "CnnImage", model: CnnResult, raw: ScnnResult, most: int
) -> Iterator[_Found]:
    """Compare directories and words that the host read with what the encoder makes."""
    for sample, runs in enumerate(raw.stores):
        for run, stores in zip(image.runs, runs, strict=True):
            for store, blocks in zip(run.stores, stores, strict=True):
                for number, got in enumerate(blocks):
                    yield _compare_block(image.params, model, store, number, got, sample, most)


def _compare_block(
    params: ScnnParams,
    model: CnnResult,
    store: ActStore,
    number: int,
    got: BlockStore,
    sample: int,
    most: int,
) -> _Found:
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
    return sum(limb << 64 * at for at, limb in enumerate(limbs.tolist()))
