"""Walk through a PE's tile: the loops of :mod:`zeroskip.compiler.scnn.tiles`."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit

__all__ = ["compress", "count_rows", "expand", "is_stored"]


@njit(cache=True)
def is_stored(value: int, kept: bool, run: int, skipped: int, max_run: int) -> bool:
    """Say whether a position of a tile becomes an entry (``docs/scnn.md``, "Compressed forms").

    A zero does where the entry behind it could not carry the run, which is ``max_run`` zeros long
    at most: with ``max_run`` 15, every sixteenth zero in a row.

    Parameters
    ----------
    value : at the position.
    kept : zeros here are stored, too.
    run : positions with zeros since the last entry.
    skipped : positions between this one and the next that has a value, at the end of a row.
    """
    return value != 0 or kept or run + 1 + skipped > max_run


@njit(cache=True)
def compress(
    part: NDArray[np.int64],
    tile: tuple[int, int],
    phases: tuple[int, int, int],
    dense: bool,
    limits: tuple[int, int],
    stored: NDArray[np.uint64],
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> int:
    """Fill ``stored`` (rows, I) with the entries of a PE, and its directory; return the rows.

    Parameters
    ----------
    part : (channels, rows, columns) that the PE has.
    tile : rows and columns that it walks through.
    phases : down and across, and the row stride of positions.
    dense : zeros of the part are stored, too.
    limits : longest run, and bits of a value.
    stored, starts, counts : are filled.
    """
    channels, height, width = part.shape
    sy, sx, y_stride = phases
    max_run, act_bits = limits
    columns, lanes = tile[1] // sx, stored.shape[1]
    gap = y_stride - columns
    mask = np.uint64((1 << act_bits) - 1)
    row, entry = 0, 0
    for channel in range(channels):
        for a in range(sy):
            for b in range(sx):
                run, count = 0, 0
                for v in range(tile[0] // sy):
                    y = v * sy + a
                    for u in range(columns):
                        x = u * sx + b
                        inside = y < height and x < width
                        value = part[channel, y, x] if inside else 0
                        skipped = gap if u == columns - 1 else 0
                        if is_stored(value, dense and inside, run, skipped, max_run):
                            lane = count % lanes
                            if lane == 0:
                                stored[row + count // lanes] = 0
                            word = np.uint64(value) & mask
                            word |= np.uint64(run) << np.uint64(act_bits)
                            stored[row + count // lanes, lane] = word
                            count += 1
                            run = 0
                        else:
                            run += 1
                    run += gap
                starts[entry], counts[entry] = row, count
                row += (count + lanes - 1) // lanes
                entry += 1
    return row


@njit(cache=True)
def count_rows(
    there: NDArray[np.bool_],
    tile: tuple[int, int],
    phases: tuple[int, int, int],
    dense: bool,
    limits: tuple[int, int, int],
) -> int:
    """Count the rows that a PE stores of some channels, of the input with the most.

    Parameters
    ----------
    there : (n, C, H, W) of the PE's part, where values are not 0.
    tile, phases, dense : as for :func:`compress`.
    limits : longest run, activations of a row, and channels of an owner.
    """
    samples, channels, height, width = there.shape
    sy, sx, y_stride = phases
    max_run, lanes, each = limits
    columns = tile[1] // sx
    gap = y_stride - columns
    most = 0
    for sample in range(samples):
        rows = 0
        for channel in range(channels):
            if channel % each == 0:
                rows = 0
            for a in range(sy):
                for b in range(sx):
                    run, count = 0, 0
                    for v in range(tile[0] // sy):
                        y = v * sy + a
                        for u in range(columns):
                            x = u * sx + b
                            inside = y < height and x < width
                            value = inside and there[sample, channel, y, x]
                            skipped = gap if u == columns - 1 else 0
                            if is_stored(value, dense and inside, run, skipped, max_run):
                                count += 1
                                run = 0
                            else:
                                run += 1
                        run += gap
                    rows += (count + lanes - 1) // lanes
            most = max(most, rows)
    return most


@njit(cache=True)
def expand(
    part: NDArray[np.int64],
    tile: tuple[int, int],
    phases: tuple[int, int, int],
    values: NDArray[np.int64],
    runs: NDArray[np.uint64],
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> int:
    """Write a PE's values to its part; return the first entry that has one outside, or -1."""
    _, height, width = part.shape
    sy, sx, y_stride = phases
    lanes = values.shape[1]
    for entry in range(len(starts)):
        channel, phase = entry // (sy * sx), entry % (sy * sx)
        position = -1
        for index in range(counts[entry]):
            row, lane = starts[entry] + index // lanes, index % lanes
            position += 1 + np.int64(runs[row, lane])
            v, u = position // y_stride, position % y_stride
            if v >= tile[0] // sy or u >= tile[1] // sx:
                return entry
            value = values[row, lane]
            if value != 0:
                y, x = v * sy + phase // sx, u * sx + phase % sx
                if y >= height or x >= width:
                    return entry
                part[channel, y, x] = value
    return -1
