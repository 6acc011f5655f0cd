"""Run a compiled CNN on the golden model, on the cycle models or on the RTL."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.base.errors import InputError
from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.ir.fixed import layer_results
from zeroskip.compiler.ir.graph import INPUT, QuantGraph
from zeroskip.compiler.passes.clipping import Clipping, count_clipped
from zeroskip.compiler.passes.fixed_point import check_planes, dequantize, quantize_input
from zeroskip.sim.chip.rtl import ChipJob, run_chip
from zeroskip.sim.eie.rtl_image import image_job, image_result
from zeroskip.sim.eie.run import Target, run_columns
from zeroskip.sim.expected_waves import cnn_waves
from zeroskip.sim.rtl.waves import Waves
from zeroskip.sim.scnn.cycles.image import run_cnn_image
from zeroskip.sim.scnn.reload import conv_reload_cycles
from zeroskip.sim.scnn.result import CnnResult, by_conv_layer
from zeroskip.sim.scnn.rtl import ScnnJob, ScnnResult, run_scnn_jobs
from zeroskip.sim.scnn.walk import map_pass

if TYPE_CHECKING:
    from zeroskip.compiler.scnn.image import CnnImage

__all__ = ["cnn_inputs", "cnn_job", "cnn_result", "graph_output", "run_cnn", "written_tensors"]

_MARGIN = 1000
"""Cycles that a run may take more than twice what the model says before it is taken to hang."""


def run_cnn(
    image: "CnnImage",
    x: ArrayLike,
    on: Target = "golden",
    *,
    waves: Path | None = None,
    progress: Progress | None = None,
) -> CnnResult:
    """Run inputs through a compiled CNN: SCNN's runs in order, then EIE.

    On RTL, both engines are on one chip, and SCNN's outputs never leave it, if the last run holds
    all of them and EIE's weights fit its memories; else the host carries them.

    Parameters
    ----------
    image : the compiled network.
    x : (n, C, H, W) or one sample (C, H, W), real numbers.
    on : see :data:`.Target`.
    waves : with RTL, where to leave the waves (VCD): of the chip, or if the host carries SCNN's
        outputs to EIE, of SCNN.
    progress : see :data:`.Progress`.

    Raises
    ------
    InputError
        If ``x`` has the wrong shape or dtype, is empty, or holds NaN or Inf; or ``on`` is unknown.
    ToolError, SimulationError
        If the simulator cannot be built, or a run does not end.
    """
    if on not in get_args(Target):
        raise InputError(f"on must be one of {', '.join(get_args(Target))}, not {on!r}")
    result = _run_planes(image, cnn_inputs(image, x), on, waves, progress)
    return dataclasses.replace(result, clipped=cnn_clipped(image, x))


def _run_planes(
    image: "CnnImage",
    planes: NDArray[np.int64],
    on: Target,
    waves: Path | None,
    progress: Progress | None,
) -> CnnResult:
    """Run inputs that are in fixed point already."""
    golden = _on_golden(image, planes)
    if on == "golden":
        return _with_tail(image, golden, on, None)
    counted = _count(image, planes, golden, progress)
    if on == "cycles":
        return _with_tail(image, counted, on, progress)
    assert counted.run_cycles is not None
    job = cnn_job(image, planes, counted.run_cycles.max(axis=0))
    recorded = None
    if waves is not None:
        whole = counted if image.handoff is None else _with_tail(image, counted, "cycles", progress)
        recorded = cnn_waves(image, planes, whole, waves)
    if image.handoff is not None:
        return _on_chip(image, job, progress, recorded)
    (raw,) = run_scnn_jobs(image.params, [job], waves=recorded, progress=progress)
    return _with_tail(image, cnn_result(image, raw), on, progress)


def cnn_inputs(image: "CnnImage", x: ArrayLike) -> NDArray[np.int64]:
    """Check inputs and put them in fixed point: (n, C, H, W).

    Raises
    ------
    InputError
        As :func:`run_cnn` does.
    """
    samples = check_planes(x, image.network.graph, "input", single=True)
    return quantize_input(samples, _in_frac(image), image.params.act_bits)


def cnn_clipped(image: "CnnImage", x: ArrayLike) -> Clipping:
    """Count the numbers that :func:`cnn_inputs` clips."""
    samples = check_planes(x, image.network.graph, "input", single=True)
    return count_clipped(samples, _in_frac(image), image.params.act_bits)


def _in_frac(image: "CnnImage") -> int:
    (frac,) = {layer.in_frac for layer in image.network.graph.layers if INPUT in layer.inputs}
    return frac


def cnn_job(image: "CnnImage", planes: NDArray[np.int64], cycles: NDArray[np.int64]) -> ScnnJob:
    """Make the job that runs ``planes`` through SCNN.

    Parameters
    ----------
    image : the compiled network.
    planes : (n, C, H, W) int64, quantised inputs.
    cycles : (runs,) that the model says each run takes at most.
    """
    graph = image.network.graph
    stored = {one.tensor for run in image.runs for store in run.stores for one in store.blocks}
    return ScnnJob(
        image.runs,
        {INPUT: planes},
        {name: graph.shape(name) for name in sorted(stored)},
        [2 * int(most) + _MARGIN for most in cycles],
    )


def cnn_result(image: "CnnImage", raw: ScnnResult) -> CnnResult:
    """Put what the passes wrote together to the outputs of layers."""
    p, graph = image.params, image.network.graph
    result = graph_output(graph, raw.tensors)
    return CnnResult(
        outputs=dequantize(result, _out_frac(graph)),
        held=written_tensors(image, raw),
        orders=image.channel_orders,
        run_cycles=raw.cycles,
        counters=by_conv_layer(image.runs, len(graph.layers), raw.counters) if p.counters else None,
        conv_reload_cycles=raw.reload_cycles,
        conv_seconds=raw.seconds.sum(axis=1),
        result=result,
        rtl=raw,
    )


def written_tensors(image: "CnnImage", raw: ScnnResult) -> dict[str, NDArray[np.int64]]:
    """Return every layer's output, (n, C, H, W), as the passes wrote it; else 0."""
    samples = len(raw.cycles)
    tensors = {
        layer.name: np.zeros((samples, *layer.out_shape), np.int64)
        for layer in image.network.graph.layers
    }
    for run, outputs in zip(image.runs, raw.outputs, strict=True):
        for descriptor, output, got in zip(run.program, run.outputs, outputs, strict=True):
            if output is None:
                continue
            where = map_pass(image.params, descriptor, output)
            if where.tensor is not None:
                at = (part[where.inside] for part in (where.channel, where.y, where.x))
                tensors[where.tensor][:, *at] = got[:, where.inside]
    return tensors


def graph_output(graph: QuantGraph, tensors: dict[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """Put the tensors that leave the graph side by side: (n, C, H, W)."""
    return np.concatenate([tensors[name] for name in graph.outputs], axis=1)


def _out_frac(graph: QuantGraph) -> int:
    (frac,) = {layer.out_frac for layer in graph.layers if layer.name in graph.outputs}
    return frac


def _on_golden(image: "CnnImage", planes: NDArray[np.int64]) -> CnnResult:
    p, graph = image.params, image.network.graph
    results = list(layer_results(graph, planes, p.acc_bits, p.act_bits))
    tensors = {result.layer.name: result.output for result in results}
    return CnnResult(
        dequantize(graph_output(graph, tensors), _out_frac(graph)),
        tensors,
        image.channel_orders,
        tuple(result.saturated for result in results),
    )


def _count(
    image: "CnnImage", planes: NDArray[np.int64], golden: CnnResult, progress: Progress | None
) -> CnnResult:
    report = progress or silent
    tensors = {INPUT: planes, **golden.held}
    cycles, counters = run_cnn_image(
        image,
        tensors,
        lambda done, total: report("count SCNN cycles", done, total),
    )
    graph = image.network.graph
    return dataclasses.replace(
        golden,
        run_cycles=cycles,
        counters=by_conv_layer(image.runs, len(graph.layers), counters),
        conv_reload_cycles=conv_reload_cycles(image, tensors),
        result=graph_output(graph, golden.held),
    )


def _on_chip(
    image: "CnnImage", job: ScnnJob, progress: Progress | None, waves: Waves | None
) -> CnnResult:
    """Run the whole network on the chip that has both engines."""
    assert image.handoff is not None
    assert image.tail is not None
    tail = image.tail
    columns = np.zeros((1, tail.network.layers[0].shape[1]), np.int64)
    # The handoff spends six cycles on a position at most.
    behind = 6 * len(image.handoff.order) + image_job(tail, columns).max_cycles
    *most, last = job.max_cycles
    chip_job = ChipJob(
        dataclasses.replace(job, max_cycles=[*most, last + behind]),
        tail.segments[0],
        image.handoff.fields,
    )
    raw = run_chip(image.params, tail.params, chip_job, waves=waves, progress=progress)
    result = image_result(tail, raw.eie)
    return dataclasses.replace(
        cnn_result(image, raw.scnn),
        outputs=result.outputs,
        result=result.result,
        tail=result,
        latency=raw.latency.sum(axis=1),
    )


def _with_tail(
    image: "CnnImage", result: CnnResult, on: Target, progress: Progress | None
) -> CnnResult:
    """Run the Linear layers behind the graph, if there are any, on what left it."""
    if image.tail is None:
        return result
    # From RTL: what the host read back, not what the passes were seen to write.
    held = result.held if result.rtl is None else result.rtl.tensors
    left = graph_output(image.network.graph, held)
    columns = left.reshape(len(left), -1)
    tail = run_columns(image.tail, columns, on, progress=progress)
    return dataclasses.replace(result, outputs=tail.outputs, result=tail.result, tail=tail)
