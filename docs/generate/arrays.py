"""Presets and parameters of the arrays."""

from zeroskip.compiler.engine import engine, engines

__all__ = ["parameters", "presets"]


def presets() -> str:
    """Return a table of the presets of all engines."""
    lines = ["| engine | preset | what it is |", "|---|---|---|"]
    for name, found in engines().items():
        for preset, array in found.presets.items():
            lines.append(f"| {name.upper()} | `{preset}` | {array.about} |")
    return "\n".join(lines)


def parameters(name: str) -> str:
    """Return a table of the parameters of an engine's array: default, range, meaning."""
    kind = engine(name).params
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
