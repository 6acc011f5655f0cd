"""Examples in the docstrings of public functions, each run as it stands."""

import doctest
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import zeroskip as zs
from tests.support.arrays import EIE
from zeroskip.base.errors import near_name
from zeroskip.base.tables import percent
from zeroskip.sim.energy.technology import interpolate

FUNCTIONS = (
    zs.compile, zs.load, zs.run, zs.energy, zs.explore, zs.compress,
    near_name, percent, interpolate,
)  # fmt: skip


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Make what examples name: a network, samples, classes, and an image, which is in ``out``."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 10))
    x, y = torch.randn(60, 32), torch.arange(60) % 10
    image = zs.compile(model, x[:1], x, EIE, share=True)
    image.save("out/mine")
    return {"zs": zs, "model": model, "x": x, "y": y, "image": image}


def run_examples(function: Any, names: dict[str, Any]) -> None:
    found = doctest.DocTestFinder(recurse=False).find(
        function, globs={**names, function.__name__: function}
    )
    assert [example for test in found for example in test.examples], "it has no example"
    result = doctest.DebugRunner(verbose=False)
    for test in found:
        result.run(test)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_examples_hold(function: Any, names: dict[str, Any]) -> None:
    run_examples(function, names)


@pytest.mark.cosim
def test_example_of_verify_holds(names: dict[str, Any]) -> None:
    run_examples(zs.verify, names)
