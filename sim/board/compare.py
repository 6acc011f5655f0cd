"""Compare what a board did with the models."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.image.image import Image
from zeroskip.flow.host.run import BoardResult
from zeroskip.sim.eie.run import run_eie

__all__ = ["count_differences"]


def count_differences(
    image: Image, samples: NDArray[np.float64], result: BoardResult
) -> tuple[int, int]:
    """Count outputs that are not golden's, and cycles that are not the cycle model's."""
    model: Any = run_eie(image, samples, "cycles")
    words = np.count_nonzero(model.layer_outputs[-1] != result.result)
    return int(words), int(np.count_nonzero(model.cycles != result.cycles))
