"""Say how long waves will be, from what the cycle models counted."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zeroskip.sim.eie.result import RunResult
from zeroskip.sim.rtl.waves import Waves
from zeroskip.sim.scnn.result import CnnResult

if TYPE_CHECKING:
    from zeroskip.compiler.scnn.image import CnnImage

__all__ = ["cnn_waves", "eie_waves"]


def eie_waves(columns: NDArray[np.int64], counted: RunResult, path: Path) -> Waves:
    """Return the waves of EIE alone.

    Parameters
    ----------
    columns : (n, columns) int64, the inputs.
    counted : what the cycle model says of them.
    path : of the waves.
    """
    return _waves(len(columns), counted, columns.size + _size(counted.result), path)


def cnn_waves(
    image: "CnnImage", planes: NDArray[np.int64], counted: CnnResult, path: Path
) -> Waves:
    """Return the waves of SCNN, and of EIE if ``counted`` has it.

    Parameters
    ----------
    image : the compiled network.
    planes : (n, C, H, W) int64, the inputs.
    counted : what the cycle models say of them.
    path : of the waves.
    """
    # Words hold several activations.
    moved = (planes.size + _size(counted.result)) // image.params.mult_i
    tail = _size(counted.tail and counted.tail.counters)
    return _waves(len(planes), counted, moved + tail, path)


def _waves(samples: int, counted: RunResult | CnnResult, moved: int, path: Path) -> Waves:
    assert counted.cycles is not None
    assert counted.reload_cycles is not None
    run_cycles, reload_cycles = int(counted.cycles.sum()), int(counted.reload_cycles.sum())
    return Waves(path, samples, run_cycles, reload_cycles, moved + _size(counted.counters))


def _size(part: NDArray[np.int64] | None) -> int:
    return 0 if part is None else part.size
