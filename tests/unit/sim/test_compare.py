"""What compare times gives the same outputs, and the tables add up. No test looks at a time."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.unit.sim.test_explore import onnx_file
from zeroskip.base.errors import SimulationError
from zeroskip.base.tables import Table
from zeroskip.cli.app import app
from zeroskip.cli.guard import run_guarded
from zeroskip.compiler.ir.compute import shape_of
from zeroskip.compiler.ir.graph import INPUT, FloatConv, FloatLinear
from zeroskip.compiler.ir.windows import convolve
from zeroskip.sim import compare as module
from zeroskip.sim import cpu_ways


def conv(groups: int) -> FloatConv:
    rng = np.random.default_rng(2)
    weight = rng.normal(size=(4, 4 // groups, 3, 2)) * (rng.random((4, 4 // groups, 3, 2)) < 0.5)
    return FloatConv(
        "conv", (INPUT,), weight, np.zeros(4), (2, 1), (1, 0), groups, relu=False, after=(2, -1)
    )


@pytest.mark.parametrize("groups", [1, 2])
def test_every_way_computes_the_convolution(groups: int) -> None:
    node, x = conv(groups), np.random.default_rng(3).normal(size=(1, 4, 7, 6)).astype(np.float32)
    calls = dict(cpu_ways.checked_calls(node, x, 1))
    assert ("scipy CSR" in calls) == (groups == 1)
    expected = convolve(x.astype(np.float64), node.weight, node.stride, node.padding,
                        shape_of(node, [(4, 7, 6)])[1:], groups)  # fmt: skip
    for way, call in calls.items():
        np.testing.assert_allclose(call().ravel(), expected.ravel(), atol=1e-4, err_msg=way)


def test_a_way_that_gives_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    node = FloatLinear("fc", (INPUT,), np.eye(3), np.zeros(3), relu=False)
    x = np.ones((1, 3, 1, 1), np.float32)

    def wrong(*_: object) -> object:
        yield "torch dense", lambda: np.ones(3)
        yield "scipy CSR", lambda: np.array([1, 1, 1.01])

    monkeypatch.setattr(cpu_ways, "_calls", wrong)
    with pytest.raises(SimulationError, match="'fc': scipy CSR differs from torch"):
        list(cpu_ways.checked_calls(node, x, 1))


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = onnx_file(tmp_path / "net.onnx", shaped=False)
    words = ["compare", str(path), "--repeats", "2", "--preset", "small", "--preset", "tile"]
    assert not run_guarded(app, "zeroskip", [*words, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert [layer["name"] for layer in document["layers"]] == ["conv", "fc"]
    assert document["threads"] == 1
    assert [list(layer["cycles"]) for layer in document["layers"]] == [["scnn tile"], ["eie small"]]
    for layer in document["layers"]:
        assert set(layer["times"]) >= {"torch dense", "torch CSR", "scipy CSR"}
        for timing in layer["times"].values():
            assert 0 < timing["low"] <= timing["median"] <= timing["high"]
    assert run_guarded(app, "zeroskip", [*words, "--threads", "0"]) == 2


def test_report_says_from_which_clock_on_an_array_is_faster() -> None:
    times = {"torch dense": module.Timing(4, 3, 5), "scipy CSR": module.Timing(2, 1, 3)}
    layers = [module.LayerTimes(name, 0.1, 0.5, times, {"eie small": 300.0}) for name in "ab"]
    found = module.Comparison("net", 1, dict.fromkeys(times, ""), layers, (), ("openvino",))
    report = list(module.comparison_report(found))
    tables = [entry for entry in report if isinstance(entry, Table)]
    assert list(tables[1].rows[0]) == [
        "eie small", 2, "600", "6.0", "1.2", "0.8", "4.0 (scipy CSR)",
    ]  # fmt: skip
    assert "not timed, as not installed: openvino (pip install openvino)" in report
    assert any("below 150 MHz this CPU (scipy CSR) is faster" in str(entry) for entry in report)
