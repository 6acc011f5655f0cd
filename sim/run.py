"""Run a compiled image on the golden model or on the RTL, and compare the two."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compiler.errors import InputError
from compiler.image import Image
from compiler.quantize import check_input, dequantize, quantize_input
from compiler.readmem import to_hex
from sim.golden.eie import run_network
from sim.rtl.eie import Pass, RtlResult, run_array

__all__ = ["Difference", "Progress", "RunResult", "Target", "VerifyResult", "run", "verify"]

Target = Literal["golden", "rtl"]

Progress = Callable[[str, int, int], None]
"""Called with a step's name, how much of it is done, and of how much."""


@dataclass(frozen=True, eq=False)
class RunResult:
    """What ``n`` inputs gave. Every array of a layer is in the network's order of rows.

    Parameters
    ----------
    outputs : (n, rows) float64 outputs of the last layer.
    layer_outputs : per layer (n, rows) int64, as the hardware holds them.
    saturated : per layer (n,) int64 outputs that saturation changed; None from RTL, which has
        no counter for them.
    cycles : (n,) int64 cycles from start to end of the program; None from golden.
    counters : (n, layers, num_pes, stall classes) int64 cycles, see
        :class:`hw.eie.formats.StallClass`; None from golden, and if not built.
    result : (n, rows) int64, the last layer's outputs as a host reads them; None from golden.
    """

    outputs: NDArray[np.float64]
    layer_outputs: tuple[NDArray[np.int64], ...]
    saturated: tuple[NDArray[np.int64], ...] | None = None
    cycles: NDArray[np.int64] | None = None
    counters: NDArray[np.int64] | None = None
    result: NDArray[np.int64] | None = None


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
        return _on_rtl(image, columns, waves, progress)
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


def _on_rtl(
    image: Image,
    columns: NDArray[np.int64],
    waves: Path | None,
    progress: Progress | None,
) -> RunResult:
    p = image.params
    passes = [Pass(d.drain_rows if d.drain else 0, d.dst_base) for d in image.program]
    rows = image.program[0].src_base + image.program[0].src_rows
    inputs = np.zeros((len(columns), rows * p.num_pes), np.int64)
    inputs[:, image.placement[0]] = columns
    with tempfile.TemporaryDirectory() as temporary:
        srams = {}
        for number, (name, sram) in enumerate(image.srams.items()):
            srams[name] = Path(temporary) / f"{number}.hex"
            srams[name].write_bytes(to_hex(sram.words, sram.width))
        raw = run_array(
            p,
            srams,
            passes,
            inputs.reshape(len(columns), rows, p.num_pes),
            max_cycles=_max_cycles(image),
            waves=waves,
            progress=progress,
        )
    return _collect(image, raw)


def _collect(image: Image, raw: RtlResult) -> RunResult:
    """Put passes together to layers, and positions in the network's order."""
    layers, samples = image.network.layers, len(raw.cycles)
    outputs = []
    counters = np.zeros((samples, len(layers), *raw.counters.shape[2:]), np.int64)
    for number in range(len(layers)):
        mine = [at for at, layer in enumerate(image.passes) if layer == number]
        written = np.concatenate([raw.outputs[at] for at in mine], axis=1).reshape(samples, -1)
        outputs.append(written[:, image.placement[number + 1]])
        counters[:, number] = raw.counters[:, mine].sum(axis=1)
    result = raw.result.reshape(samples, -1)[:, image.placement[-1]]
    return RunResult(
        dequantize(outputs[-1], layers[-1].out_frac),
        tuple(outputs),
        cycles=raw.cycles,
        counters=counters if image.params.counters else None,
        result=result,
    )


def _max_cycles(image: Image) -> int:
    """Bound the cycles of a run: as many as if nothing ever happened side by side."""
    p = image.params
    words = sum(len(sram.words) for name, sram in image.srams.items() if name.endswith("/spmat"))
    columns = sum(d.src_rows * p.num_pes for d in image.program)
    rows = sum(d.src_rows + d.drain_rows for d in image.program)
    latencies = (p.num_codes + 64) * len(image.program)
    return 2 * (words * p.entries_per_word + 8 * columns + rows + latencies)
