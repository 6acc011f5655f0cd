"""Packed streams of weights, as an encoder of the tests' own makes them."""

from dataclasses import dataclass, field
from typing import Any

from zeroskip.hw.scnn.packing import (
    PLACED,
    Packing,
    packed_header_layout,
    packed_place_layout,
)
from zeroskip.hw.scnn.params import ScnnParams


@dataclass
class Pass:
    """What a stream has for a pass, packed to one number, and the vectors that it is."""

    p: ScnnParams
    plain: bool
    bits: int = 0
    length: int = 0
    groups: int = 0
    vectors: list[dict[str, Any]] = field(default_factory=list)

    def append(self, value: int, width: int) -> None:
        self.bits |= value << self.length
        self.length += width

    def block(self, header: dict[str, int], entries: list[tuple[int, int]]) -> None:
        """Append a block; ``skip`` of the header says how it is written."""
        p, packing = self.p, Packing.of(self.p)
        layout, place = packed_header_layout(p), packed_place_layout(p)
        count = -(-len(entries) // p.mult_f)
        fields: dict[int | str, Any] = {
            **{name: header[name] for name in ("skip", "last")},
            "count": count,
            "unused": count * p.mult_f - len(entries),
        }
        self.append(layout.const(fields).as_bits(), packing.header)
        if header["skip"] == PLACED:
            fields = {name: header[name] for name in ("channel", "tap_base")}
            self.append(place.const(fields).as_bits(), packing.place)
        field_bits = p.field_bits if self.plain else p.code_bits
        for code, run in entries:
            self.append(code | run << field_bits, packing.plain if self.plain else packing.shared)
        padded = entries + [(0, 0)] * (count * p.mult_f - len(entries))
        for number in range(max(1, count)):
            last = number == max(1, count) - 1
            here = padded[number * p.mult_f : (number + 1) * p.mult_f] or [(0, 0)] * p.mult_f
            head = {"channel": header["channel"], "tap_base": header["tap_base"]}
            self.vectors.append({
                "entries": here,
                "header": {**head, "count": count, "last": header["last"]},
                "first": int(number == 0),
                "ends": int(last and header["last"]),
            })

    def beats(self) -> list[int]:
        width = Packing.of(self.p).beat
        return [self.bits >> at & (1 << width) - 1 for at in range(0, self.length, width)]
