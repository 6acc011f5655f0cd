"""How planes are brought and fetched, as time goes: every cycle that nothing keeps them from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.compiler.scnn.tile_walk import is_stored
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.plane_rows import ROWS_AHEAD
from zeroskip.hw.scnn.turns import BEATS_AHEAD
from zeroskip.sim.scnn.plane_places import PlaneMove
from zeroskip.sim.system.transfer import (
    COUNT_SHIFT,
    FOREIGN,
    ROW_FIELDS,
    InSlot,
    OutSlot,
    Transfer,
    UnitTransfer,
)

__all__ = ["plane_transfer"]

_VALUE, _FIRST, _SECOND, _IN_ENDS, _IN_PE = (int(slot) for slot in InSlot)
_GIVES, _NEEDS, _POPS, _OUT_ENDS = (int(slot) for slot in OutSlot)


def plane_transfer(params: ScnnParams, lanes: int, move: PlaneMove) -> Transfer:
    """Follow :class:`.TileRows`, and :class:`.PlaneLoad` or :class:`.PlaneRead`, over a plane."""
    plane, memory = move.fields["plane"], move.fields["memory"]
    fetched = "append" not in plane
    tile, phases = (plane["ho"], plane["wo"]), (plane["sy"], plane["sx"])
    walked = _walked(plane)
    shares = _shares(params, plane, move.channels)
    starts = _starts(params, plane, memory)
    steps = memory["channel"], memory["row"], memory["rows"]
    layout = move.layout
    stored = -(-tile[0] // layout.sy) * layout.y_stride + params.max_run + 1
    kinds = (layout.y_stride, params.max_run, params.mult_i)
    y, x = np.divmod(np.arange(params.num_pes), params.pes_x)
    of_pe = params.plane_unit(x, y)
    # Of each PE, its steps and its tile.
    walks: list[tuple[NDArray[Any], ...]] = []
    known: dict[tuple[int, ...], tuple[NDArray[np.uint8], NDArray[np.int64]]] = {}
    for pe, (block, y, x, height, width, channels) in enumerate(shares.tolist()):
        # Blocks that have the same are looked at once.
        lane = int(starts[pe]) % lanes
        key = id(move.blocks[block]), y, x, channels, lane
        if key not in known:
            size = (height, width, channels)
            values = _tile(move.blocks[block], (y * tile[0], x * tile[1]), size, walked)
            found = np.zeros(
                2 * values.size + 8 * len(values) * phases[0] * phases[1] + 8, np.uint8
            )
            words = np.zeros(0, np.int64)
            if fetched:
                words = np.zeros(1 + channels * (height > 0 and width > 0), np.int64)
                words[0] = len(words) - 1
                spent = _walk_out(found, words, values, size, phases, layout.dense, kinds, stored)
            else:
                spent = _walk_in(
                    found, values, size, phases, layout.dense, kinds, steps, (lane, lanes)
                )
            known[key] = found[:spent], words
        slots, words = known[key]
        walks.append((slots, words if fetched else np.array([pe, move.room[pe]])))
    # A PE of another unit takes a step.
    others = (np.zeros(0, np.uint8), np.array([FOREIGN])) if fetched else (np.zeros(1, np.uint8),)
    units: list[UnitTransfer] = []
    for unit in range(params.plane_units):
        own = of_pe == unit
        some = [walk if yes else others for walk, yes in zip(walks, own.tolist(), strict=True)]
        # Nothing is asked for it.
        shared = shares * own[:, None]
        rows = np.zeros((_count_rows(shared, phases), ROW_FIELDS), np.int64)
        _fill_rows(rows, shared, starts, phases, steps, (lanes, move.rows))
        tiles = [part for _, *parts in some for part in parts]
        units.append(
            UnitTransfer(rows, np.concatenate([slots for slots, *_ in some]), np.concatenate(tiles))
        )
    return Transfer(
        units=tuple(units),
        step=phases[1],
        lanes=lanes,
        group=params.mult_i,
        ahead=ROWS_AHEAD,
        beats=BEATS_AHEAD,
        pes=params.num_pes,
        base=plane["base"],
        entries=plane["channels"],
    )


def _walked(plane: Mapping[str, int]) -> tuple[int, int]:
    """Return the rows and columns that PEs walk through: the last one may have more than a tile."""
    height, width = (
        max(plane[whole], -(-plane[rest] // plane[stride]) * plane[stride])
        for whole, rest, stride in (("ho", "rem_y", "sy"), ("wo", "rem_x", "sx"))
    )
    return height, width


def _shares(
    params: ScnnParams, plane: Mapping[str, int], channels: Sequence[int]
) -> NDArray[np.int64]:
    """List of each PE: block, row and column of it there, rows and columns, and entries."""
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
    values: NDArray[np.int64],
    first: tuple[int, int],
    size: tuple[int, int, int],
    walked: tuple[int, ...],
) -> NDArray[np.int64]:
    """Cut out what a PE has, 0 in what it walks through besides."""
    part = values[:, first[0] : first[0] + size[0], first[1] : first[1] + size[1]]
    found = np.zeros((len(values), *walked), np.int64)
    found[:, : part.shape[1], : part.shape[2]] = part
    return found


@njit(cache=True)
def _count_rows(shares: NDArray[np.int64], phases: tuple[int, int]) -> int:
    count = 0
    for n in range(len(shares)):
        height, width, channels = shares[n, 3], shares[n, 4], shares[n, 5]
        count += 1
        if height and width and channels:
            for a in range(phases[0]):
                rows = max(1, (height - a + phases[0] - 1) // phases[0])
                count += channels // phases[0] * rows
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
        for channel in range(channels // (sy * sx)):
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
    steps: tuple[int, int, int],
    beats: tuple[int, int],
) -> int:
    """List the steps of :class:`.PlaneLoad` for a PE; return how many there are.

    ``beats``: lane of the PE's first value, and lanes.
    """
    sy, sx = phases
    y_stride, max_run, mult_i = kinds
    first, lanes = beats
    slots[0] = _IN_PE
    n = 1
    height, width = values.shape[1], values.shape[2]
    gap = y_stride - width // sx
    for channel in range(len(values)):
        for a in range(sy):
            for b in range(sx):
                if (channel * sy + a) * sx + b >= size[2]:
                    slots[n] = _IN_ENDS
                    n += 1
                    continue
                run = held = 0
                for y in range(a, height, sy):
                    at = first + channel * steps[0] + a * steps[1] + b + (y - a) // sy * steps[2]
                    lane = at % lanes
                    x = b
                    while x < width:
                        inside = y < size[0] and x < size[1]
                        count = min(mult_i, ((size[1] if inside else width) - x + sx - 1) // sx)
                        kind = 0
                        if inside:
                            kind = _VALUE
                            count = min(count, (lanes - lane + sx - 1) // sx)
                            lane = (lane + count * sx) % lanes
                        for _ in range(count):
                            skipped = gap if x + sx >= width else 0
                            value = values[channel, y, x]
                            store = is_stored(value, dense and inside, run, skipped, max_run)
                            run = 0 if store else run + 1
                            held += store
                            x += sx
                        if y + sy >= height and x >= width:
                            kind |= _IN_ENDS
                            kind |= _FIRST if held else 0
                            kind |= _SECOND if held > mult_i else 0
                        elif held >= mult_i:
                            kind |= _FIRST
                            held -= mult_i
                        slots[n] = kind
                        n += 1
                    run += gap
    return n + 4


@njit(cache=True)
def _walk_out(
    slots: NDArray[np.uint8],
    words: NDArray[np.int64],
    values: NDArray[np.int64],
    size: tuple[int, int, int],
    phases: tuple[int, int],
    dense: bool,
    kinds: tuple[int, int, int],
    stored: int,
) -> int:
    """List the steps of :class:`.PlaneRead` for a PE; return how many there are.

    ``words``: the words of each entry go behind its first number.
    """
    sy, sx = phases
    y_stride, max_run, mult_i = kinds
    n = 0
    height, width = values.shape[1], values.shape[2]
    gap = y_stride - width // sx
    places = np.zeros(stored, np.int64)
    for entry in range(len(words) - 1):
        channel, a, b = entry // (sy * sx), entry // sx % sy, entry % sx
        run = left = place = 0
        for y in range(a, height, sy):
            for x in range(b, width, sx):
                inside = y < size[0] and x < size[1]
                skipped = gap if x + sx >= width else 0
                if is_stored(values[channel, y, x], dense and inside, run, skipped, max_run):
                    places[left] = place
                    left += 1
                    run = 0
                else:
                    run += 1
                place += 1
            run += gap
            place += gap
        words[entry + 1] = (left + mult_i - 1) // mult_i
        at = place = 0
        y, x = a, b
        over, ends = y >= size[0] or x >= size[1], False
        while not ends:
            more = left > mult_i
            last = places[at + min(left, mult_i) - 1] if left else 0
            kind = _NEEDS if left else 0
            count = 0
            if not over:
                count = min(mult_i, (size[1] - x + sx - 1) // sx)
                if more:
                    count = max(0, min(count, last + 1 - place))
            pops = left > 0 and count == 0
            ends = over and not more
            if count:
                x += count * sx
                place += count
                if x >= size[1]:
                    place += y_stride - (x - b) // sx
                    x = b
                    y += sy
                    over = y >= size[0]
                    ends = over and not more
                pops = left > 0 and (over or place > last)
                kind |= _GIVES | count << COUNT_SHIFT
            if pops:
                kind |= _POPS
                at += mult_i
                left = max(0, left - mult_i)
            slots[n] = kind | (_OUT_ENDS if ends else 0)
            n += 1
    return n
