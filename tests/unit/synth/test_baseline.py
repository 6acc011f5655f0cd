import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zeroskip.base.errors import InputError
from zeroskip.flow.synth.baseline import (
    BASELINE,
    agreed_gates,
    growth,
    read_baseline,
    renew_baseline,
)
from zeroskip.flow.synth.netlist import Sram
from zeroskip.flow.synth.path import LongestPath
from zeroskip.flow.synth.report import AreaReport, Unit, models_digest
from zeroskip.sim.plots.area import draw_area, read_history
from zeroskip.sim.plots.style import save

PATH = LongestPath("register a", "register b", 9, None, None)
NETLISTS = {"eie_pe": "0" * 64}


def report(adder: float = 100.0, rows: int = 64, **changes: Any) -> AreaReport:
    queue = Unit("queue", 10, 56.67, 20.0)
    arithm = Unit("arithm", 4, 22.67, adder, (Sram("rows", rows, 32),))
    one = AreaReport(
        "eie", "paper", {}, "own", 1.0, 1150, (queue, arithm), 4, (Unit("ccu", 2, 11.33, 5.0),),
        (Unit("lnzd node", 0, 0.0, 90.0),), {"pe": PATH}, NETLISTS,
        {"passed": True, "words": 3, "netlists": NETLISTS, "models": models_digest()},
    )  # fmt: skip
    return dataclasses.replace(one, **changes)


def test_growth_of_a_unit(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    renew_baseline(report(), path)
    assert growth(report(), path) == []
    assert growth(report(100.0 + 0.0199 * 122.67), path) == []
    (unit,) = growth(report(100.0 + 0.0201 * 122.67), path)
    assert unit.startswith("eie paper: pe arithm grew from 122.67 to 125.14 GE of logic (+2.0 %)")
    grown = growth(report(200.0, 65), path)
    assert [line.split(" grew")[0] for line in grown] == [
        "eie paper: pe arithm", "eie paper: pe", "eie paper: array",
    ]  # fmt: skip
    less = growth(report(50.0, 66), path)
    assert less[0] == "eie paper: pe arithm grew from 2048 to 2112 bits of SRAM (+3.1 %)"
    assert len(less) == 3


def test_new_units_and_designs(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    renew_baseline(report(), path)
    new = (*report().pe, Unit("new", 0, 0.0, 0.1))
    assert growth(report(pe=new), path) == ["eie paper: pe new is new"]
    with pytest.raises(InputError, match="has no eie best; add it with"):
        growth(report(preset="best"), path)
    renew_baseline(report(preset="best"), path)
    assert set(read_baseline(path)) == {"eie best", "eie paper"}


def test_netlists_that_have_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "baseline.json"
    assert agreed_gates(report(), path) is None
    renew_baseline(report(), path)
    assert agreed_gates(report(gates=None), path) == report().gates
    assert agreed_gates(report(preset="best"), path) is None
    assert agreed_gates(report(netlists={"eie_pe": "1" * 64}), path) is None
    monkeypatch.setattr("zeroskip.flow.synth.baseline.models_digest", lambda: "other cells")
    assert agreed_gates(report(), path) is None
    monkeypatch.undo()
    renew_baseline(report(gates={**(report().gates or {}), "passed": False}), path)
    assert agreed_gates(report(), path) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"eie paper": {"units": {"pe": {}}}}'])
def test_damaged_baseline(tmp_path: Path, text: str) -> None:
    path = tmp_path / "baseline.json"
    with pytest.raises(InputError, match="does not exist"):
        growth(report(), path)
    path.write_text(text)
    with pytest.raises(InputError, match="baseline"):
        growth(report(), path)
    assert agreed_gates(report(), path) is None
    with pytest.raises(InputError, match="baseline"):
        renew_baseline(report(), path)
    assert path.read_text() == text


def test_committed_baseline_is_of_netlists_that_passed() -> None:
    for name, design in read_baseline(BASELINE).items():
        assert design["gates"]["passed"], name
        assert design["gates"]["netlists"] == design["netlists"]
        assert design["gates"]["models"] == models_digest()


def git(folder: Path, *arguments: str) -> None:
    names = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True)


def test_history(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    with pytest.raises(InputError, match="git has no history"):
        read_history(path)
    git(tmp_path, "init")
    with pytest.raises(InputError, match="git has no"):
        read_history(path)
    for adder in (100.0, 110.0, 90.0):
        renew_baseline(report(adder), path)
        git(tmp_path, "add", path.name)
        git(tmp_path, "commit", "-m", f"{adder}")
    whole = path.read_text()
    for damaged in ('{"eie paper": {"units": 3}}', whole[:-9]):
        path.write_text(damaged)
        git(tmp_path, "commit", "-am", "damaged")
    path.write_text(whole)
    renew_baseline(report(preset="best"), path)
    git(tmp_path, "commit", "-am", "best")
    history = read_history(path)
    sizes = [commit.designs["eie paper"]["units"]["pe"]["logic_ge"] for commit in history]
    assert sizes == [199.34, 209.34, 189.34, 189.34]
    figure = draw_area(history)
    assert [one.get_title(loc="left") for one in figure.axes] == ["eie best", "eie paper"]
    best, paper = (
        {str(line.get_label()): np.array(line.get_xydata()).tolist() for line in one.get_lines()}
        for one in figure.axes
    )
    assert paper["whole PE"] == [[at, size] for at, size in enumerate(sizes)]
    assert paper["arithm"] == [[0, 122.67], [1, 132.67], [2, 112.67], [3, 112.67]]
    assert best["whole PE"] == [[3, 199.34]]
    save(figure, tmp_path / "area.svg")
    assert (tmp_path / "area.svg").read_bytes().startswith(b"<?xml")


def test_json_document() -> None:
    document = json.loads(json.dumps(report().to_dict()))
    assert document["pe_total"]["logic_ge"] == 199.34
    assert document["array_total"]["logic_ge"] == pytest.approx(4 * 199.34 + 16.33)
    assert document["array_total"]["sram_bits"] == 4 * 2048
    assert document["all_pes"]["logic_ge"] == pytest.approx(4 * 199.34)
    assert document["pe"][1]["all_um2"] == pytest.approx(122.67 * 0.798 + 2048 / 0.826, abs=0.1)
    assert document["paths"]["pe"]["levels"] == 9
