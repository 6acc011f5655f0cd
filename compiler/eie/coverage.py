"""Check that the passes of all segments go through every row of every vector, in order."""

from collections.abc import Sequence
from typing import Any

from zeroskip.compiler.image.strict import must_be

__all__ = ["covered_rows", "step_rows"]


def step_rows(segment: Any) -> list[int]:
    """Follow the passes of a step; return the rows of the input, then of each layer's output.

    Parameters
    ----------
    segment : the only one of a recurrent network, or its entry in a manifest.

    Raises
    ------
    ValueError
        Naming pass and field.
    """
    heights = [0]
    count = len(segment.program)
    must_be("the length of segments.0.passes", len(segment.passes), "that of its program", count)
    for index, (step, layer) in enumerate(zip(segment.program, segment.passes, strict=True)):
        field = f"segments.0.program.{index}"
        must_be(f"{field}.last", step.last, "true at the end only, here", index == count - 1)
        must_be(f"{field}.swap", step.swap, "false in a recurrent network, here", False)
        if layer == len(heights) - 1:
            heights.append(0)
        must_be(f"segments.0.passes.{index}", layer, "the layer at work", len(heights) - 2)
        if not step.recur:
            heights[0] = max(heights[0], step.src_base + step.src_rows)
        heights[-1] += step.drain_rows if step.drain else 0
    must_be("segments.0.load", tuple(segment.load or ()), "the input", (0, heights[0]))
    must_be("segments.0.store", tuple(segment.store or ()), "the output", (0, heights[-1]))
    return heights


def covered_rows(segments: Sequence[Any]) -> list[int]:
    """Follow the passes; return the rows of the input, then of each layer's output.

    The passes of a window must scan the input from row 0 up, the last of them must drain, and
    windows must drain the output from row 0 up. A layer ends where the files swap, or with a
    segment that the host stores.

    Parameters
    ----------
    segments : of a part, or their entries in a manifest.

    Raises
    ------
    ValueError
        Naming segment, pass and field.
    """
    heights: list[int] = []
    layer = loaded = height = scanned = drained = 0
    for number, segment in enumerate(segments):
        here = f"segments.{number}"
        count = len(segment.program)
        must_be(f"the length of {here}.passes", len(segment.passes), "that of its program", count)
        if segment.load is not None:
            loaded, height = segment.load
        for index, (step, its_layer) in enumerate(
            zip(segment.program, segment.passes, strict=True)
        ):
            field, final = f"{here}.program.{index}", index == count - 1
            must_be(f"{here}.passes.{index}", its_layer, "the layer that program says", layer)
            must_be(f"{field}.last", step.last, "true at the end only, here", final)
            must_be(f"{field}.src_base", step.src_base, "the next row to scan", scanned - loaded)
            scanned += step.src_rows
            if scanned - loaded > height:
                raise ValueError(f"{field}.src_rows must stay within {height} rows of the source")
            if not step.drain:
                must_be(f"{field}.swap", step.swap, "false without drain, here", False)
                continue
            if not layer and not heights:
                heights.append(scanned)
            rule = "all rows"
            must_be(f"{field}.src_rows, with those before it,", scanned, rule, heights[layer])
            base = segment.store[0] if segment.store is not None else 0
            must_be(f"{field}.dst_base", step.dst_base, "the next row to write", drained - base)
            scanned, drained = 0, drained + step.drain_rows
            if final and segment.store is not None:
                must_be(f"{here}.store", sum(segment.store), "what program writes, up to", drained)
            following = [after.passes[:1] for after in segments[number + 1 : number + 2]]
            stored = final and segment.store is not None and following != [(layer,)]
            if step.swap or stored:
                heights.append(drained)
                layer, loaded, height, drained = layer + 1, 0, drained, 0
    must_be("the number of rows left without an output", scanned + drained, "none", 0)
    return heights
