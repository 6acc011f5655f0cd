"""What the unit tests share: reproducible Hypothesis runs, and networks to try things on."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import settings
from scipy.sparse import csc_array

from zeroskip.compiler.ir.network import QuantLayer, QuantNetwork

settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")


def _draw_network(
    sizes: Sequence[int],
    *,
    seed: int = 0,
    density: float = 0.3,
    code_bits: int = 4,
    weight_bits: int = 16,
    bias_bits: int = 16,
    shift: int = 4,
) -> QuantNetwork:
    rng = np.random.default_rng(seed)
    layers: list[QuantLayer] = []
    for index, (cols, rows) in enumerate(itertools.pairwise(sizes)):
        dense = rng.integers(1, 1 << code_bits, (rows, cols)).astype(np.uint8)
        dense[rng.random((rows, cols)) >= density] = 0
        codebook = rng.integers(-(1 << weight_bits - 1), 1 << weight_bits - 1, 1 << code_bits)
        codebook[0] = 0
        layers.append(
            QuantLayer(
                name=f"fc{index + 1}",
                codes=csc_array(dense),
                codebook=codebook,
                bias=rng.integers(-(1 << bias_bits - 1), 1 << bias_bits - 1, rows),
                relu=index < len(sizes) - 2,
                in_frac=8,
                weight_frac=shift,
                out_frac=8,
            )
        )
    return QuantNetwork((sizes[0],), tuple(layers))


@pytest.fixture(scope="session")
def draw_network() -> Callable[..., QuantNetwork]:
    """Give a function that draws a network of layers of ``sizes``, the input's first."""
    return _draw_network
