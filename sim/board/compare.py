"""Compare what a board did with the models."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.image.image import Image
from zeroskip.flow.eie.host import BoardResult
from zeroskip.sim.run import run

__all__ = ["count_differences"]


def count_differences(
    image: Image, samples: NDArray[np.float64], result: BoardResult
) -> tuple[int, int]:
    """Count outputs that are not golden's, and cycles that are not the cycle model's."""
    model = run(image, samples, "cycles")
    words = np.count_nonzero(model.result != result.result)
    return int(words), int(np.count_nonzero(model.cycles != result.cycles))
