"""Write a run on the cycle models as a trace for Perfetto or ``chrome://tracing``."""

from pathlib import Path

from zeroskip.base.errors import InputError
from zeroskip.sim.machine import machine
from zeroskip.sim.result import Result
from zeroskip.sim.trace_events import write_events

__all__ = ["write_trace"]


def write_trace(result: Result, path: Path, sample: int = 0) -> None:
    """Write one input's run, in the Trace Event Format (JSON).

    A cycle is a microsecond of the trace. Arrays follow each other; what the tracks of each are,
    its machine says.

    Parameters
    ----------
    result : what the golden or the cycle model gave.
    path : a file there is replaced, once the new one is complete.
    sample : which input.

    Raises
    ------
    ImageError
        If weights, activations or the program make no sense.
    InputError
        If there is no such input, or the file cannot be written.
    """
    image, inputs = result.image, result.inputs
    if not 0 <= sample < inputs:
        raise InputError(f"input {sample} cannot be traced: there are {inputs}, from 0 up")
    first, after = (int(of[sample]) for of in (result.sequences.starts, result.sequences.ends))
    tensors = {
        name: tensor[sample : sample + 1] if len(tensor) == inputs else tensor[first:after]
        for name, tensor in result.tensors_on_arrays.items()
    }
    if image.graph.lengths is not None:
        image = image.with_lengths([after - first])
    names, events = list[str](), []
    process, begin = 1, 0
    for part in image.parts:
        name = f"{part.engine.upper()} array of {image.name}"
        tracks = machine(part.engine).tracks(part, tensors, name, process, begin)
        names += tracks.names
        events += tracks.events
        process, begin = process + tracks.processes, tracks.end
    about = {
        "image": image.name,
        "input": sample,
        "time": "1 us of the trace is 1 cycle of the arrays",
        "left_out": "cycles in which the host loads memories between runs, and moves activations "
        "from one array to the next",
    }
    write_events(path, about, names, events)
