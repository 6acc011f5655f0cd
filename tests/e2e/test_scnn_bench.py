"""SCNN's evaluation and sweeps through the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LATE = [f"googlenet/5b/{name}" for name in ("1x1", "3x3_reduce", "5x5_reduce", "pool_proj")]


def test_layers_of_the_paper_are_faster_than_on_the_dense_machine(cli: Callable[..., Any]) -> None:
    layers = ",".join([*LATE, "alexnet/conv5"])
    result = cli("bench", "scnn", "--layers", layers, "--alone", "--json")
    assert result.code == 0, result.err
    networks = result.document["networks"]
    assert list(networks) == ["alexnet", "googlenet"]
    assert networks["alexnet"]["speedup"] > 2.37
    assert networks["googlenet"]["speedup"] > 2.19
    assert networks["googlenet"]["5b_1x1"]["utilisation"] >= 0.4
    assert result.document["conflict"] <= 0.03
    text = cli("bench", "scnn", "--layers", "AlexNet/conv5", "--alone")
    assert text.code == 0
    assert "Memories in bits" in text.out


def test_a_density_sweep_and_its_picture(cli: Callable[..., Any], tmp_path: Path) -> None:
    table, picture = tmp_path / "t.csv", tmp_path / "d.svg"
    result = cli(
        "sweep", "scnn", "--layers", LATE[2], "--density", "0.2,1", "--jobs", "1", "-o", table,
        "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert result.document["points"] == 2
    again = cli("sweep", "scnn", "--layers", LATE[2], "--density", "0.2,1", "-o", table)
    assert "2 points, 2 of them from before" in again.out
    assert cli("plot", "density", table, "-o", picture).code == 0
    assert picture.read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("bench", "scnn", "--networks", "lenet"), "there is no network 'lenet'"),
        (("bench", "scnn", "--layers", "conv5"), "there is no layer 'conv5'; layers are named"),
        (
            ("bench", "scnn", "--networks", "vgg16", "--layers", "alexnet/conv5"),
            "layer 'alexnet/conv5' is of none of the networks vgg16",
        ),
        (("sweep", "scnn", "--density", "none", "-o", "t.csv"), "density must be numbers"),
        (("sweep", "scnn", "--banks", "1.5", "-o", "t.csv"), "banks must be whole numbers"),
        (("sweep", "scnn", "--density", "0.5", "-o", "t.txt"), "must end in .csv or .parquet"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    cli: Callable[..., Any], options: tuple[str, ...], message: str
) -> None:
    result = cli(*options)
    assert result.code
    assert len(result.errors) == 1
    assert message in result.errors[0]
