"""Run drawn and compiled networks on the SCNN array's RTL, and compare all there is to see."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tests.support.images import scnn_image
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.rtl.runs import run_jobs
from zeroskip.sim.run import run_planes
from zeroskip.sim.scnn.job import scnn_job, scnn_result
from zeroskip.sim.scnn.rtl import SCNN_DRIVER
from zeroskip.sim.verify import compare_raw

__all__ = ["Trial", "check_trials", "integer_torch"]


@dataclass(frozen=True, eq=False)
class Trial:
    """A network as runs of an array, and (n, C, H, W) int64 inputs; ``name`` tells the seed."""

    name: str
    graph: QuantGraph[QuantConv]
    runs: tuple[ScnnRun, ...]
    planes: NDArray[np.int64]


def check_trials(p: ScnnParams, trials: Sequence[Trial]) -> NDArray[np.int64]:
    """Run all on one simulated array: every output, stored word, counter and cycle must be right.

    Golden, which all is compared with, must itself agree with PyTorch on integers.

    Returns
    -------
    (stall classes,) multiplier-cycles of all.
    """
    jobs, models, images = [], [], []
    for trial in trials:
        image = scnn_image(trial.name, trial.graph, p, trial.runs)
        model = run_planes(image, trial.planes, "cycles")
        for name, tensor in integer_torch(trial.graph, trial.planes, p).items():
            if name != INPUT:
                np.testing.assert_array_equal(
                    model.tensors[name], tensor, f"{trial.name}, layer {name}"
                )
        counted = model.part("scnn").run_cycles
        assert counted is not None
        images.append(image)
        models.append(model)
        jobs.append(scnn_job(image.part("scnn"), {INPUT: trial.planes}, counted))
    seen = np.zeros(len(StallClass), np.int64)
    results = run_jobs(SCNN_DRIVER, p, jobs, host_load=True)
    for image, model, raw in zip(images, models, results, strict=True):
        result = compare_raw(image, model, scnn_result(image.part("scnn"), raw))
        assert not result.differences, (image.name, *map(str, result.differences))
        assert not result.problems, (image.name, *result.problems)
        assert not result.cycle_differences, (image.name, *map(str, result.cycle_differences))
        assert result.ok, image.name
        # Counted apart from the model: all cycles of each PE.
        first = 0
        for number, run in enumerate(image.part("scnn").runs):
            mine = raw.counters[:, first : first + len(run.program)].sum(axis=(1, 3))
            first += len(run.program)
            expected = np.repeat(raw.cycles[:, number, None] * p.mults, p.num_pes, 1)
            np.testing.assert_array_equal(mine, expected, image.name)
        seen += raw.counters.sum(axis=(0, 1, 2))
    return seen


def integer_torch(
    graph: QuantGraph[QuantConv], planes: NDArray[np.int64], p: ScnnParams
) -> dict[str, NDArray[np.int64]]:
    """Compute every layer with PyTorch's own convolution and pooling, on integers."""
    tensors = {INPUT: torch.from_numpy(planes)}
    for layer in graph.layers:
        value = torch.cat([tensors[name] for name in layer.inputs], 1)
        (pt, pl), (sy, sx) = layer.padding, layer.stride
        rows, columns = layer.out_shape[1:]
        kernel = layer.weight.shape[2:]
        # What hangs over the plane below and to the right; negative: what no window reaches.
        below = (rows - 1) * sy + kernel[0] - pt - layer.in_shape[1]
        right = (columns - 1) * sx + kernel[1] - pl - layer.in_shape[2]
        if layer.op == "max":
            edges = pl, right, pt, below
            padded = functional.pad(value.double(), edges, value=-float("inf"))
            acc = functional.max_pool2d(padded, tuple(kernel), (sy, sx)).long()
        elif layer.areas:
            padded = functional.pad(value.double(), (pl, right, pt, below))
            ones = functional.avg_pool2d(padded, tuple(kernel), (sy, sx), divisor_override=1)
            scale = torch.zeros(rows, columns, dtype=torch.int64)
            for one in layer.areas:
                scale[one.y0 :, one.x0 :][: one.height, : one.width] += one.weight
            acc = ones.long() * scale
        else:
            padded = functional.pad(value, (pl, right, pt, below))
            weight = torch.from_numpy(np.ascontiguousarray(layer.weight))
            acc = functional.conv2d(padded, weight, stride=(sy, sx), groups=layer.groups)
        acc = acc + torch.from_numpy(layer.bias)[:, None, None] + (1 << layer.shift) // 2
        half = 1 << (p.acc_bits - 1)
        acc = (acc + half).remainder(2 * half) - half
        acc = torch.div(acc, 1 << layer.shift, rounding_mode="floor")
        acc = acc.clamp(0 if layer.relu else p.min_act, p.max_act)
        tensors[layer.name] = acc
    return {name: tensor.numpy() for name, tensor in tensors.items()}
