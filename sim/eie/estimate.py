"""Estimate the cycles of Linear layers on EIE: placed rows, and queues in front of the PEs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from amaranth.hdl import Shape
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.compiler.eie.choose import Pattern, pattern_entries
from zeroskip.compiler.eie.place import Activity, Placement, Strategy, local_rows, place
from zeroskip.compiler.eie.window import window_rows
from zeroskip.compiler.engine import Job
from zeroskip.compiler.ir.graph import QuantCell, QuantGraph, QuantLinear
from zeroskip.hw.eie.formats import pointer_layout
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.cycles.accesses import Accesses, Held, pass_accesses
from zeroskip.sim.eie.cycles.program import PassModel
from zeroskip.sim.eie.cycles.work import ColumnWork
from zeroskip.sim.eie.energy import access_events
from zeroskip.sim.energy.activity import LayerActivity
from zeroskip.sim.estimate import Counted, LayerEstimate, Lever, NonZeros
from zeroskip.sim.machine import machine

__all__ = ["ESTIMATOR"]

_SETUP = 1
"""Cycles of a pass before its scan."""
_PIPELINES = 8
"""Cycles from the first row that is read to the first entry, and from the last entry to its sum."""
_DRAIN_STAGES = 2
_CAUSES = "useful", "padding", "imbalance", "broadcast", "queues", "drain", "setup"


@dataclass(frozen=True, eq=False)
class _Window:
    """Rows of a layer that are computed in one pass.

    Parameters
    ----------
    rows : local rows of each PE.
    entries, padding : (positions, num_pes) of each column in each PE.
    """

    rows: int
    entries: NDArray[np.int64]
    padding: NDArray[np.int64]

    def model(self, params: EieParams) -> PassModel:
        """Return the pass, with its entries as they follow each other in each PE's words."""
        issued = self.entries
        if params.skip_padding:
            # One of the entries of a word has none before it that it could come with.
            joined = self.padding * (1 - 1 / params.entries_per_word)
            issued = issued - np.rint(joined).astype(np.int64)
        ends = self.entries.cumsum(axis=0)
        first = (ends - self.entries) // params.entries_per_word
        words = np.where(self.entries > 0, (ends - 1) // params.entries_per_word - first + 1, 0)
        padding = self.padding - (self.entries - issued)
        counts = issued, padding, np.zeros_like(issued), self.entries, words, first
        work = ColumnWork(*(count.astype(np.int32) for count in counts))
        return PassModel(None, 0, self.rows, work)


class _Estimator:
    error = energy_error = 0.08

    def layers(
        self,
        graph: QuantGraph[Any],
        params: EieParams,
        job: Job,
        nonzeros: NonZeros,
        *,
        energy: bool = True,
    ) -> Sequence[LayerEstimate]:
        if any(isinstance(layer, QuantCell) for layer in graph.layers):
            # What a step takes depends on the step before: such layers are compiled and counted.
            return Counted("eie", machine("eie")).layers(
                graph, params, job, nonzeros, energy=energy
            )
        known = [job.activity.get(layer.name) for layer in graph.layers]
        activity = [often for often in known if often is not None]
        whole = activity if len(activity) == len(known) else None
        positions = _places(graph, params, job.options["placement"], whole)
        return [
            _layer(layer, params, source, target, nonzeros)
            for layer, (source, target) in zip(graph.layers, pairwise(positions), strict=True)
        ]

    def levers(self, params: EieParams, options: Mapping[str, Any]) -> Sequence[Lever]:
        most = params.ranges["run_bits"][1]
        return [
            *(
                Lever("run_bits", width, "padding")
                for width in range(params.run_bits + 1, most + 1)
            ),
            *(Lever("run_bits", width, "bits") for width in range(1, params.run_bits)),
            Lever("skip_padding", True, "padding"),
            Lever("placement", "schedule", "imbalance"),
            Lever("queue_depth", min(2 * params.queue_depth, 64), "queues"),
            Lever("pointers_first", True, "queues"),
            Lever("num_pes", max(1, params.num_pes // 2), "drain"),
            Lever("num_pes", min(256, 2 * params.num_pes), "useful"),
        ]


ESTIMATOR = _Estimator()


_PLACED = WeakKeyDictionary[QuantGraph[Any], dict[tuple[Any, ...], Placement]]()
"""By network, its placements by all that they follow from: most levers leave them as they are."""


def _places(
    graph: QuantGraph[Any], params: EieParams, strategy: Strategy, activity: Activity | None
) -> Placement:
    """Place a network as :func:`.place` does, once for each number of PEs."""
    often = None if activity is None else tuple(values.tobytes() for values in activity)
    placed, key = _PLACED.setdefault(graph, {}), (params.num_pes, strategy, often)
    if key not in placed:
        placed[key] = place(graph, params, strategy, activity)
    return placed[key]


def _layer(
    layer: QuantLinear,
    params: EieParams,
    source: NDArray[np.int64],
    target: NDArray[np.int64],
    nonzeros: NonZeros,
) -> LayerEstimate:
    values = np.concatenate([nonzeros[name] for name in layer.inputs], axis=1)
    values = values.reshape(len(values), -1)
    rows = local_rows(source, params)
    active = np.zeros((len(values), rows * params.num_pes), np.bool_)
    active[:, source] = values
    height = local_rows(target, params)
    spent: dict[str, float] = dict.fromkeys(_CAUSES, 0.0)
    every, passes = 0, 0
    per_pe = np.zeros(params.num_pes, np.int64)
    done = Accesses()
    for window in _windows(layer, params, source, target, rows, height):
        passes += 1
        per_pe += window.entries.sum(axis=0)
        every += int(window.entries.sum())
        model = window.model(params)
        for sample in active:
            scanned = sample.reshape(rows, params.num_pes)
            done += pass_accesses(model, scanned, params, Held(params))
            for cause, cycles in _scan_cycles(model, np.flatnonzero(sample), rows, params).items():
                spent[cause] += cycles
    spent = {name: cycles / len(active) for name, cycles in spent.items()}
    spent["setup"] = passes * float(_SETUP + _PIPELINES)
    spent["drain"] = height + passes * float(_DRAIN_STAGES)
    words = -(-int(per_pe.max(initial=0)) // params.entries_per_word)
    pointers = passes * (rows * params.num_pes + 1)
    memories = {
        "spmat_words": (words, params.spmat_words),
        "num_pointers": (pointers, params.num_pointers),
        "num_biases": (height, params.num_biases),
    }
    acts = -(-max(rows, height) // params.num_acts)
    pointer = Shape.cast(pointer_layout(params)).width
    return LayerEstimate(
        name=layer.name,
        cycles=sum(spent.values()),
        spent=spent,
        runs=max(acts, *(-(-need // has) for need, has in memories.values())),
        stored_bits=every * params.entry_bits
        + params.num_pes * pointers * pointer
        + params.codebook_bits,
        memories=memories,
        activity=LayerActivity(
            layer.name,
            sum(spent.values()),
            done.useful / len(active),
            list(access_events(params, done, len(active))),
        ),
    )


def _scan_cycles(
    model: PassModel, columns: NDArray[np.int64], rows: int, params: EieParams
) -> dict[str, float]:
    """Return the cycles of a pass over an input by what takes them, without its setup and drain.

    Parameters
    ----------
    model : of the pass.
    columns : positions of the activations that are not 0.
    rows : of activations, that are scanned.
    params : of the array.
    """
    work, wasted = model.work.issue[columns], model.work.padding[columns]
    useful = float((work - wasted).sum()) / params.num_pes
    padded = float(wasted.sum()) / params.num_pes
    largest = float(work.sum(axis=0).max(initial=0))
    took = _compute(
        model.work.issue,
        columns,
        columns // params.num_pes,
        params.queue_depth,
        params.pointers_first,
    )
    took = max(took, float(rows))
    # Columns come one a cycle at most, whatever the PEs could do.
    single = max(0.0, min(took, float(columns.size)) - largest)
    return {
        "useful": useful,
        "padding": padded,
        "imbalance": largest - useful - padded,
        "broadcast": single,
        "queues": took - largest - single,
    }


def _windows(
    layer: QuantLinear,
    params: EieParams,
    source: NDArray[np.int64],
    target: NDArray[np.int64],
    rows: int,
    height: int,
) -> list[_Window]:
    step = window_rows(height, params)
    passes = -(-height // step)
    weights, entries = pattern_entries(Pattern.of(layer.codes, target), step, passes, params)
    found: list[_Window] = []
    for number in range(passes):
        every = np.zeros((rows * params.num_pes, params.num_pes), np.int64)
        padding = np.zeros_like(every)
        every[source] = entries[number]
        padding[source] = entries[number] - weights[number]
        found.append(_Window(min(step, height - number * step), every, padding))
    return found


@njit(cache=True)
def _compute(
    work: NDArray[np.int32],
    columns: NDArray[np.int64],
    rows: NDArray[np.int64],
    depth: int,
    pointers_first: bool,
) -> float:
    """Let columns go through the queues; return when the last PE has issued its last entry.

    Parameters
    ----------
    work : (positions, num_pes) cycles of each column in each PE.
    columns, rows : positions of the activations that are broadcast, and the scanned row of each.
    depth, pointers_first : parameters of the array.
    """
    pes = work.shape[1]
    popped = np.zeros((pes, depth), np.int64)
    count = np.zeros(pes, np.int64)
    last = np.zeros(pes, np.int64)
    begun, ended = np.zeros(pes, np.int64), np.zeros(pes, np.int64)
    sent = 0
    for number in range(len(columns)):
        column = columns[number]
        sent = max(sent + 1, rows[number] + 1)
        for pe in range(pes):
            if count[pe] >= depth:
                sent = max(sent, popped[pe, count[pe] % depth] + 1)
        for pe in range(pes):
            cycles = work[column, pe]
            if pointers_first and not cycles:
                continue
            pop = max(sent + 1, last[pe] + 1)
            if pointers_first:
                pop = max(pop, ended[pe])
                begun[pe] = pop
            else:
                pop = max(pop, begun[pe])
                if cycles:
                    begun[pe] = max(ended[pe], pop + 1)
            if cycles:
                ended[pe] = begun[pe] + cycles
            last[pe] = pop
            popped[pe, count[pe] % depth] = pop
            count[pe] += 1
    done = 0
    for pe in range(pes):
        done = max(done, ended[pe], last[pe])
    return float(done)
