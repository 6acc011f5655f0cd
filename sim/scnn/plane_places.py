"""Where the values of a plane are in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.scnn.run import TileLayout

__all__ = ["PlaneMove", "plane_places"]


@dataclass(frozen=True, eq=False)
class PlaneMove:
    """A plane that was brought, or fetched.

    Parameters
    ----------
    fields : of :func:`.plane_in_layout` or :func:`.plane_out_layout`, by name of the part.
    blocks : for each block of PEs, (channels, rows, columns) that it has.
    channels : of each block, how many directory entries are moved; what it has besides is 0.
    layout : how the blocks store them.
    rows : of the command.
    room : of an INPUT, (num_pes,) int64, rows of the activation RAM that each PE has for it.
    used : of an INPUT, the most of them that a PE took.
    """

    fields: Mapping[str, Mapping[str, int]]
    blocks: Sequence[NDArray[np.int64]]
    channels: Sequence[int]
    layout: TileLayout
    rows: int
    room: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    used: int = 0


def plane_places(
    fields: Mapping[str, Mapping[str, int]],
    block: tuple[int, int],
    channels: int,
    rows: tuple[int, int],
) -> NDArray[np.int64]:
    """Return the place of each value of a block in a plane's rows; -1 if those have it not.

    A row of a tile whose last value is not there is not there at all.

    Parameters
    ----------
    fields : see :class:`PlaneMove`.
    block : its column and row among the blocks.
    channels : that it has.
    rows : of the command, and values of each.

    Returns
    -------
    (channels, rows, columns) int64.
    """
    plane, memory = fields["plane"], fields["memory"]
    y = np.arange(plane["full_y"] * plane["ho"] + plane["rem_y"])[:, None]
    width = plane["full_x"] * plane["wo"] + plane["rem_x"]
    x = np.arange(width)
    first = memory["first"] + block[0] * memory["block"] + block[1] * memory["block_row"]
    first += np.arange(channels)[:, None, None] * memory["channel"]
    # The last tile may be longer than the others.
    down, across = np.minimum(y // plane["ho"], plane["full_y"]), x // plane["wo"]
    across = np.minimum(across, plane["full_x"])
    first = first + down * memory["tile_y"] + (y - down * plane["ho"]) * memory["row"]
    first = first + across * memory["tile_x"]
    own = x - across * plane["wo"]
    last = np.where(across < plane["full_x"], plane["wo"], plane["rem_x"]) - 1
    return np.where((first + last) // rows[1] < rows[0], first + own, -1)
