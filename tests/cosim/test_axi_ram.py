"""The DMA against cocotbext-axi's memory, as a check that is not ours of what AXI4 asks."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import pytest

import zeroskip.hw.system as hw_system
from tests.support import axi_top
from tests.support.axi_top import AXI_MODULE, AxiTop
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.rtl.build import build_design
from zeroskip.sim.rtl.launch import launch

pytestmark = pytest.mark.cosim


@pytest.mark.long("builds another simulator")
def test_reads_and_writes(tmp_path: Path) -> None:
    p = SystemParams(data_bits=128)
    top = hashlib.sha256(Path(axi_top.__file__).read_bytes()).hexdigest()
    program = build_design(
        "axi",
        {**asdict(p), "top": top},
        (Path(hw_system.__file__).parent,),
        lambda: {"axi_top.v": emit_verilog(AxiTop(p), AXI_MODULE)},
        AXI_MODULE,
        (),
    )
    launch(program, "tests.support.tb_axi_ram", tmp_path)
