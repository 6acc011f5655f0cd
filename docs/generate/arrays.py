"""Presets and parameters of the arrays."""

import importlib
from typing import Any

from zeroskip.compiler.eie.presets import PRESETS as EIE_PRESETS
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
    lines = ["| parameter | default | range | meaning |", "|---|---:|---:|---|"]
    for field in kind.fields():
        low, high = field.choices
        default = getattr(kind(), field.name)
        if isinstance(low, bool):
            value, span = "yes" if default else "no", "yes, no"
        else:
            value, span = default, f"{low:,} to {high:,}"
        lines.append(f"| `{field.name}` | {value} | {span} | {field.about} |")
    return "\n".join(lines)
