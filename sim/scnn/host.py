"""Host of the SCNN array, driven from cocotb: compressed tensors in and out."""

from collections.abc import Mapping
from typing import Any

import cocotb
import numpy as np
from amaranth.hdl import Shape
from cocotb.task import Task
from cocotb.triggers import RisingEdge
from numpy.typing import NDArray

from zeroskip.compiler.scnn.run import ActLoad, ActStore
from zeroskip.compiler.scnn.tiles import decode_tiles
from zeroskip.hw.common.control import StatusBit
from zeroskip.hw.scnn.formats import (
    Space,
    StallClass,
    act_word_layout,
    command_layout,
    counter_row,
)
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.host import HostPort
from zeroskip.sim.scnn.loads import block_members, encode_loads, members

__all__ = ["ScnnHost", "Stored", "put_stored"]

_LIMB_BITS = 64

# After so many cycles without a beat, none is on its way from a FIFO to its unpacker.
_QUIET = 8


class Stored:
    """What the RAMs hold of a store, for each of its blocks.

    Parameters
    ----------
    words : per block and PE, (rows, limbs) uint64, the activation RAM from row 0 on; rows before
        those of the store are 0.
    directories : per block, (PEs, entries) uint64.
    """

    def __init__(self) -> None:
        self.words: list[list[NDArray[np.uint64]]] = []
        self.directories: list[NDArray[np.uint64]] = []


class ScnnHost(HostPort):
    """Commands to the SCNN array.

    Attributes
    ----------
    weights : (beats, limbs) uint64, what each run from now on is given.
    """

    def __init__(self, dut: Any, params: ScnnParams, constant: int = 0) -> None:
        super().__init__(dut, command_layout(params), constant)
        self._params = params
        self._beat, self._beat_valid = dut.weights__payload, dut.weights__valid
        self._beat_ready = dut.weights__ready
        self._beat.value = self._beat_valid.value = dut.loading.value = 0
        self._feeding: Task[None] | None = None
        self.weights = np.zeros((0, 1), np.uint64)

    async def start(self, *, keep: bool = False, begin: bool = False) -> None:
        self._halt()
        if self._dut.running.value:
            # What has come for the run that this one cuts short is forgotten.
            await super().start(keep=keep, begin=begin)
            await self.feed()
        else:
            await self.feed()
            await super().start(keep=keep, begin=begin)

    async def clear(self) -> None:
        self._halt()
        await super().clear()

    async def clear_counters(self) -> None:
        if self._dut.running.value:
            self._halt()
        await super().clear_counters()

    async def feed(self) -> None:
        """Offer the beats of a run's weights, one a cycle; come back when no more go in.

        Those that are left go on being offered.
        """
        self._feeding = cocotb.start_soon(self._offer())
        quiet = 0
        while quiet < _QUIET:
            await RisingEdge(self._clk)
            moves = self._beat_valid.value and self._beat_ready.value
            quiet = 0 if moves else quiet + 1

    def _halt(self) -> None:
        """Offer no more beats of weights."""
        if self._feeding is not None:
            self._feeding.cancel()
        self._beat_valid.value = 0

    async def _offer(self) -> None:
        edge = RisingEdge(self._clk)
        self._beat_valid.value = 1 if len(self.weights) else 0
        for limbs in self.weights.tolist():
            self._beat.value = sum(limb << _LIMB_BITS * n for n, limb in enumerate(limbs))
            await edge
            while not self._beat_ready.value:
                await edge
        self._beat_valid.value = 0

    async def load_tensors(
        self, loads: tuple[ActLoad, ...], tensors: Mapping[str, NDArray[np.int64]]
    ) -> None:
        """Compress what a run reads into the activation RAMs of all PEs."""
        p = self._params
        for load, tiles, blocks in encode_loads(p, loads, tensors):
            directory = tiles.directory(p)
            first = tiles.starts[:, 0]
            commands = []
            for pe, place in members(p, load.layout, blocks):
                words = tiles.words[place]
                commands += [
                    _commands(Space.ACT, pe, int(first[place]), words),
                    _commands(Space.DIRECTORY, pe, load.base, directory[place][:, None]),
                ]
            widest = max(part.shape[1] for part in commands)
            for part in commands:
                await self.write_all(np.pad(part, ((0, 0), (0, widest - part.shape[1]))))

    async def read_store(self, store: ActStore) -> Stored:
        """Read directories and words of outputs."""
        p, layout, stored = self._params, store.layout, Stored()
        pes = 1 << layout.block_x + layout.block_y
        phases = layout.sy * layout.sx
        for block in store.blocks:
            entries = (block.stop - block.start) * phases
            stored.directories.append(np.zeros((pes, entries), np.uint64))
            stored.words.append([np.zeros((0, self._limbs()), np.uint64)] * pes)
        for block, pe, place in block_members(p, layout):
            if block >= len(store.blocks):
                continue
            directory = stored.directories[block][place]
            for entry in range(len(directory)):
                directory[entry] = await self.read(Space.DIRECTORY, store.base + entry, pe)
            stored.words[block][place] = await self._read_words(directory, pe)
        return stored

    async def overflow(self) -> bool:
        """Read whether outputs of the last run found no room."""
        return bool(await self.status() & StatusBit.LOST)

    async def read_counters(self, passes: int) -> NDArray[np.int64]:
        """Read the counters of a run: (passes, num_pes, stall classes) multiplier-cycles."""
        p = self._params
        counters = np.zeros((passes, p.num_pes, len(StallClass)), np.int64)
        if p.counters:
            for number, pe, stall in np.ndindex(counters.shape):
                row = counter_row(number, stall)
                counters[number, pe, stall] = await self.read(Space.COUNTER, row, pe)
        return counters

    async def _read_words(self, directory: NDArray[np.uint64], pe: int) -> NDArray[np.uint64]:
        """Read what a PE's directory entries point at."""
        p = self._params
        starts = (directory & np.uint64((1 << p.act_addr_bits) - 1)).astype(np.int64)
        counts = (directory >> np.uint64(p.act_addr_bits)).astype(np.int64)
        ends = np.minimum(starts + -(-counts // p.mult_i), p.act_words)
        used = counts > 0
        words = np.zeros((ends[used].max(initial=0), self._limbs()), np.uint64)
        for row in range(starts[used].min(initial=len(words)), len(words)):
            word = await self.read(Space.ACT, row, pe)
            for limb in range(words.shape[1]):
                words[row, limb] = word >> _LIMB_BITS * limb & (1 << _LIMB_BITS) - 1
        return words

    def _limbs(self) -> int:
        return -(-Shape.cast(act_word_layout(self._params)).width // _LIMB_BITS)


def put_stored(
    params: ScnnParams, store: ActStore, stored: Stored, tensors: Mapping[str, NDArray[np.int64]]
) -> None:
    """Expand what was read into the tensors that it is a part of.

    Raises
    ------
    ValueError
        If it makes no sense.
    """
    layout = store.layout
    rows = slice(layout.y0, layout.y0 + layout.height)
    columns = slice(layout.x0, layout.x0 + layout.width)
    for block, words, directory in zip(store.blocks, stored.words, stored.directories, strict=True):
        if block.start < block.stop:
            region = decode_tiles(params, layout, words, directory)
            tensors[block.tensor][block.start : block.stop, rows, columns] = region


def _commands(space: Space, pe: int, row: int, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    commands = np.empty((len(words), 3 + words.shape[1]), np.uint64)
    commands[:, 0] = space.value
    commands[:, 1] = pe
    commands[:, 2] = row + np.arange(len(words))
    commands[:, 3:] = words
    return commands
