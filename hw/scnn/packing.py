"""Bit layout of weights on their way to the array: a packed stream each, and their order in memory.

A stream of a pass is the blocks of its groups one behind the other, lowest bits first, from the
first bit of a beat on; what its last beat has left is 0. A block is a header, the place if the
header's ``skip`` says so, and its entries, as many as there are: none is filled up.
"""

from dataclasses import dataclass
from math import gcd

from amaranth.hdl import Shape, unsigned
from amaranth.lib import data

from zeroskip.hw.common.params import address_bits
from zeroskip.hw.scnn.params import ScnnParams

__all__ = [
    "PLACED",
    "Packing",
    "packed_header_layout",
    "packed_place_layout",
    "schedule_layout",
]

_SKIP_BITS = 3
_COUNT_BITS = 8
_LEAST_BEAT_BITS = 128

PLACED = (1 << _SKIP_BITS) - 1
"""``skip`` of a header that a place follows."""


def packed_header_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out the header of a packed block.

    Fields
    ------
    skip : the channel is that of the header before it in the group plus 1 plus ``skip`` (as if one
        of channel -1 stood before the group's first), and ``tap_base`` that of the header before
        it in the pass; with :data:`PLACED` both follow, see :func:`packed_place_layout`.
    last : see :func:`.block_layout`.
    count : weight vectors; 0 only with ``last``.
    unused : lanes of the last vector that have no entry.
    """
    return data.StructLayout({
        "skip": unsigned(_SKIP_BITS),
        "last": unsigned(1),
        "count": unsigned(p.weight_count_bits),
        "unused": unsigned(address_bits(p.mult_f)),
    })


def packed_place_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out where a block is; fields as in :func:`.block_layout`."""
    return data.StructLayout({
        "channel": unsigned(p.header_channel_bits),
        "tap_base": unsigned(p.tap_bits),
    })


@dataclass(frozen=True)
class Packing:
    """Widths of the parts of a packed stream, in bits; all are multiples of ``unit``.

    An entry is a field, lowest, and a run, see :func:`.weight_entry_layout`. Parts are filled up
    with zeros to whole units.

    Parameters
    ----------
    header, place : of :func:`packed_header_layout` and :func:`packed_place_layout`.
    shared, plain : of an entry: a code, or a value.
    beat : of a beat. A header with place and a vector together are no longer, so that there can be
        one of each in a cycle.
    unit : the parts' greatest common divisor and the beat's.
    number : of a stream's number in a schedule; ``slots`` are as many as it has.
    """

    header: int
    place: int
    shared: int
    plain: int
    beat: int
    unit: int
    number: int
    slots: int

    @classmethod
    def of(cls, p: ScnnParams) -> "Packing":
        """Give the widths for an array."""
        shared, plain = p.code_bits + p.run_bits, p.field_bits + p.run_bits
        unit = gcd(shared, plain, _LEAST_BEAT_BITS)
        header, place = (
            -(-Shape.cast(layout).width // unit) * unit
            for layout in (packed_header_layout(p), packed_place_layout(p))
        )
        most = header + place + p.mult_f * plain
        beat = max(_LEAST_BEAT_BITS, 1 << (most - 1).bit_length())
        number = address_bits(p.num_streams)
        slots = min((beat - _COUNT_BITS) // number, (1 << _COUNT_BITS) - 1)
        return cls(header, place, shared, plain, beat, unit, number, slots)


def schedule_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out a beat that says where the beats behind it go.

    Weights of a run are in memory as one such beat, then ``count`` others, then the next such.

    Fields
    ------
    count : beats that follow, at least 1.
    numbers : of their streams, in order, the first lowest; those that are not used are 0.
    """
    packing = Packing.of(p)
    return data.StructLayout({
        "count": unsigned(_COUNT_BITS),
        "numbers": unsigned(packing.slots * packing.number),
    })
