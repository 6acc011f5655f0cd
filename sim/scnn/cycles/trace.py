"""What every PE of SCNN worked on and when, for one input of an image."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import ImageError
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.sim.scnn.cycles.passes import PassTrace
from zeroskip.sim.scnn.cycles.program import ScnnCycles

__all__ = ["TracedScnnPass", "trace_cnn_image"]


@dataclass(frozen=True, eq=False)
class TracedScnnPass:
    """A pass in time.

    Parameters
    ----------
    layer : number of its layer in the graph.
    run : number of its run.
    offset : cycles of the runs before.
    times : see :class:`.PassTrace`.
    """

    layer: int
    run: int
    offset: int
    times: PassTrace

    @property
    def end(self) -> int:
        """Cycles of all runs up to the end of this pass."""
        return self.offset + self.times.end


def trace_cnn_image(
    part: ScnnPart, tensors: Mapping[str, NDArray[np.int64]]
) -> list[TracedScnnPass]:
    """Trace the runs of one input.

    Parameters
    ----------
    part : of a compiled network.
    tensors : (C, H, W) int64 by name: the input and every layer's output.

    Returns
    -------
    The passes of all runs, in order.

    Raises
    ------
    ImageError
        If weights, activations or the program make no sense.
    """
    found: list[TracedScnnPass] = []
    offset = 0
    try:
        model = ScnnCycles(part.params, part.runs)
        for number, run in enumerate(part.runs):
            times: list[PassTrace] = []
            spent = model.count(number, tensors, times).cycles
            found += [
                TracedScnnPass(layer, number, offset, log)
                for layer, log in zip(run.passes, times, strict=True)
            ]
            offset += spent
    except ValueError as error:
        raise ImageError(f"the image is damaged: {error}") from error
    return found
