"""Pooling of every kind that torch has, drawn, with inputs that show what goes wrong."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

__all__ = ["draw_pool", "pools"]

Shape = tuple[int, int, int]


def draw_pool(
    rng: np.random.Generator, most: int = 9
) -> tuple[nn.Module, Shape, NDArray[np.float32]]:
    """Draw a pooling, the shape of a sample, and four samples: some all negative, some sparse."""
    while True:
        plane = [int(v) for v in rng.integers(1, most + 1, 2)]
        kernel = [int(v) for v in rng.integers(1, 7, 2)]
        padding = [int(rng.integers(0, k // 2 + 1)) for k in kernel]
        ceil = bool(rng.random() < 0.5)
        if all(n + 2 * p >= k for n, p, k in zip(plane, padding, kernel, strict=True)):
            break
    stride = (int(rng.integers(1, 8)), int(rng.integers(1, 8)))
    if rng.random() < 0.4:
        stride = (1, 1)
    words: dict[str, Any] = {
        "kernel_size": (kernel[0], kernel[1]),
        "stride": stride,
        "padding": (padding[0], padding[1]),
        "ceil_mode": ceil,
    }
    pool: nn.Module
    if rng.random() < 0.3:
        pool = nn.MaxPool2d(**words)
    else:
        divisor = int(rng.choice([1, 2, 7, 100, -3])) if rng.random() < 0.2 else None
        count = bool(rng.random() < 0.4)
        pool = nn.AvgPool2d(**words, count_include_pad=count, divisor_override=divisor)
    if rng.random() < 0.3:
        pool = nn.Sequential(pool, nn.ReLU())
    shape = int(rng.integers(1, 4)), plane[0], plane[1]
    x = rng.normal(size=(4, *shape)).astype(np.float32)
    kind = rng.integers(4)
    if kind == 0:
        x = -np.abs(x) - np.float32(0.01)
    elif kind == 1:
        x *= rng.random(x.shape) < 0.3
    # Not everything is 0.
    x[0, 0, 0, 0] = -1 if kind == 0 else 1
    return pool.eval(), shape, x


@st.composite
def pools(draw: st.DrawFn) -> tuple[nn.Module, Shape, NDArray[np.float32]]:
    """Draw as :func:`draw_pool` does."""
    return draw_pool(np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
