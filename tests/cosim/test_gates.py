"""The netlist of gates on the RTL's vectors: what area is published for is the design."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from zeroskip.base.errors import SimulationError
from zeroskip.flow.eie.flow import FLOW
from zeroskip.flow.synth.liberty import OWN_LIBERTY, read_liberty
from zeroskip.flow.synth.measure import make_netlists
from zeroskip.flow.synth.netlist import Netlist
from zeroskip.flow.synth.report import digest
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.gates import check_gates
from zeroskip.sim.gates import passed_gates

pytestmark = [pytest.mark.cosim, pytest.mark.long("compiles gates")]

# Small, for gates take long to compile; every unit is there, and no width is a power of two.
PARAMS = EieParams(
    num_pes=2,
    queue_depth=3,
    weight_bits=7,
    act_bits=6,
    acc_bits=17,
    word_bits=24,
    spmat_words=512,
    num_pointers=128,
    num_acts=16,
    num_accs=16,
    num_biases=64,
    num_descriptors=4,
)


@pytest.fixture(scope="module")
def netlists() -> Mapping[str, Netlist]:
    return make_netlists(FLOW, PARAMS, read_liberty(OWN_LIBERTY), path=False)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep records of passed netlists out of the cache of others."""
    monkeypatch.setattr("zeroskip.sim.gates.cache_dir", lambda: tmp_path)


@pytest.mark.usefixtures("cache")
def test_netlist_is_bit_exact(netlists: Mapping[str, Netlist]) -> None:
    report = check_gates(PARAMS, netlists, networks=4)
    assert report["passed"]
    assert report["differ"] == 0
    assert report["inputs"] == 12
    assert report["words"] > 300
    assert passed_gates(report["netlists"]) == report


@pytest.mark.usefixtures("cache")
def test_wrong_gate_is_found(netlists: Mapping[str, Netlist]) -> None:
    """One XOR of the product's reduction becomes its opposite."""
    text = netlists["pe"].verilog
    begin = text.index("module eie_pe__arithm__multiply(")
    wrong = text[:begin] + re.sub(r"\bZS_XOR2\b", "ZS_XNOR2", text[begin:], count=1)
    broken = {**netlists, "pe": replace(netlists["pe"], verilog=wrong)}
    try:
        passed = check_gates(PARAMS, broken)["passed"]
    except SimulationError:  # it may also not come to an end
        passed = False
    assert not passed
    assert passed_gates({one.top: digest(one) for one in broken.values()}) is None
