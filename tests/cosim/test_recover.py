"""Reset, clear and start at any time, and the host port under stalls."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.arrays import EIE
from tests.support.images import eie_image
from zeroskip.compiler.eie.place import place
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.flow.eie.flow import FLOW
from zeroskip.sim.eie.rtl import EIE_DRIVER
from zeroskip.sim.eie.rtl_image import image_job
from zeroskip.sim.rtl.build import build_array
from zeroskip.sim.rtl.jobs import run_bench
from zeroskip.sim.rtl.runs import write_jobs


@pytest.mark.cosim
def test_recover(draw_network: Callable[..., QuantGraph[QuantLinear]], tmp_path: Path) -> None:
    network = draw_network([20, 30, 12, 5], density=0.3, seed=3)
    placement = place(network, EIE, "balance")
    image = eie_image("recover", network, EIE, placement)
    x = np.random.default_rng(3).integers(-500, 500, (1, 20))
    write_jobs(EIE_DRIVER, tmp_path, EIE, [image_job(image.part("eie"), x)])
    run_bench(build_array(FLOW, EIE), tmp_path, "tests.support.tb_eie_recover")
