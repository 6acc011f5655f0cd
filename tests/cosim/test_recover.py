"""Reset, clear and start at any time, and the host port under stalls."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compiler.eie.place import place
from compiler.eie.program import build
from compiler.image import Image
from compiler.network import QuantNetwork
from hw.eie.params import EieParams
from sim.rtl.build import build_array
from sim.rtl.eie import write_jobs
from sim.rtl.image import image_job
from sim.rtl.jobs import run_bench


@pytest.mark.cosim
def test_recover(
    paper_array: EieParams, draw_network: Callable[..., QuantNetwork], tmp_path: Path
) -> None:
    network = draw_network([20, 30, 12, 5], density=0.3, seed=3)
    placement = place(network, paper_array, "balance")
    image = Image(
        "recover", paper_array, network, placement, build(network, placement, paper_array)
    )
    x = np.random.default_rng(3).integers(-500, 500, (1, 20))
    write_jobs(tmp_path, paper_array, [image_job(image, x)])
    run_bench(build_array(paper_array), tmp_path, "sim.bench.tb_eie_recover")
