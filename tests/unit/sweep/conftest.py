"""A small sweep."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.sweep.grid import Point, grid
from zeroskip.sim.eie.sweep.sweep import EieSweep
from zeroskip.sim.eie.sweep.work import ImageWork

BASE = Point(
    EieParams(
        num_pes=4, spmat_words=256, num_pointers=256, num_acts=32, num_accs=16, num_biases=64
    ),
    "interleave",
)
AXES = {"num_pes": [2, 4, 256], "queue_depth": [1, 8], "placement": ["interleave", "balance"]}


@pytest.fixture
def work(draw_network: Callable[..., QuantGraph[QuantLinear]]) -> ImageWork:
    """Give a network of two layers with two inputs."""
    rng = np.random.default_rng(3)
    x = rng.integers(1, 9, (2, 40)) * (rng.random((2, 40)) < 0.6)
    return ImageWork("small", draw_network((40, 30, 12)), x.astype(np.float64))


@pytest.fixture
def sweep(work: ImageWork) -> EieSweep:
    """Give 12 points, 4 of them impossible."""
    return EieSweep([work], grid(BASE, AXES))


@pytest.fixture
def same() -> Callable[..., bool]:
    """Give a function that compares rows without the time they took."""

    def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "model_seconds": None} for row in rows]

    return lambda one, other: plain(one) == plain(other)
