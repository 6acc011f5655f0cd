"""What an image's ``manifest.json`` has of EIE's part."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from zeroskip.compiler.eie.coverage import covered_rows, step_rows
from zeroskip.compiler.eie.recurrent import is_recurrent
from zeroskip.compiler.eie.segment import Descriptor
from zeroskip.compiler.image.runs import RunEntry, check_pass
from zeroskip.compiler.image.strict import Count, Size, StrictEntry, must_be
from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.hw.eie.formats import sram_files
from zeroskip.hw.eie.params import EieParams

__all__ = ["EieEntry", "SegmentEntry", "check_positions", "segment_rows"]

_Rows = tuple[Count, Size]


class SegmentEntry(RunEntry):
    """A :class:`.Segment`."""

    program: Annotated[tuple[Descriptor, ...], Field(min_length=1)]
    load: _Rows | None
    store: _Rows | None


class EieEntry(StrictEntry):
    """An :class:`.EiePart`.

    Fields
    ------
    placement : ``interleave``, or the file that holds the positions.
    segments : in order.
    """

    placement: Literal["interleave", "placement.npz"]
    segments: Annotated[tuple[SegmentEntry, ...], Field(min_length=1)]

    def check(self, graph: QuantGraph, params: EieParams) -> None:
        """Check that the segments go through the layers, and load what there is.

        Raises
        ------
        ValueError
            Naming the field.
        """
        heights = segment_rows(self.segments, graph)
        must_be("the number of layers", len(graph.layers), "what program says", len(heights) - 1)
        names = set(sram_files(params))
        for number, segment in enumerate(self.segments):
            segment.check_srams(f"segments.{number}", names, names if not number else set())
            for index, (layer, step) in enumerate(
                zip(segment.passes, segment.program, strict=True)
            ):
                check_pass(f"segments.{number}.program.{index}", step, graph.layers[layer])


def segment_rows(segments: Sequence[Any], graph: QuantGraph) -> list[int]:
    """Return the rows of the input, then of each layer's output.

    Raises
    ------
    ValueError
        If the segments do not go through them.
    """
    if not is_recurrent(graph):
        return covered_rows(segments)
    must_be("the number of segments", len(segments), "that of a recurrent network", 1)
    return step_rows(segments[0])


def check_positions(index: int, positions: NDArray[np.int64], size: int) -> None:
    """Check that every element has a place of its own among those that the program covers.

    Raises
    ------
    ValueError
        Naming the array.
    """
    if positions.min() < 0 or positions.max() >= size:
        raise ValueError(
            f"placement_{index} must be from 0 to {size - 1}, "
            f"not {positions.min()} to {positions.max()}"
        )
    if len(np.unique(positions)) != len(positions):
        raise ValueError(f"placement_{index} must give every element a position of its own")
