"""Turn a network into runs of the array."""

from collections import Counter
from collections.abc import Mapping, Sequence

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.image.runs import only_changes
from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.compiler.scnn.areas import area_layers, move_runs
from zeroskip.compiler.scnn.check import check_layer
from zeroskip.compiler.scnn.cost import count_runs, input_densities
from zeroskip.compiler.scnn.layer import layer_runs
from zeroskip.compiler.scnn.placed_run import placed_run
from zeroskip.compiler.scnn.plan import plan_layer
from zeroskip.compiler.scnn.run import Channels, ScnnRun
from zeroskip.compiler.scnn.segments import Segments
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["MANY_RUNS", "build", "many_runs"]

MANY_RUNS = 100
"""A layer in more runs than that is told of: the host moves more than the array computes."""


def build(
    graph: QuantGraph,
    params: ScnnParams,
    densities: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> tuple[ScnnRun, ...]:
    """Build the runs of a network.

    As many layers as the memories hold, whatever the activations are, go into one run, without
    the host in between. A layer that has to be alone gets the mapping that is fastest for it.

    Parameters
    ----------
    graph : layers in fixed point.
    params : of the array.
    densities : see :func:`.input_densities`.
    progress : steps "choose runs" and "map" by layers; and of a layer in many runs, a step by
        runs, whose number is estimated.

    Raises
    ------
    CompileError
        If a layer cannot be computed on the array at all; what is too small is named.
    """
    known = input_densities(graph, densities)
    tell = progress or silent
    for layer in graph.layers:
        check_layer(layer, params)
    runs: list[ScnnRun] = []
    segments = Segments(graph, params, known).choose(progress)
    for segment in segments:
        for part in segment.parts:
            run = placed_run(part.strip.graph, part.placed, part.schedule, params)
            runs.append(part.strip.moved(run))
        if not segment.parts:
            runs += _alone(graph, segment.layers[0], params, known, tell)
        tell("map", segment.layers.stop, len(graph.layers))
    return tuple(only_changes(runs))


def _alone(
    graph: QuantGraph,
    number: int,
    params: ScnnParams,
    densities: Mapping[str, float],
    tell: Progress,
) -> list[ScnnRun]:
    """Build the runs of a layer that has the array for itself."""
    conv, runs = graph.layers[number], list[ScnnRun]()
    inputs = [Channels(tensor=name, start=0, stop=graph.shape(name)[0]) for name in conv.inputs]
    for region, area in area_layers(conv):
        plan = plan_layer(area, params, densities[conv.name])
        total = count_runs(area, plan, params)

        def made(done: int, total: int = total) -> None:
            if total > MANY_RUNS:
                tell(f"cut layer {conv.name} into runs", done, max(done, total))

        found = layer_runs(area, plan, params, layer=number, inputs=inputs, progress=made)
        runs += move_runs(found, region)
    return runs


def many_runs(graph: QuantGraph, runs: Sequence[ScnnRun]) -> list[str]:
    """Say of each layer that is cut into more than ``MANY_RUNS`` runs, into how many."""
    counts = Counter(number for run in runs for number in set(run.passes))
    return [
        f"layer {graph.layers[number].name!r} is cut into {count} runs of the array, between which "
        "the host loads its memories; an array with more memory needs fewer"
        for number, count in sorted(counts.items())
        if count > MANY_RUNS
    ]
