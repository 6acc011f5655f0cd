"""A mapped module as its gates and the nets between them, of what Yosys writes as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Bit", "Gate", "Gates", "read_gates"]

Bit = int | str
"""A net, by the number that Yosys has for it; or a constant: ``"0"``, ``"1"`` or ``"x"``."""


@dataclass(frozen=True)
class Gate:
    """A cell of the library: its kind, and the net at each of its pins."""

    kind: str
    pins: Mapping[str, Bit]


@dataclass(frozen=True)
class Gates:
    """What a module has, without modules in it.

    Parameters
    ----------
    ports : nets of each port, its lowest bit first.
    gates : in no order.
    """

    ports: Mapping[str, tuple[Bit, ...]]
    gates: tuple[Gate, ...]


def read_gates(module: Mapping[str, Any]) -> Gates:
    """Take gates out of a module of ``write_json``, all of whose cells have pins of one bit."""
    return Gates(
        {name: tuple(port["bits"]) for name, port in module["ports"].items()},
        tuple(
            Gate(cell["type"], {pin: bit for pin, (bit,) in cell["connections"].items()})
            for cell in module["cells"].values()
        ),
    )
