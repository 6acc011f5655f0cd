"""Run an image for EIE on the golden model, on the cycle model or on the RTL."""

import dataclasses
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.base.errors import InputError
from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.passes.clipping import count_clipped
from zeroskip.compiler.passes.fixed_point import check_input, dequantize, quantize_input
from zeroskip.sim.eie.cycles.image import run_image
from zeroskip.sim.eie.golden import run_network
from zeroskip.sim.eie.reload import reload_cycles
from zeroskip.sim.eie.result import RunResult, by_layer
from zeroskip.sim.eie.rtl import run_jobs
from zeroskip.sim.eie.rtl_image import image_job, image_result
from zeroskip.sim.expected_waves import eie_waves

__all__ = ["Progress", "RunResult", "Target", "run_columns", "run_eie"]

Target = Literal["golden", "cycles", "rtl"]
"""``golden``: the outputs. ``cycles``: these, and what the RTL would take. ``rtl``: the RTL."""


def run_eie(
    image: Image,
    x: ArrayLike,
    on: Target = "golden",
    *,
    waves: Path | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run inputs through a network that is on EIE alone; see :func:`.run`.

    Parameters
    ----------
    image : the compiled network.
    x : (n, *input_shape) or one sample (*input_shape), real numbers.
    on : see :data:`Target`.
    waves : with RTL, where to leave the waves (VCD).
    progress : see :data:`Progress`.

    Raises
    ------
    InputError
        If ``x`` has the wrong shape or dtype, is empty, or holds NaN or Inf; or ``on`` is unknown.
    ToolError, SimulationError
        If the simulator cannot be built, or a run does not end.
    """
    samples = check_input(x, image.network.input_shape, "input", single=True)
    flat = samples.reshape(len(samples), -1)
    frac, act_bits = image.network.layers[0].in_frac, image.params.act_bits
    columns = quantize_input(flat, frac, act_bits)
    result = run_columns(image, columns, on, waves=waves, progress=progress)
    return dataclasses.replace(result, clipped=count_clipped(flat, frac, act_bits))


def run_columns(
    image: Image,
    columns: NDArray[np.int64],
    on: Target,
    *,
    waves: Path | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run inputs that are in fixed point already.

    Parameters
    ----------
    columns : (n, columns) int64 with the first layer's ``in_frac``.
    image, on, waves, progress : as for :func:`run_eie`, with its errors.
    """
    if on == "golden":
        return _on_golden(image, columns)
    if on == "cycles":
        return _on_cycles(image, columns, progress)
    if on == "rtl":
        job = image_job(image, columns)
        recorded = None
        if waves is not None:
            recorded = eie_waves(columns, _on_cycles(image, columns, progress), waves)
        (raw,) = run_jobs(image.params, [job], waves=recorded, progress=progress)
        return image_result(image, raw)
    raise InputError(f"on must be one of {', '.join(get_args(Target))}, not {on!r}")


def _on_golden(image: Image, columns: NDArray[np.int64]) -> RunResult:
    layers, p = image.network.layers, image.params
    result = run_network(layers, columns.T, act_bits=p.act_bits, acc_bits=p.acc_bits)
    outputs = tuple(np.ascontiguousarray(y.T) for y in result.outputs)
    return RunResult(dequantize(outputs[-1], layers[-1].out_frac), outputs, result.saturated)


def _on_cycles(image: Image, columns: NDArray[np.int64], progress: Progress | None) -> RunResult:
    golden = _on_golden(image, columns)
    report = progress or silent
    cycles, counters = run_image(
        image,
        [columns, *golden.layer_outputs[:-1]],
        lambda done, total: report("count cycles", done, total),
    )
    return dataclasses.replace(
        golden,
        cycles=cycles,
        counters=by_layer(image, counters),
        result=golden.layer_outputs[-1],
        reload_cycles=np.array(reload_cycles(image, len(columns)), np.int64),
    )
