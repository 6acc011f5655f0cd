"""What a compiled network computes, bit for bit."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.fixed import concatenate, run_layer
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.sim.result import PartResult, Result

__all__ = ["run_golden"]


def run_golden(image: Image, planes: NDArray[np.int64]) -> Result:
    """Compute every layer of an image.

    Parameters
    ----------
    image : the compiled network.
    planes : (n, C, H, W) int64, inputs in fixed point.
    """
    tensors, sequences = {INPUT: planes}, image.graph.sequences(len(planes), whole=True)
    parts: list[PartResult] = []
    for part in image.parts:
        computed: dict[str, NDArray[np.int64]] = {}
        saturated: dict[str, NDArray[np.int64]] = {}
        for layer in part.graph.layers:
            x = concatenate(tensors, layer.inputs, layer.in_shape)
            y, clipped = run_layer(
                layer,
                x,
                acc_bits=part.params.acc_bits,
                act_bits=part.params.act_bits,
                projection=part.graph.projection(layer),
                sequences=sequences,
            )
            tensors[layer.name] = computed[layer.name] = y
            saturated[layer.name] = clipped
        parts.append(
            PartResult(
                engine=part.engine, layers=tuple(computed), tensors=computed, saturated=saturated
            )
        )
    return Result(image=image, planes=planes, parts=tuple(parts))
