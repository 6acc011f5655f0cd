"""Nobody but an engine's folder names an engine."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

from zeroskip.compiler.engine import ENGINES

ROOT = Path(__file__).parents[2]
PRODUCT = ("compiler", "hw", "sim", "zeroskip", "docs/generate")

ASSEMBLIES = {"zeroskip/flow/system": "exports the chip of both arrays with a port to memory"}
"""Folders that may name engines, with the reason."""

FILES = {
    "zeroskip/__init__.py": "spells public names out, which type checkers read",
    "docs/generate/evaluations.py": "pages of the engines' published evaluations",
    "docs/generate/extension.py": "names of these pages",
    "docs/generate/history.py": "curves of these evaluations",
    "docs/generate/registers.py": "the chip that the page of registers shows",
    "docs/generate/renew.py": "commands that measure these evaluations",
}
"""Files, with the reason why each may name an engine outside its folder."""

KINDS = re.compile(r"\w*(Part|Machine|Engine|Flow|Image)|Board\w+|(?!Free)\w+Params")
"""Classes that there are several of by engine: what differs between them is asked by a method."""

BORDERS = {"sim/run.py": "Image", "sim/verify.py": "Image"}
"""Files that check what a user has given, and its class."""

ASKS = re.compile(r"isinstance\(|issubclass\(|^ +case ", re.MULTILINE)
"""What a file has in it that asks for a class: the others need not be parsed."""

ENGINE = re.compile(r"(?<![a-z])(eie|scnn)(?![a-z])", re.IGNORECASE)


def words(name: str) -> str:
    """Part an identifier into words: ``EieParams`` is Eie and Params."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


def named(source: str) -> Iterator[tuple[int, str]]:
    """Give the lines of code that name an engine, and the engine.

    Comments and docstrings may, since papers have these names, and so may examples of commands.
    """
    # Seen soon, of half of the files.
    if not re.search("eie|scnn", source, re.IGNORECASE):
        return
    tree = ast.parse(source)
    passed: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) or _holds_examples(node):
            passed.add(node.value)
    line = 1
    for node in ast.walk(tree):
        line = getattr(node, "lineno", line)
        if isinstance(node, ast.Constant) and node in passed:
            continue
        for _, value in ast.iter_fields(node):
            found = ENGINE.search(words(value)) if isinstance(value, str) else None
            if found:
                yield line, found[0].lower()


def _holds_examples(node: ast.AST) -> TypeGuard[ast.Assign]:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith("EXAMPLES")


def kinds(source: str) -> Iterator[tuple[int, str]]:
    """Give the lines of code that ask of which of several kinds of part or engine a value is."""
    if not ASKS.search(source):
        return
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, asked]):
                names = [part.id for part in ast.walk(asked) if isinstance(part, ast.Name)]
            case ast.MatchClass(cls=ast.Name(id=name)):
                names = [name]
            case _:
                continue
        yield from ((node.lineno, name) for name in names if KINDS.fullmatch(name))


def product() -> Iterator[Path]:
    """Give the files of the product that belong to no engine, and are no assembly of several."""
    for top in PRODUCT:
        for path in sorted((ROOT / top).rglob("*.py")):
            inside = path.relative_to(ROOT)
            linked = top == "zeroskip" and inside.parts[1] in PRODUCT
            if not linked and inside.parent.as_posix() not in ASSEMBLIES:
                yield inside


@pytest.mark.parametrize("top", PRODUCT)
def test_only_an_engines_folder_names_it(top: str) -> None:
    wrong = [
        f"{path}:{line} names {engine}"
        for path in product()
        if path.as_posix().startswith(f"{top}/") and path.as_posix() not in FILES
        for line, engine in named((ROOT / path).read_text())
        if engine not in path.parts
    ]
    assert not wrong, "\n".join(wrong)


def test_nobody_else_asks_for_kinds_of_parts() -> None:
    wrong = [
        f"{path}:{line} asks for {kind}"
        for path in product()
        if not {*ENGINES.names(), "system"} & {*path.parts}
        for line, kind in kinds((ROOT / path).read_text())
        if BORDERS.get(path.as_posix()) != kind
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "source",
    ["isinstance(a, EiePart)", "isinstance(a.b(), int | ScnnParams)", "match a:\n case APart(): 0"],
)
def test_kinds_are_found(source: str) -> None:
    assert list(kinds(source))


def test_all_engines_are_looked_for() -> None:
    assert all(ENGINE.fullmatch(name) for name in ENGINES.names())


@pytest.mark.parametrize(
    "source",
    [
        "from zeroskip.hw.eie import params",
        "from zeroskip.hw.common import EieParams",
        'part("eie")',
        "scnn_host = 1",
        "class ScnnHost: ...",
        'f"{x} of EIE"',
        "ENGINE_EIE = 1",
    ],
)
def test_the_rule_finds(source: str) -> None:
    assert list(named(source))


@pytest.mark.parametrize(
    "source",
    [
        '"""EIE, section IV."""',
        "# as in EIE\nx = 1",
        "science = 1",
        'EXAMPLES = "run --engine eie"',
    ],
)
def test_the_rule_lets_pass(source: str) -> None:
    assert not list(named(source))


def test_what_is_exempt_is_there() -> None:
    for name in FILES:
        assert list(named((ROOT / name).read_text()))
    for name in ASSEMBLIES:
        assert any(list(named(path.read_text())) for path in (ROOT / name).glob("*.py"))
