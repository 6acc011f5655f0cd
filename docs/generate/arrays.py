"""Presets and parameters of the arrays."""

import dataclasses
import importlib
import inspect
import re
from typing import Any

from zeroskip.compiler.presets import PRESETS as EIE_PRESETS
from zeroskip.hw.scnn.params import PRESETS as SCNN_PRESETS

__all__ = ["parameters", "presets"]


def presets() -> str:
    """Return a table of the presets of both engines."""
    lines = ["| engine | preset | what it is |", "|---|---|---|"]
    for name, preset in EIE_PRESETS.items():
        lines.append(f"| EIE | `{name}` | {preset.about} |")
    for name, params in SCNN_PRESETS.items():
        about = (
            f"{params.num_pes} PE{'s' * (params.num_pes > 1)} of {params.mult_f} x {params.mult_i} "
            f"multipliers, {params.num_streams} weight stream{'s' * (params.num_streams > 1)}, "
            f"{params.banks} accumulator banks"
        )
        lines.append(f"| SCNN | `{name}` | {about} |")
    return "\n".join(lines)


def parameters(where: str) -> str:
    """Return a table of the parameters of an array: default, range, meaning.

    Parameters
    ----------
    where : ``module:class`` of the parameters; their docstring says what they are.
    """
    module, _, name = where.partition(":")
    kind: Any = getattr(importlib.import_module(module), name)
    _, _, text = (inspect.getdoc(kind) or "").partition("Parameters\n----------\n")
    meanings: dict[str, str] = {}
    for names, about in re.findall(r"(?m)^(\w[\w, ]*) : (.*(?:\n .*)*)", text):
        meanings |= dict.fromkeys(names.split(", "), " ".join(about.split()))
    lines = ["| parameter | default | range | meaning |", "|---|---:|---:|---|"]
    for one in dataclasses.fields(kind):
        if one.name in kind.ranges:
            low, high = kind.ranges[one.name]
            value, span = one.default, f"{low:,} to {high:,}"
        else:
            value, span = "yes" if one.default else "no", "yes, no"
        lines.append(f"| `{one.name}` | {value} | {span} | {meanings[one.name]} |")
    return "\n".join(lines)
