"""Say how many rows of the activation RAMs a tensor takes, on the PE where it takes the most."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.scnn.run import Channels, TileLayout
from zeroskip.compiler.scnn.tile_walk import count_rows
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["DenseFill", "ExpectedFill", "Fill", "MeasuredFill", "dense_rows"]

_SIGMAS = 5.0
"""Of the rows of drawn activations, above the mean: of ten million PEs, about three have more."""


class Fill(ABC):
    """How full tensors are."""

    @abstractmethod
    def share(self, tensor: str) -> float:
        """Return the share of a tensor's places that are stored, about."""

    @abstractmethod
    def rows(self, layout: TileLayout, channels: Channels, each: int) -> int:
        """Count the rows that a PE needs at most.

        Parameters
        ----------
        layout : of the tensor's region.
        channels : of the tensor, of which each owner has some.
        each : channels of an owner.
        """


class DenseFill(Fill):
    """No activation is 0: whatever the inputs are, they need no more.

    Parameters
    ----------
    params : of the array.
    """

    def __init__(self, params: ScnnParams) -> None:
        self._params = params

    def share(self, tensor: str) -> float:
        del tensor
        return 1.0

    def rows(self, layout: TileLayout, channels: Channels, each: int) -> int:
        del channels
        return dense_rows(layout, each, self._params)


class ExpectedFill(Fill):
    """Zeros are uniformly random.

    Parameters
    ----------
    params : of the array.
    densities : by tensor, share of its values that are not 0.
    """

    def __init__(self, params: ScnnParams, densities: Mapping[str, float]) -> None:
        self._params, self._densities = params, densities

    def share(self, tensor: str) -> float:
        return self._densities[tensor]

    def rows(self, layout: TileLayout, channels: Channels, each: int) -> int:
        p, density = self._params, self._densities[channels.tensor]
        dense = dense_rows(layout, each, p)
        if layout.dense or density >= 1:
            return dense
        rows = -(-min(layout.walk_h, layout.height) // layout.sy)
        columns = -(-min(layout.walk_w, layout.width) // layout.sx)
        places = rows * columns
        # Behind a row there are places without any value, which runs go through as well.
        walked = layout.walk_h // layout.sy * layout.y_stride
        there = places * density / walked
        long = (1 - there) ** (p.max_run + 1)
        zeros = there * long / (1 - long) if there else 1 / (p.max_run + 1)
        stored = min(places * density + walked * zeros, places)
        spread = places * density * (1 - density) / p.mult_i**2 + 1 / 12
        none = (1 - density) ** places
        mean = stored / p.mult_i + (1 - none) * (p.mult_i - 1) / (2 * p.mult_i)
        entries = each * layout.sy * layout.sx
        return min(dense, math.ceil(entries * mean + _SIGMAS * math.sqrt(entries * spread)))


class MeasuredFill(Fill):
    """Tensors are as full as those of some inputs, or a little fuller.

    Parameters
    ----------
    params : of the array.
    tensors : by name, (n, C, H, W) bool, where values are not 0.
    margin : share of the rows that are kept free beside those of the fullest input.
    """

    def __init__(
        self, params: ScnnParams, tensors: Mapping[str, NDArray[np.bool_]], margin: float
    ) -> None:
        self._params, self._tensors, self._margin = params, tensors, margin
        self._shares = {name: float(there.mean()) for name, there in tensors.items()}
        self._known: dict[tuple[TileLayout, Channels, int], int] = {}

    def share(self, tensor: str) -> float:
        return self._shares[tensor]

    def rows(self, layout: TileLayout, channels: Channels, each: int) -> int:
        key = layout, channels, each
        if key not in self._known:
            p, there = self._params, self._tensors[channels.tensor]
            rows = slice(layout.y0, layout.y0 + layout.height)
            columns = slice(layout.x0, layout.x0 + layout.width)
            region = there[:, channels.start : channels.stop, rows, columns]
            found = max(
                count_rows(
                    # Numba compiles a loop for each way in which arrays lie in memory.
                    np.ascontiguousarray(region[:, :, *layout.part(pe)]),
                    (layout.walk_h, layout.walk_w),
                    (layout.sy, layout.sx, layout.y_stride),
                    layout.dense,
                    (p.max_run, p.mult_i, each),
                )
                for pe in range(1 << layout.block_x + layout.block_y)
            )
            free = math.ceil(found * (1 + self._margin))
            self._known[key] = min(free, dense_rows(layout, each, p))
        return self._known[key]


def dense_rows(layout: TileLayout, each: int, params: ScnnParams) -> int:
    """Count the rows of the channels of a PE if no activation is 0."""
    phase = layout.walk_h // layout.sy * (layout.walk_w // layout.sx)
    return -(-phase // params.mult_i) * layout.sy * layout.sx * each
