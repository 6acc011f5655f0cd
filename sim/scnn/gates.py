"""Run the netlist of an SCNN PE on the vectors that the RTL runs on, and compare every bit."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zeroskip.base.progress import Progress
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph
from zeroskip.flow.synth.netlist import Netlist
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.scnn.array import ARRAY_MODULE, PE_MODULE, ScnnArray
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.gates import build_gates, record_check
from zeroskip.sim.rtl.runs import run_jobs
from zeroskip.sim.run import run
from zeroskip.sim.scnn.job import scnn_job, scnn_result
from zeroskip.sim.scnn.rtl import SCNN_DRIVER
from zeroskip.sim.verify import VerifyResult, compare_raw

__all__ = ["check_gates"]


def check_gates(
    params: ScnnParams,
    netlists: Mapping[str, Netlist],
    *,
    networks: int = 2,
    progress: Progress | None = None,
) -> Mapping[str, Any]:
    """Run drawn networks, three inputs each, on an array whose PEs are the netlist.

    Every output word and every counter is compared with golden and the cycle model. What is
    around the PEs is RTL. Registers and SRAMs start with noise.

    Returns
    -------
    As :func:`.eie.gates.check_gates`.

    Raises
    ------
    ToolError, SimulationError
        If the simulation cannot be built, or does not come to its end.
    """
    array = emit_verilog(ScnnArray(params), ARRAY_MODULE)
    program = build_gates(
        f"scnn_gates_{params.num_pes}",
        {"pe.v": netlists["pe"].verilog, "array.v": array},
        ARRAY_MODULE,
        (PE_MODULE,),
        progress,
    )
    return record_check(_compare(params, program, networks, progress), netlists)


def _compare(
    params: ScnnParams, program: Path, networks: int, progress: Progress | None
) -> Iterator[tuple[int, VerifyResult]]:
    """Give the inputs of each network, and what is found; see :func:`check_gates`."""
    for seed in range(networks):
        rng = np.random.default_rng(seed)
        image = _draw(params, rng)
        part = image.part("scnn")
        x = rng.integers(-(1 << 9), 1 << 9, (3, *image.graph.input_shape)) / (1 << 4)
        x[1] *= rng.random(x[1].shape) < 0.3
        model = run(image, x, "cycles")
        counted = model.part("scnn").run_cycles
        assert counted is not None
        job = scnn_job(part, {INPUT: model.planes}, counted)
        (raw,) = run_jobs(
            SCNN_DRIVER, params, [job], host_load=True, program=program, progress=progress
        )
        yield len(x), compare_raw(image, model, scnn_result(part, raw))


def _draw(p: ScnnParams, rng: np.random.Generator) -> Image:
    """Draw a network of a convolution, a pooling and a strided convolution."""
    channels, size = int(rng.integers(2, 5)), int(rng.integers(7, 10))
    first = _conv(p, rng, "first", INPUT, (channels, size, size), 6, kernel=3, stride=1, relu=True)
    half = -(-size // 2)
    pool = QuantConv(
        name="pool",
        kind="max",
        inputs=("first",),
        in_shape=first.out_shape,
        out_shape=(6, half, half),
        weight=np.ones((6, 1, 3, 3), np.int64),
        codebook=np.array([0, 1]),
        bias=np.zeros(6, np.int64),
        stride=(2, 2),
        padding=(1, 1),
        groups=6,
        relu=False,
        signed_input=False,
        op="max",
        in_frac=4,
        weight_frac=0,
        out_frac=4,
    )
    last = _conv(p, rng, "last", "pool", pool.out_shape, 5, kernel=3, stride=2, relu=False)
    graph = QuantGraph((channels, size, size), (first, pool, last), ("last",))
    return compile_quantized(graph, {"scnn": p}, name="gates")


def _conv(
    p: ScnnParams,
    rng: np.random.Generator,
    name: str,
    source: str,
    shape: tuple[int, int, int],
    depth: int,
    *,
    kernel: int,
    stride: int,
    relu: bool,
) -> QuantConv:
    """Draw a convolution with padding 1, a third of its weights not 0."""
    half = 1 << min(p.weight_bits, p.field_bits) - 1
    weight = rng.integers(-half, half, (depth, shape[0], kernel, kernel))
    weight[rng.random(weight.shape) > 0.35] = 0
    out = tuple((side + 2 - kernel) // stride + 1 for side in shape[1:])
    return QuantConv(
        name=name,
        kind="conv",
        inputs=(source,),
        in_shape=shape,
        out_shape=(depth, out[0], out[1]),
        weight=weight,
        codebook=None,
        bias=rng.integers(-500, 500, depth),
        stride=(stride, stride),
        padding=(1, 1),
        groups=1,
        relu=relu,
        signed_input=source == INPUT,
        op="add",
        in_frac=4,
        weight_frac=p.weight_bits - 3,
        out_frac=4,
    )
