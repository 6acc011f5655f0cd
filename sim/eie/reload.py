"""Count the cycles that the host takes to reload memories between segments."""

from collections.abc import Mapping

from zeroskip.compiler.eie.engine import EiePart
from zeroskip.compiler.engine import SramData

__all__ = ["READ_CYCLES", "reload_cycles"]

# The host port takes a write per cycle, and a read in four: into the port, out of the memory,
# into the answer, and back.
READ_CYCLES = 4
"""Cycles of a read through a host port."""


def reload_cycles(part: EiePart, samples: int) -> list[int]:
    """Return, per input, the cycles of the commands that :class:`.RunResult` counts.

    Before the second segment and each later one, the host loads SRAMs and activations; after
    each but the last, it may store activations. From the second input on, it also puts back what
    the first segment has in SRAMs that later ones loaded.
    """
    num_pes = part.params.num_pes
    first, *later = part.segments
    once = sum(_rows(segment.srams) for segment in later)
    once += sum(segment.load[1] * num_pes for segment in later if segment.load)
    stores = [segment.store for segment in part.segments[:-1] if segment.store]
    once += sum(rows * num_pes * READ_CYCLES for _, rows in stores)
    replaced = {name for segment in later for name in segment.srams}
    again = _rows({name: sram for name, sram in first.srams.items() if name in replaced})
    return [once, *[once + again] * (samples - 1)]


def _rows(srams: Mapping[str, SramData]) -> int:
    return sum(len(sram.words) for sram in srams.values())
