"""Testbenches in plain Verilog: texts in which names stand for what an array or a chip has."""

from collections.abc import Iterable, Mapping

from zeroskip.hw.common.bundle import Port

__all__ = ["fill", "instance"]


def fill(text: str, parts: Mapping[str, str], values: Mapping[str, object]) -> str:
    """Return the text of a testbench with names replaced by texts and values.

    Parameters
    ----------
    text : of a testbench.
    parts : texts by name, which is a line of its own; they may have names of values in them.
    values : by name.
    """
    for name, part in parts.items():
        text = text.replace(f"{name}\n", part)
    # The longest names first: one may be part of another.
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(name, str(values[name]))
    return text


def instance(listed: Iterable[Port]) -> str:
    """Return Verilog: a wire for each port, and an instance of ``CHIP`` connected to them."""
    found = list(listed)
    wires = [f"    wire {f'[{one.width - 1}:0] ' * (one.width > 1)}{one.name};" for one in found]
    pins = ",\n".join(f"        .{one.name}({one.name})" for one in found)
    return "\n".join([*wires, "", "    CHIP chip (", pins, "    );", "", ""])
