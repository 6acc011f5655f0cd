"""Tables of tanh and sigmoid against floating point, over every argument there is."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from zeroskip.compiler.ir.activations import sigmoid, tanh

EVERY = np.arange(-(1 << 15), 1 << 15)


def exact_sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("table", "exact", "frac", "most"),
    [(tanh, np.tanh, 12, 2.0**-12), (sigmoid, exact_sigmoid, 11, 2.0**-13)],
)
def test_error_over_every_argument(
    table: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    exact: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    frac: int,
    most: float,
) -> None:
    values = table(EVERY)
    assert np.abs(values / 2.0**15 - exact(EVERY / 2.0**frac)).max() < most
    assert np.abs(values).max() < 1 << 15
    assert (np.diff(values) >= 0).all()


def test_no_worse_than_a_table_of_2048_points() -> None:
    """The points are what a table without interpolation gives for the 32 arguments around them."""
    points = np.tanh((np.arange(2048) + 0.5) / 128 - 8)
    exact = np.tanh(EVERY / 2.0**12)
    stored = np.abs(points.repeat(32) - exact).max()
    assert np.abs(tanh(EVERY) / 2.0**15 - exact).max() < stored / 15


def test_symmetry_but_for_halves() -> None:
    assert tanh(np.array([0])) == 0
    assert sigmoid(np.array([0])) == 1 << 14
    assert np.abs(tanh(-EVERY[1:]) + tanh(EVERY[1:])).max() <= 1
