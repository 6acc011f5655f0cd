"""Run netlists of EIE's gates on the vectors that the RTL runs on, and compare every bit."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.base.progress import Progress
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT, QuantLinear, linear_chain, plain_codebook
from zeroskip.flow.eie.flow import FLOW
from zeroskip.flow.synth.liberty import OWN_LIBERTY, read_liberty
from zeroskip.flow.synth.measure import make_netlists
from zeroskip.flow.synth.netlist import Netlist
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.eie.array import ARRAY_MODULE, PE_MODULE
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.pe import Pe
from zeroskip.sim.eie.rtl import EIE_DRIVER
from zeroskip.sim.eie.rtl_image import image_job, image_result
from zeroskip.sim.gates import build_gates, record_check
from zeroskip.sim.rtl.runs import run_jobs
from zeroskip.sim.run import run_planes
from zeroskip.sim.verify import VerifyResult, compare_raw

__all__ = ["check_gates", "draw_network"]

_FEW = 3


def check_gates(
    params: EieParams,
    netlists: Mapping[str, Netlist],
    *,
    networks: int = 2,
    progress: Progress | None = None,
) -> Mapping[str, Any]:
    """Run drawn networks, three inputs each, on the netlists of an array.

    Every output word and every counter is compared with golden and the cycle model. Registers
    and SRAMs start with noise. An array of more than a few PEs is run in two parts, as its
    simulation would take long to build: a few PEs of gates, and what is around all of them with
    PEs of RTL.

    Returns
    -------
    How many ``networks`` and ``inputs`` were run, ``words`` and ``counters`` compared, how many
    of them ``differ``, the ``netlists`` by digest, that of the cells' ``models``, and ``passed``.

    Raises
    ------
    ToolError, SimulationError
        If a simulation cannot be built, or does not come to its end.
    """
    return record_check(_compare(params, netlists, networks, progress), netlists)


def _compare(
    params: EieParams,
    netlists: Mapping[str, Netlist],
    networks: int,
    progress: Progress | None,
) -> Iterator[tuple[int, VerifyResult]]:
    """Give the inputs of each network, and what is found; see :func:`check_gates`."""
    for array, verilog in _arrays(params, netlists):
        drawn = [draw_network(array, seed) for seed in range(networks)]
        jobs = [image_job(image.part("eie"), inputs) for image, inputs in drawn]
        name = f"eie_gates_{array.num_pes}"
        program = build_gates(name, verilog, ARRAY_MODULE, (PE_MODULE,), progress)
        done = run_jobs(EIE_DRIVER, array, jobs, host_load=True, program=program, progress=progress)
        for (image, inputs), raw in zip(drawn, done, strict=True):
            model = run_planes(image, inputs[:, :, None, None], "cycles")
            result = image_result(image.part("eie"), raw)
            yield len(inputs), compare_raw(image, model, result)


def _arrays(
    params: EieParams, netlists: Mapping[str, Netlist]
) -> Iterator[tuple[EieParams, Mapping[str, str]]]:
    """Give the arrays to simulate, such that each netlist is in one of them."""
    few = replace(params, num_pes=min(params.num_pes, _FEW))
    if few == params:
        yield params, _texts(netlists)
        return
    small = make_netlists(FLOW, few, read_liberty(OWN_LIBERTY), path=False)
    if small["pe"].verilog != netlists["pe"].verilog:
        raise RuntimeError("the PE's netlist depends on how many PEs there are")
    yield few, _texts(small)
    rtl = emit_verilog(Pe(params), PE_MODULE)
    yield params, {"pe.v": rtl, "array.v": netlists["array"].verilog}


def _texts(netlists: Mapping[str, Netlist]) -> dict[str, str]:
    return {f"{name}.v": netlist.verilog for name, netlist in netlists.items()}


def draw_network(p: EieParams, seed: int) -> tuple[Image, NDArray[np.int64]]:
    """Draw a network of three layers and inputs for it; between them they use the full range."""
    rng = np.random.default_rng(seed)
    most = min(3 * p.num_pes + 20, p.num_pes * min(p.num_accs, p.num_acts), p.num_pointers // 4)
    sizes = [*rng.integers(most // 2 + 1, most, 3, endpoint=True).tolist(), 7]
    layers = []
    for cols, rows in itertools.pairwise(sizes):
        codes = rng.integers(0, p.num_codes, (rows, cols))
        codes *= rng.random((rows, cols)) < 0.3
        half = 1 << p.weight_bits - 1
        codebook = rng.integers(-half, half, p.num_codes)
        codebook[0] = 0
        if p.plain:
            codebook = plain_codebook(p.weight_bits)
        layers.append(
            QuantLinear(
                name=f"{rows}x{cols}",
                inputs=(INPUT,),
                in_shape=(cols, 1, 1),
                codes=csc_array(codes.astype(np.min_scalar_type(p.num_codes - 1))),
                codebook=codebook,
                bias=rng.integers(-1000, 1000, rows),
                relu=rows != 7,
                in_frac=0,
                weight_frac=p.weight_bits - 2,
                out_frac=0,
            )
        )
    graph = linear_chain(layers)
    image = compile_quantized(graph, {"eie": p}, options={"placement": "interleave"}, name="gates")
    inputs = rng.integers(p.min_act, p.max_act, (3, sizes[0]), endpoint=True)
    inputs[1] *= rng.random(sizes[0]) < 0.3
    return image, inputs
