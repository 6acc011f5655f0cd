"""Sizes of the system around the engines: its port to memory, and what it keeps in flight."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from zeroskip.base.errors import ParameterError
from zeroskip.hw.common.params import address_bits

__all__ = ["SystemParams"]

_PAGE = 4096

_RANGES = {
    "data_bits": (64, 256),
    "addr_bits": (16, 40),
    "burst_beats": (1, 256),
    "outstanding": (1, 16),
    "starts": (1, 16),
}


@dataclass(frozen=True, kw_only=True)
class SystemParams:
    """Sizes of the port to memory. Wrong values raise :class:`.ParameterError`.

    Parameters
    ----------
    data_bits : width of a beat of the memory port: 64, 128 or 256.
    addr_bits : width of a byte address.
    burst_beats : beats of a burst at most; a power of two, and no burst is over 4 KB.
    outstanding : read bursts that are asked for and not yet answered, at most; the room behind the
        port holds them all, so that it never holds the memory up.
    starts : inferences that may be queued, besides the one under way.
    """

    data_bits: int = 128
    addr_bits: int = 32
    burst_beats: int = 16
    outstanding: int = 8
    starts: int = 2

    ranges: ClassVar[Mapping[str, tuple[int, int]]] = _RANGES

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            low, high = _RANGES[name]
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ParameterError(name, value, f"a whole number from {low} to {high}")
        if self.data_bits not in (64, 128, 256):
            raise ParameterError("data_bits", self.data_bits, "64, 128 or 256")
        if self.burst_beats & self.burst_beats - 1:
            raise ParameterError("burst_beats", self.burst_beats, "a power of two")
        if self.burst_beats * self.beat_bytes > _PAGE:
            most = _PAGE // self.beat_bytes
            raise ParameterError("burst_beats", self.burst_beats, f"at most {most}, which is 4 KB")

    @property
    def beat_bytes(self) -> int:
        """Bytes of a beat."""
        return self.data_bits // 8

    @property
    def beat_shift(self) -> int:
        """Bits of a byte address that lie within a beat."""
        return address_bits(self.beat_bytes)
