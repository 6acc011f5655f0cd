"""The format of images: fields of the manifests, and bit layouts of the SRAMs' rows."""

import importlib
import inspect
import re
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data

from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["layouts", "model"]

_ARRAYS = {"zeroskip.hw.eie.formats": EieParams(), "zeroskip.hw.scnn.formats": ScnnParams()}
# What the SRAM files and the host's commands have; others are between units only.
_SHOWN = re.compile(r"(entry|pointer|descriptor|block|directory|command)_layout$")


def model(where: str) -> str:
    """Return a table of the fields of ``module:class``, a model of a manifest or a part of it."""
    module, _, name = where.partition(":")
    kind: Any = getattr(importlib.import_module(module), name)
    _, _, text = (inspect.getdoc(kind) or "").partition("Fields\n------\n")
    meanings: dict[str, str] = {}
    for names, about in re.findall(r"(?m)^(\w[\w, ]*) : (.*(?:\n .*)*)", text):
        meanings |= dict.fromkeys(names.split(", "), _plain(about))
    lines = ["| field | type | meaning |", "|---|---|---|"]
    for field, info in kind.model_fields.items():
        lines.append(
            f"| `{info.alias or field}` | {_type(info.annotation)} | {meanings.get(field, '')} |"
        )
    return "\n".join(lines)


def layouts(module_name: str) -> str:
    """Return the bit layouts of a ``formats`` module, for the default array of its engine."""
    module, params = importlib.import_module(module_name), _ARRAYS[module_name]
    parts = []
    for name in module.__all__:
        if not _SHOWN.search(name):
            continue
        function = getattr(module, name)
        about = _plain((inspect.getdoc(function) or "").partition("\n")[0])
        layout = function(params)
        lines = [f"`{module_name.removeprefix('zeroskip.')}.{name}`: {about}", ""]
        lines += ["| field | bits |", "|---|---:|"]
        lines += [f"| `{field}` | {span} |" for field, span in _fields(layout)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _fields(layout: data.Layout) -> list[tuple[str, str]]:
    """Return names of fields and the bits that they take, ``high:low``."""
    found = []
    for name, field in layout:
        low = field.offset
        high = low + Shape.cast(field.shape).width - 1
        found.append((str(name), f"{high}:{low}"))
    return found


def _type(annotation: Any) -> str:
    """Return a type as a reader of JSON would say it."""
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    text = re.sub(r"\b(?:\w+\.)+(\w)", r"\1", text)
    text = re.sub(r", (FieldInfo|Ge|MinLen|Strict)\(.*?\)\]", "]", text)
    text = re.sub(r"Annotated\[(\w+)[^\[\]]*\]", r"\1", text)
    return "`" + text.replace("|", "or").replace("NoneType", "None") + "`"


def _plain(text: str) -> str:
    """Return a docstring's text as Markdown in a table: references become names."""
    text = re.sub(r":\w+:`\.?(?:\w+\.)*(\w+)`", r"`\1`", " ".join(text.split()))
    return text.replace("``", "`").replace("|", "\\|")
