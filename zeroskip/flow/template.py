"""Testbenches in plain Verilog: texts in which names stand for what an array or a chip has."""

from collections.abc import Iterable, Mapping

from zeroskip.hw.common.bundle import Port

__all__ = ["fill", "instance"]


def fill(text: str, parts: Mapping[str, str], values: Mapping[str, object]) -> str:
    """Put texts and values in the places of names.

    Parameters
    ----------
    text : of a testbench.
    parts : texts by name, which is a line of its own; they may have names of values in them.
    values : by name.
    """
    for name, part in parts.items():
        text = text.replace(f"{name}\n", part)
    # A name may be the end of another.
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(name, str(values[name]))
    return text


def instance(listed: Iterable[Port]) -> str:
    """Declare a wire for each port, of its name, and connect them to the chip, a module CHIP."""
    found = list(listed)
    wires = [f"    wire {f'[{one.width - 1}:0] ' * (one.width > 1)}{one.name};" for one in found]
    pins = ",\n".join(f"        .{one.name}({one.name})" for one in found)
    return "\n".join([*wires, "", "    CHIP chip (", pins, "    );", "", ""])
