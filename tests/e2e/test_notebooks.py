"""Notebooks in examples run from top to bottom, and are kept as they are written: not run."""

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

_NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples" / "notebooks").glob("*.ipynb"))


def _cells(notebook: Path) -> list[dict[str, Any]]:
    return [
        cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"
    ]


def _show(value: Any) -> None:
    """Make what a notebook would show of the last expression of a cell."""
    html = getattr(value, "_repr_html_", None)
    assert html() if html else repr(value)


def _run(source: str, name: str, names: dict[str, Any]) -> None:
    """Run a cell, without a kernel: its statements, then its last expression, which is shown."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), names)
    if isinstance(last, ast.Expr):
        _show(eval(compile(ast.Expression(last.value), name, "eval"), names))


def test_all_are_there() -> None:
    assert len(_NOTEBOOKS) == 5


@pytest.mark.parametrize("notebook", _NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_of_a_run_is_kept(notebook: Path) -> None:
    for cell in _cells(notebook):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


@pytest.mark.cosim
@pytest.mark.long("trains networks")
@pytest.mark.parametrize("notebook", _NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_run(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    names: dict[str, Any] = {"__name__": "__main__"}
    with torch.random.fork_rng(devices=[]):
        for number, cell in enumerate(_cells(notebook)):
            _run("".join(cell["source"]), f"{notebook.name}[{number}]", names)
