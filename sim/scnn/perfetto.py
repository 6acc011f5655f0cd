"""Trace what SCNN does with an input, on the cycle model."""

from collections.abc import Iterator

import numpy as np

from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.sim.machine import Tensors, Tracks
from zeroskip.sim.scnn.cycles.trace import TracedScnnPass, trace_cnn_image
from zeroskip.sim.trace_events import Event, name_process, slice_event

__all__ = ["trace_tracks"]

_SEQUENCER, _DRAIN, _FIRST_PE = 0, 1, 2
"""Threads: the sequencer, the drain, and then the PEs."""


def trace_tracks(part: ScnnPart, tensors: Tensors, name: str, process: int, begin: int) -> Tracks:
    """Trace one input.

    The sequencer's track has the passes, the drain's the groups that it writes, and each PE's the
    blocks of weights, by the directory entry of their channel, from the first pair that it issues
    to the last. Parameters are those of :meth:`.Machine.tracks`.
    """
    passes = trace_cnn_image(part, {name: tensor[0] for name, tensor in tensors.items()})
    events = [_events(part, traced, number, process, begin) for number, traced in enumerate(passes)]
    return Tracks([*_names(part, name, process)], events, begin + passes[-1].end, 1)


def _names(part: ScnnPart, name: str, process: int) -> Iterator[str]:
    p = part.params
    pes = (f"PE {pe} ({pe % p.pes_x}, {pe // p.pes_x})" for pe in range(p.num_pes))
    yield from name_process(process, name, ["sequencer", "drain", *pes])


def _events(
    part: ScnnPart, traced: TracedScnnPass, number: int, process: int, begins: int
) -> Iterator[Event]:
    """Give the events of a pass, in any order."""
    times, base = traced.times, begins + traced.offset
    layer = part.layers[traced.layer].name
    for name, begin, end in (("setup", times.start, times.run), ("run", times.run, times.end)):
        args = {"layer": layer, "pass": number, "run": traced.run}
        yield slice_event(process, _SEQUENCER, base + begin, base + end, f"{name} {layer}", args)
    for group, (first, last) in enumerate(times.drained.T.tolist()):
        if first >= 0:
            args = {"layer": layer, "pass": number}
            where = process, _DRAIN, base + first, base + last + 1
            yield slice_event(*where, f"group {group}", args)
    pes, blocks = np.nonzero(times.pairs)
    first, last = times.issued[:, pes, blocks]
    spans = base + first, last - first + 1
    fields = (pes + _FIRST_PE, *spans, times.channel[blocks], times.pairs[pes, blocks])
    for tid, ts, dur, channel, pairs in zip(*(field.tolist() for field in fields), strict=True):
        # There may be millions, and json.dumps takes ten times as long.
        text = (
            f'{{"ph":"X","pid":{process},"tid":{tid},"ts":{ts},"dur":{dur},'
            f'"name":"{channel}","args":{{"pairs":{pairs}}}}}'
        )
        yield ts, text
