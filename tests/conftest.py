"""What all tests share: the two tiers, what a run prints at its end, and networks to try on."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.sparse import csc_array

from zeroskip.compiler.ir.graph import INPUT, QuantGraph, QuantLinear, linear_chain

pytest_plugins = ["tests.support.garbage", "tests.support.tiers", "tests.support.times"]


def _draw_network(
    sizes: Sequence[int],
    *,
    seed: int = 0,
    density: float = 0.3,
    code_bits: int = 4,
    weight_bits: int = 16,
    bias_bits: int = 16,
    shift: int = 4,
) -> QuantGraph[QuantLinear]:
    rng = np.random.default_rng(seed)
    layers: list[QuantLinear] = []
    for index, (cols, rows) in enumerate(itertools.pairwise(sizes)):
        dense = rng.integers(1, 1 << code_bits, (rows, cols)).astype(np.uint8)
        dense[rng.random((rows, cols)) >= density] = 0
        codebook = rng.integers(-(1 << weight_bits - 1), 1 << weight_bits - 1, 1 << code_bits)
        codebook[0] = 0
        layers.append(
            QuantLinear(
                name=f"fc{index + 1}",
                inputs=(INPUT,),
                in_shape=(cols, 1, 1),
                codes=csc_array(dense),
                codebook=codebook,
                bias=rng.integers(-(1 << bias_bits - 1), 1 << bias_bits - 1, rows),
                relu=index < len(sizes) - 2,
                in_frac=8,
                weight_frac=shift,
                out_frac=8,
            )
        )
    return linear_chain(layers)


@pytest.fixture(scope="session")
def draw_network() -> Callable[..., QuantGraph[QuantLinear]]:
    """Give a function that draws a network of layers of ``sizes``, the input's first."""
    return _draw_network
