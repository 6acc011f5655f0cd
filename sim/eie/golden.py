"""Run chains of Linear layers in fixed point; decoders make layers that it takes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.fixed import Matrix, run_layer

__all__ = ["NetworkResult", "run_network"]


@dataclass(frozen=True, eq=False)
class NetworkResult:
    """Outputs of every layer.

    Parameters
    ----------
    outputs : per layer (rows, batch) int64.
    saturated : per layer (batch,) int64, outputs that saturation changed.
    """

    outputs: tuple[NDArray[np.int64], ...]
    saturated: tuple[NDArray[np.int64], ...]


def run_network(
    layers: Sequence[Matrix], x: NDArray[np.int64], *, act_bits: int, acc_bits: int
) -> NetworkResult:
    """Run a chain of layers.

    Parameters
    ----------
    layers : at least one, each with as many columns as its predecessor has rows.
    x : (cols, batch) activations of the first layer.
    act_bits : width of an activation, signed.
    acc_bits : width of the accumulator.

    Raises
    ------
    ValueError
        As :func:`.run_layer` does.
    """
    outputs: list[NDArray[np.int64]] = []
    saturated: list[NDArray[np.int64]] = []
    samples = x.T
    for layer in layers:
        samples, count = run_layer(layer, samples, act_bits=act_bits, acc_bits=acc_bits)
        outputs.append(samples[:, :, 0, 0].T)
        saturated.append(count)
    return NetworkResult(tuple(outputs), tuple(saturated))
