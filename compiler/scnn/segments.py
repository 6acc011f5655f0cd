"""Choose which layers of a network one run computes, for the least total time."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.compiler.scnn.cost import LOAD_WORDS, PORT_BITS, load_cycles, weight_cycles
from zeroskip.compiler.scnn.cuts import best_cuts, joints
from zeroskip.compiler.scnn.place import Placed, Placer
from zeroskip.compiler.scnn.plan import plan_layer
from zeroskip.compiler.scnn.schedule import Schedule, schedule
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Segment", "Segments"]

_RUN_CYCLES = 200.0
"""Cycles of a run in which nothing overlaps: commands, tables, the first weights."""

_SHARES = (1, 2, 4, 8, 16)
"""Of the activation RAMs, what a piece of a tensor that need not be there as a whole may take."""


@dataclass(frozen=True)
class Segment:
    """Layers of one run, or one layer that is alone.

    Parameters
    ----------
    layers : their numbers.
    placed, schedule : how they lie on the array; None: the layer is cut into runs of its own.
    cycles : estimated, with the tensors' way through memory.
    """

    layers: range
    placed: Placed | None
    schedule: Schedule | None
    cycles: float


class Segments:
    """Chooses runs of a network.

    Parameters
    ----------
    graph : the network.
    params : of the array.
    densities : by layer, share of its inputs that are expected not to be 0.
    placer : of the same network on the same array.
    """

    def __init__(
        self,
        graph: QuantGraph,
        params: ScnnParams,
        densities: Mapping[str, float],
        placer: Placer,
    ) -> None:
        self._graph, self._params, self._densities = graph, params, densities
        self._placer = placer
        self._known: dict[tuple[int, int], Segment | None] = {}

    def choose(self, progress: Progress | None = None) -> list[Segment]:
        """Choose the runs.

        Parameters
        ----------
        progress : step "choose runs", by layers at which a run may begin.

        Raises
        ------
        CompileError
            If a layer cannot be computed on the array at all; what is too small is named.
        """
        tell = progress or silent
        ends = joints(self._graph)
        points = {*ends}
        for first, last in pairwise(ends):
            if self._segment(first, last) is None:
                points |= set(range(first, last))
        ordered = sorted(points)

        def cost(first: int, last: int) -> float | None:
            tell("choose runs", ordered.index(first), len(ordered) - 1)
            segment = self._segment(first, last)
            return None if segment is None else segment.cycles

        cuts = best_cuts(ordered, cost)
        tell("choose runs", len(ordered) - 1, len(ordered) - 1)
        return [segment for cut in cuts if (segment := self._segment(*cut)) is not None]

    def halves(self, layers: range) -> list[Segment]:
        """Cut layers whose weights do not fit one run in two, or in more where halves cannot be."""
        middle = (layers.start + layers.stop) // 2
        found: list[Segment] = []
        for half in (range(layers.start, middle), range(middle, layers.stop)):
            segment = self._segment(half.start, half.stop)
            found += self.halves(half) if segment is None else [segment]
        return found

    def _segment(self, first: int, last: int) -> Segment | None:
        """Place some layers; None if they cannot be in one run."""
        if (first, last) not in self._known:
            layers = range(first, last)
            found = self._together(layers)
            if len(layers) == 1:
                alone = self._alone(first)
                if found is None or alone.cycles < found.cycles:
                    found = alone
            self._known[first, last] = found
        return self._known[first, last]

    def _together(self, layers: range) -> Segment | None:
        if any(self._graph.layers[layer].areas for layer in layers):
            return None  # Areas are put together in memory.
        p, placed, order = self._params, None, None
        for share in _SHARES:
            most = p.act_words * p.mult_i * p.num_pes / share
            placed = self._placer.place(layers, most)
            order = None if placed is None else schedule(self._graph, placed, p)
            if order is not None:
                break
        if placed is None or order is None:
            return None
        moved = sum(
            self._words(tensor.name)
            for tensor in placed.holding.tensors
            if tensor.maker < 0 or tensor.leaves
        )
        cycles = placed.cycles + _RUN_CYCLES + self._port(moved)
        return Segment(layers, placed, order, cycles)

    def _alone(self, layer: int) -> Segment:
        """Plan a layer that has the array for itself, cut into runs as need be."""
        conv, p = self._graph.layers[layer], self._params
        plan = plan_layer(conv, p, self._densities[conv.name])
        loads = load_cycles(conv, plan, p) * LOAD_WORDS * self._densities[conv.name]
        moved = self._port(loads + self._words(conv.name))
        cycles = max(plan.cycles, weight_cycles(conv, p)) + _RUN_CYCLES + moved
        return Segment(range(layer, layer + 1), None, None, cycles)

    def _words(self, tensor: str) -> float:
        """Estimate the words that a tensor has in memory."""
        channels, rows, columns = self._graph.shape(tensor)
        readers = [conv for conv in self._graph.layers if tensor in conv.inputs]
        density = max((self._densities[conv.name] for conv in readers), default=1.0)
        return channels * rows * columns * density / self._params.mult_i

    def _port(self, words: float) -> float:
        """Count the cycles in which words of activations go through the port."""
        p = self._params
        return words * p.mult_i * (p.act_bits + p.run_bits) / PORT_BITS
