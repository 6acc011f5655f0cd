"""Turn a network into runs of the array."""

from collections.abc import Callable, Mapping

from compiler.graph import INPUT, QuantGraph
from compiler.scnn.areas import area_layers, move_runs
from compiler.scnn.check import check_layer
from compiler.scnn.fuse import fused_run
from compiler.scnn.layer import layer_runs, only_changes
from compiler.scnn.levels import levels_from
from compiler.scnn.plan import plan_layer
from compiler.scnn.run import Channels, ScnnRun
from hw.scnn.params import ScnnParams

__all__ = ["build"]


def build(
    graph: QuantGraph,
    params: ScnnParams,
    densities: Mapping[str, float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[ScnnRun, ...]:
    """Build the runs of a network.

    As many layers as the memories hold, whatever the activations are, go into one run, without
    the host in between. A layer that has to be alone gets the mapping that is fastest for it.

    Parameters
    ----------
    graph : layers in fixed point.
    params : of the array.
    densities : by a layer's name, share of its inputs that are expected not to be 0; unless given,
        the network's input is taken to be dense, and half of all else not 0.
    progress : called with the layers done, and their number.

    Raises
    ------
    CompileError
        If a layer cannot be computed on the array at all; what is too small is named.
    """
    known = {one.name: 1.0 if INPUT in one.inputs else 0.5 for one in graph.layers}
    known |= densities or {}
    for layer in graph.layers:
        check_layer(layer, params)
    runs: list[ScnnRun] = []
    number = 0
    while number < len(graph.layers):
        conv = graph.layers[number]
        best: ScnnRun | None = None
        for levels in levels_from(graph, number):
            here = [at for level in levels for at in level.layers]
            if any(graph.layers[at].areas for at in here):
                break  # The host puts the areas together.
            if len(here) > 1:
                longer = fused_run(graph, levels, params, known)
                if longer is None:
                    break
                best = longer
        if best is None:
            inputs = [
                Channels(tensor=name, start=0, stop=graph.shape(name)[0]) for name in conv.inputs
            ]
            for region, area in area_layers(conv):
                plan = plan_layer(area, params, known[conv.name])
                found = layer_runs(area, plan, params, layer=number, inputs=inputs)
                runs += move_runs(found, region)
            number += 1
        else:
            runs.append(best)
            number += len(best.passes)
        if progress is not None:
            progress(number, len(graph.layers))
    return tuple(only_changes(runs))
