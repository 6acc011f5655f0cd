"""Fill pages in before Sphinx reads them, and docstrings before it renders them.

A page listed in ``_PAGES`` is a Jinja template; the module beside its name gives what it can name.
"""

import importlib
import re
from pathlib import Path
from typing import Any

import jinja2
from sphinx.application import Sphinx

__all__ = ["fill_in", "setup"]

_PAGES = {
    "add-an-engine": "generate.engines",
    "area": "generate.area",
    "cli": "generate.commands",
    "python": "generate.api",
    "eie-evaluation": "generate.evaluations",
    "history": "generate.history",
    "lstm": "generate.recurrent",
    "scnn-evaluation": "generate.evaluations",
    "metrics": "generate.metrics",
    "own-array": "generate.arrays",
    "image": "generate.image",
    "registers": "generate.registers",
    "zoo": "generate.zoo",
}


def fill_in(name: str, text: str) -> str:
    """Render the page ``name`` whose template is ``text``; other pages are as they are."""
    if name not in _PAGES:
        return text
    module = importlib.import_module(_PAGES[name])
    names = {key: getattr(module, key) for key in module.__all__}
    template = jinja2.Template(text, undefined=jinja2.StrictUndefined)
    return template.render(**names)


def _read(app: Sphinx, name: str, content: list[str]) -> None:
    del app
    content[0] = fill_in(name, content[0])


# In a section of parameters, "name, name : what they are" and lines that go on with it.
_PARAMETER = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*) : (.*)$")


def _describe(
    app: Sphinx, kind: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Put descriptions below parameters: types are in the signature, not in the docstring."""
    del app, kind, name, thing, options
    done: list[str] = []
    for line in _join_returns(lines):
        found = _PARAMETER.match(line)
        done += [found[1], f"    {found[2]}"] if found else [line]
    lines[:] = [line if ">>>" in line else _plain(line) for line in done]


def _join_returns(lines: list[str]) -> list[str]:
    """Make what stands under "Returns" one paragraph: its type is in the signature."""
    if "Returns" not in lines:
        return lines
    begin = lines.index("Returns")
    end = begin + 2
    while end < len(lines) and not (end + 1 < len(lines) and lines[end + 1].startswith("---")):
        end += 1
    text = " ".join(line.strip() for line in lines[begin + 2 : end])
    return [*lines[: begin + 2], text.strip().replace(" : ", ": "), "", *lines[end:]]


def _plain(line: str) -> str:
    """Keep stars outside of code as they are: docstrings have no emphasis."""
    parts = re.split(r"(`+[^`]*`+)", line)
    return "".join(part if part.startswith("`") else part.replace("*", r"\*") for part in parts)


def _write_reports(app: Sphinx, problem: Exception | None) -> None:
    """Write the gallery's reports beside the pages, which they are no part of."""
    if problem is not None or app.builder.format != "html":
        return
    from generate.zoo import reports

    folder = Path(app.outdir) / "reports"
    folder.mkdir(exist_ok=True)
    for name, text in reports().items():
        (folder / f"{name}.html").write_text(text)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("source-read", _read)
    app.connect("build-finished", _write_reports)
    # Before napoleon, whose priority is 500.
    app.connect("autodoc-process-docstring", _describe, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
