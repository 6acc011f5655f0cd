"""Reset, clear and start of the SCNN array at any time, and its host port under stalls."""

from pathlib import Path

import numpy as np
import pytest

from tests.cosim.scnn_draw import draw_graph, draw_planes
from tests.support.arrays import SCNN
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.scnn.program import build
from zeroskip.sim.rtl.jobs import run_bench
from zeroskip.sim.rtl.runs import write_jobs
from zeroskip.sim.scnn.rtl import SCNN_DRIVER
from zeroskip.sim.scnn.rtl_build import build_scnn
from zeroskip.sim.scnn.rtl_files import ScnnJob


@pytest.mark.cosim
def test_recover(tmp_path: Path) -> None:
    p = SCNN
    rng = np.random.default_rng(1)
    graph, runs = None, ()
    # Several passes in one run: then outputs are inputs in its midst.
    while graph is None or len(runs) != 1 or len(runs[0].program) < 3:
        graph = draw_graph(rng, p, 3, size=6)
        runs = build(graph, p)
    x = draw_planes(rng, graph.input_shape, 1, p, low=p.min_act)
    job = ScnnJob(
        runs=runs,
        tensors={INPUT: x},
        shapes={one.name: one.out_shape for one in graph.layers},
        max_cycles=[10_000],
    )
    write_jobs(SCNN_DRIVER, tmp_path, p, [job])
    run_bench(build_scnn(p), tmp_path, "tests.support.tb_scnn_recover")
