"""What a layer of the paper makes the array do."""

from functools import reduce
from operator import add

from zeroskip.compiler.ir.graph import INPUT, QuantConv
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.energy.activity import LayerActivity
from zeroskip.sim.scnn.benchmark.layers import ConvLayer
from zeroskip.sim.scnn.benchmark.machines import useful_products
from zeroskip.sim.scnn.benchmark.run import compile_layer
from zeroskip.sim.scnn.cycles.program import ScnnCycles
from zeroskip.sim.scnn.cycles.references import References, Writes
from zeroskip.sim.scnn.energy import access_events

__all__ = ["layer_activity"]


def layer_activity(
    layer: ConvLayer, params: ScnnParams
) -> tuple[LayerActivity, QuantConv, References]:
    """Count what a layer of the paper makes the array do, without the clock.

    Returns
    -------
    That, the layer as it was compiled, and its references to memories.
    """
    compiled = compile_layer(layer, params)
    model = ScnnCycles(params, compiled.runs, writes=True)
    golden = compiled.outputs()
    tensors = {INPUT: compiled.acts, compiled.conv.name: golden}
    found = [model.count(number, tensors) for number in range(len(compiled.runs))]
    read = reduce(add, (counts for run in found for counts in run.references), References())
    written = reduce(add, (counts for run in found for counts in run.writes), Writes())
    useful = useful_products(layer, compiled.acts, compiled.conv.weight)
    cycles = float(sum(run.cycles for run in found))
    events = list(access_events(params, read, written))
    return LayerActivity(layer.full_name, cycles, useful, events), compiled.conv, read
