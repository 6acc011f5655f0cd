"""Drawn recurrent networks on the RTL: every word of every step, cycles and counters."""

import numpy as np
import pytest

from tests.support.cells import draw_recurrent
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.ir.graph import QuantCell
from zeroskip.compiler.ir.sequences import Sequences
from zeroskip.compiler.passes.fixed_point import dequantize
from zeroskip.hw.common.formats import CellKind
from zeroskip.hw.eie.host import StallClass
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.system.memory import MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.eie.machine import vectors
from zeroskip.sim.eie.rtl import EIE_DRIVER
from zeroskip.sim.eie.rtl_image import image_job, image_result
from zeroskip.sim.metrics import measure
from zeroskip.sim.result import PartResult
from zeroskip.sim.rtl.runs import run_jobs
from zeroskip.sim.run import run, run_planes
from zeroskip.sim.system.verify import verify_system
from zeroskip.sim.verify import compare_raw

ARRAY = EieParams(
    num_pes=3,
    cells=True,
    peepholes=True,
    delta=True,
    plain=True,
    weight_bits=9,
    num_states=16,
    num_references=64,
    queue_depth=4,
    act_bits=11,
    act_files=3,
    spmat_words=256,
    num_pointers=128,
    num_acts=32,
    num_accs=64,
    num_biases=256,
    num_descriptors=8,
    skip_padding=True,
)
PLACEMENTS = ["interleave", "balance", "schedule"]


@pytest.mark.long("an array of its own, half a minute")
def test_drawn_networks() -> None:
    images, models, jobs = [], [], []
    for seed in range(20):
        graph, inputs = draw_recurrent(seed, ARRAY, turns=seed >= 8)
        options = {"placement": PLACEMENTS[seed % len(PLACEMENTS)]}
        images.append(compile_quantized(graph, {"eie": ARRAY}, options=options, name="drawn"))
        if seed >= 14:
            # The first sequence, or the second, is shorter.
            steps = images[-1].graph.steps or 1
            some = np.random.default_rng(seed).permutation([steps, (steps + 1) // 2])
            images[-1] = images[-1].with_lengths(some)
            inputs = Sequences(some).joined(inputs.reshape(2, steps, *inputs.shape[1:]))
        models.append(run_planes(images[-1], inputs, "cycles"))
        tensors = models[-1].tensors_on_arrays
        jobs += [image_job(part, vectors(part, tensors)[0]) for part in images[-1].parts]
    thresholds = set[bool | None]()
    saturations, kinds, sweeps = 0, set[tuple[CellKind, bool]](), set[str]()
    found = iter(run_jobs(EIE_DRIVER, ARRAY, jobs, host_load=True))
    for image, model in zip(images, models, strict=True):
        rtl: list[PartResult] = [image_result(part, next(found)) for part in image.parts]
        result = compare_raw(image, model, *rtl)
        assert result.ok, (result.differences, result.cycle_differences)
        assert not measure(result).problems
        for part in rtl:
            assert part.counters is not None
            saturations += int(part.counters[..., StallClass.SATURATED].sum())
        cells = [one for one in image.graph.layers if isinstance(one, QuantCell)]
        kinds |= {(one.cell, one.projection is not None) for one in cells}
        thresholds |= {one.thresholds and max(one.thresholds) > 0 for one in cells}
        sweeps |= {part.sweep for part in image.parts}
    assert saturations
    assert thresholds == {None, False, True}
    projected = {(CellKind.LSTM, True), (CellKind.PEEPHOLE, True)}
    assert kinds == projected | {(kind, False) for kind in CellKind if kind != CellKind.NONE}
    assert sweeps == {"forward", "reverse", "final"}


@pytest.mark.long("a system of its own, a minute")
def test_sequences_from_one_start() -> None:
    for seed, turns in ((4, False), (1, True), (9, True), (10, True)):
        graph, inputs = draw_recurrent(seed, ARRAY, turns=turns)
        image = compile_quantized(graph, {"eie": ARRAY}, name="drawn")
        x = dequantize(inputs, image.in_frac).reshape(2, *image.sample_shape)
        settings = MemorySettings(read_latency=30, stall=64, seed=seed)
        found = verify_system(image, x, SystemParams(), settings)
        assert found.ok, found.problems
        assert np.array_equal(found.run.outputs.ravel(), run(image, x).result.ravel())
