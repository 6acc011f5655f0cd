"""Networks as SRAM contents, to decode."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.compiler.eie.place import Placement, Strategy, place
from zeroskip.compiler.eie.program import build
from zeroskip.compiler.ir.graph import INPUT, QuantGraph, QuantLinear, linear_chain
from zeroskip.hw.eie.params import EieParams


def _compile_srams(
    network: QuantGraph[QuantLinear], params: EieParams, strategy: Strategy = "interleave"
) -> tuple[dict[str, NDArray[np.uint64]], Placement]:
    placement = place(network, params, strategy)
    (segment,) = build(network, placement, params)
    return {name: sram.words.copy() for name, sram in segment.srams.items()}, placement


def _one_layer(dense: NDArray[np.uint8]) -> QuantGraph[QuantLinear]:
    rows, cols = dense.shape
    layer = QuantLinear(
        name="fc",
        inputs=(INPUT,),
        in_shape=(cols, 1, 1),
        codes=csc_array(dense),
        codebook=np.arange(16) * 3,
        bias=np.arange(rows) - rows // 2,
        relu=False,
        in_frac=0,
        weight_frac=2,
        out_frac=0,
    )
    return linear_chain([layer])


@pytest.fixture(scope="session")
def compile_srams() -> Callable[..., tuple[dict[str, NDArray[np.uint64]], Placement]]:
    """Give a function of a network that fits, parameters and a strategy.

    It returns the words of the SRAMs, and the placement.
    """
    return _compile_srams


@pytest.fixture(scope="session")
def one_layer() -> Callable[[NDArray[np.uint8]], QuantGraph[QuantLinear]]:
    """Give a function that makes a network of one matrix of codes."""
    return _one_layer
