"""Check that the passes of all segments go through every row of every vector, in order."""

from collections.abc import Sequence
from typing import Protocol

from zeroskip.compiler.eie.segment import Descriptor
from zeroskip.compiler.image.strict import must_be

__all__ = ["Steps", "covered_rows"]


class Steps(Protocol):
    """Interface of a segment, or of its entry in a manifest."""

    @property
    def program(self) -> tuple[Descriptor, ...]:
        """Descriptors, in order."""
        ...

    @property
    def passes(self) -> tuple[int, ...]:
        """The layer of each descriptor."""
        ...

    @property
    def load(self) -> tuple[int, int] | None:
        """Rows that the host writes before the run."""
        ...

    @property
    def store(self) -> tuple[int, int] | None:
        """Rows that the host reads after the run."""
        ...


def covered_rows(segments: Sequence[Steps]) -> list[int]:
    """Follow the passes; return the rows of the input, then of each layer's output.

    The passes of a window must scan the input from row 0 up, the last of them must drain, and
    windows must drain the output from row 0 up. A layer ends where the files swap, or with a
    segment that the host stores.

    Raises
    ------
    ValueError
        Naming segment, pass and field.
    """
    heights: list[int] = []
    layer = loaded = held = scanned = drained = 0
    for number, segment in enumerate(segments):
        here = f"segments.{number}"
        count = len(segment.program)
        must_be(f"the length of {here}.passes", len(segment.passes), "that of its program", count)
        if segment.load is not None:
            loaded, held = segment.load
        for index, (one, mine) in enumerate(zip(segment.program, segment.passes, strict=True)):
            at, final = f"{here}.program.{index}", index == count - 1
            must_be(f"{here}.passes.{index}", mine, "the layer that program says", layer)
            must_be(f"{at}.last", one.last, "true at the end only, here", final)
            must_be(f"{at}.src_base", one.src_base, "the next row to scan", scanned - loaded)
            scanned += one.src_rows
            if scanned - loaded > held:
                raise ValueError(f"{at}.src_rows must stay within {held} rows of the source")
            if not one.drain:
                must_be(f"{at}.swap", one.swap, "false without drain, here", False)
                continue
            if not layer and not heights:
                heights.append(scanned)
            must_be(f"{at}.src_rows, with those before it,", scanned, "all rows", heights[layer])
            base = segment.store[0] if segment.store is not None else 0
            must_be(f"{at}.dst_base", one.dst_base, "the next row to write", drained - base)
            scanned, drained = 0, drained + one.drain_rows
            if final and segment.store is not None:
                must_be(f"{here}.store", sum(segment.store), "what program writes, up to", drained)
            following = [one.passes[:1] for one in segments[number + 1 : number + 2]]
            stored = final and segment.store is not None and following != [(layer,)]
            if one.swap or stored:
                heights.append(drained)
                layer, loaded, held, drained = layer + 1, 0, drained, 0
    must_be("the number of rows left without an output", scanned + drained, "none", 0)
    return heights
