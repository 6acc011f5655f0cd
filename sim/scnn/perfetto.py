"""Write a CNN's run on the cycle models as a trace for Perfetto or ``chrome://tracing``."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.base.errors import InputError
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.scnn.image import CnnImage
from zeroskip.sim.eie.perfetto import EieTrace
from zeroskip.sim.scnn.cycles.trace import TracedScnnPass, trace_cnn_image
from zeroskip.sim.scnn.result import CnnResult
from zeroskip.sim.scnn.run import cnn_inputs, graph_output
from zeroskip.sim.trace_events import Event, name_process, slice_event, write_events

__all__ = ["write_cnn_trace"]

_SCNN, _EIE = 1, 2
"""Processes of the trace: SCNN's units; EIE's, and after them its queues."""
_SEQUENCER, _DRAIN, _FIRST_PE = 0, 1, 2
"""Threads of SCNN: the sequencer, the drain, and then the PEs."""


def write_cnn_trace(
    image: CnnImage, x: ArrayLike, result: CnnResult, path: Path, sample: int = 0
) -> None:
    """Write one input's runs, in the Trace Event Format (JSON).

    A cycle is a microsecond of the trace. Of SCNN, the sequencer's track has the passes, the
    drain's the groups that it writes, and each PE's the blocks of weights, by the directory entry
    of their channel, from the first pair that it issues to the last. EIE begins when SCNN is done;
    its tracks are those of :func:`.write_trace`.

    Parameters
    ----------
    image : the compiled network.
    x : the inputs, as for :func:`.run_cnn`.
    result : what the golden or the cycle model gave for them.
    path : a file there is replaced, once the new one is complete.
    sample : which input.

    Raises
    ------
    ImageError
        As :func:`.trace_cnn_image` does.
    InputError
        If there is no such input, or the file cannot be written.
    """
    planes = cnn_inputs(image, x)
    if not 0 <= sample < len(planes):
        raise InputError(f"input {sample} cannot be traced: there are {len(planes)}, from 0 up")
    tensors = {INPUT: planes, **result.held}
    passes = trace_cnn_image(image, {name: tensor[sample] for name, tensor in tensors.items()})
    names, parts = [*_names(image)], [_events(image, one, at) for at, one in enumerate(passes)]
    if image.tail is not None:
        name = f"EIE array of {image.name}"
        trace = EieTrace(image.tail, _columns(image, result, sample), name, _EIE, passes[-1].end)
        names += trace.names()
        parts += trace.parts()
    about = {
        "image": image.name,
        "input": sample,
        "time": "1 us of the trace is 1 cycle of the arrays",
        "left_out": "cycles in which memories are loaded between runs, and in which EIE gets what "
        "SCNN computed",
    }
    write_events(path, about, names, parts)


def _columns(image: CnnImage, result: CnnResult, sample: int) -> list[NDArray[np.int64]]:
    """Give the input of each layer on EIE."""
    assert result.tail is not None
    here = slice(sample, sample + 1)
    left = graph_output(image.network.graph, result.held)[here].reshape(1, -1)
    return [left, *(y[here] for y in result.tail.layer_outputs[:-1])]


def _names(image: CnnImage) -> Iterator[str]:
    p = image.params
    pes = (f"PE {pe} ({pe % p.pes_x}, {pe // p.pes_x})" for pe in range(p.num_pes))
    yield from name_process(_SCNN, f"SCNN array of {image.name}", ["sequencer", "drain", *pes])


def _events(image: CnnImage, one: TracedScnnPass, number: int) -> Iterator[Event]:
    """Give the events of a pass, in any order."""
    times, base = one.times, one.offset
    layer = image.network.graph.layers[one.layer].name
    for name, begin, end in (("setup", times.start, times.run), ("run", times.run, times.end)):
        args = {"layer": layer, "pass": number, "run": one.run}
        yield slice_event(_SCNN, _SEQUENCER, base + begin, base + end, f"{name} {layer}", args)
    for group, (first, last) in enumerate(times.drained.T.tolist()):
        if first >= 0:
            args = {"layer": layer, "pass": number}
            where = _SCNN, _DRAIN, base + first, base + last + 1
            yield slice_event(*where, f"group {group}", args)
    pes, blocks = np.nonzero(times.pairs)
    first, last = times.issued[:, pes, blocks]
    spans = base + first, last - first + 1
    fields = (pes + _FIRST_PE, *spans, times.channel[blocks], times.pairs[pes, blocks])
    for tid, ts, dur, channel, pairs in zip(*(field.tolist() for field in fields), strict=True):
        # There may be millions, and json.dumps takes ten times as long.
        text = (
            f'{{"ph":"X","pid":{_SCNN},"tid":{tid},"ts":{ts},"dur":{dur},'
            f'"name":"{channel}","args":{{"pairs":{pairs}}}}}'
        )
        yield ts, text
