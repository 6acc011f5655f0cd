"""What a run of a compiled network gives, whatever it ran on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.image.image import Image
from zeroskip.compiler.passes.clipping import Clipping

__all__ = ["RunResult", "by_layer"]


@dataclass(frozen=True, eq=False)
class RunResult:
    """What ``n`` inputs gave. Every array of a layer is in the network's order of rows.

    Parameters
    ----------
    outputs : (n, rows) float64 outputs of the last layer.
    layer_outputs : per layer (n, rows) int64, as the hardware holds them.
    saturated : per layer (n,) int64 outputs that saturation changed; None from RTL, which has
        no counter for them.
    cycles : (n,) int64 cycles from start to end of the program, summed over the image's
        segments; None from golden.
    seconds : (n,) float64 wall-clock time of the RTL's runs, without loading and reading; None
        from the models.
    counters : (n, layers, num_pes, stall classes) int64 cycles, see
        :class:`.StallClass`; None from golden, and from RTL without counters.
    reload_cycles : (n,) int64 cycles of the host's commands between segments, which ``cycles``
        does not count; None from golden.
    result : (n, rows) int64, the last layer's outputs as a host reads them; None from golden.
    clipped : numbers of the inputs that did not fit their format; None if inputs were integers.
    """

    outputs: NDArray[np.float64]
    layer_outputs: tuple[NDArray[np.int64], ...]
    saturated: tuple[NDArray[np.int64], ...] | None = None
    cycles: NDArray[np.int64] | None = None
    reload_cycles: NDArray[np.int64] | None = None
    seconds: NDArray[np.float64] | None = None
    counters: NDArray[np.int64] | None = None
    result: NDArray[np.int64] | None = None
    clipped: Clipping | None = None


def by_layer(image: Image, counters: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add up counters of descriptors, (n, descriptors, ...), to those of layers."""
    layers = np.zeros((len(counters), len(image.network.layers), *counters.shape[2:]), np.int64)
    for at, layer in enumerate(image.passes):
        layers[:, layer] += counters[:, at]
    return layers
