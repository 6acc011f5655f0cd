"""Definitions of figures: those of ``docs/metrics.md``, and those that stand in the code."""

import ast
import inspect
from enum import IntEnum
from importlib.resources import files

__all__ = ["class_meanings", "figure_meanings"]


def figure_meanings() -> dict[str, dict[str, str]]:
    """Return what every figure means, as ``docs/metrics.md`` says it.

    Returns
    -------
    By the figure's name in tables, what it means by the section that defines it.
    """
    found: dict[str, dict[str, str]] = {}
    section = ""
    for line in files("zeroskip.sim.page").joinpath("metrics.md").read_text("utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if not line.startswith("| ") or len(cells) != 2 or cells[1] == "definition":
            continue
        names, meaning = cells[0].replace("`", "").split(", "), cells[1]
        # Of several names, each often has a part of the sentence.
        parts = meaning.split("; ")
        own = parts if len(parts) == len(names) else [meaning] * len(names)
        for name, text in zip(names, own, strict=True):
            found.setdefault(name, {})[section] = text
    return found


def class_meanings(kind: type[IntEnum]) -> dict[str, str]:
    """Return what each stall class means: the docstrings of members, which only the source has."""
    (node,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(node, ast.ClassDef)
    found: dict[str, str] = {}
    for before, after in zip(node.body, [*node.body[1:], None], strict=True):
        match before, after:
            case (
                ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name.lower()] = " ".join(text.split())
            case _:
                pass
    assert list(found) == [member.name.lower() for member in kind]
    return found
