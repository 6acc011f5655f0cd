"""Trace what EIE does with an input, on the cycle model."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.part import EiePart
from zeroskip.sim.eie.cycles.trace import TracedPass, trace_image
from zeroskip.sim.machine import Tracks
from zeroskip.sim.trace_events import Event, name_process, slice_event

__all__ = ["EieTrace", "trace_tracks"]

_CCU = 0
"""Thread of the control unit; PE n is thread n + 1."""


class EieTrace:
    """What the array does with one input, as processes of a trace.

    Parameters
    ----------
    part : of a compiled network.
    vectors : the input, then each layer's output, (1, elements) int64, as the hardware holds them;
        of a sequence, a row for each step.
    name : of the array.
    pid : number of the process with the array's units; the next one has the queues.
    begin : cycle of the trace in which the array starts.
    """

    def __init__(
        self,
        part: EiePart,
        vectors: Sequence[NDArray[np.int64]],
        name: str,
        pid: int = 1,
        begin: int = 0,
    ) -> None:
        self._part, self._name = part, name
        self._array, self._queues = pid, pid + 1
        self._begin = begin
        self._passes = trace_image(part, vectors)

    @property
    def end(self) -> int:
        """Cycle of the trace in which the array is done."""
        last = self._passes[-1]
        return self._begin + last.offset + last.times.end

    def names(self) -> Iterator[str]:
        """Name and order the tracks."""
        tracks = ["control unit", *(f"PE {pe}" for pe in range(self._part.params.num_pes))]
        yield from name_process(self._array, self._name, tracks)
        yield from name_process(self._queues, "activation queues")

    def parts(self) -> Iterator[Iterator[Event]]:
        """Give the events of each pass, in any order."""
        for number, traced in enumerate(self._passes):
            yield self._events(traced, number)

    def _events(self, traced: TracedPass, number: int) -> Iterator[Event]:
        times, base = traced.times, self._begin + traced.offset
        layer = self._part.layers[traced.layer].name
        phases = {
            "setup": (times.start, times.compute),
            "compute": (times.compute, times.drain),
            "drain": (times.drain, times.end),
        }
        for name, (begin, end) in phases.items():
            if end > begin:
                args = {"layer": layer, "pass": number}
                where = self._array, _CCU, base + begin, base + end
                yield slice_event(*where, f"{name} {layer}", args)
        yield from self._columns(traced, base)
        width = len(str(self._part.params.num_pes - 1))
        for pe in range(self._part.params.num_pes):
            head = f'{{"ph":"C","pid":{self._queues},"name":"queue of PE {pe:0{width}}","ts":'
            for time, level in _levels(times.entered[:, pe], times.popped[:, pe]):
                yield base + time, f'{head}{base + time},"args":{{"entries":{level}}}}}'

    def _columns(self, traced: TracedPass, base: int) -> Iterator[Event]:
        work = traced.work
        places, pes = np.nonzero(traced.times.issued >= 0)
        cycles = work.issue[places, pes]
        entries = work.entries[places, pes]
        # Padding that went along with the entry after it took no cycle, but is stored.
        padding = entries - (cycles - work.padding[places, pes])
        begins = base + traced.times.issued[places, pes] - cycles + 1
        fields = (pes + 1, begins, cycles, traced.columns[places], entries, padding)
        for tid, ts, dur, column, stored, pads in zip(*(f.tolist() for f in fields), strict=True):
            # There may be millions, and json.dumps takes ten times as long.
            text = (
                f'{{"ph":"X","pid":{self._array},"tid":{tid},"ts":{ts},"dur":{dur},'
                f'"name":"{column}","args":{{"entries":{stored},"padding":{pads}}}}}'
            )
            yield ts, text


def trace_tracks(
    part: EiePart, vectors: Sequence[NDArray[np.int64]], name: str, process: int, begin: int
) -> Tracks:
    """Trace one input: the array's units in one process, its queues in the next.

    The control unit's track has the phases of each pass, each PE's the columns in the cycles that
    issue their entries, and each queue is a counter.

    Parameters
    ----------
    part : of a compiled network.
    vectors : the input, then each layer's output, (1, elements) int64, as the hardware holds them;
        of a sequence, a row for each step.
    name, process, begin : as for :meth:`.Machine.tracks`.
    """
    trace = EieTrace(part, vectors, name, process, begin)
    return Tracks([*trace.names()], [*trace.parts()], trace.end, 2)


def _levels(entered: NDArray[np.int64], popped: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Give the queue's new length, and the cycle that begins with it, at every change."""
    entered, popped = entered[entered >= 0], popped[popped >= 0]
    times, where = np.unique(np.concatenate([entered, popped]), return_inverse=True)
    change = np.bincount(where[: len(entered)], minlength=len(times))
    change -= np.bincount(where[len(entered) :], minlength=len(times))
    changed = change != 0
    yield from zip((times[changed] + 1).tolist(), np.cumsum(change[changed]).tolist(), strict=True)
