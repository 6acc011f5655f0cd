# amaranth: UnusedElaboratable=no
"""How simulators of many equal PEs are built."""

from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.scnn.array import PE_MODULE
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.hw.scnn.pe import ScnnPe
from zeroskip.sim.rtl.build import keep_inputs


def test_inputs_of_a_shared_module_are_kept() -> None:
    """Arrays of 8 PEs and more could not be built once modules had a space behind their names."""
    verilog = {"scnn_pe.v": emit_verilog(ScnnPe(PRESETS["tiny"]), PE_MODULE)}
    kept = keep_inputs(verilog, PE_MODULE).splitlines()
    assert f'public_flat_rw -module "{PE_MODULE}" -var "control"' in kept
    assert all(line.startswith(f'public_flat_rw -module "{PE_MODULE}" ') for line in kept)
    assert not any('-var "clk"' in line for line in kept)
