"""The engine as ``docs/scnn.md`` says it is, in plain Python: slow, simple, by itself."""

from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np
import pytest
from amaranth.lib import data
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.run import ActLoad, ActStore, ScnnRun
from zeroskip.compiler.scnn.tiles import decode_tiles, encode_tiles
from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS
from zeroskip.hw.scnn.formats import (
    DESCRIPTOR_WORDS,
    act_entry_layout,
    descriptor_layout,
    directory_layout,
    sram_files,
)
from zeroskip.hw.scnn.packing import (
    PLACED,
    Packing,
    packed_header_layout,
    packed_place_layout,
    schedule_layout,
)
from zeroskip.hw.scnn.params import ScnnParams

Tensors = dict[str, NDArray[np.int64]]


Fields = dict[str, tuple[int, int]]


@lru_cache
def _fields(layout: Callable[[ScnnParams], data.StructLayout], p: ScnnParams) -> Fields:
    """Offset and width of each field; asking Amaranth every time is slow."""
    found = layout(p)
    return {name: (found[name].offset, found[name].width) for name in found.members}


def _field(word: int, fields: Fields, name: str) -> int:
    offset, width = fields[name]
    return word >> offset & (1 << width) - 1


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _words(rows: NDArray[np.uint64]) -> list[int]:
    return [sum(int(limb) << 64 * at for at, limb in enumerate(row)) for row in rows]


def _limbs(words: Iterable[int], width: int) -> NDArray[np.uint64]:
    count, mask = -(-width // 64), (1 << 64) - 1
    return np.array(
        [[word >> 64 * at & mask for at in range(count)] for word in words], np.uint64
    ).reshape(-1, count)


class Pe:
    """Memories of a PE, at first full of what nobody wrote."""

    def __init__(self, p: ScnnParams, rng: np.random.Generator) -> None:
        self.ram = [int(one) for one in rng.integers(0, 1 << 20, p.act_words)]
        self.directory = [int(one) for one in rng.integers(0, 1 << 10, p.num_channels)]
        self.sums = [[int(one) for one in rng.integers(-99, 99, p.accs)] for _ in "01"]
        self.pointer = 0


class Bits:
    """The packed weights of a stream."""

    def __init__(self, beats: list[int], width: int) -> None:
        self._bits = sum(beat << width * at for at, beat in enumerate(beats))
        self.left, self._width = width * len(beats), width
        self.tap_base = 0

    def take(self, count: int) -> int:
        assert count <= self.left
        found = self._bits & (1 << count) - 1
        self._bits >>= count
        self.left -= count
        return found

    def close(self) -> None:
        """Go on with the next beat, as each pass does."""
        assert self.take(self.left % self._width) == 0


class Machine:
    """The array. Runs go through it one after the other."""

    def __init__(self, p: ScnnParams) -> None:
        rng = np.random.default_rng(0)
        self.p = p
        self.pes = [Pe(p, rng) for _ in range(p.num_pes)]
        self.srams: dict[str, list[int]] = {}
        self.set = 0

    def run(self, run: ScnnRun, tensors: Tensors) -> None:
        """Do a run; its loads are read from ``tensors``, its stores written there."""
        for name, sram in run.srams.items():
            depth, width = sram_files(self.p)[name]
            assert sram.width == width
            assert len(sram.words) <= depth
            self.srams[name] = _words(sram.words)
        for load in run.loads:
            self._load(load, tensors)
        self.streams = self._split()
        for number, descriptor in enumerate(run.program):
            d = self._descriptor(number)
            assert d == {name: int(value) for name, value in vars(descriptor).items()}
            assert d["last"] == (number == len(run.program) - 1)
            assert (run.outputs[number] is None) == (not d["drain"])
            self._pass(d)
        assert not any(stream.left for stream in self.streams)
        for store in run.stores:
            self._store(store, tensors)

    def _descriptor(self, number: int) -> dict[str, int]:
        rows = self.srams["program"][number * DESCRIPTOR_WORDS : (number + 1) * DESCRIPTOR_WORDS]
        word = sum(row << DESCRIPTOR_WORD_BITS * at for at, row in enumerate(rows))
        layout = _fields(descriptor_layout, self.p)
        return {name: _field(word, layout, name) for name in layout}

    def _places(self, block_x: int, block_y: int) -> list[tuple[int, int, int, int, int]]:
        """Stream, place in the block, and place in the grid of every PE."""
        p, found = self.p, []
        for pe in range(p.num_pes):
            y, x = divmod(pe, p.pes_x)
            stream = (y >> block_y) * -(-p.pes_x // (1 << block_x)) + (x >> block_x)
            found.append((stream, x % (1 << block_x), y % (1 << block_y), x, y))
        return found

    def _load(self, load: ActLoad, tensors: Tensors) -> None:
        p, layout = self.p, load.layout
        values = np.concatenate([tensors[c.tensor][c.start : c.stop] for c in load.channels])
        places = self._places(layout.block_x, layout.block_y)
        blocks = 1 + max(place[0] for place in places)
        each = -(-len(values) // blocks) if load.dealt else 0
        for block in range(blocks):
            part = values[block * each : (block + 1) * each] if load.dealt else values
            if not len(part):
                continue
            tiles = encode_tiles(p, layout, part, load.word)
            packed = tiles.directory(p)
            for pe, (stream, x, y, _, _) in zip(self.pes, places, strict=True):
                if stream != block:
                    continue
                inner = (y << layout.block_x) + x
                words = _words(tiles.words[inner])
                pe.ram[load.word : load.word + len(words)] = words
                entries = [int(one) for one in packed[inner]]
                pe.directory[load.base : load.base + len(entries)] = entries
                assert len(pe.ram) == p.act_words
                assert len(pe.directory) == p.num_channels

    def _store(self, store: ActStore, tensors: Tensors) -> None:
        p, layout = self.p, store.layout
        width = p.mult_i * (p.act_bits + p.run_bits)
        for block, channels in enumerate(store.blocks):
            count = (channels.stop - channels.start) * layout.sy * layout.sx
            if not count:
                continue
            words = {}
            directory = np.zeros((1 << layout.block_x + layout.block_y, count), np.uint64)
            for pe, (stream, x, y, _, _) in zip(
                self.pes, self._places(layout.block_x, layout.block_y), strict=True
            ):
                if stream == block:
                    inner = (y << layout.block_x) + x
                    words[inner] = _limbs(pe.ram, width)
                    rows = pe.directory[store.base : store.base + count]
                    directory[inner] = np.array(rows, np.uint64)
            nothing = np.zeros((0, -(-width // 64)), np.uint64)
            every = [words.get(inner, nothing) for inner in range(len(directory))]
            region = decode_tiles(p, layout, every, directory)
            rows = slice(layout.y0, layout.y0 + layout.height)
            columns = slice(layout.x0, layout.x0 + layout.width)
            tensors[channels.tensor][channels.start : channels.stop, rows, columns] = region

    def _pass(self, d: dict[str, int]) -> None:
        p = self.p
        initial = -(1 << p.acc_bits - 1) if d["init_min"] else 0
        places = self._places(d["block_x"], d["block_y"])
        if d["wipe"]:
            for pe in self.pes:
                pe.sums = [[initial] * p.accs, [initial] * p.accs]
        if d["drain"]:
            for pe in self.pes:
                pe.pointer = pe.pointer if d["append"] else d["dst_word"]
        else:
            assert d["groups"] == 1
        entry = d["dst_base"]
        for group in range(d["groups"]):
            for stream in range(1 + max(place[0] for place in places)):
                blocks = self._blocks(stream, d)
                if d["bus"]:
                    # Words pass once, in this order.
                    numbers = [channel for channel, _ in blocks]
                    assert numbers == sorted(set(numbers))
                for channel, weights in blocks:
                    for pe, place in zip(self.pes, places, strict=True):
                        if place[0] != stream:
                            continue
                        if not d["bus"]:
                            self._multiply(pe, pe, d, channel + d["src_base"], weights)
                            continue
                        owner, at = divmod(channel, d["src_entries"])
                        for source, first in self._owners(d, place, owner):
                            self._multiply(source, pe, d, at + d["src_base"], weights, first)
            if d["drain"]:
                entry = self._drain(d, group, places, entry, initial)
                self.set ^= 1
        for stream in self.streams:
            stream.close()

    def _split(self) -> list["Bits"]:
        """Deal the beats of a run to the streams."""
        p, words = self.p, iter(self.srams["weights"])
        packing, layout = Packing.of(p), _fields(schedule_layout, p)
        beats: list[list[int]] = [[] for _ in range(p.num_streams)]
        for schedule in words:
            numbers = _field(schedule, layout, "numbers")
            for slot in range(_field(schedule, layout, "count")):
                number = numbers >> slot * packing.number & (1 << packing.number) - 1
                beats[number].append(next(words))
        return [Bits(of_stream, packing.beat) for of_stream in beats]

    def _blocks(self, stream: int, d: dict[str, int]) -> list[tuple[int, list[tuple[int, int]]]]:
        """Decode a group of a stream: (channel, [(value, offset)])."""
        p, bits, found = self.p, self.streams[stream], []
        packing = Packing.of(p)
        layout, place = _fields(packed_header_layout, p), _fields(packed_place_layout, p)
        field_bits = p.field_bits if d["plain"] else p.code_bits
        channel = -1
        while True:
            header = bits.take(packing.header)
            channel += 1 + _field(header, layout, "skip")
            if _field(header, layout, "skip") == PLACED:
                where = bits.take(packing.place)
                channel = _field(where, place, "channel")
                bits.tap_base = _field(where, place, "tap_base")
            position, weights = 0, []
            count = _field(header, layout, "count")
            assert count <= p.weight_depth
            assert count or _field(header, layout, "last")
            for _ in range(count * p.mult_f - _field(header, layout, "unused")):
                one = bits.take(packing.plain if d["plain"] else packing.shared)
                field, run = one & (1 << field_bits) - 1, one >> field_bits
                position += run
                if field:
                    tap, k = divmod(position, 1 << d["log_kc"])
                    assert k < d["kc"]
                    base = self.srams["tap"][bits.tap_base + tap]
                    weights.append((self._weight(field, d), base + k * d["k_stride"]))
                position += 1
            if weights:
                found.append((channel, weights))
            if _field(header, layout, "last"):
                return found

    def _weight(self, field: int, d: dict[str, int]) -> int:
        if d["plain"]:
            return _signed(field, self.p.field_bits)
        row = self.srams["codebook"][d["codebook"] * self.p.num_codes + field]
        return _signed(row, self.p.weight_bits)

    def _multiply(
        self,
        source: Pe,
        pe: Pe,
        d: dict[str, int],
        channel: int,
        weights: list[tuple[int, int]],
        first: int = 0,
    ) -> None:
        """Add the products of what ``source`` has of a channel, from position ``first`` on."""
        p = self.p
        where, entry = _fields(directory_layout, p), _fields(act_entry_layout, p)
        word = source.directory[channel]
        start, position = _field(word, where, "start"), first - 1
        sums = pe.sums[self.set]
        bits = p.act_bits + p.run_bits
        for index in range(_field(word, where, "count")):
            row = source.ram[start + index // p.mult_i]
            one = row >> index % p.mult_i * bits
            position += 1 + _field(one, entry, "run")
            value = _signed(_field(one, entry, "value"), p.act_bits)
            if value == 0 and not d["keep_zeros"]:
                continue
            for weight, offset in weights:
                at = position + offset
                assert 0 <= at < p.accs
                product = weight * value
                if d["maximum"]:
                    sums[at] = max(sums[at], product)
                else:
                    sums[at] = _signed(sums[at] + product, p.acc_bits)

    def _owners(
        self, d: dict[str, int], place: tuple[int, int, int, int, int], owner: int
    ) -> list[tuple[Pe, int]]:
        """List the PEs of a block of owners whose tiles are that of a PE, and their positions."""
        p = self.p
        across, down = (1 << d[f"src_block_{axis}"] for axis in "xy")
        across, down = min(across, p.pes_x), min(down, p.pes_y)
        wide, deep = (1 << d[f"src_block_{axis}"] - d[f"block_{axis}"] for axis in "xy")
        top, left = divmod(owner, p.pes_x // across)
        assert top < p.pes_y // down
        return [
            (
                self.pes[
                    (top * down + place[2] * deep + j) * p.pes_x
                    + left * across
                    + place[1] * wide
                    + i
                ],
                i * d["src_step_x"] + j * d["src_step_y"],
            )
            for j in range(deep)
            for i in range(wide)
        ]

    def _drain(
        self,
        d: dict[str, int],
        group: int,
        places: list[tuple[int, int, int, int, int]],
        entry: int,
        initial: int,
    ) -> int:
        """Write the group's outputs; return the next directory number."""
        final = group == d["groups"] - 1
        for k in range(d["kc_last"] if final else d["kc"]):
            for a in range(d["out_sy"]):
                for b in range(d["out_sx"]):
                    outputs: list[list[int]] = [[] for _ in self.pes]
                    for y in range(a, d["ho"], d["out_sy"]):
                        for x in range(b, d["wo"], d["out_sx"]):
                            totals = self._collect(d, k, y, x, places, initial)
                            for pe, total in enumerate(totals):
                                bias = d["bias_base"] + group * d["kc"] + k
                                row = self.srams[f"stream_{places[pe][0]}/bias"][bias]
                                outputs[pe].append(self._finish(d, places[pe], y, x, total, row))
                    for pe, every in enumerate(outputs):
                        values = _largest(every, d["wo"], d["pool_y"], d["pool_x"])
                        self._write(d, self.pes[pe], places[pe], entry, (a, b), values)
                    entry += 1
        return entry

    def _collect(
        self,
        d: dict[str, int],
        k: int,
        y: int,
        x: int,
        places: list[tuple[int, int, int, int, int]],
        initial: int,
    ) -> list[int]:
        """Join every PE's parts of an output, all of which are then initial again."""
        p = self.p
        totals: list[int | None] = [None] * p.num_pes
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                away = x - dx * d["wo"], y - dy * d["ho"]
                if not (
                    -d["halo_left"] <= away[0] < d["wo"] + d["halo_right"]
                    and -d["halo_top"] <= away[1] < d["ho"] + d["halo_bottom"]
                ):
                    continue
                at = k * d["k_stride"] + d["origin"] + away[1] * d["y_stride"] + away[0]
                assert 0 <= at < p.accs
                values = [pe.sums[self.set][at] for pe in self.pes]
                for pe in self.pes:
                    pe.sums[self.set][at] = initial
                for pe, (stream, _, _, gx, gy) in enumerate(places):
                    nx, ny = gx + dx, gy + dy
                    if not (0 <= nx < p.pes_x and 0 <= ny < p.pes_y):
                        continue
                    neighbour = ny * p.pes_x + nx
                    if places[neighbour][0] != stream:
                        continue
                    value, total = values[neighbour], totals[pe]
                    if total is None:
                        totals[pe] = value
                    elif d["maximum"]:
                        totals[pe] = max(total, value)
                    else:
                        totals[pe] = _signed(total + value, p.acc_bits)
        return [0 if total is None else total for total in totals]

    def _finish(
        self,
        d: dict[str, int],
        place: tuple[int, int, int, int, int],
        y: int,
        x: int,
        total: int,
        bias: int,
    ) -> int:
        p = self.p
        if not self._inside(d, place, y, x):
            return 0
        value = _signed(total + bias, p.acc_bits) >> d["shift"]
        value = min(max(value, -(1 << p.act_bits - 1)), (1 << p.act_bits - 1) - 1)
        return max(value, 0) if d["activation"] else value

    @staticmethod
    def _inside(d: dict[str, int], place: tuple[int, int, int, int, int], y: int, x: int) -> bool:
        def fits(number: int, full: int, rem: int, at: int) -> bool:
            return number < full or (number == full and at < rem)

        return fits(place[1], d["full_x"], d["rem_x"], x) and fits(
            place[2], d["full_y"], d["rem_y"], y
        )

    def _write(
        self,
        d: dict[str, int],
        pe: Pe,
        place: tuple[int, int, int, int, int],
        entry: int,
        phase: tuple[int, int],
        values: list[int],
    ) -> None:
        p = self.p
        columns = -(-(d["wo"] // d["pool_x"] - phase[1]) // d["out_sx"])
        down, across = d["pool_y"] * d["out_sy"], d["pool_x"] * d["out_sx"]
        stored: list[int] = []
        last = -1
        for index, value in enumerate(values):
            v, u = divmod(index, columns)
            position = v * d["out_y_stride"] + u
            run = position - last - 1
            inside = self._inside(d, place, v * down + phase[0], u * across + phase[1])
            beyond = (v + 1) * d["out_y_stride"] - last - 1 > p.max_run and u == columns - 1
            if value or (d["out_dense"] and inside) or run == p.max_run or beyond:
                stored.append(value & (1 << p.act_bits) - 1 | run << p.act_bits)
                last = position
        bits = p.act_bits + p.run_bits
        where = _fields(directory_layout, p)
        pe.directory[entry] = pe.pointer << where["start"][0] | len(stored) << where["count"][0]
        for at in range(0, len(stored), p.mult_i):
            lanes = stored[at : at + p.mult_i]
            assert pe.pointer < d["dst_limit"]
            pe.ram[pe.pointer] = sum(one << bits * lane for lane, one in enumerate(lanes))
            pe.pointer += 1


def _largest(values: list[int], columns: int, down: int, across: int) -> list[int]:
    """Take the largest of each window of a tile, whose rows follow each other."""
    if down == across == 1:
        return values
    windows: dict[tuple[int, int], int] = {}
    for index, value in enumerate(values):
        at = index // columns // down, index % columns // across
        windows[at] = max(windows.get(at, value), value)
    return [windows[at] for at in sorted(windows)]


def _convolve(conv: QuantConv, x: NDArray[np.int64], p: ScnnParams) -> NDArray[np.int64]:
    """Compute a layer straight from what :class:`QuantConv` says."""
    (k_count, per_group, rows, columns), (sy, sx) = conv.weight.shape, conv.stride
    _, height, width = conv.in_shape
    _, out_rows, out_columns = conv.out_shape
    outputs = np.zeros(conv.out_shape, np.int64)
    for k in range(k_count):
        base = k // (k_count // conv.groups) * per_group
        for y in range(out_rows):
            for at in range(out_columns):
                parts = [
                    int(x[base + c, iy, ix]) * int(conv.weight[k, c, r, s])
                    for c in range(per_group)
                    for r in range(rows)
                    for s in range(columns)
                    if 0 <= (iy := y * sy + r - conv.padding[0]) < height
                    and 0 <= (ix := at * sx + s - conv.padding[1]) < width
                ]
                total = max(parts) if conv.op == "max" else sum(parts)
                half = 1 << conv.shift >> 1
                value = _signed(total + int(conv.bias[k]) + half, p.acc_bits) >> conv.shift
                value = min(max(value, p.min_act), p.max_act)
                outputs[k, y, at] = max(value, 0) if conv.relu else value
    return outputs


@pytest.fixture(scope="session")
def convolve() -> Callable[[QuantConv, NDArray[np.int64], ScnnParams], NDArray[np.int64]]:
    """Give a layer of nested loops."""
    return _convolve


@pytest.fixture(scope="session")
def machine() -> type[Machine]:
    """Give the array in plain Python; pytest's import mode keeps tests from importing it."""
    return Machine
