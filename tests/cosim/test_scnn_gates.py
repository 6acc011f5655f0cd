"""The netlist of an SCNN PE on the RTL's vectors."""

from dataclasses import replace
from pathlib import Path

import pytest

from zeroskip.flow.scnn.flow import FLOW
from zeroskip.flow.synth.liberty import OWN_LIBERTY, read_liberty
from zeroskip.flow.synth.measure import make_netlists
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.gates import passed_gates
from zeroskip.sim.scnn.gates import check_gates

# The least PE that has every unit: gates take long to compile.
PARAMS = replace(
    PRESETS["tiny"],
    pes_x=1,
    pes_y=1,
    banks=4,
    bank_entries=32,
    weight_depth=6,
    weight_bits=7,
    field_bits=7,
    code_bits=4,
    act_bits=7,
    acc_bits=20,
)


@pytest.mark.cosim
@pytest.mark.long("compiles gates")
def test_netlist_is_bit_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeroskip.sim.gates.cache_dir", lambda: tmp_path)
    netlists = make_netlists(FLOW, PARAMS, read_liberty(OWN_LIBERTY), path=False)
    report = check_gates(PARAMS, netlists)
    assert report["passed"]
    assert report["inputs"] == 6
    assert report["words"] > 1000
    assert passed_gates(report["netlists"]) == report
