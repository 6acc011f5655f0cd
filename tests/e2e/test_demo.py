"""``zeroskip demo``: what ends it at once, and what it says of a network that is hardly trained.

What it prints of trained ones is compared by ``test_pages.py``: the README and the tutorial run it.
"""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from zeroskip.cli import demo
from zeroskip.cli.app import app
from zeroskip.cli.demo_network import NETWORKS, DemoFiles
from zeroskip.compiler.compress.api import Compressed, compress_task
from zeroskip.compiler.compress.config_file import override, preset

Cli = Callable[..., Any]
Refused = Callable[..., None]


def test_unknown_names_are_refused(cli: Cli, refused: Refused, tmp_path: Path) -> None:
    refused(
        cli("demo", "digit", "-o", tmp_path / "out"),
        "NAME must be one of digits, cnn, lstm, not 'digit': did you mean 'digits'?",
    )
    refused(cli("demo", "digits", "--seed", "x"), "it must be a whole number, not 'x'")
    refused(cli("demo"), "NAME")
    assert not (tmp_path / "out").exists()


def test_nothing_else_is_overwritten(cli: Cli, refused: Refused, tmp_path: Path) -> None:
    """It is said before anything is trained."""
    mine = tmp_path / "digits" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    refused(cli("demo", "digits", "-o", tmp_path), "is not a zeroskip image")
    refused(cli("demo", "digits", "-o", mine), "notes.txt is a file")
    assert [path.name for path in tmp_path.rglob("*")] == ["digits", "notes.txt"]


@pytest.mark.parametrize(
    ("library", "sentence"),
    [
        ("torch", "torch is not installed: install Zeroskip with its extra 'torch'"),
        ("sklearn", "the digits come with scikit-learn: pip install scikit-learn"),
    ],
)
def test_missing_libraries_are_named(
    library: str,
    sentence: str,
    cli: Cli,
    refused: Refused,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    refused(cli("demo", "digits", "-o", tmp_path / "out"), sentence)
    assert not (tmp_path / "out").exists()


def test_missing_tools_are_named(
    cli: Cli, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after a minute of training."""
    monkeypatch.setenv("PATH", "/none")
    refused(cli("demo", "lstm", "-o", tmp_path / "out"), "g++ is not on PATH")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", NETWORKS)
def test_commands_by_hand_are_commands(name: str, tmp_path: Path) -> None:
    """Each option is one that its command has, and the arrays are those of the demonstration."""
    files = DemoFiles.of(tmp_path / "a b", name)
    groups: Any = typer.main.get_command(app)
    for line in files.by_hand(NETWORKS[name], tmp_path / "a b" / name):
        program, command, *words = shlex.split(line)
        assert program == "zeroskip"
        context = groups.commands[command].make_context(command, list(words))
        if command == "compile":
            assert tuple(context.params["preset"]) == NETWORKS[name].presets
            assert tuple(context.params["settings"]) == NETWORKS[name].settings
            assert context.params["model"] == files.model


@pytest.mark.cosim
@pytest.mark.long("builds the simulators of make sim, if no page did")
def test_document_and_files(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An epoch of each stage is enough for words to be compared."""
    few = {f"{stage}.epochs": 1 for stage in ("train", "prune", "finetune")}
    seeds: list[int] = []

    def train(task: Any, steps: Any, seed: int, say: Any) -> Compressed:
        seeds.append(seed)
        return compress_task(task, override(preset(task.name), few), progress=steps)

    monkeypatch.setattr(demo, "train", train)
    result = cli("demo", "digits", "-o", tmp_path, "--images", 2, "--seed", 3, "--json")
    assert result.code == 0, result.err
    document = result.document
    assert document["name"] == "digits"
    assert document["exact"]
    assert document["words"] > 0
    assert document["from_one_start"]["exact"]
    assert document["accuracy"]["rtl"] == document["accuracy"]["fixed_point_of_rtl_inputs"]
    assert seeds == [3]
    # The files that are left, compiled by the command that is printed, come to the same image.
    files, image = DemoFiles.of(tmp_path, "digits"), tmp_path / "digits"
    assert files.exist()
    command = files.by_hand(NETWORKS["digits"], image)[0]
    before = {path.name: path.read_bytes() for path in image.rglob("*") if path.is_file()}
    assert before
    assert cli(*shlex.split(command)[1:]).code == 0
    assert before == {path.name: path.read_bytes() for path in image.rglob("*") if path.is_file()}
