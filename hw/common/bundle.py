"""Verilog for other flows: one file that holds a design with all that it instantiates."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Shape, Value
from amaranth.lib import data, wiring

from zeroskip.hw.common.emit import SRAM_VERILOG, emit_verilog

__all__ = ["Port", "bundle", "constants", "ports"]


@dataclass(frozen=True)
class Port:
    """A port of a design's Verilog module.

    Parameters
    ----------
    name : in Verilog.
    direction : ``input`` or ``output``.
    width : bits.
    fields : of a port with structure: name with dots, lowest bit, width.
    """

    name: str
    direction: str
    width: int
    fields: tuple[tuple[str, int, int], ...] = ()


def bundle(
    designs: Sequence[tuple[str, wiring.Component]],
    params: Sequence[Any],
    version: str,
    *,
    outside: str = "",
) -> str:
    """Write Verilog modules, and the SRAMs they instantiate, as the text of one file.

    Parameters
    ----------
    designs : name of the module, and the component, the top last.
    params : the dataclasses that they were made from, for the comment at the head.
    version : of this program.
    outside : what the names of the modules begin with, where one instantiates another.
    """
    head = [f"{designs[-1][0]}, made by zeroskip {version} from"]
    for one in params:
        values = ", ".join(f"{name}={value}" for name, value in dataclasses.asdict(one).items())
        head += [f"{type(one).__name__}(", *_wrapped(values), ")"]
    head += [
        "Licensed under Apache-2.0. docs/verilog.md has the ports.",
        "For SRAM macros in the place of sram_1r1w and sram_1rw, define ZEROSKIP_SRAM_1R1W and",
        "ZEROSKIP_SRAM_1RW.",
    ]
    parts = ["".join(f"// {line}\n" for line in head), SRAM_VERILOG.read_text()]
    parts += [emit_verilog(component, name, outside=outside) for name, component in designs]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def ports(component: wiring.Component) -> tuple[Port, ...]:
    """List the ports of a component's Verilog module, clock and reset first.

    One with ``own_clock`` has them among its members.
    """
    given = () if getattr(component, "own_clock", False) else ("clk", "rst")
    listed = [Port(name, "input", 1) for name in given]
    for path, member, value in component.signature.flatten(component):
        listed.append(
            Port(
                name="__".join(str(part) for part in path),
                direction="input" if member.flow is wiring.In else "output",
                width=len(Value.cast(value)),
                fields=tuple(_fields(member.shape)),
            )
        )
    return tuple(listed)


def constants(prefix: str, listed: Iterable[Port], enums: Iterable[type]) -> str:
    """Write fields' places and enumerations' values as macros of a Verilog header."""
    lines = []
    for port in listed:
        lines.append(f"`define {prefix}_{port.name.upper()}_BITS {port.width}")
        for name, low, width in port.fields:
            place = f"{prefix}_{port.name}_{name.replace('.', '_')}".upper()
            lines.append(f"`define {place} {low + width - 1}:{low}")
    for kind in enums:
        name = "".join(f"_{c}" if c.isupper() else c for c in kind.__name__).upper().strip("_")
        lines += [
            f"`define {prefix}_{name}_{member.name} {int(member.value)}"
            for member in kind  # type: ignore[attr-defined]
        ]
    return "\n".join(lines) + "\n"


def _fields(shape: Any, prefix: str = "", base: int = 0) -> Iterable[tuple[str, int, int]]:
    """List the leaves of a structure."""
    if not isinstance(shape, data.StructLayout):
        return
    for name, field in shape:
        inner = field.shape
        if isinstance(inner, data.StructLayout):
            yield from _fields(inner, f"{prefix}{name}.", base + field.offset)
        else:
            width = Shape.cast(inner).width
            yield f"{prefix}{name}", base + field.offset, width


def _wrapped(text: str, width: int = 92) -> Iterable[str]:
    line = ""
    for word in text.split(" "):
        if line and len(line) + len(word) > width:
            yield f"    {line}"
            line = ""
        line = f"{line} {word}".strip()
    yield f"    {line}"
