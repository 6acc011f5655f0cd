"""The format of images: fields of the manifests, and bit layouts of the SRAMs' rows."""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data

import zeroskip.compiler
from zeroskip.compiler.engine import engine

__all__ = ["layouts", "manifests"]

# What the SRAM files and the host's commands have; others are between units only.
_SHOWN = re.compile(r"(entry|pointer|descriptor|block|directory|command)_layout$")


def manifests() -> str:
    """Return a section for the manifest, and one for what each engine has in it.

    They are the classes that the modules ``manifest`` and ``entry`` of the compiler give under
    the name of a manifest, or of the engine whose folder it is.
    """
    sections = []
    folder = Path(zeroskip.compiler.__path__[0])
    paths = [*folder.glob("*/manifest.py"), *folder.glob("*/entry.py")]
    for path in sorted(paths, key=lambda path: (path.parent.name != "image", path)):
        module = importlib.import_module(f"zeroskip.compiler.{path.parent.name}.{path.stem}")
        for name in module.__all__:
            whole = name.endswith("Manifest") and name != "SignedManifest"
            if whole or name.lower() == f"{path.parent.name}entry":
                sections.append(f"## {name}\n\n{_manifest(name, getattr(module, name))}")
    return "\n\n".join(sections)


def _manifest(name: str, kind: Any) -> str:
    """Return tables of the fields of a model, and of every kind of entry in it."""
    schema = kind.model_json_schema()
    tables = []
    for title, entry in [(name, schema), *schema.get("$defs", {}).items()]:
        # Parameters of arrays have a page of their own.
        if "properties" in entry and not title.endswith("Params"):
            about = entry.get("description", "")
            meanings = _meanings(about)
            rows = [
                (f"`{field}`", _type(value), meanings.get(field, ""))
                for field, value in entry["properties"].items()
            ]
            summary = _plain(about.partition("\n\n")[0])
            tables.append(f"**{title}**: {summary}\n\n{_table('field', 'type', rows)}")
    return "\n\n".join(tables)


def _meanings(text: str) -> dict[str, str]:
    """Return what the list of fields or parameters of a docstring says of each."""
    _, _, text = re.sub(r"\n-{3,}\n", "\n---\n", text).partition("\n---\n")
    meanings: dict[str, str] = {}
    for names, about in re.findall(r"(?m)^(\w[\w, ]*) : (.*(?:\n .*)*)", text):
        meanings |= dict.fromkeys(names.split(", "), _plain(about))
    return meanings


def _table(first: str, second: str, rows: list[tuple[str, str, str]]) -> str:
    """Return a table with a column of meanings, if there is one to tell."""
    if not any(row[2] for row in rows):
        lines = [f"| {first} | {second} |", "|---|---|", *(f"| {a} | {b} |" for a, b, _ in rows)]
    else:
        lines = [f"| {first} | {second} | meaning |", "|---|---|---|"]
        lines += [f"| {a} | {b} | {c} |" for a, b, c in rows]
    return "\n".join(lines)


def layouts(name: str) -> str:
    """Return tables of the bit layouts in an engine's module ``formats``, of its default array."""
    module_name = f"zeroskip.hw.{name}.formats"
    module, params = importlib.import_module(module_name), engine(name).params()
    parts = []
    for layout in module.__all__:
        if not _SHOWN.search(layout):
            continue
        function = getattr(module, layout)
        about = inspect.getdoc(function) or ""
        meanings = _meanings(about)
        fields = _fields(function(params))
        rows = [(f"`{field}`", bits, meanings.get(field, "")) for field, bits in fields]
        title = f"`{module_name.removeprefix('zeroskip.')}.{layout}`"
        summary = _plain(about.partition("\n")[0])
        parts.append(f"{title}: {summary}\n\n{_table('field', 'bits', rows)}")
    return "\n\n".join(parts)


def _fields(layout: data.Layout) -> list[tuple[str, str]]:
    """Return names of fields and the bits that they take, ``high:low``."""
    found = []
    for name, field in layout:
        low = field.offset
        high = low + Shape.cast(field.shape).width - 1
        found.append((str(name), f"{high}:{low}"))
    return found


def _type(kind: dict[str, Any]) -> str:
    """Return what a value is in JSON."""
    match kind:
        case {"$ref": str(name)}:
            return name.rpartition("/")[2]
        case {"const": value}:
            return f"`{value}`"
        case {"enum": values}:
            return " or ".join(f"`{value}`" for value in values)
        case {"anyOf": kinds}:
            return " or ".join(_type(choice) for choice in kinds)
        case {"type": "array", "items": dict(items)}:
            return f"list of {_type(items)}"
        case {"type": "array", "prefixItems": items}:
            return f"list of {len(items)}: {', '.join(dict.fromkeys(map(_type, items)))}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"object of {_type(values)}"
        case {"type": str(name)}:
            return "text" if name == "string" else name
        case _:
            return "any"


def _plain(text: str) -> str:
    """Return a docstring's text as Markdown in a table: references become names."""
    text = re.sub(r":\w+:`\.?(?:\w+\.)*(\w+)`", r"`\1`", " ".join(text.split()))
    return text.replace("``", "`").replace("|", "\\|")
