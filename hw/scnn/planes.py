"""Where planes are that the system brings and fetches: in memory, and in the array."""

from amaranth.lib import data

from zeroskip.hw.scnn import formats as scnn
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.system.formats import word_bytes
from zeroskip.hw.system.jobs import Memory
from zeroskip.hw.system.params import SystemParams

__all__ = [
    "PLANE_IN",
    "PLANE_OUT",
    "PLANE_WORD_BITS",
    "plane_in_layout",
    "plane_out_layout",
    "plane_spaces",
    "scnn_lanes",
]

PLANE_IN, PLANE_OUT = 14, 15
"""Numbers of the spaces that say where planes are, see :func:`plane_in_layout` and
:func:`plane_out_layout`. LOAD writes them as it writes memories of the array."""

PLANE_WORD_BITS = 64
"""Width of their words."""


def plane_in_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out where the values of an INPUT are in memory, and in the array."""
    return data.StructLayout({
        "plane": scnn.plane_load_layout(p),
        "spread": scnn.plane_spread_layout(p),
        "memory": scnn.plane_memory_layout(),
    })


def plane_out_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out where the values of an OUTPUT are in the array, and in memory."""
    return data.StructLayout({
        "plane": scnn.plane_phases_layout(p),
        "spread": scnn.plane_spread_layout(p),
        "memory": scnn.plane_memory_layout(),
    })


def plane_spaces(p: ScnnParams) -> dict[int, Memory]:
    """Return the spaces of planes: words of 64 bits, lowest first."""
    layouts = {PLANE_IN: plane_in_layout(p), PLANE_OUT: plane_out_layout(p)}
    return {
        space: Memory(1, -(-layout.size // PLANE_WORD_BITS), PLANE_WORD_BITS)
        for space, layout in layouts.items()
    }


def scnn_lanes(params: SystemParams, p: ScnnParams) -> int:
    """Count the values of a beat, each in the next power of two of bytes."""
    return params.beat_bytes // word_bytes(p.act_bits)
