"""A whole network from memory to memory: the picture in, its last tensor out, one START."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.engine import Job, SramData
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.scnn.engine import ENGINE, RAM_MARGIN, ScnnPart
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.hw.common.control import Command
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.system.formats import Op
from zeroskip.hw.system.memory import MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.scnn.benchmark.layers import ConvLayer
from zeroskip.sim.scnn.benchmark.machines import dense_cycles
from zeroskip.sim.scnn.benchmark.wiring import DrawnNetwork
from zeroskip.sim.scnn.cycles.program import RunCount
from zeroskip.sim.scnn.room import made_planes
from zeroskip.sim.scnn.state import RunLog, RunRecord, ScnnState
from zeroskip.sim.scnn.system import ScnnLists
from zeroskip.sim.system.cycles import SystemCycles
from zeroskip.sim.system.inferences import Inferences

__all__ = [
    "PORT",
    "NetworkTotal",
    "RunTotal",
    "compile_network",
    "dense_total",
    "total_network",
]

PORT = SystemParams()
"""Of the chip to its memory: 128 bits."""

_ON_CHIP = 2 << 20
"""Bytes of activations that the dense machine keeps on the chip."""

_DENSE_BYTES = 2


@dataclass(frozen=True)
class RunTotal:
    """A run of the array in a network.

    Parameters
    ----------
    layers : that it computes, in their order.
    cycles : from its START to its end.
    computing : of these, those in which multipliers neither wait for weights nor for the bus, on
        average.
    weight_beats : of the port, that bring its weights.
    bus_words : that the bus of the position with the most of them sends.
    """

    layers: tuple[str, ...]
    cycles: int
    computing: float
    weight_beats: int
    bus_words: int

    @property
    def bound(self) -> str:
        """Resource that bounds the run's cycles: ``compute``, ``port`` or ``bus``."""
        found = {"compute": self.computing, "port": self.weight_beats, "bus": self.bus_words}
        return max(found, key=lambda name: found[name])


@dataclass(frozen=True)
class NetworkTotal:
    """What a network takes.

    Parameters
    ----------
    cycles : from the START of an inference to its end, with nothing queued before or behind.
    input_cycles, output_cycles : of these, in which planes are loaded, and stored.
    setup_cycles : of the list that loads what no inference changes, once after a reset.
    dram_bytes : that the inference reads and writes, its list among them.
    dense_cycles : see :func:`dense_total`; of all layers.
    runs : of the array, in their order.
    """

    cycles: int
    input_cycles: int
    output_cycles: int
    setup_cycles: int
    dram_bytes: int
    dense_cycles: int
    runs: tuple[RunTotal, ...]

    @property
    def speedup(self) -> float:
        """Over the dense machine behind the same port."""
        return self.dense_cycles / self.cycles

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "total_cycles": self.cycles,
            "speedup_total": self.speedup,
            "dense_total_cycles": self.dense_cycles,
            "dram_bytes": self.dram_bytes,
            "input_cycles": self.input_cycles,
            "output_cycles": self.output_cycles,
            "setup_cycles": self.setup_cycles,
            "runs": [{**asdict(run), "bound": run.bound} for run in self.runs],
        }


class _KnownState(ScnnState):
    """An array whose runs make what is known already.

    Parameters
    ----------
    params, port, runs : of the array, of the chip, and of the network.
    tensors : (C, H, W) by name.
    """

    def __init__(
        self,
        params: ScnnParams,
        port: SystemParams,
        runs: tuple[ScnnRun, ...],
        tensors: dict[str, NDArray[np.int64]],
    ) -> None:
        super().__init__(params, port)
        self._runs, self._tensors, self._next = runs, tensors, 0
        self._record = RunRecord(params, list(runs), dict(tensors))

    def control(self, command: int) -> RunLog:
        """Put the outputs of the next run where its passes write them."""
        assert command == Command.START
        number, self._next = self._next, self._next + 1
        self.forget_weights()
        for step, output in zip(
            self._runs[number].program, self._runs[number].outputs, strict=True
        ):
            if output is None:
                continue
            self.put_outputs(step, made_planes(output, self._tensors))
        return RunLog(self._record, number, [], [])


class _KnownLists(ScnnLists):
    """The array of a network whose tensors are known."""

    def __init__(self, runs: tuple[ScnnRun, ...], tensors: dict[str, NDArray[np.int64]]) -> None:
        self._runs, self._tensors = runs, tensors

    def state(self, params: ScnnParams, port: SystemParams) -> ScnnState:
        return _KnownState(params, port, self._runs, self._tensors)


def total_network(
    network: DrawnNetwork,
    layers: Sequence[ConvLayer],
    params: ScnnParams,
    port: SystemParams = PORT,
    *,
    ram_margin: float = RAM_MARGIN,
    tensors: dict[str, NDArray[np.int64]] | None = None,
    progress: Progress | None = None,
) -> NetworkTotal:
    """Compile a network, and count its cycles on the cycle model of command lists.

    Parameters
    ----------
    network, layers : the graph, and its convolutions.
    params, port : of the array, and of the chip to its memory.
    ram_margin : of the compiler; unless it is :data:`.BOUNDED`, runs are for inputs of the
        network's densities.
    tensors : (C, H, W) by name, channels as compiled; drawn unless given.
    progress : of compiling.

    Raises
    ------
    CompileError
        If the array is too small.
    """
    part = compile_network(network, params, ram_margin=ram_margin, progress=progress)
    known = network.draw() if tensors is None else tensors
    image = Image("network", part.graph, (part,))
    runs = _whole_contents(part.runs)
    lists = _KnownLists(runs, known)
    found = Inferences(image, known[INPUT][None], port, lists=[lists])
    setup, inference = found.groups
    counted = found.count(inference, MemorySettings(), [0])
    return NetworkTotal(
        cycles=counted.cycles[0],
        input_cycles=_moving(counted, Op.INPUT),
        output_cycles=_moving(counted, Op.OUTPUT),
        setup_cycles=found.count(setup, MemorySettings(), [0]).cycles[0],
        dram_bytes=(counted.read_beats + counted.write_beats) * port.beat_bytes,
        dense_cycles=sum(dense_total(layer, port) for layer in layers),
        runs=tuple(
            _run_total(part, run, time.count, port)
            for run, time in zip(runs, counted.runs, strict=True)
        ),
    )


def _moving(counted: SystemCycles, op: Op) -> int:
    """Count the cycles in which the moves of one kind are at work."""
    return sum(move.end - move.begin for move in counted.moves if move.op == op)


def compile_network(
    network: DrawnNetwork,
    params: ScnnParams,
    *,
    ram_margin: float = RAM_MARGIN,
    progress: Progress | None = None,
) -> ScnnPart:
    """Compile a network as ``zeroskip compile`` does; parameters are :func:`total_network`'s.

    Raises
    ------
    CompileError
        If the array is too small.
    """
    job = Job(
        options={"ram_margin": ram_margin},
        densities=network.densities,
        activity={},
        report={},
        progress=progress or silent,
    )
    return ENGINE.compile(network.graph, params, job)


def _whole_contents(runs: Sequence[ScnnRun]) -> tuple[ScnnRun, ...]:
    """Give each run the memories that it has from the runs before, too."""
    found: list[ScnnRun] = []
    contents: dict[str, SramData] = {}
    for run in runs:
        contents |= run.srams
        found.append(replace(run, srams=dict(contents)))
    return tuple(found)


def _run_total(part: ScnnPart, run: ScnnRun, count: RunCount, port: SystemParams) -> RunTotal:
    """Say what a run took, and what of it was waiting."""
    shares = count.counters.sum(axis=(0, 1)) / count.counters.sum()
    waited = shares[StallClass.STARVED] + shares[StallClass.BUS]
    layers = dict.fromkeys(part.graph.layers[number].name for number in run.passes)
    weights = run.srams.get("weights")
    return RunTotal(
        layers=tuple(layers),
        cycles=count.cycles,
        computing=count.cycles * (1 - float(waited)),
        weight_beats=0 if weights is None else -(-weights.words.nbytes // port.beat_bytes),
        bus_words=count.bus_words,
    )


def dense_total(layer: ConvLayer, port: SystemParams = PORT) -> int:
    """Count the cycles of the dense machine behind the same port, overlapped perfectly.

    Weights come through the port, 16 bits each; activations do where 2 MB do not hold them.
    """
    acts = int(np.prod(layer.in_shape) + np.prod(layer.out_shape)) * _DENSE_BYTES
    moved = int(np.prod(layer.weight_shape)) * _DENSE_BYTES
    moved += acts if acts > _ON_CHIP else 0
    return max(dense_cycles(layer), -(-moved // port.beat_bytes))
