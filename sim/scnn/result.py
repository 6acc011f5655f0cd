"""What a run of a compiled CNN gives, whatever it ran on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.passes.clipping import Clipping
from zeroskip.compiler.scnn.order import Order
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.sim.eie.result import RunResult
from zeroskip.sim.scnn.rtl_files import ScnnResult

__all__ = ["CnnResult", "by_conv_layer"]


@dataclass(frozen=True, eq=False)
class CnnResult:
    """What ``n`` inputs gave.

    Parameters
    ----------
    outputs : float64, (n, rows) of the last Linear layer, or (n, C, H, W) if there is none.
    held : every layer's output by name, (n, C, H, W) int64, as the hardware holds it: channels
        of inner layers may be renumbered. From RTL as each pass wrote it.
    orders : by name, of each of those channels, which it is in the network;
        :attr:`.CnnImage.channel_orders`.
    conv_saturated : per layer on SCNN (n,) int64 outputs that saturation changed; None from RTL.
    run_cycles : (n, runs) int64, SCNN's cycles from start to end of each run; None from golden.
    counters : (n, layers, num_pes, stall classes) int64 multiplier-cycles of SCNN, see
        :class:`.StallClass`; None from golden, and from RTL without counters.
    conv_reload_cycles : (n,) int64 cycles of the host's commands between SCNN's runs, which
        ``run_cycles`` does not count; None from golden.
    conv_seconds : (n,) float64 wall-clock time of SCNN's runs on RTL; None from the models.
    result : (n, rows) or (n, C, H, W) int64, ``outputs`` as a host reads them; None from golden.
    rtl : all that the simulation of SCNN recorded; None from the models.
    latency : (n,) int64 cycles from the host's first command to the end of the last, on a chip
        that hands SCNN's outputs over to EIE by itself, without loads and stores between runs;
        None where the host carries them.
    tail : what the Linear layers gave on EIE; None if there are none.
    clipped : numbers of the inputs that did not fit their format; None if inputs were integers.
    """

    outputs: NDArray[np.float64]
    held: dict[str, NDArray[np.int64]]
    orders: Mapping[str, Order]
    conv_saturated: tuple[NDArray[np.int64], ...] | None = None
    run_cycles: NDArray[np.int64] | None = None
    counters: NDArray[np.int64] | None = None
    conv_reload_cycles: NDArray[np.int64] | None = None
    conv_seconds: NDArray[np.float64] | None = None
    result: NDArray[np.int64] | None = None
    rtl: ScnnResult | None = None
    latency: NDArray[np.int64] | None = None
    tail: RunResult | None = None
    clipped: Clipping | None = None

    @cached_property
    def tensors(self) -> dict[str, NDArray[np.int64]]:
        """Every layer's output by name, (n, C, H, W) int64, channels as in the user's network."""
        return {
            name: tensor[:, np.argsort(self.orders[name])] for name, tensor in self.held.items()
        }

    @property
    def layer_outputs(self) -> tuple[NDArray[np.int64], ...]:
        """Outputs per layer, (n, C, H, W) or (n, rows), of SCNN and then of EIE.

        Channels are in the order of the user's network.
        """
        tail = () if self.tail is None else self.tail.layer_outputs
        return *self.tensors.values(), *tail

    @property
    def saturated(self) -> tuple[NDArray[np.int64], ...] | None:
        """Outputs that saturation changed, per layer (n,), of SCNN and then of EIE."""
        if self.conv_saturated is None or self.tail is None:
            return self.conv_saturated
        assert self.tail.saturated is not None
        return *self.conv_saturated, *self.tail.saturated

    @property
    def reload_cycles(self) -> NDArray[np.int64] | None:
        """(n,) cycles of the host's commands between runs of either engine."""
        return _sum(self.conv_reload_cycles, self.tail and self.tail.reload_cycles)

    @property
    def seconds(self) -> NDArray[np.float64] | None:
        """(n,) wall-clock time of the RTL's runs on both engines."""
        return _sum(self.conv_seconds, self.tail and self.tail.seconds)

    @property
    def cycles(self) -> NDArray[np.int64] | None:
        """(n,) cycles of both engines, without what brings activations from one to the other."""
        own = None if self.run_cycles is None else self.run_cycles.sum(axis=1)
        return _sum(own, self.tail and self.tail.cycles)


def _sum(own: NDArray[Any] | None, tail: NDArray[Any] | None) -> NDArray[Any] | None:
    """Add up both engines; there is a number of EIE's only where there is one of SCNN's."""
    return own if own is None or tail is None else own + tail


def by_conv_layer(
    runs: Sequence[ScnnRun], layers: int, counters: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Add up counters of all runs' descriptors, (n, descriptors, ...), to those of layers."""
    sums = np.zeros((len(counters), layers, *counters.shape[2:]), np.int64)
    for at, layer in enumerate(layer for run in runs for layer in run.passes):
        sums[:, layer] += counters[:, at]
    return sums
