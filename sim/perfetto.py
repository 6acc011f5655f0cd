"""Write a run of the cycle model as a trace for Perfetto or ``chrome://tracing``."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compiler.errors import InputError
from compiler.fixed_point import check_input, quantize_input
from compiler.image import Image
from sim.atomic import replaced_file
from sim.cycles.trace import TracedPass, trace_image
from sim.result import RunResult

__all__ = ["write_trace"]

_ARRAY, _QUEUES = 1, 2
"""Processes of the trace: the units of the array, and a counter per queue."""
_CCU = 0
"""Thread of the control unit; PE n is thread n + 1."""


def write_trace(image: Image, x: ArrayLike, result: RunResult, path: Path, sample: int = 0) -> None:
    """Write one input's run, in the Trace Event Format (JSON).

    A cycle is a microsecond of the trace. The control unit's track has the phases of each pass,
    each PE's the columns in the cycles that issue their entries, and each queue is a counter.

    Parameters
    ----------
    image : the compiled network.
    x : the inputs, as for :func:`sim.run.run`.
    result : what the golden or the cycle model gave for them.
    path : a file there is replaced, once the new one is complete.
    sample : which input.

    Raises
    ------
    InputError
        If there is no such input, or the file cannot be written.
    """
    samples = check_input(x, image.network.input_shape, "input")
    if not 0 <= sample < len(samples):
        raise InputError(f"input {sample} cannot be traced: there are {len(samples)}, from 0 up")
    first = quantize_input(
        samples[sample : sample + 1].reshape(1, -1),
        image.network.layers[0].in_frac,
        image.params.act_bits,
    )
    later = [y[sample : sample + 1] for y in result.layer_outputs[:-1]]
    with replaced_file(path) as file:
        _write(image, trace_image(image, [first, *later]), sample, file)


def _write(image: Image, passes: list[TracedPass], sample: int, file: TextIO) -> None:
    about = {
        "image": image.name,
        "input": sample,
        "time": "1 us of the trace is 1 cycle of the array",
        "left_out": "cycles in which the host loads memories between runs of the program",
    }
    file.write(f'{{"displayTimeUnit": "ns",\n"otherData": {json.dumps(about)},\n"traceEvents": [')
    separator = "\n"
    for event in _names(image):
        file.write(separator + json.dumps(event))
        separator = ",\n"
    for number, one in enumerate(passes):
        times, texts = [], []
        for time, text in _events(image, one, number):
            times.append(time)
            texts.append(text)
        for at in np.argsort(np.array(times), kind="stable").tolist():
            file.write(separator + texts[at])
            separator = ",\n"
    file.write("\n]}\n")


def _names(image: Image) -> Iterator[dict[str, Any]]:
    """Name and order the tracks."""
    tracks = ["control unit", *(f"PE {pe}" for pe in range(image.params.num_pes))]
    for pid, name in ((_ARRAY, f"array of {image.name}"), (_QUEUES, "activation queues")):
        yield {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": name}}
        yield {"ph": "M", "pid": pid, "name": "process_sort_index", "args": {"sort_index": pid}}
    for tid, name in enumerate(tracks):
        track = {"ph": "M", "pid": _ARRAY, "tid": tid}
        yield {**track, "name": "thread_name", "args": {"name": name}}
        yield {**track, "name": "thread_sort_index", "args": {"sort_index": tid}}


def _events(image: Image, one: TracedPass, number: int) -> Iterator[tuple[int, str]]:
    """Give the events of a pass with their times, in any order."""
    times, base = one.times, one.offset
    layer = image.network.layers[one.layer].name
    phases = {
        "setup": (times.start, times.ready),
        "compute": (times.ready, times.drain),
        "drain": (times.drain, times.end),
    }
    for name, (begin, end) in phases.items():
        if end > begin:
            event = {
                "ph": "X", "pid": _ARRAY, "tid": _CCU, "ts": base + begin, "dur": end - begin,
                "name": f"{name} {layer}", "args": {"layer": layer, "pass": number},
            }  # fmt: skip
            yield base + begin, json.dumps(event)
    yield from _columns(one)
    width = len(str(image.params.num_pes - 1))
    for pe in range(image.params.num_pes):
        head = f'{{"ph":"C","pid":{_QUEUES},"name":"queue of PE {pe:0{width}}","ts":'
        for time, level in _levels(times.entered[:, pe], times.popped[:, pe]):
            yield base + time, f'{head}{base + time},"args":{{"entries":{level}}}}}'


def _columns(one: TracedPass) -> Iterator[tuple[int, str]]:
    work = one.work
    at, pes = np.nonzero(one.times.issued >= 0)
    cycles = work.issue[at, pes]
    entries = work.entries[at, pes]
    # Padding that went along with the entry after it took no cycle, but is stored.
    padding = entries - (cycles - work.padding[at, pes])
    begins = one.offset + one.times.issued[at, pes] - cycles + 1
    fields = (pes + 1, begins, cycles, one.columns[at], entries, padding)
    for tid, ts, dur, column, stored, pads in zip(*(f.tolist() for f in fields), strict=True):
        text = (
            f'{{"ph":"X","pid":{_ARRAY},"tid":{tid},"ts":{ts},"dur":{dur},'
            f'"name":"{column}","args":{{"entries":{stored},"padding":{pads}}}}}'
        )
        yield ts, text


def _levels(entered: NDArray[np.int64], popped: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Give the queue's new length, and the cycle that begins with it, at every change."""
    entered, popped = entered[entered >= 0], popped[popped >= 0]
    times, where = np.unique(np.concatenate([entered, popped]), return_inverse=True)
    change = np.bincount(where[: len(entered)], minlength=len(times))
    change -= np.bincount(where[len(entered) :], minlength=len(times))
    changed = change != 0
    yield from zip((times[changed] + 1).tolist(), np.cumsum(change[changed]).tolist(), strict=True)
