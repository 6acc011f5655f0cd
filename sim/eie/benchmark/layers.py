"""The nine layers of EIE's evaluation (Han et al., ISCA 2016, tables III and IV)."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.compiler.ir.graph import INPUT, QuantGraph, QuantLinear, linear_chain

__all__ = ["EIE_LAYERS", "PAPER_MHZ", "EieLayer"]

PAPER_MHZ = 800
"""The paper's clock: its microseconds times this are cycles."""


@dataclass(frozen=True)
class EieLayer:
    """A layer of table III, and what table IV says of it at 64 PEs and batch 1.

    Parameters
    ----------
    name : as in the paper.
    inputs, outputs : columns and rows.
    weight_density, act_density : share of non-zero weights, of non-zero activations.
    theoretical_us, actual_us : of the paper's EIE, without and with load imbalance.
    """

    name: str
    inputs: int
    outputs: int
    weight_density: float
    act_density: float
    theoretical_us: float
    actual_us: float

    def draw(self) -> tuple[QuantGraph[QuantLinear], NDArray[np.float64]]:
        """Draw weights and one input at the layer's densities; the same each time.

        Positions are uniformly random: the paper's matrices are not published. Codes are 4 bits,
        activations positive as after a ReLU.

        Returns
        -------
        A network of this one layer, and (1, inputs) activations, whole numbers.
        """
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        counts = rng.binomial(self.outputs, self.weight_density, self.inputs)
        indices = np.empty(counts.sum(), np.int32)
        end = np.cumsum(counts)
        for column, count in enumerate(counts.tolist()):
            rows = rng.choice(self.outputs, count, replace=False, shuffle=False)
            rows.sort()
            indices[end[column] - count : end[column]] = rows
        codes = csc_array(
            (
                rng.integers(1, 16, len(indices), np.uint8),
                indices,
                np.concatenate([[0], end]).astype(np.int32),
            ),
            shape=(self.outputs, self.inputs),
        )
        codebook = np.concatenate([[0], np.sort(rng.integers(-2047, 2048, 15))])
        layer = QuantLinear(
            name=self.name,
            inputs=(INPUT,),
            in_shape=(self.inputs, 1, 1),
            codes=codes,
            codebook=codebook.astype(np.int64),
            bias=rng.integers(-(1 << 20), 1 << 20, self.outputs),
            relu=True,
            in_frac=0,
            weight_frac=12,
            out_frac=0,
        )
        x = rng.integers(1, 256, self.inputs) * (rng.random(self.inputs) < self.act_density)
        return linear_chain([layer]), x[None].astype(np.float64)


EIE_LAYERS = (
    EieLayer("Alex-6", 9216, 4096, 0.09, 0.351, 28.1, 30.3),
    EieLayer("Alex-7", 4096, 4096, 0.09, 0.353, 11.7, 12.2),
    EieLayer("Alex-8", 4096, 1000, 0.25, 0.375, 8.9, 9.9),
    EieLayer("VGG-6", 25088, 4096, 0.04, 0.183, 28.1, 34.4),
    EieLayer("VGG-7", 4096, 4096, 0.04, 0.375, 7.9, 8.7),
    EieLayer("VGG-8", 4096, 1000, 0.23, 0.411, 7.3, 8.4),
    EieLayer("NT-We", 4096, 600, 0.10, 1.0, 5.2, 8.0),
    EieLayer("NT-Wd", 600, 8791, 0.11, 1.0, 13.0, 13.9),
    EieLayer("NT-LSTM", 1201, 2400, 0.10, 1.0, 6.5, 7.5),
)
