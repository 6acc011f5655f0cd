"""One convolution on the SCNN array, compiled, and on the cycle model or on RTL."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.progress import Progress
from zeroskip.compiler.ir.fixed import run_layer
from zeroskip.compiler.ir.graph import INPUT, QuantConv
from zeroskip.compiler.scnn.layer import LayerPlan, layer_runs
from zeroskip.compiler.scnn.plan import plan_layer
from zeroskip.compiler.scnn.run import ActLoad, ScnnRun
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.rtl.runs import run_jobs
from zeroskip.sim.scnn.benchmark.layers import ConvLayer
from zeroskip.sim.scnn.benchmark.wiring import conv_layer
from zeroskip.sim.scnn.cycles.acts import ActStorage
from zeroskip.sim.scnn.cycles.program import ScnnCycles
from zeroskip.sim.scnn.cycles.references import References
from zeroskip.sim.scnn.rtl import SCNN_DRIVER
from zeroskip.sim.scnn.rtl_files import ScnnJob

__all__ = [
    "CompiledLayer",
    "LayerCount",
    "LayerRtl",
    "compile_layer",
    "count_layer",
    "dense_operand",
    "run_on_rtl",
    "weight_bytes",
]

_OUTPUT = "layer"
_MOST_BIAS = 1 << 14
_MARGIN = 1000
"""Cycles that a run may take more than twice what the model says before it is taken to hang."""


@dataclass(frozen=True, eq=False)
class CompiledLayer:
    """A layer with operands, laid on an array.

    Parameters
    ----------
    params : of the array.
    conv : what is computed.
    acts : (C, H, W) int64.
    plan : how it is laid on the array.
    runs : of the array, and what the host does between them.
    """

    params: ScnnParams
    conv: QuantConv
    acts: NDArray[np.int64]
    plan: LayerPlan
    runs: tuple[ScnnRun, ...]

    def outputs(self) -> NDArray[np.int64]:
        """Return golden's outputs, (K, P, Q)."""
        p = self.params
        golden, _ = run_layer(self.conv, self.acts[None], acc_bits=p.acc_bits, act_bits=p.act_bits)
        return golden[0]


@dataclass(frozen=True, eq=False)
class LayerCount:
    """What a layer takes, on the cycle model.

    Parameters
    ----------
    cycles : (runs,) int64, of each run.
    counters : (passes of all runs, num_pes, stall classes) int64 multiplier-cycles.
    references : to memories, all runs together.
    """

    cycles: NDArray[np.int64]
    counters: NDArray[np.int64]
    references: References


@dataclass(frozen=True)
class LayerRtl:
    """What the RTL made of a layer.

    Parameters
    ----------
    name : of the layer.
    cycles : of all runs.
    words, differ : outputs compared with golden, and how many differ.
    cycles_differ : runs and cycle counters that differ from the model's.
    cycles_per_second : of simulation, wall-clock.
    reload_cycles : commands of the host between runs, which are not part of ``cycles``.
    """

    name: str
    cycles: int
    words: int
    differ: int
    cycles_differ: int
    cycles_per_second: float
    reload_cycles: int


def compile_layer(layer: ConvLayer, params: ScnnParams) -> CompiledLayer:
    """Draw a layer's operands and lay it on an array.

    Runs are counted, not what moves data: loads are taken to be hidden unless they take longer.
    The compiler makes runs for any input, so of as many channels as the RAMs hold if no activation
    is 0. Here the input is known: where sums stay in the accumulators from run to run, a run takes
    as many channels as the RAMs hold of it, as the paper's array does.

    Raises
    ------
    CompileError
        If the array is too small for it.
    """
    acts, _ = layer.draw()
    rng = np.random.default_rng(layer.out_channels)
    bias = rng.integers(-_MOST_BIAS, _MOST_BIAS, layer.out_channels)
    conv = conv_layer(layer, _OUTPUT, (INPUT,), bias)
    plan = plan_layer(conv, params, layer.act_density, loads_beside=True)
    for parts in range(1, -(-layer.in_shape[0] // plan.c_step)):
        larger = replace(plan, c_step=-(-layer.in_shape[0] // parts))
        runs = layer_runs(conv, larger, params)
        if _fit(acts, runs, params):
            return CompiledLayer(params, conv, acts, larger, tuple(runs))
    return CompiledLayer(params, conv, acts, plan, tuple(layer_runs(conv, plan, params)))


def _fit(acts: NDArray[np.int64], runs: Sequence[ScnnRun], params: ScnnParams) -> bool:
    """Tell whether the activations that each run loads fit the RAMs and directories."""
    # Behind the inputs of a run there may be outputs.
    room: dict[ActLoad, tuple[int, int]] = {}
    load: ActLoad | None = None
    for run in runs:
        (load,) = run.loads or (load,)
        assert load is not None
        most = room.get(load, (params.num_channels, params.act_words))
        (step,) = run.program
        if step.drain:
            most = min(most[0], step.dst_base), min(most[1], step.dst_word)
        room[load] = most
    for load, (entries, words) in room.items():
        layout, (channels,) = load.layout, load.channels
        if (channels.stop - channels.start) * layout.sy * layout.sx > entries - load.base:
            return False
        rows = slice(layout.y0, layout.y0 + layout.height)
        columns = slice(layout.x0, layout.x0 + layout.width)
        ram = ActStorage(params)
        ram.put(layout, load.base, [acts[channels.start : channels.stop, rows, columns]])
        if (-(-ram.count // params.mult_i)).sum(axis=1).max() > words:
            return False
    return True


def count_layer(compiled: CompiledLayer, *, streamed: bool = False) -> LayerCount:
    """Count the cycles of a layer on the cycle model.

    Parameters
    ----------
    compiled : the layer.
    streamed : weights come through the port, a beat a cycle; else all are there from the start.
    """
    model = ScnnCycles(compiled.params, compiled.runs, streamed=streamed)
    found = [model.count(number, {INPUT: compiled.acts}) for number in range(len(compiled.runs))]
    return LayerCount(
        cycles=np.array([run.cycles for run in found], np.int64),
        counters=np.concatenate([run.counters for run in found]),
        references=reduce(add, (part for run in found for part in run.references), References()),
    )


def run_on_rtl(layer: ConvLayer, params: ScnnParams, progress: Progress | None = None) -> LayerRtl:
    """Run a layer in full on the RTL; compare every output and counter.

    Raises
    ------
    ToolError, SimulationError
        As :func:`.run_jobs` does.
    """
    compiled = compile_layer(layer, params)
    model = count_layer(compiled, streamed=True)
    p = compiled.params
    job = ScnnJob(
        compiled.runs,
        {INPUT: compiled.acts[None]},
        {_OUTPUT: compiled.conv.out_shape},
        [2 * int(cycles) + _MARGIN for cycles in model.cycles],
    )
    (found,) = run_jobs(SCNN_DRIVER, p, [job], progress=progress)
    golden = compiled.outputs()
    cycles_differ = int(np.count_nonzero(found.cycles[0] != model.cycles))
    if p.counters:
        cycles_differ += int(np.count_nonzero(found.counters[0] != model.counters))
    return LayerRtl(
        name=layer.full_name,
        cycles=int(found.cycles.sum()),
        words=golden.size,
        differ=int(np.count_nonzero(found.tensors[_OUTPUT][0] != golden)) + len(found.problems),
        cycles_differ=cycles_differ,
        cycles_per_second=float(found.cycles.sum() / found.seconds.sum()),
        reload_cycles=int(found.reload_cycles.sum()),
    )


def dense_operand(layer: ConvLayer, *, acts: bool, weights: bool) -> ConvLayer:
    """Make a layer of the same shape without zeros in its activations, its weights, or both."""
    return replace(
        layer,
        act_density=1.0 if acts else layer.act_density,
        weight_density=1.0 if weights else layer.weight_density,
    )


def weight_bytes(runs: Sequence[ScnnRun]) -> int:
    """Count the bytes of weights that stream in for runs."""
    total = size = 0
    for run in runs:
        # A run without any of its own has those of the run before.
        size = run.srams["weights"].words.nbytes if "weights" in run.srams else size
        total += size
    return total
