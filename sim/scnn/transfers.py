"""How planes are brought and fetched, as time goes: every cycle that nothing keeps them from."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from zeroskip.compiler.scnn.tile_walk import is_stored
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.scnn.plane_places import PlaneMove
from zeroskip.sim.system.transfer import ROW_FIELDS, Slot, Transfer

__all__ = ["plane_transfer"]

_GO, _VALUE, _ANSWER, _END, _ASKS, _WRITES = (int(slot) for slot in Slot)


def plane_transfer(params: ScnnParams, lanes: int, move: PlaneMove) -> Transfer:
    """Follow :class:`.TileRows`, and :class:`.PlaneLoad` or :class:`.PlaneRead`, over a plane."""
    plane, memory = move.fields["plane"], move.fields["memory"]
    fetched = "sx" not in plane
    tile, phases = (plane["ho"], plane["wo"]), (plane.get("sy", 1), plane.get("sx", 1))
    shares = _shares(params, plane, move.channels)
    starts = _starts(params, plane, memory)
    steps = memory["channel"], memory["row"], memory["rows"]
    count = _count_rows(shares, phases)
    rows = np.zeros((count, ROW_FIELDS), np.int64)
    _fill_rows(rows, shares, starts, phases, steps, (lanes, move.rows))
    layout = move.layout
    stored = tile[0] // layout.sy * layout.y_stride + params.max_run + 1
    parts: list[NDArray[np.uint8]] = []
    known: dict[tuple[int, int, int], NDArray[np.uint8]] = {}
    for block, y, x, height, width, channels in shares.tolist():
        # Blocks that have the same are looked at once.
        key = id(move.blocks[block]), y, x
        if key not in known:
            values = _tile(move.blocks[block], (y, x), tile)
            size = (height, width, channels)
            walk = _walk_out if fetched else _walk_in
            found = np.zeros(_most_slots(values, fetched), np.uint8)
            kinds = (layout.y_stride, params.max_run, params.mult_i)
            spent = walk(found, values, size, (layout.sy, layout.sx), layout.dense, kinds, stored)
            known[key] = found[:spent]
        parts.append(known[key])
    if fetched:
        # The last value is given once nothing is behind it.
        parts.append(np.array([_END], np.uint8))
    return Transfer(rows, np.concatenate(parts), phases[1], lanes)


def _shares(
    params: ScnnParams, plane: Mapping[str, int], channels: Sequence[int]
) -> NDArray[np.int64]:
    """List of each PE: block, row and column of it there, rows and columns, and channels."""
    across = -(-params.pes_x >> plane["block_x"])
    found = np.zeros((params.num_pes, 6), np.int64)
    for pe in range(params.num_pes):
        y, x = divmod(pe, params.pes_x)
        block = (y >> plane["block_y"]) * across + (x >> plane["block_x"])
        y, x = y & (1 << plane["block_y"]) - 1, x & (1 << plane["block_x"]) - 1
        sizes = [
            whole if place < full else rest if place == full else 0
            for place, whole, full, rest in (
                (y, plane["ho"], plane["full_y"], plane["rem_y"]),
                (x, plane["wo"], plane["full_x"], plane["rem_x"]),
            )
        ]
        found[pe] = block, y, x, *sizes, channels[block]
    return found


def _starts(
    params: ScnnParams, plane: Mapping[str, int], memory: Mapping[str, int]
) -> NDArray[np.int64]:
    """Return the place of each PE's first value."""
    y, x = np.divmod(np.arange(params.num_pes), params.pes_x)
    block_y, block_x = y >> plane["block_y"], x >> plane["block_x"]
    inside_y, inside_x = y & (1 << plane["block_y"]) - 1, x & (1 << plane["block_x"]) - 1
    blocks = block_y * memory["block_row"] + block_x * memory["block"]
    return memory["first"] + blocks + inside_y * memory["tile_y"] + inside_x * memory["tile_x"]


def _tile(
    values: NDArray[np.int64], place: tuple[int, int], tile: tuple[int, int]
) -> NDArray[np.int64]:
    """Cut the tile of a PE out, 0 where the plane ends."""
    top, left = place[0] * tile[0], place[1] * tile[1]
    part = values[:, top : top + tile[0], left : left + tile[1]]
    found = np.zeros((len(values), *tile), np.int64)
    found[:, : part.shape[1], : part.shape[2]] = part
    return found


def _most_slots(values: NDArray[np.int64], fetched: bool) -> int:
    return (4 if fetched else 2) * values.size + 8 * len(values) + 8


@njit(cache=True)
def _count_rows(shares: NDArray[np.int64], phases: tuple[int, int]) -> int:
    count = 0
    for n in range(len(shares)):
        height, width, channels = shares[n, 3], shares[n, 4], shares[n, 5]
        count += 1
        if height and width and channels:
            for a in range(phases[0]):
                count += channels * phases[1] * max(1, (height - a + phases[0] - 1) // phases[0])
    return count


@njit(cache=True)
def _fill_rows(
    rows: NDArray[np.int64],
    shares: NDArray[np.int64],
    starts: NDArray[np.int64],
    phases: tuple[int, int],
    steps: tuple[int, int, int],
    ends: tuple[int, int],
) -> None:
    """List the cycles of :class:`.TileRows`: a PE's own one, and then its rows."""
    sy, sx = phases
    lanes, most = ends
    n = 0
    for pe in range(len(shares)):
        height, width, channels = shares[pe, 3], shares[pe, 4], shares[pe, 5]
        n += 1
        if not (height and width and channels):
            continue
        for channel in range(channels):
            for a in range(sy):
                for b in range(sx):
                    for row in range(max(1, (height - a + sy - 1) // sy)):
                        if b < width and a + row * sy < height:
                            at = starts[pe] + channel * steps[0] + a * steps[1] + b + row * steps[2]
                            beats = (at % lanes + width - b + lanes - 1) // lanes
                            rows[n, 0], rows[n, 1] = at // lanes, beats
                            rows[n, 2], rows[n, 3] = at % lanes, width - b
                            rows[n, 4] = at // lanes + beats <= most
                        n += 1


@njit(cache=True)
def _walk_in(
    slots: NDArray[np.uint8],
    values: NDArray[np.int64],
    size: tuple[int, int, int],
    phases: tuple[int, int],
    dense: bool,
    kinds: tuple[int, int, int],
    stored: int,
) -> int:
    """List the cycles of :class:`.PlaneLoad` for a PE."""
    sy, sx = phases
    y_stride, max_run, mult_i = kinds
    n = 1
    columns = values.shape[2] // sx
    gap = y_stride - columns
    for channel in range(len(values)):
        for a in range(sy):
            for b in range(sx):
                run = lane = 0
                last_y, last_x = values.shape[1] - sy + a, values.shape[2] - sx + b
                for y in range(a, values.shape[1], sy):
                    for x in range(b, values.shape[2], sx):
                        inside = y < size[0] and x < size[1]
                        slots[n] = _VALUE if inside and channel < size[2] else _GO
                        n += 1
                        value = values[channel, y, x]
                        skipped = gap if x == last_x else 0
                        store = is_stored(value, dense and inside, run, skipped, max_run)
                        run = 0 if store else run + 1
                        if y == last_y and x == last_x:
                            # A directory entry, and a word before it if there is one.
                            slots[n - 1] |= _WRITES if store or lane != 0 else 0
                        elif store:
                            lane = (lane + 1) % mult_i
                    run += gap
    return n + 4


@njit(cache=True)
def _walk_out(
    slots: NDArray[np.uint8],
    values: NDArray[np.int64],
    size: tuple[int, int, int],
    phases: tuple[int, int],
    dense: bool,
    kinds: tuple[int, int, int],
    stored: int,
) -> int:
    """List the cycles of :class:`.PlaneRead` for a PE."""
    y_stride, max_run, mult_i = kinds
    if not (size[0] and size[1] and len(values)):
        slots[0] = _GO
        return 1
    slots[0] = _GO | _ASKS
    n = 1
    gap = y_stride - values.shape[2]
    places = np.zeros(stored, np.int64)
    for channel in range(len(values)):
        run = count = 0
        for y in range(values.shape[1]):
            for x in range(values.shape[2]):
                inside = y < size[0] and x < size[1]
                skipped = gap if x == values.shape[2] - 1 else 0
                if is_stored(values[channel, y, x], dense and inside, run, skipped, max_run):
                    places[count] = y * y_stride + x
                    count += 1
                    run = 0
                else:
                    run += 1
            run += gap
        more = channel + 1 < len(values)
        slots[n] = _ANSWER | (_ASKS if count or more else 0)
        n += 1
        at, left = 0, count
        if left:
            slots[n] = _ANSWER | (_ASKS if left > mult_i or more else 0)
            n += 1
        y = x = 0
        while y < size[0]:
            place = y * y_stride + x
            lane = at % mult_i
            behind = left > 0 and places[at] < place
            hit = left > 0 and places[at] == place
            slots[n] = _GO if behind else _VALUE
            n += 1
            drops = left > mult_i - lane
            another = (behind or hit) and lane == mult_i - 1 and left != 1
            if behind or hit:
                at += 1
                left -= 1
            if not behind:
                x += 1
                if x == size[1]:
                    x = 0
                    y += 1
                    if y == size[0]:
                        if drops:
                            slots[n] = _ANSWER | (_ASKS if more else 0)
                            n += 1
                        break
            if another:
                slots[n] = _ANSWER | (_ASKS if left > mult_i or more else 0)
                n += 1
    return n
