"""``zeroskip demo``: what ends it at once, and the commands that do by hand what it does.

What it prints is compared by ``test_pages.py``, since the README and the tutorial run it;
``test_wheel.py`` reads its document, and does a step by hand.
"""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from zeroskip.cli.app import app
from zeroskip.cli.demo_network import NETWORKS, DemoFiles

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
