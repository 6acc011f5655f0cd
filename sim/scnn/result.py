"""What a run of a compiled CNN gives, whatever it ran on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.clipping import Clipping
from compiler.scnn.run import ScnnRun
from sim.result import RunResult
from sim.rtl.scnn_files import ScnnResult

__all__ = ["CnnResult", "by_conv_layer"]


@dataclass(frozen=True, eq=False)
class CnnResult:
    """What ``n`` inputs gave.

    Parameters
    ----------
    outputs : float64, (n, rows) of the last Linear layer, or (n, C, H, W) if there is none.
    tensors : every layer's output by name, (n, C, H, W) int64, as the hardware holds it. From RTL
        as each pass wrote it.
    saturated : per layer (n,) int64 outputs that saturation changed; None from RTL.
    run_cycles : (n, runs) int64, SCNN's cycles from start to end of each run; None from golden.
    counters : (n, layers, num_pes, stall classes) int64 multiplier-cycles, see
        :class:`hw.scnn.formats.StallClass`; None from golden, and from RTL without counters.
    reload_cycles : (n,) int64 cycles of the host's commands between runs, which ``run_cycles``
        does not count; None unless from RTL.
    seconds : (n,) float64 wall-clock time of SCNN's runs on RTL; None from the models.
    rtl : all that the simulation of SCNN recorded; None from the models.
    latency : (n,) int64 cycles from the host's first command to the end of the last, on a chip
        that hands SCNN's outputs over to EIE by itself, without loads and stores between runs;
        None where the host carries them.
    tail : what the Linear layers gave on EIE; None if there are none.
    clipped : numbers of the inputs that did not fit their format; None if inputs were integers.
    """

    outputs: NDArray[np.float64]
    tensors: dict[str, NDArray[np.int64]]
    saturated: tuple[NDArray[np.int64], ...] | None = None
    run_cycles: NDArray[np.int64] | None = None
    counters: NDArray[np.int64] | None = None
    reload_cycles: NDArray[np.int64] | None = None
    seconds: NDArray[np.float64] | None = None
    rtl: ScnnResult | None = None
    latency: NDArray[np.int64] | None = None
    tail: RunResult | None = None
    clipped: Clipping | None = None

    @property
    def cycles(self) -> NDArray[np.int64] | None:
        """(n,) cycles of both engines, without what brings activations from one to the other."""
        if self.run_cycles is None:
            return None
        total = self.run_cycles.sum(axis=1)
        if self.tail is not None:
            assert self.tail.cycles is not None
            total = total + self.tail.cycles
        return total


def by_conv_layer(
    runs: Sequence[ScnnRun], layers: int, counters: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Add up counters of all runs' descriptors, (n, descriptors, ...), to those of layers."""
    sums = np.zeros((len(counters), layers, *counters.shape[2:]), np.int64)
    for at, layer in enumerate(layer for run in runs for layer in run.passes):
        sums[:, layer] += counters[:, at]
    return sums
