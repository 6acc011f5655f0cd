"""An engine that is installed apart: nothing of the product names it, and every command has it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import zeroskip as zs
from tests.toy_engine.compiler.engine import DenseParams
from tests.toy_engine.hw import dense
from zeroskip.base.errors import CompileError
from zeroskip.compiler.compress.module import export
from zeroskip.compiler.engine import engines
from zeroskip.hw.common.requantize import requantize

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / "tests/toy_engine"
"""On the path, its ``.dist-info`` has the entry points."""

_COMMANDS = """
import contextlib, io, json, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from zeroskip.cli.app import app
from zeroskip.cli.guard import run_guarded
found = []
for command in json.loads(sys.argv[3]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_guarded(app, "zeroskip", command)
    found.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(found))
"""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the engine for this test."""
    monkeypatch.syspath_prepend(str(INSTALLED))


def _mlp() -> tuple[nn.Module, NDArray[np.float32]]:
    torch.manual_seed(5)
    rng = np.random.default_rng(5)
    model = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    x = rng.normal(size=(6, 12)).astype(np.float32)
    x[rng.random(x.shape) < 0.3] = 0
    return model, x


def _commands(*commands: list[str]) -> list[tuple[int, str, str]]:
    """Run command lines in an interpreter of its own, which finds the engine as it starts."""
    arguments = [str(ROOT), str(INSTALLED), json.dumps(commands)]
    done = subprocess.run(
        [sys.executable, "-c", _COMMANDS, *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_every_command_has_an_engine_that_is_installed_apart(tmp_path: Path) -> None:
    model, x = _mlp()
    pt2, data, image, y = (tmp_path / name for name in ("m.pt2", "x.npy", "image", "y.npy"))
    export(model, torch.zeros(2, 12), pt2)
    np.save(data, x)
    compiled = ["compile", str(pt2), "--data", str(data), "-o"]
    run = ["run", str(image), "--input", str(data), "-o", str(y)]
    found = _commands(
        ["engines", "--json"],
        [*compiled, str(image), "--preset", "dense=single", "--set", "dense.num_weights=100"],
        [*run[:-1], str(tmp_path / "golden.npy")],
        [*run[:-1], str(tmp_path / "cycles.npy"), "--on", "cycles", "--json"],
        [*run[:-1], str(tmp_path / "rtl.npy"), "--on", "rtl", "--json"],
        ["verify", str(image), "--input", str(data), "--json"],
        ["info", str(image), "--json"],
        [*run, "--on", "cycles", "--trace", str(tmp_path / "t.json")],
        [*compiled, str(tmp_path / "other")],
        ["energy", str(image), "--input", str(data)],
        [*compiled, str(tmp_path / "small"), "--set", "dense.num_weights=95"],
    )
    *done, costs, (code, out, refused) = found
    assert costs[0] == 2
    assert "nothing counts the accesses of engine 'dense'" in costs[2]
    assert [one[0] for one in done] == [0] * len(done), done
    listed = [one["name"] for one in json.loads(done[0][1])["engines"]]
    assert sorted(listed) == ["dense", "eie", "scnn"]
    assert (code, out) == (2, "")
    assert "layer '0' needs num_weights = 96" in refused
    golden = np.load(tmp_path / "golden.npy")
    assert np.array_equal(golden, np.load(tmp_path / "cycles.npy"))
    assert np.array_equal(golden, np.load(tmp_path / "rtl.npy"))
    with torch.no_grad():
        assert np.abs(golden - model(torch.from_numpy(x)).numpy()).max() < 0.01
    counted, rtl, verified, about = (json.loads(one[1]) for one in done[3:7])
    # A cycle for the first weight of a layer, then one for each weight and for each row.
    cycles = (1 + 8 * (12 + 1)) + (1 + 3 * (8 + 1))
    assert counted["cycles"] == rtl["cycles"] == [cycles] * len(x)
    assert verified["exact"]
    assert verified["words"] == len(x) * (8 + 3)
    assert [part["engine"] for part in about["parts"]] == ["dense", "dense"]
    assert about["parts"][0]["params"]["num_weights"] == 100
    # Unless it is named, the engines of this package come first.
    assert [part.engine for part in zs.load(tmp_path / "other").parts] == ["eie"]


def test_what_an_engine_has_not_is_refused_in_a_sentence(tmp_path: Path) -> None:
    output = ["-o", str(tmp_path / "out")]
    commands = ["bench"], ["sweep", *output], ["area", "--check"]
    found = _commands(*([*command, "--engine", "dense"] for command in commands))
    sentences = ("has no published", "has no published", "cannot be simulated: it has no bench")
    for (code, out, err), sentence in zip(found, sentences, strict=True):
        assert (code, out) == (2, ""), err
        assert sentence in err.splitlines()[-1]
        assert "dense" in err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.long("synthesizes an array of its own")
def test_flows_have_an_engine_that_is_installed_apart(tmp_path: Path) -> None:
    small = ["--engine", "dense", "--set", "num_weights=16", "--set", "num_acts=8", "--json"]
    found = _commands(
        ["area", *small, "--netlists", str(tmp_path / "netlists")],
        ["verilog", *small, "-o", str(tmp_path / "verilog")],
    )
    assert [code for code, _, _ in found] == [0, 0], found
    area, verilog = (json.loads(out) for _, out, _ in found)
    assert (area["engine"], area["num_pes"], area["pe"]) == ("dense", 1, [])
    assert area["array_total"]["logic_ge"] == sum(unit["logic_ge"] for unit in area["array"]) > 500
    assert area["array_total"]["sram_bits"] > 16 * 16
    assert "module dense(" in (tmp_path / "netlists/array.v").read_text()
    assert list(verilog["modules"]) == ["dense"]
    text = (tmp_path / "verilog/dense.sv").read_text()
    assert "\nmodule dense (" in text
    assert "num_weights=16" in text
    assert "`define DENSE_SPACE_WEIGHTS " in (tmp_path / "verilog/dense.vh").read_text()


@pytest.mark.usefixtures("installed")
def test_an_engine_that_is_installed_apart_agrees_with_its_cycle_model(tmp_path: Path) -> None:
    model, x = _mlp()
    made = zs.compile(model, x, x, DenseParams(act_bits=12, weight_bits=9, acc_bits=30))
    made.save(tmp_path / "image")
    result = zs.verify(zs.load(tmp_path / "image"), x)
    assert result.ok, result
    assert result.words == len(x) * (8 + 3)
    # Of each layer: the run's cycles and three stall classes.
    assert result.counters == len(x) * 2 * (1 + 3)
    assert zs.verify(made, x[:1], layers=["2"]).ok


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("sram", ["weights", "biases"])
def test_a_word_of_an_sram_that_is_not_the_networks_is_found(sram: str) -> None:
    model, x = _mlp()
    made = zs.compile(model, x, x, DenseParams())
    part: Any = made.parts[0]
    words = part.srams[sram].words.copy()
    words[3] ^= np.uint64(1)
    changed = {**part.srams, sram: replace(part.srams[sram], words=words)}
    broken = replace(made, parts=(replace(part, srams=changed), *made.parts[1:]))
    assert zs.verify(broken, x).problems == (
        f"layer 0: 1 of {words.size} {sram} in the SRAMs are not the network's",
    )


@pytest.mark.usefixtures("installed")
def test_wrong_rtl_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = _mlp()
    made = zs.compile(model, x, x, DenseParams())

    def one_bit_too_far(m: Any, total: Any, shift: Any, *given: Any) -> Any:
        return requantize(m, total, shift + 1, *given)

    monkeypatch.setattr(dense, "requantize", one_bit_too_far)
    result = zs.verify(made, x)
    assert not result.ok
    assert result.differ
    assert not result.cycles_differ


@pytest.mark.usefixtures("installed")
def test_a_network_is_divided_between_an_engine_of_this_package_and_another() -> None:
    torch.manual_seed(6)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4)).eval()
    x = np.random.default_rng(6).normal(size=(4, 1, 6, 6)).astype(np.float32)
    made = zs.compile(model, x, x, DenseParams())
    assert [part.engine for part in made.parts] == ["scnn", "dense"]
    golden, counted = zs.run(made, x), zs.run(made, x, "cycles")
    assert np.array_equal(golden.result, counted.result)
    with torch.no_grad():
        assert np.abs(golden.outputs - model(torch.from_numpy(x)).numpy()).max() < 0.01
    assert counted.parts[1].cycles is not None
    assert counted.parts[1].cycles.tolist() == [1 + 4 * (48 + 1)] * len(x)
    assert zs.verify(made, x, layers=["3"]).ok


@pytest.mark.usefixtures("installed")
def test_a_layer_that_does_not_fit_says_what_would() -> None:
    model, x = _mlp()
    with pytest.raises(CompileError, match="compile with num_acts=12"):
        zs.compile(model, x, x, DenseParams(num_acts=11))


def test_the_module_finds_what_the_command_finds(tmp_path: Path) -> None:
    """Of the folder that it is run in, neither takes an engine; of the path, both do."""

    def listed(folder: Path, path: list[Path]) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "zeroskip", "engines", "--json"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
            capture_output=True,
            text=True,
            check=True,
        )
        return [one["name"] for one in json.loads(done.stdout)["engines"]]

    assert listed(INSTALLED, [ROOT]) == ["eie", "scnn"]
    assert listed(tmp_path, [ROOT, INSTALLED]) == ["eie", "scnn", "dense"]


def test_an_engine_that_is_not_installed_is_not_there() -> None:
    assert sorted(engines()) == ["eie", "scnn"]
