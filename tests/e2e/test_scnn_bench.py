"""SCNN's evaluation and sweeps through the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LATE = [f"googlenet/5b/{name}" for name in ("1x1", "3x3_reduce", "5x5_reduce", "pool_proj")]


def test_layers_of_the_paper_are_faster_than_on_the_dense_machine(cli: Callable[..., Any]) -> None:
    layers = ",".join([*LATE, "alexnet/conv5"])
    result = cli("bench", "--engine", "scnn", "--layers", layers, "--alone", "--json")
    assert result.code == 0, result.err
    networks = result.document["networks"]
    assert list(networks) == ["alexnet", "googlenet"]
    assert networks["alexnet"]["speedup"] > 2.37
    assert networks["googlenet"]["speedup"] > 2.19
    assert networks["googlenet"]["5b_1x1"]["utilisation"] >= 0.4
    for network in networks.values():
        # Only a whole network goes from memory to memory.
        assert "total_cycles" not in network
    assert result.document["conflict"] <= 0.03
    text = cli("bench", "scnn", "--layers", "GoogLeNet/5b/1x1", "--alone")
    assert text.code == 0
    assert "Memories in bits" in text.out
    assert "From memory to memory" not in text.out


def test_a_density_sweep_and_its_picture(cli: Callable[..., Any], tmp_path: Path) -> None:
    table, picture = tmp_path / "t.csv", tmp_path / "d.svg"
    command = ("sweep", "--engine", "scnn", "--layers", LATE[2], "--set", "density=0.2,1")
    result = cli(*command, "--jobs", "1", "-o", table, "--json")
    assert result.code == 0, result.err
    assert result.document["points"] == 2
    again = cli(*command, "-o", table)
    assert "2 points, 2 of them from before" in again.out
    assert cli("plot", "density", table, "-o", picture).code == 0
    assert picture.read_bytes().startswith(b"<?xml")


BENCH = ("bench", "--engine", "scnn")
SWEEP = ("sweep", "--engine", "scnn", "-o", "t.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            (*BENCH, "--layers", "lenet"),
            "--layers must be alexnet, googlenet, vgg16, squeezenet, or layers of",
        ),
        ((*BENCH, "--layers", "vgg16/conv51"), "not 'vgg16/conv51': did you mean 'vgg16/conv5_1'?"),
        (
            (*SWEEP, "--set", "density=none"),
            "--set density must be a number from 0 to 1",
        ),
        ((*SWEEP, "--set", "banks=1.5"), "--set banks must be a whole number from 1 to 128"),
        ((*SWEEP, "--set", "density=2"), "density must be above 0 and at most 1, not 2"),
        ((*SWEEP, "--set", "density=0.5", "-o", "t.txt"), "must end in .csv or .parquet"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    cli: Callable[..., Any], options: tuple[str, ...], message: str
) -> None:
    result = cli(*options)
    assert result.code
    assert len(result.errors) == 1
    assert message in result.errors[0]
