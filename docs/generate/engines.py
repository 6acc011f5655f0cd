"""The contract of engines, and the toy engine that shows it."""

import importlib
import importlib.util
from pathlib import Path

__all__ = ["contract", "toy_engine"]

_ROOT = Path(__file__).parents[2]
_INTERFACES = {
    "zeroskip.compiler.engine": ("Engine", "Part", "Job", "Preset"),
    "zeroskip.compiler.layer_engine": ("LayerEngine", "LayerPart"),
    "zeroskip.flow.flow": ("Flow",),
    "zeroskip.sim.machine": ("Machine",),
    "zeroskip.sim.python_machine": ("PythonMachine",),
}


def contract() -> str:
    """Return the interfaces that an engine's folders fill, with their docstrings."""
    lines = []
    for name, classes in _INTERFACES.items():
        if importlib.util.find_spec(name) is None:
            continue
        module = importlib.import_module(name)
        lines += [
            f".. autoclass:: {name}.{kind}\n   :members:\n"
            for kind in classes
            if hasattr(module, kind)
        ]
    return "```{eval-rst}\n" + "\n".join(lines) + "\n```" if lines else ""


def toy_engine() -> str:
    """Return the source of the toy engine, file by file."""
    parts = []
    for path in sorted((_ROOT / "tests").glob("**/toy*/**/*.py")):
        if path.stat().st_size > 0 and not path.name.startswith("test_"):
            name = path.relative_to(_ROOT)
            include = f"```{{literalinclude}} ../{name}\n:language: python\n```"
            parts.append(f"### `{name}`\n\n{include}")
    return "\n\n".join(parts)
