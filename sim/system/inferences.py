"""Inferences from their command lists, on golden and on the cycle model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.image.image import Image
from zeroskip.compiler.system.build import BUFFERS, SystemImage, build_system, chip_arrays
from zeroskip.compiler.system.bytes import tensor_bytes
from zeroskip.hw.system.formats import Op
from zeroskip.hw.system.memory import MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.machine import ListMachine, machine
from zeroskip.sim.system.cycles import Started, SystemCycles, TimedArray, count_system
from zeroskip.sim.system.golden import Attempt, GoldenSystem

__all__ = [
    "Group",
    "Inferences",
    "SystemRun",
    "count_inferences",
    "fast_starts",
    "memory_size",
]

_START_CYCLES = 9
"""Cycles from one START to the next: four registers are written, in two cycles each."""


_LEAST = 1 << 20
"""Bytes of the smallest simulated memory, so that small networks share simulators."""


@dataclass(frozen=True, eq=False)
class SystemRun:
    """What inferences do, by golden and cycle model.

    Parameters
    ----------
    system : the memory image.
    setup : what the list that is run once after a reset takes.
    inferences : of each group that is queued at once.
    outputs : (n, elements) int64 in fixed point, as they lie in memory.
    rooms : by tensor that an array has no more rows for than it takes as a rule, the most rows that
        an inference took, and how many it has; of lists of bounded runs, none.
    """

    system: SystemImage
    setup: SystemCycles
    inferences: tuple[SystemCycles, ...]
    outputs: NDArray[np.int64]
    rooms: Mapping[str, tuple[int, int]]

    @property
    def reruns(self) -> tuple[int, ...]:
        """Numbers of the inferences that were begun again, for want of room."""
        counts = [again for group in self.inferences for again in group.reruns]
        return tuple(number for number, again in enumerate(counts) if again)


@dataclass(frozen=True, eq=False)
class Group:
    """Lists that are queued at once: what golden did, and the memory before and after."""

    inputs: Sequence[tuple[int, NDArray[np.uint8]]]
    lists: Sequence[tuple[int, int]]
    attempts: Sequence[Sequence[Attempt]]
    after: NDArray[np.uint8]

    def written(self, engine: int) -> list[tuple[int, int, int]]:
        """Return what an array writes: number of the pass, row, and word of all lanes."""
        runs = [
            done.run
            for attempts in self.attempts
            for attempt in attempts
            for done in attempt.performed
            if done.op == Op.CONTROL and done.fields["engine"] == engine and done.run is not None
        ]
        return [word for run in runs for word in run.words()]


class Inferences:
    """Inferences of an image, carried out by golden.

    Parameters
    ----------
    image : that command lists can run.
    planes : (n, C, H, W) inputs in fixed point.
    port : of the chip to its memory.
    queued : lists that are started at once, at most.
    lists : the arrays, in the order of the image's parts; those of its engines unless given.
    base : address of the memory image.
    """

    def __init__(
        self,
        image: Image,
        planes: NDArray[np.int64],
        port: SystemParams,
        queued: int = BUFFERS,
        lists: Sequence[ListMachine] | None = None,
        base: int = 0,
    ) -> None:
        self.system = build_system(image, port, base=base)
        self._port, self._image = port, image
        self.arrays = chip_arrays(image)
        entry = self.system.map
        memory = np.zeros(memory_size(entry.bytes), np.uint8)
        memory[: len(self.system.memory)] = np.frombuffer(self.system.memory, np.uint8)
        self._lists = lists or [machine(name).lists for name in self.arrays]
        pairs = list(zip(self._lists, self.arrays.values(), strict=True))
        states = [lists.state(params, port) for lists, params in pairs]
        self._golden = GoldenSystem(states, port, memory, base)
        setup, *infers = entry.lists
        tensor = self.system.moves.tensors[0]
        # Of a recurrent network, planes are steps, and an inference is a sequence of them.
        inputs_of = planes.reshape(-1, len(tensor.positions))
        rows = tensor_bytes(tensor, inputs_of, port)
        self.groups = [self._group([], [setup])]
        outputs: list[NDArray[np.int64]] = []
        for first in range(0, len(inputs_of), queued):
            count = min(queued, len(inputs_of) - first)
            inputs = [
                (entry.block(f"input_{pair}").address, rows[first + pair]) for pair in range(count)
            ]
            self.groups.append(self._group(inputs, infers[:count]))
            outputs += [self._output(pair) for pair in range(count)]
        self.outputs = np.array(outputs)

    def _group(self, inputs: Sequence[tuple[int, NDArray[np.uint8]]], lists: Any) -> Group:
        golden = self._golden
        for address, rows in inputs:
            golden.memory[address - golden.base :][: rows.size] = rows.reshape(-1)
        places = [(commands.address, commands.bytes) for commands in lists]
        attempts = [golden.start(*place) for place in places]
        return Group(inputs, places, attempts, golden.memory.copy())

    def _output(self, pair: int) -> NDArray[np.int64]:
        """Read an output as the map says: a word a lane."""
        tensor = self.system.moves.tensors[-1]
        block = self.system.map.block(f"output_{pair}")
        rows = self._golden.memory[block.address - self._golden.base :][: block.bytes]
        bits = np.unpackbits(rows.reshape(tensor.rows, -1), axis=1, bitorder="little")
        lanes = bits[:, : tensor.lanes * tensor.bits].reshape(-1, tensor.bits).astype(np.int64)
        weights = 1 << np.arange(tensor.bits, dtype=np.int64)
        weights[-1] = -weights[-1]
        return (lanes @ weights)[tensor.positions]

    def rooms(self) -> dict[str, tuple[int, int]]:
        """Return what :class:`SystemRun` has of tensors."""
        found: dict[str, tuple[int, int]] = {}
        if not self.system.moves.bounded:
            return found
        for number, (name, lists) in enumerate(zip(self.arrays, self._lists, strict=True)):
            parts = [part for part in self._image.parts if part.engine == name]
            for group in self.groups[1:]:
                for attempts in group.attempts:
                    for tensor, used, rows in lists.rooms(parts, attempts[0], number):
                        before = found.get(tensor, (0, max(rows, 1)))
                        if used * before[1] >= before[0] * rows:
                            found[tensor] = used, rows
        return found

    def written(
        self, engine: int, records: Sequence[tuple[int, int, int]]
    ) -> Sequence[tuple[int, int, int]]:
        """Put what an array of the RTL wrote as :meth:`Group.written` has it."""
        return self._lists[engine].written(list(self.arrays.values())[engine], records)

    def count(self, group: Group, settings: MemorySettings, starts: Sequence[int]) -> SystemCycles:
        """Count the cycles of a group whose lists are started in these cycles."""
        started = [
            Started(start, attempts) for start, attempts in zip(starts, group.attempts, strict=True)
        ]
        arrays = [
            TimedArray(
                state,
                partial(lists.array_cycles, params),
                partial(lists.transfer, params, self._port),
                lists.clearing(params),
            )
            for state, lists, params in zip(
                self._golden.arrays, self._lists, self.arrays.values(), strict=True
            )
        ]
        return count_system(arrays, self._port, settings, started)


def fast_starts(group: Group) -> list[int]:
    """Return the cycles of the STARTs of a host that queues lists as fast as it can."""
    return [_START_CYCLES * place for place in range(len(group.lists))]


def memory_size(size: int) -> int:
    """Return the bytes of the simulated memory that holds ``size``."""
    return max(_LEAST, 1 << (size - 1).bit_length())


def count_inferences(
    image: Image,
    planes: NDArray[np.int64],
    port: SystemParams,
    settings: MemorySettings | None = None,
    *,
    queued: int = BUFFERS,
) -> SystemRun:
    """Count the cycles of inferences from memory to memory.

    Parameters
    ----------
    image, planes, port, queued : see :class:`Inferences`.
    settings : how the memory behaves; at its fastest unless given.

    Raises
    ------
    InputError, CompileError
        If no command list can run the image.
    """
    found = Inferences(image, planes, port, queued)
    settings = settings or MemorySettings()
    setup, *others = [found.count(group, settings, fast_starts(group)) for group in found.groups]
    return SystemRun(found.system, setup, tuple(others), found.outputs, found.rooms())
