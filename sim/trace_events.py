"""The Trace Event Format (JSON), which Perfetto and ``chrome://tracing`` open."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zeroskip.base.staging import replaced_file

__all__ = ["Event", "name_process", "slice_event", "write_events"]

Event = tuple[int, str]
"""When an event is, in cycles, and its JSON."""


def name_process(pid: int, name: str, tracks: Sequence[str] = ()) -> Iterator[str]:
    """Give the events that name a process and put its tracks in order.

    Parameters
    ----------
    pid : number of the process; processes are shown in this order.
    name : of the process.
    tracks : names of its threads, from number 0 up.
    """
    about: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
        ({}, "process_name", {"name": name}),
        ({}, "process_sort_index", {"sort_index": pid}),
    ]
    for tid, track in enumerate(tracks):
        about.append(({"tid": tid}, "thread_name", {"name": track}))
        about.append(({"tid": tid}, "thread_sort_index", {"sort_index": tid}))
    for thread, what, args in about:
        yield json.dumps({"ph": "M", "pid": pid, **thread, "name": what, "args": args})


def slice_event(
    pid: int, tid: int, begin: int, end: int, name: str, args: Mapping[str, Any]
) -> Event:
    """Make a slice of a track, from cycle ``begin`` up to, but without, ``end``."""
    event = {
        "ph": "X", "pid": pid, "tid": tid, "ts": begin, "dur": end - begin, "name": name,
        "args": dict(args),
    }  # fmt: skip
    return begin, json.dumps(event)


def write_events(
    path: Path,
    about: Mapping[str, Any],
    names: Iterable[str],
    parts: Iterable[Iterable[Event]],
) -> None:
    """Write a trace.

    Parameters
    ----------
    path : a file there is replaced, once the new one is complete.
    about : what to say of the whole trace.
    names : see :func:`name_process`.
    parts : events of one part of the trace after the other; each part is put in order of time.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with replaced_file(path) as file:
        head = json.dumps(about)
        file.write(f'{{"displayTimeUnit": "ns",\n"otherData": {head},\n"traceEvents": [')
        separator = "\n"
        for text in names:
            file.write(separator + text)
            separator = ",\n"
        for part in parts:
            times, texts = [], []
            for time, text in part:
                times.append(time)
                texts.append(text)
            for number in np.argsort(np.array(times), kind="stable").tolist():
                file.write(separator + texts[number])
                separator = ",\n"
        file.write("\n]}\n")
