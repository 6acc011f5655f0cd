"""Turn a network into runs of the array."""

from collections import Counter
from collections.abc import Mapping, Sequence

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.image.runs import only_changes
from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.compiler.scnn.areas import area_layers, move_runs
from zeroskip.compiler.scnn.check import check_layer
from zeroskip.compiler.scnn.cost import count_runs, input_densities
from zeroskip.compiler.scnn.fill import DenseFill, Fill
from zeroskip.compiler.scnn.layer import layer_runs
from zeroskip.compiler.scnn.placed_run import placed_run
from zeroskip.compiler.scnn.plan import plan_layer
from zeroskip.compiler.scnn.run import Channels, ScnnRun
from zeroskip.compiler.scnn.segments import Segment, Segments
from zeroskip.compiler.scnn.tables import join_tables
from zeroskip.hw.scnn.params import ScnnParams

__all__ = [
    "MANY_RUNS",
    "build",
    "choose_again",
    "choose_both",
    "choose_runs",
    "encode_runs",
    "many_runs",
]

_WORTH = 0.97
"""Of the cycles of runs for any input, what those for expected inputs may take to be worth it."""

MANY_RUNS = 100
"""A layer in more runs than that is told of: the host moves more than the array computes."""


def build(
    graph: QuantGraph,
    params: ScnnParams,
    densities: Mapping[str, float] | None = None,
    progress: Progress | None = None,
    fill: Fill | None = None,
) -> tuple[ScnnRun, ...]:
    """Build the runs of a network, see :func:`choose_runs` and :func:`encode_runs`."""
    segments = choose_runs(graph, params, densities, progress, fill)
    return encode_runs(graph, params, densities, segments, progress)


def choose_both(
    graph: QuantGraph,
    params: ScnnParams,
    densities: Mapping[str, float],
    fill: Fill | None,
    progress: Progress | None = None,
) -> tuple[list[Segment], list[Segment]]:
    """Choose the runs of a network for the inputs that are expected, and those for any input.

    Parameters
    ----------
    graph, params, densities, progress : as for :func:`choose_runs`.
    fill : of the activation RAMs, of the inputs that are expected; None: of any.

    Returns
    -------
    The runs, and those for inputs that do not fit them; none if all do, since other runs would
    hardly be faster.
    """
    safe = choose_runs(graph, params, densities, progress)
    if fill is None:
        return safe, []
    found = choose_runs(graph, params, densities, progress, fill)
    cycles, most = (sum(segment.cycles for segment in some) for some in (found, safe))
    return (safe, []) if cycles > _WORTH * most else (found, safe)


def choose_again(
    graph: QuantGraph,
    params: ScnnParams,
    densities: Mapping[str, float],
    fill: Fill | None,
    chosen: tuple[list[Segment], list[Segment]],
    progress: Progress | None = None,
) -> tuple[list[Segment], list[Segment]]:
    """Choose the runs of a network of which only the order of channels is another.

    Layers that were in one run are again, in the same strips, which takes little of the time; what
    is on the array lies where it is best for the new order.

    Parameters
    ----------
    graph, params, densities, progress : as for :func:`choose_runs`.
    fill : as for :func:`choose_both`.
    chosen : what that gave before.
    """
    known = input_densities(graph, densities)
    dense = DenseFill(params)
    fills = (fill or dense, dense) if chosen[1] else (dense, dense)
    found = [
        Segments(graph, params, known, room).choose_again(segments)
        for segments, room in zip(chosen, fills, strict=True)
    ]
    runs, bounded = found
    if runs is None or bounded is None:
        return choose_both(graph, params, densities, fill, progress)
    return runs, bounded


def choose_runs(
    graph: QuantGraph,
    params: ScnnParams,
    densities: Mapping[str, float] | None = None,
    progress: Progress | None = None,
    fill: Fill | None = None,
) -> list[Segment]:
    """Choose the runs of a network.

    As many layers as the memories hold go into one run, without the host in between. A layer that
    has to be alone gets the mapping that is fastest for it.

    Parameters
    ----------
    graph : layers in fixed point.
    params : of the array.
    densities : see :func:`.input_densities`.
    progress : step "choose runs" by layers.
    fill : of the activation RAMs; unless given, they hold whatever the activations are.

    Raises
    ------
    CompileError
        If a layer cannot be computed on the array at all; what is too small is named.
    """
    for layer in graph.layers:
        check_layer(layer, params)
    known = input_densities(graph, densities)
    return Segments(graph, params, known, fill or DenseFill(params)).choose(progress)


def encode_runs(
    graph: QuantGraph,
    params: ScnnParams,
    densities: Mapping[str, float] | None,
    segments: Sequence[Segment],
    progress: Progress | None = None,
) -> tuple[ScnnRun, ...]:
    """Encode runs that have been chosen.

    Parameters
    ----------
    graph, params, densities : as for :func:`choose_runs`, which gave ``segments``.
    progress : step "map" by layers; and of a layer in many runs, a step by runs, whose number is
        estimated.
    """
    known = input_densities(graph, densities)
    tell = progress or silent
    runs: list[ScnnRun] = []
    for segment in segments:
        for part in segment.parts:
            run = placed_run(part.strip.graph, part.placed, part.schedule, params)
            runs.append(part.strip.moved(run))
        if not segment.parts:
            runs += _alone(graph, segment.layers[0], params, known, tell)
        tell("map", segment.layers.stop, len(graph.layers))
    return tuple(only_changes(join_tables(runs, params)))


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
