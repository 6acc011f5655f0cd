"""Imports run one way, from what knows more to what knows less."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LAYERS = ("base", "hw", "compiler", "flow", "sim", "cli")
"""Packages of ``zeroskip``; each imports those before it only."""

FOLDERS = {name: ROOT / name for name in ("hw", "compiler", "sim")}
FILES = [
    (layer, path)
    for layer in LAYERS
    for path in sorted(FOLDERS.get(layer, ROOT / "zeroskip" / layer).rglob("*.py"))
]


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Give the line and the dotted name of everything that a module imports, wherever it does."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def upward(layer: str, source: str) -> list[str]:
    """Return the imports that a module of ``layer`` may not have."""
    wrong = []
    for line, name in imports(source):
        top, _, rest = name.partition(".")
        package = rest.partition(".")[0]
        bare = top in {"hw", "compiler", "sim", "scripts", "tests"}
        if bare or (top == "zeroskip" and package not in LAYERS[: LAYERS.index(layer) + 1]):
            wrong.append(f"{line}: {name}")
    return wrong


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_run_one_way(layer: str) -> None:
    files = [path for mine, path in FILES if mine == layer]
    assert files
    wrong = {path.relative_to(ROOT).as_posix(): upward(layer, path.read_text()) for path in files}
    assert not {path: lines for path, lines in wrong.items() if lines}


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("hw", "from zeroskip.compiler.errors import X"),
        ("hw", "if TYPE_CHECKING:\n    from zeroskip.sim import run"),
        ("compiler", "def f():\n    import zeroskip.sim.run"),
        ("sim", "from hw.common import sram"),
        ("base", "from zeroskip import hw"),
    ],
)
def test_the_rule_finds(layer: str, source: str) -> None:
    assert upward(layer, source)


def test_nobody_else_is_installed() -> None:
    """The folders at the top are reached through the package, as links."""
    for name, folder in FOLDERS.items():
        link = ROOT / "zeroskip" / name
        assert link.is_symlink()
        assert link.resolve() == folder
