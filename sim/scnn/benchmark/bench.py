"""SCNN's evaluation again: AlexNet, GoogLeNet and VGG-16 on the cycle model, some on RTL."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, replace

from zeroskip.base.progress import Progress, silent
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.sim.scnn.benchmark.layers import (
    MERGED,
    NETWORKS,
    WHOLE_NETWORKS,
    ConvLayer,
    scnn_layers,
)
from zeroskip.sim.scnn.benchmark.machines import dense_cycles, useful_products
from zeroskip.sim.scnn.benchmark.result import ConvBench, NetworkBench, ScnnBench
from zeroskip.sim.scnn.benchmark.run import (
    compile_layer,
    count_layer,
    dense_operand,
    run_on_rtl,
    weight_bytes,
)
from zeroskip.sim.scnn.benchmark.storage import scnn_storage
from zeroskip.sim.scnn.benchmark.total import NetworkTotal, total_network
from zeroskip.sim.scnn.benchmark.whole import run_network
from zeroskip.sim.scnn.benchmark.wiring import wire

__all__ = ["BENCH_PARAMS", "bench_scnn", "measure_layer"]

BENCH_PARAMS = PRESETS["paper"]
"""The array of the evaluation: 64 PEs of 4 x 4 multipliers."""

# Which operands lose their zeros: activations, weights.
_OTHERS = {
    "sparse_w_cycles": (True, False),
    "sparse_a_cycles": (False, True),
    "dense_operand_cycles": (True, True),
}


def bench_scnn(
    networks: Mapping[str, Sequence[ConvLayer]] = WHOLE_NETWORKS,
    *,
    others: bool = True,
    rtl: Sequence[str] = (),
    params: ScnnParams = BENCH_PARAMS,
    progress: Progress | None = None,
) -> ScnnBench:
    """Run layers on the cycle model, beside other machines.

    Parameters
    ----------
    networks : layers by network. Networks of which all layers are there are counted as a whole,
        too; those that are not of the paper, only so.
    others : also run the one-sided machines, and the array on dense operands.
    rtl : full names of layers, and names of networks that are not of the paper, to run on the
        RTL, too, as :data:`.RTL_LAYERS`.
    params : of the array.
    progress : called with a step's name, how much of it is done, and of how much.

    Raises
    ------
    CompileError
        If the array is too small for a layer.
    ToolError, SimulationError
        As :func:`.run_jobs` does.
    """
    report = progress or silent
    single = {name: some for name, some in networks.items() if name in NETWORKS}
    layers = [layer for layers in single.values() for layer in layers]
    names = {layer.full_name for layer in layers}
    layers += [layer for layer in MERGED if names.issuperset(layer.merged)]
    work = [(layer, "") for layer in layers]
    work += [(layer, machine) for layer in layers for machine in _OTHERS if others]
    # The longest first, so that none is left over at the end.
    work.sort(key=lambda task: -_products(_variant(*task)))
    whole = {name: some for name, some in networks.items() if some == WHOLE_NETWORKS.get(name)}
    found: dict[str, ConvBench] = {}
    cycles: dict[str, dict[str, int]] = {layer.full_name: {} for layer in layers}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        totals = {name: pool.submit(_total, some, params) for name, some in whole.items()}
        waiting = {pool.submit(_work, *task, params): task for task in work}
        report("layers", 0, len(work))
        for number, done in enumerate(as_completed(waiting), 1):
            layer, machine = waiting[done]
            result = done.result()
            if isinstance(result, ConvBench):
                found[layer.full_name] = result
            else:
                cycles[layer.full_name][machine] = result
            report("layers", number, len(work))
    rows = {name: replace(layer, **cycles[name]) for name, layer in found.items()}
    return ScnnBench(
        networks={
            name: NetworkBench(name, tuple(rows[layer.full_name] for layer in layers))
            for name, layers in single.items()
        },
        totals={name: total.result() for name, total in totals.items()},
        merged=tuple(rows[layer.full_name] for layer in layers if layer.merged),
        storage=scnn_storage(params),
        rtl=tuple(
            run_on_rtl(scnn_layers()[name], params, progress) for name in rtl if name not in whole
        ),
        whole_rtl=tuple(
            run_network(name, some, params, progress=progress)
            for name, some in whole.items()
            if name in rtl
        ),
    )


def measure_layer(layer: ConvLayer, params: ScnnParams = BENCH_PARAMS) -> ConvBench:
    """Run a layer on the cycle model, without the machines beside it.

    Parameters
    ----------
    layer, params : what, and on which array.

    Raises
    ------
    CompileError
        If the array is too small for it.
    """
    compiled = compile_layer(layer, params)
    count = count_layer(compiled)
    products = useful_products(layer, compiled.acts, compiled.conv.weight)
    spent = count.counters.sum(axis=(0, 1))
    useful, issued = spent[StallClass.USEFUL], spent[: StallClass.FRAGMENTATION + 1].sum()
    with_pair = issued + spent[StallClass.CONFLICT]
    mapping = compiled.plan.mapping
    return ConvBench(
        **vars(layer),
        products=products,
        cycles=int(count.cycles.sum()),
        dense_cycles=dense_cycles(layer),
        oracle_cycles=products / (params.num_pes * params.mults),
        utilisation=float(useful / spent.sum()),
        utilisation_issuing=float(useful / issued) if issued else 0.0,
        conflict=float(spent[StallClass.CONFLICT] / with_pair) if with_pair else 0.0,
        stalls={c.name.lower(): float(spent[c] / spent.sum()) for c in StallClass},
        runs=len(compiled.runs),
        plan={
            "block_x": mapping.block_x,
            "block_y": mapping.block_y,
            "wo": mapping.wo,
            "ho": mapping.ho,
            "kc": mapping.kc,
            "region_h": compiled.plan.region_h,
            "region_w": compiled.plan.region_w,
            "k_step": compiled.plan.k_step,
            "c_step": compiled.plan.c_step,
        },
        references=asdict(count.references),
        weight_bytes=weight_bytes(compiled.runs),
    )


def _work(layer: ConvLayer, machine: str, params: ScnnParams) -> ConvBench | int:
    """Measure a layer on the array, or count its cycles on another machine."""
    if not machine:
        return measure_layer(layer, params)
    return int(count_layer(compile_layer(_variant(layer, machine), params)).cycles.sum())


def _total(layers: Sequence[ConvLayer], params: ScnnParams) -> NetworkTotal:
    """Count a network from memory to memory."""
    return total_network(wire(layers), layers, params)


def _variant(layer: ConvLayer, machine: str) -> ConvLayer:
    acts, weights = _OTHERS.get(machine, (False, False))
    return dense_operand(layer, acts=acts, weights=weights)


def _products(layer: ConvLayer) -> float:
    return layer.macs * layer.act_density * layer.weight_density
