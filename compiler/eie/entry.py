"""What an image's ``manifest.json`` has of EIE's part."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from zeroskip.compiler.eie.coverage import covered_rows
from zeroskip.compiler.eie.segment import Descriptor, Segment, program_words
from zeroskip.compiler.image.strict import Count, Size, StrictEntry, must_be
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.hw.common.formats import Activation
from zeroskip.hw.eie.formats import sram_files
from zeroskip.hw.eie.params import EieParams

__all__ = ["EieEntry", "SegmentEntry", "check_positions", "check_programs"]

_Rows = tuple[Count, Size]


class SegmentEntry(StrictEntry):
    """A :class:`.Segment`, with the names of the SRAMs that it loads."""

    program: Annotated[tuple[Descriptor, ...], Field(min_length=1)]
    passes: tuple[Count, ...]
    srams: tuple[str, ...]
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

    def check(self, graph: QuantGraph[QuantLinear], params: EieParams) -> None:
        """Check that the segments go through the layers, and load what there is.

        Raises
        ------
        ValueError
            Naming the field.
        """
        heights = covered_rows(self.segments)
        must_be("the number of layers", len(graph.layers), "what program says", len(heights) - 1)
        names = set(sram_files(params))
        for number, segment in enumerate(self.segments):
            wrong = set(segment.srams) - names or (set() if number else names - set(segment.srams))
            if wrong:
                rule = "not name" if min(wrong) in segment.srams else "name"
                raise ValueError(f"segments.{number}.srams must {rule} {min(wrong)}")
            for index, (layer, one) in enumerate(zip(segment.passes, segment.program, strict=True)):
                here, made = f"segments.{number}.program.{index}", graph.layers[layer]
                function = Activation(made.relu)
                must_be(
                    f"{here}.activation", one.activation, f"that of layer {made.name!r}", function
                )
                rule = f"what the fraction bits of layer {made.name!r} say"
                must_be(f"{here}.shift", one.shift, rule, made.shift)


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


def check_programs(segments: Sequence[Segment], params: EieParams) -> None:
    """Check the descriptors against what the hardware will read.

    Raises
    ------
    ValueError
        Naming the segment.
    """
    held, words = "", np.empty(0, np.uint64)
    for number, segment in enumerate(segments):
        if "program" in segment.srams:
            held, words = f"run_{number}/program", segment.srams["program"].words[:, 0]
        if not np.array_equal(program_words(segment.program, params), words):
            raise ValueError(f"segments.{number}.program must be what {held} holds")
