"""Run compiled networks: on the golden model, on the cycle models or on the RTL."""

import dataclasses
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.base.errors import InputError
from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.engine import Part
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.passes.clipping import Clipping, count_clipped
from zeroskip.compiler.passes.fixed_point import check_planes, quantize_input
from zeroskip.sim.golden.network import run_golden
from zeroskip.sim.machine import Counts, machine
from zeroskip.sim.result import PartResult, Result

__all__ = [
    "Target",
    "count_planes",
    "counts_of",
    "fit_image",
    "quantize",
    "run",
    "run_planes",
    "simulate_planes",
]

Target = Literal["golden", "cycles", "rtl"]
"""``golden``: the outputs. ``cycles``: these, and what the RTL would take. ``rtl``: the RTL."""


def run(
    image: Image,
    x: ArrayLike,
    on: Target = "golden",
    *,
    lengths: ArrayLike | None = None,
    waves: Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run inputs through a compiled network.

    On RTL, each array is run by itself, and the host carries activations from one to the next.
    For all of them on a chip, with a memory and no host, see :func:`.verify_system`.

    Parameters
    ----------
    image : the compiled network, as :func:`.compile` or :func:`.load` gives it.
    x : (n, *sample_shape) or one sample (*sample_shape), real numbers.
    on : see :data:`Target`.
    lengths : (n,) of a recurrent network, the steps of each sequence, from 1 to those that it was
        compiled for; what is behind them in ``x`` is not read. All, unless given. Outputs are those
        of the last of these steps, or of all of them and zeros behind.
    waves : with RTL, where to leave the waves (VCD) of the first array.
    progress : see :data:`.Progress`.

    Raises
    ------
    InputError
        If ``x`` has the wrong shape or dtype, is empty, or holds NaN or Inf; ``lengths`` are none
        of its sequences; or ``on`` is unknown.
    ToolError, SimulationError
        If the simulator cannot be built, or a run does not end.

    Examples
    --------
    >>> y = zs.run(image, x).outputs
    >>> cycles = zs.run(image, x, "cycles").cycles
    """
    if not isinstance(image, Image):
        raise InputError(f"image must be what compile or load gave, not a {type(image).__name__}")
    if on not in get_args(Target):
        raise InputError(f"on must be one of {', '.join(get_args(Target))}, not {on!r}")
    image = image if lengths is None else image.with_lengths(lengths)
    planes, clipped = quantize(image, x)
    result = run_planes(image, planes, on, waves=waves, progress=progress)
    return dataclasses.replace(result, clipped=clipped)


def quantize(image: Image, x: ArrayLike) -> tuple[NDArray[np.int64], Clipping]:
    """Check inputs; return them in fixed point, (n, C, H, W), and what did not fit the format.

    Raises
    ------
    InputError
        As :func:`run` does.
    """
    samples = check_planes(x, image.graph, "input", single=True)
    planes = quantize_input(samples, image.in_frac, image.act_bits)
    return planes, count_clipped(samples, image.in_frac, image.act_bits)


def run_planes(
    image: Image,
    planes: NDArray[np.int64],
    on: Target,
    *,
    waves: Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run inputs (n, C, H, W) that are in fixed point already; see :func:`run`."""
    golden = run_golden(image, planes)
    if on == "golden":
        return golden
    image, spoiled = fit_image(image, planes, golden)
    golden = dataclasses.replace(golden, image=image)
    result = count_planes(image, planes, golden, progress)
    if on == "rtl":
        result = simulate_planes(image, planes, result, waves, progress)
    return dataclasses.replace(result, spoiled=spoiled)


def fit_image(
    image: Image, planes: NDArray[np.int64], golden: Result
) -> tuple[Image, tuple[int, ...]]:
    """Take bounded runs of parts that have no room for some inputs, as a host then does.

    Returns
    -------
    What is run, and those inputs.
    """
    tensors, parts, spoiled = {INPUT: planes}, list[Part](), set[int]()
    for part, computed in zip(image.parts, golden.parts, strict=True):
        tensors |= computed.tensors
        fits, some = machine(part.engine).fit(part, tensors)
        parts.append(fits)
        spoiled.update(some)
    return dataclasses.replace(image, parts=tuple(parts)), tuple(sorted(spoiled))


def count_planes(
    image: Image, planes: NDArray[np.int64], golden: Result, progress: Progress | None
) -> Result:
    """Add to golden's result for ``planes`` what the cycle model counts."""
    report = progress or silent
    tensors = {INPUT: planes}
    parts: list[PartResult] = []
    for part, computed in zip(image.parts, golden.parts, strict=True):
        tensors |= computed.tensors
        step = f"count {part.engine} cycles"
        counts = machine(part.engine).count(
            part, tensors, lambda done, total, step=step: report(step, done, total)
        )
        parts.append(
            dataclasses.replace(
                computed,
                read={name: computed.tensors[name] for name in part.graph.outputs},
                run_cycles=counts.run_cycles,
                counters=counts.counters,
                reload_cycles=counts.reload_cycles,
            )
        )
    return dataclasses.replace(golden, parts=tuple(parts))


def simulate_planes(
    image: Image,
    planes: NDArray[np.int64],
    counted: Result,
    waves: Path | None,
    progress: Progress | None,
) -> Result:
    """Run the RTL on ``planes``, for which the cycle model gave ``counted``."""
    tensors = {INPUT: planes}
    parts: list[PartResult] = []
    for part, expected in zip(image.parts, counted.parts, strict=True):
        made = machine(part.engine).simulate(
            part,
            {**tensors},
            counts_of(expected),
            waves=waves if not parts else None,
            progress=progress,
        )
        assert made.read is not None
        parts.append(made)
        tensors |= made.read
    return Result(image=image, planes=planes, parts=tuple(parts))


def counts_of(counted: PartResult) -> Counts:
    """Return what the cycle model counted."""
    assert counted.run_cycles is not None
    assert counted.counters is not None
    assert counted.reload_cycles is not None
    return Counts(counted.run_cycles, counted.counters, counted.reload_cycles)
