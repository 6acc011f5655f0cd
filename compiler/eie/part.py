"""EIE's part of a network: layers in a chain, and what the array is given for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.entry import segment_rows
from zeroskip.compiler.eie.place import Placement
from zeroskip.compiler.eie.segment import Descriptor, Segment
from zeroskip.compiler.engine import Part, SramData
from zeroskip.compiler.ir.graph import INPUT, QuantCell, QuantGraph, QuantLinear
from zeroskip.compiler.ir.sequences import Sweep
from zeroskip.hw.eie.params import EieParams

__all__ = ["EiePart"]


@dataclass(frozen=True, eq=False)
class EiePart(Part):
    """A chain of Linear layers on one array.

    Parameters
    ----------
    params : of the array.
    graph : the chain; each layer but the first reads the one before.
    placement : positions of input and outputs, see :data:`.Placement`.
    segments : what the array does in one go, in order; one, if the chain fits the memories.
    """

    engine: ClassVar[str] = "eie"

    params: EieParams
    graph: QuantGraph[QuantLinear | QuantCell]
    placement: Placement
    segments: tuple[Segment, ...]

    @property
    def loads(self) -> tuple[Mapping[str, SramData], ...]:
        """What the host loads before each segment, by the SRAM's name, see :func:`.sram_files`."""
        return tuple(segment.srams for segment in self.segments)

    @property
    def srams(self) -> dict[str, SramData]:
        """What the SRAMs hold at first."""
        return self.segments[0].srams

    @property
    def program(self) -> tuple[Descriptor, ...]:
        """Descriptors of all segments, in order."""
        return tuple(step for segment in self.segments for step in segment.program)

    @property
    def passes(self) -> tuple[int, ...]:
        """The layer of each descriptor."""
        return tuple(layer for segment in self.segments for layer in segment.passes)

    @property
    def positions(self) -> Mapping[str, NDArray[np.int64]]:
        inputs = self.layers[0].inputs
        read = {INPUT: self.placement[0]} if inputs == (INPUT,) else {}
        return {**read, self.layers[-1].name: self.placement[-1]}

    @property
    def sweep(self) -> Sweep:
        """In which order runs take steps, of a recurrent network; all its cells take the same."""
        found: Sweep = "forward"
        for layer in self.layers:
            found = layer.sweep if isinstance(layer, QuantCell) else found
        return found

    def in_run_order(self, samples: NDArray[Any], vector: int = 0) -> NDArray[Any]:
        """Put samples in the order of runs, or from that in the order of steps.

        Parameters
        ----------
        samples : (n, ...), of all sequences.
        vector : of the input, or outputs of layer ``vector - 1``.
        """
        before = (layer for layer in self.layers[:vector] if isinstance(layer, QuantCell))
        made_so = any(cell.sweep == "final" for cell in before)
        if self.sweep == "forward" or made_so:
            return samples
        return self.graph.sequences(len(samples)).reversed(samples)

    def vector(self, number: int, *, past: bool) -> int:
        """Return the number of the vector that layer ``number`` reads, now or of the step before.

        0 is the input, and others are outputs of the layer before them.
        """
        layer = self.layers[number]
        if not past or not isinstance(layer, QuantCell):
            return number
        return 1 + [made.name for made in self.layers].index(layer.past)

    @cached_property
    def heights(self) -> list[int]:
        """Rows, of all PEs, of the input, then of each layer's output."""
        return segment_rows(self.segments, self.graph)
