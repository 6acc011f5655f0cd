"""The matrices of layers: one of a Linear, two of a recurrent layer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.compiler.ir.graph import QuantCell, QuantLinear

__all__ = ["Matrix", "matrices"]


@dataclass(frozen=True, eq=False)
class Matrix:
    """What a vector is multiplied with.

    Parameters
    ----------
    layer : number of the layer.
    vector : number of the vector: 0 for the network's input, else the layer before which made it.
    codes : (rows, columns); row ``r`` is a sum of output ``r % outputs`` of the layer.
    codebook : the weights.
    """

    layer: int
    vector: int
    codes: csc_array
    codebook: NDArray[np.int64]


def matrices(layer: QuantLinear | QuantCell, number: int) -> tuple[Matrix, ...]:
    """Return the matrices of layer ``number`` of a chain, in the order of their passes."""
    if isinstance(layer, QuantLinear):
        return (Matrix(number, number, layer.codes, layer.codebook),)
    # A projection is the layer right behind.
    past = number + 1 + (layer.projection is not None)
    return (
        Matrix(number, number, layer.matrix, layer.codebook),
        Matrix(number, past, layer.recurrent, layer.recurrent_codebook),
    )
