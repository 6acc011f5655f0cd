"""Bit layouts of the chip that has both engines."""

import enum as py_enum

from amaranth.hdl import Shape, unsigned
from amaranth.lib import data, enum

from zeroskip.hw.eie import formats as eie
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn import formats as scnn
from zeroskip.hw.scnn.params import ScnnParams

__all__ = [
    "HANDOFF_WORDS",
    "Engine",
    "Go",
    "Register",
    "chip_command_layout",
    "chip_host_bits",
    "handoff_layout",
    "register_layout",
]

HANDOFF_WORDS = 2
"""The handoff's configuration is this many registers of 64 bits, lowest first."""


class Engine(enum.Enum, shape=2):
    """Which part of the chip a host command is for."""

    EIE = 0
    SCNN = 1
    CHIP = 2


class Register(py_enum.IntEnum):
    """Registers of the chip itself."""

    COMMAND = 0
    """Write :class:`Go`."""
    STATUS = 1
    """Bits of :class:`StatusBit`, answered at any time; write ``BAD_READ`` to clear that one."""
    HANDOFF = 2
    """First word of the handoff's configuration, which is only written."""


class Go(py_enum.IntFlag):
    """Commands that can be written to ``Register.COMMAND``; the parts are done in this order.

    Where SCNN has lost outputs (``StatusBit.LOST``), neither HANDOFF nor EIE behind it is done.
    """

    SCNN = 1
    """Start SCNN, and wait for its end."""
    HANDOFF = 2
    """Copy SCNN's outputs to EIE's activation file 0, flattened."""
    EIE = 4
    """Start EIE, and wait for its end."""


def handoff_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out the hand-over's configuration: where SCNN's outputs are, as :func:`.plane_layout`."""
    layout = scnn.plane_layout(p)
    if Shape.cast(layout).width > 64 * HANDOFF_WORDS:
        raise ValueError("the handoff's configuration does not fit its registers")
    return layout


def register_layout() -> data.StructLayout:
    """Lay out a command to the chip itself: write ``data`` to register ``addr``, or read it."""
    return data.StructLayout({"data": unsigned(64), "addr": unsigned(2), "write": unsigned(1)})


def chip_command_layout(scnn_params: ScnnParams, eie_params: EieParams) -> data.StructLayout:
    """Lay out a host command: the engine, and in the low bits of ``command`` what it is told."""
    width = max(
        Shape.cast(layout).width
        for layout in (
            scnn.command_layout(scnn_params),
            eie.command_layout(eie_params),
            register_layout(),
        )
    )
    return data.StructLayout({"command": unsigned(width), "engine": Engine})


def chip_host_bits(scnn_params: ScnnParams, eie_params: EieParams) -> int:
    """Width of an answer of the host port."""
    return max(scnn.host_bits(scnn_params), eie.host_bits(eie_params))
