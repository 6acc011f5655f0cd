"""Run a compiled image on the golden model or on the RTL, and compare the two."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compiler.errors import InputError
from compiler.fixed_point import check_input, dequantize, quantize_input
from compiler.image import Image
from sim.golden.eie import run_network
from sim.result import RunResult
from sim.rtl.eie import Progress, run_jobs
from sim.rtl.image import image_job, image_result

__all__ = ["Difference", "Progress", "RunResult", "Target", "VerifyResult", "run", "verify"]

Target = Literal["golden", "rtl"]


@dataclass(frozen=True)
class Difference:
    """An output word of the RTL that is not golden's."""

    sample: int
    layer: str
    row: int
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"input {self.sample}, layer {self.layer}, row {self.row}: "
            f"expected {self.expected}, got {self.got}"
        )


@dataclass(frozen=True, eq=False)
class VerifyResult:
    """Golden and RTL, word for word.

    Parameters
    ----------
    golden, rtl : the two results.
    words : output words compared: each layer's as it is written, and the last as a host reads it.
    differ : how many of them differ.
    differences : the first of those.
    """

    golden: RunResult
    rtl: RunResult
    words: int
    differ: int
    differences: tuple[Difference, ...]


def run(
    image: Image,
    x: ArrayLike,
    on: Target = "golden",
    *,
    waves: Path | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run inputs through a compiled network.

    Parameters
    ----------
    image : the compiled network.
    x : (n, *input_shape) or one sample (*input_shape), real numbers.
    on : "golden", the NumPy model, or "rtl", the hardware under Verilator.
    waves : with RTL, where to leave the waves (VCD).
    progress : see :data:`Progress`.

    Raises
    ------
    InputError
        If ``x`` has the wrong shape or dtype, is empty, or holds NaN or Inf; or ``on`` is unknown.
    ToolError, SimulationError
        If the simulator cannot be built, or a run does not end.
    """
    samples = check_input(x, image.network.input_shape, "input")
    columns = quantize_input(
        samples.reshape(len(samples), -1), image.network.layers[0].in_frac, image.params.act_bits
    )
    if on == "golden":
        return _on_golden(image, columns)
    if on == "rtl":
        (raw,) = run_jobs(image.params, [image_job(image, columns)], waves=waves, progress=progress)
        return image_result(image, raw)
    raise InputError(f"on must be 'golden' or 'rtl', not {on!r}")


def verify(
    image: Image,
    x: ArrayLike,
    *,
    max_differences: int = 10,
    progress: Progress | None = None,
) -> VerifyResult:
    """Run inputs on golden and on RTL and compare every output word of every layer.

    Parameters
    ----------
    image, x, progress : as in :func:`run`.
    max_differences : list so many differing words; all are counted.

    Raises
    ------
    InputError, ToolError, SimulationError
        As :func:`run` does.
    """
    golden = run(image, x, "golden")
    rtl = run(image, x, "rtl", progress=progress)
    assert rtl.result is not None
    names = [layer.name for layer in image.network.layers]
    pairs = [*zip(names, golden.layer_outputs, rtl.layer_outputs, strict=True)]
    pairs.append((f"{names[-1]} (as read by the host)", golden.layer_outputs[-1], rtl.result))
    words, differ, found = 0, 0, []
    for name, expected, got in pairs:
        where = np.argwhere(expected != got)
        words += expected.size
        differ += len(where)
        for sample, row in where[: max_differences - len(found)].tolist():
            pair = int(expected[sample, row]), int(got[sample, row])
            found.append(Difference(sample, name, row, *pair))
    return VerifyResult(golden, rtl, words, differ, tuple(found))


def _on_golden(image: Image, columns: NDArray[np.int64]) -> RunResult:
    layers, p = image.network.layers, image.params
    result = run_network(layers, columns.T, act_bits=p.act_bits, acc_bits=p.acc_bits)
    outputs = tuple(np.ascontiguousarray(y.T) for y in result.outputs)
    return RunResult(dequantize(outputs[-1], layers[-1].out_frac), outputs, result.saturated)
