"""Write what there is to say of compiled networks as one HTML file."""

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from zeroskip.base.tables import percent
from zeroskip.compiler.image.manifest import zeroskip_version
from zeroskip.sim.definitions import class_meanings, figure_meanings
from zeroskip.sim.machine import machine
from zeroskip.sim.metrics import CLOCKS

__all__ = ["page"]

_SHARES = frozenset({"density"})
_BESIDE = "figure", "A", "B", "B / A"
_LAYER = {
    "layer": "name", "kind": "kind", "input": "in_shape", "output": "out_shape",
    "weights": "weights", "density": "density", "acts != 0": "act_density", "cycles": "cycles",
    "useful MACs": "useful_macs", "dense MACs": "dense_macs", "utilisation": "utilisation",
    "speed-up": "speedup",
}  # fmt: skip
"""Columns of the table of layers, and the fields that they show."""


def page(images: Sequence[Mapping[str, Any]]) -> str:
    """Return the page.

    Parameters
    ----------
    images : one or two, see :func:`.image_contents`.
    """
    from jinja2 import Environment, StrictUndefined

    names = list(dict.fromkeys(part["engine"] for image in images for part in image["parts"]))
    meanings = figure_meanings()
    for engine in names:
        for name, text in class_meanings(machine(engine).classes).items():
            meanings.setdefault(name, {})[f"Stall classes of {engine.upper()}"] = text
    shown = _named(images, meanings)
    anchors = _anchors(sorted(shown, key=str.lower))
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    folder = files("zeroskip.sim.page")
    environment.globals |= {
        "anchor": lambda name: anchors.get(name, ""),
        "number": _number,
        "percent": percent,
        "spoken": _spoken,
        "microseconds": lambda cycles, mhz: f"{cycles / mhz:,.1f}",
        "layer_table": _layer_table,
        "stall_table": _stall_table,
    }
    template = environment.from_string(folder.joinpath("page.html.j2").read_text("utf-8"))
    return template.render(
        images=images,
        letters="AB",
        engines=names,
        clocks=CLOCKS,
        css=folder.joinpath("page.css").read_text("utf-8"),
        version=zeroskip_version(),
        definitions={name: meanings[name] for name in anchors},
        beside=_beside(images),
    )


def _named(images: Sequence[Mapping[str, Any]], meanings: Mapping[str, Any]) -> set[str]:
    """Return the figures that are on the page and defined."""
    names = {"useful", "cycles", "values", "codebook", *_LAYER, *_BESIDE}
    for image in images:
        names |= set(image["summary"])
        names |= {f"{kind} accuracy" for kind in image["accuracy"] or ()}
        found = [*image["fixed_point"], *image["memory"], *image["energy"]]
        for part in image["parts"]:
            names |= set(part["classes"])
            found += part["tables"]
        names |= {name for table in found for name in table["header"]}
    return names & set(meanings)


def _anchors(names: Sequence[str]) -> dict[str, str]:
    """Return a place of its own on the page for each name."""
    found: dict[str, str] = {}
    for name in names:
        anchor = "def-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        while anchor in found.values():
            anchor += "-"
        found[name] = anchor
    return found


def _number(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name in _SHARES:
        return percent(value)
    if name == "speed-up":
        return f"{value:.2f} x"
    return f"{value:,.1f}" if isinstance(value, float) and value < 1e4 else f"{value:,.0f}"


def _spoken(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {percent(share)}" for name, share in shares.items() if share >= 5e-4)


def _layer_table(part: Mapping[str, Any]) -> dict[str, Any]:
    every = [*part["layers"], part["total"]]
    stored = list(part["total"]["stored"])
    header = [*_LAYER][:7] + stored + [*_LAYER][7:]
    rows = [
        [
            str(layer["stored"].get(name, "")) if name in stored else _cell(name, layer)
            for name in header
        ]
        for layer in every
    ]
    return {"title": f"Layers on {part['engine'].upper()}", "header": header, "rows": rows}


def _cell(name: str, layer: Mapping[str, Any]) -> str:
    value = layer[_LAYER[name]]
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple | list):
        return str(value[0]) if list(value[1:]) == [1, 1] else " x ".join(map(str, value))
    if name in ("density", "acts != 0", "utilisation"):
        return percent(value)
    return _number(name, value)


def _stall_table(part: Mapping[str, Any]) -> dict[str, Any]:
    rows = [
        [layer["name"], *(percent(layer["stalls"].get(name, 0.0)) for name in part["classes"])]
        for layer in [*part["layers"], part["total"]]
        if layer["stalls"]
    ]
    return {
        "title": f"Multiplier cycles of {part['engine'].upper()}",
        "header": ["layer", *part["classes"]],
        "rows": rows,
    }


def _beside(images: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a table of the figures of two images, and the second over the first."""
    first, *others = (image["summary"] for image in images)
    rows = [
        [
            name,
            _number(name, value),
            *(_number(name, other[name]) for other in others),
            *(f"{other[name] / value:.3f}" if value and other[name] is not None else "-"
              for other in others),
        ]
        for name, value in first.items()
    ]  # fmt: skip
    return {"title": "Two images", "header": [*_BESIDE], "rows": rows}
