"""Bit layouts that all arrays share, and how values become words of them."""

import enum
from typing import Any

from amaranth.hdl import Const, Format, Shape, ShapeCastable, Value, unsigned
from amaranth.lib import data

__all__ = [
    "ADDR_BITS",
    "COUNTER_BITS",
    "DESCRIPTOR_WORD_BITS",
    "Activation",
    "CellKind",
    "NumberShape",
    "bias_word",
    "command_layout",
    "host_layout",
    "pack",
]

DESCRIPTOR_WORD_BITS = 64
"""Width of a word of a program memory; a descriptor is several of them, lowest first."""

COUNTER_BITS = 32
"""Width of a cycle counter, which wraps."""

ADDR_BITS = 24
"""Width of a host address."""


SPACE_BITS = 4
"""Width of the number of an address space."""


class NumberShape(ShapeCastable):
    """Shape of a field that holds a member of an enumeration, and may be wider than it needs.

    Amaranth's own enumerations have it, too, but are none for software without Amaranth.

    Parameters
    ----------
    names : the enumeration, which waves and Verilog show.
    width : bits.
    """

    def __init__(self, names: type[enum.IntEnum], width: int) -> None:
        self.names = names
        self._width = width

    def as_shape(self) -> Shape:
        return unsigned(self._width)

    def __call__(self, target: Any) -> Value:
        return target

    def const(self, init: int | None) -> Const:
        return Const(init or 0, self._width)

    def from_bits(self, raw: int) -> enum.IntEnum:
        return self.names(raw)

    def format(self, obj: Any, spec: str) -> Any:
        return Format.Enum(obj, self.names)


class Activation(enum.IntEnum):
    """Activation function of a layer: what becomes of its rounded outputs."""

    IDENTITY = 0
    """Outputs stay as they are."""
    RELU = 1
    """Negative outputs become 0."""


class CellKind(enum.IntEnum):
    """What a drain makes of sums."""

    NONE = 0
    """Outputs, one of each."""
    LSTM = 1
    """Hidden units of four sums each: input gate, candidate, forget gate, output gate."""
    GRU = 2
    """Hidden units of four sums each: reset gate, the hidden part of the candidate, update gate,
    the other part of the candidate."""
    PEEPHOLE = 3
    """As LSTM, of gates that see the state: three weights of a hidden unit besides its biases."""


def host_layout(bits: int, space: type[enum.IntEnum]) -> data.StructLayout:
    """Lay out a host command as a PE sees it: write ``data`` to row ``addr`` of a space, or read.

    Parameters
    ----------
    bits : width of the data.
    space : address spaces; 0 is the control space.
    """
    return data.StructLayout({
        "data": unsigned(bits),
        "addr": unsigned(ADDR_BITS),
        "space": NumberShape(space, SPACE_BITS),
        "write": unsigned(1),
    })


def command_layout(host: data.StructLayout) -> data.StructLayout:
    """Lay out a host command, and the number of the PE (or stream) whose memory is meant."""
    return data.StructLayout({"command": host, "pe": unsigned(8)})


def pack(layout: data.StructLayout, **fields: Any) -> int:
    """Pack ``fields`` to the integer that the RTL sees; unnamed fields are 0.

    Raises
    ------
    ValueError
        If a field is unknown or its value does not fit.
    """
    known = {name for name, _ in layout}
    for name, value in fields.items():
        if name not in known:
            raise ValueError(f"{name} must be 0, as there is no such field, not {value}")
        if isinstance(value, int):
            shape = Shape.cast(layout[name].shape)
            low = -(1 << shape.width - 1) if shape.signed else 0
            high = (1 << shape.width - shape.signed) - 1
            if not low <= value <= high:
                raise ValueError(f"{name} must be from {low} to {high}, not {value}")
    init: dict[int | str, Any] = {**fields}
    return Const.cast(layout.const(init)).value & ((1 << Shape.cast(layout).width) - 1)


def bias_word(bias: int, shift: int) -> int:
    """Return what the bias SRAM holds: the bias plus half an output step.

    The hardware then rounds half up by adding this word and shifting right.
    """
    return bias + ((1 << shift) >> 1)
