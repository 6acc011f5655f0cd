"""Reset, clear and start at any time, and the host port under stalls."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.arrays import EIE, EIE_GROUP
from zeroskip.compiler.eie.place import place
from zeroskip.compiler.eie.program import build
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.network import QuantNetwork
from zeroskip.sim.eie.rtl import write_jobs
from zeroskip.sim.eie.rtl_image import image_job
from zeroskip.sim.rtl.build import build_array
from zeroskip.sim.rtl.jobs import run_bench


@pytest.mark.cosim
@EIE_GROUP
def test_recover(draw_network: Callable[..., QuantNetwork], tmp_path: Path) -> None:
    network = draw_network([20, 30, 12, 5], density=0.3, seed=3)
    placement = place(network, EIE, "balance")
    image = Image("recover", EIE, network, placement, build(network, placement, EIE))
    x = np.random.default_rng(3).integers(-500, 500, (1, 20))
    write_jobs(tmp_path, EIE, [image_job(image, x)])
    run_bench(build_array(EIE), tmp_path, "zeroskip.sim.eie.tb_recover")
