"""SCNN with a port to memory, as simulation sees it."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.hw.common.counters import counter_addr_bits
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.planes import scnn_lanes
from zeroskip.hw.system.formats import Op
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.machine import ListMachine
from zeroskip.sim.scnn.cycles.feed import advance_feed, empty_feed
from zeroskip.sim.scnn.plane_places import PlaneMove
from zeroskip.sim.scnn.state import RunLog, ScnnState
from zeroskip.sim.scnn.transfers import plane_transfer
from zeroskip.sim.system.golden import Attempt
from zeroskip.sim.system.state import ArrayCycles, RunCycles
from zeroskip.sim.system.transfer import Transfer
from zeroskip.sim.system.units import ChipStates

__all__ = ["ScnnChipCycles", "ScnnLists"]


class ScnnLists(ListMachine):
    """SCNN as command lists run it."""

    def state(self, params: ScnnParams, port: SystemParams) -> ScnnState:
        return ScnnState(params, port)

    def array_cycles(
        self, params: ScnnParams, weights: Sequence[NDArray[np.int64]]
    ) -> "ScnnChipCycles":
        return ScnnChipCycles(params, weights)

    def transfer(self, params: ScnnParams, port: SystemParams, moved: PlaneMove) -> Transfer:
        return plane_transfer(params, scnn_lanes(port, params), moved)

    def written(
        self, params: ScnnParams, records: Sequence[tuple[int, int, int]]
    ) -> Sequence[tuple[int, int, int]]:
        """Give each output a record of its own: up to I outputs of a PE come in a cycle."""
        bits, wide = params.act_bits, params.act_bits * params.mult_i
        mask = (1 << bits) - 1
        return [
            (
                number,
                0,
                sum(
                    (word >> pe * wide + lane * bits & mask) << pe * bits
                    for pe in range(params.num_pes)
                ),
            )
            for number, lanes, word in records
            for lane in range(params.mult_i)
            if lanes >> lane & 1
        ]

    def rooms(
        self, parts: Sequence[ScnnPart], attempt: Attempt, engine: int
    ) -> Iterator[tuple[str, int, int]]:
        runs = [(part, run) for part in parts for run in part.runs]
        number = at = 0
        for done in attempt.performed:
            if done.fields["engine"] != engine or done.run is None:
                continue
            if done.op == Op.INPUT:
                _, run = runs[number]
                brought = [one for load in run.loads for one in load.channels]
                yield brought[at].tensor, done.run.used, int(done.run.room.min())
                at += 1
            elif done.op == Op.CONTROL:
                part, run = runs[number]
                for (step, descriptor, _), used in zip(done.run.made, done.run.used, strict=True):
                    name = part.layers[run.passes[step]].name
                    yield name, used, descriptor.dst_limit - descriptor.dst_word
                number, at = number + 1, 0

    def clearing(self, params: ScnnParams) -> int:
        return (1 << max(params.entry_addr_bits, counter_addr_bits(params, StallClass))) + 4


class ScnnChipCycles(ArrayCycles):
    """Counts runs while the chip brings their weights, and those of runs to come.

    Parameters
    ----------
    params : of the array, which has been cleared.
    weights : of each WEIGHTS, what :meth:`.ScnnState.stream` gives.
    """

    def __init__(self, params: ScnnParams, weights: Sequence[NDArray[np.int64]]) -> None:
        line = np.concatenate([np.zeros(0, np.int64), *weights])
        self._begins = np.cumsum([0, *map(len, weights)])
        self._feed = empty_feed(params, line, np.zeros(0, np.int64))

    def run(
        self,
        run: RunLog,
        arrivals: NDArray[np.int64],
        begin: int,
        loaded: int,
        chip: ChipStates,
    ) -> RunCycles:
        """Count the cycles of a run, which depend on what the array holds, too."""
        del arrivals, begin, loaded
        model, number = run.record.model(run.number)
        found = model.count(number, run.record.tensors, feed=self._feed, chip=chip)
        run.record.follow(run.number, model)
        return RunCycles(found.cycles, count=found)

    def clear(self, weights: int) -> None:
        self._feed.at[0] = self._begins[weights]
        self._feed.streams[:] = self._feed.before[:] = 0

    def advance(self, chip: ChipStates, most: int) -> int:
        """Go on, and have the array take what comes."""
        return advance_feed(self._feed, most, chip)
