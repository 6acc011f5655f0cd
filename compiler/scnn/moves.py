"""Turn runs into the moves of an inference that no host takes part in."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.engine import Order, SramData
from zeroskip.compiler.ir.graph import QuantConv, QuantGraph
from zeroskip.compiler.scnn.fill import dense_rows
from zeroskip.compiler.scnn.memory_layout import count_beats, layouts_of_rows, memory_layouts
from zeroskip.compiler.scnn.run import ActLoad, ActStore, Channels, ScnnRun, TileLayout
from zeroskip.compiler.system.moves import (
    Load,
    Move,
    Moves,
    RowsIn,
    RowsOut,
    RowTensor,
    Run,
    Weights,
)
from zeroskip.hw.common.formats import pack
from zeroskip.hw.scnn.formats import PLANE_BITS, Space
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.planes import (
    PLANE_IN,
    PLANE_OUT,
    plane_in_layout,
    plane_out_layout,
    plane_spaces,
    scnn_lanes,
)
from zeroskip.hw.system.formats import word_bytes
from zeroskip.hw.system.params import SystemParams

__all__ = ["run_moves"]

# Of an image's SRAMs: where they are written, and what is in them.
_SPACES = {
    "program": (Space.PROGRAM, "descriptors"),
    "codebook": (Space.CODEBOOK, "shared weights"),
    "tap": (Space.TAP, "taps of kernels"),
    "bias": (Space.BIAS, "biases"),
}

_Fields = Mapping[str, int]

_ALL = {"blocks_x": 31, "blocks_y": 31, "full_blocks": 511, "rem_channels": 0}
"""Every block of PEs has all channels."""


def run_moves(
    graph: QuantGraph[QuantConv],
    runs: Sequence[ScnnRun],
    orders: Mapping[str, Order],
    params: ScnnParams,
    port: SystemParams,
    bounded: Sequence[ScnnRun] = (),
    shared: Collection[str] = (),
) -> Moves:
    """Order loads, inputs, runs and outputs of all runs.

    Memories that one run loads are loaded once; those that several do, by every inference.

    Parameters
    ----------
    graph : the layers.
    runs : of the part.
    orders : by tensor, which channel of the network each channel of the array is.
    params, port : of the array, and of the chip to its memory.
    bounded : runs that have room whatever activations are, if others do not.
    shared : tensors that another part makes or reads: values lie in their order, as it expects.

    Raises
    ------
    CompileError
        If a tensor is too large for what says where it is.
    """
    memory = _Memory(graph, [*runs, *bounded], orders, params, port, shared)
    moves = _in_order(memory, runs, "")
    instead = _in_order(memory, bounded, "bounded/")
    times = Counter((move.space, move.pe) for move in moves if isinstance(move, Load))
    setup = [move for move in moves if isinstance(move, Load) and times[move.space, move.pe] == 1]
    kept = {load.name for load in setup}
    rest = [move for move in moves if not (isinstance(move, Load) and move.name in kept)]
    return Moves(
        tuple(setup),
        tuple(rest),
        memory.tensors(),
        tuple(instead),
        frozenset({0}),
        per_step=graph.steps is not None,
    )


def _in_order(memory: "_Memory", runs: Sequence[ScnnRun], folder: str) -> list[Move]:
    """Give all moves of runs, whose names begin with that of a folder."""
    moves: list[Move] = []
    streams = _streams(runs, folder)
    for number, run in enumerate(runs):
        name = f"{folder}run_{number}"
        moves += streams[0] if not number else ()
        moves += [
            _load(name, kind, sram)
            for kind, sram in run.srams.items()
            if kind != "weights" and len(sram.words)
        ]
        moves += memory.bring(name, run.loads)
        moves.append(Run(takes=bool(run.loads), beside=memory.always_holds(run.loads)))
        # They come while this run is under way, as far as there is room.
        moves += streams[number + 1] if number + 1 < len(runs) else ()
        moves += memory.fetch(name, run.stores)
    return moves


def _streams(runs: Sequence[ScnnRun], folder: str) -> list[tuple[Weights, ...]]:
    """Give the weights of each run, if it has some.

    A run without any of its own has those of the run before, which are read once more.
    """
    found: list[tuple[Weights, ...]] = []
    weights: tuple[Weights, ...] = ()
    for number, run in enumerate(runs):
        if (beats := run.srams.get("weights")) is not None:
            name, about = f"{folder}run_{number}/weights", "weights of all streams, packed"
            weights = (Weights(name, about, beats.words, beats.width),) if len(beats.words) else ()
        found.append(weights)
    return found


def _load(run: str, name: str, sram: SramData) -> Load:
    *prefix, kind = name.split("/")
    space, about = _SPACES[kind]
    return Load(
        name=f"{run}/{name}",
        about=about,
        space=space.value,
        pe=int(prefix[0].removeprefix("stream_")) if prefix else 0,
        words=sram.words,
        width=sram.width,
    )


class _Memory:
    """Tensors in memory, see :func:`.memory_layouts`.

    Those that the network gives lie behind one another, as one.
    """

    def __init__(
        self,
        graph: QuantGraph[QuantConv],
        runs: Sequence[ScnnRun],
        orders: Mapping[str, Order],
        params: ScnnParams,
        port: SystemParams,
        shared: Collection[str],
    ) -> None:
        self._graph, self._orders, self._p = graph, orders, params
        self._lanes = scnn_lanes(port, params)
        self._output = "+".join(graph.outputs)
        self._between: dict[str, None] = {}
        self._lies = memory_layouts(graph, runs, self._lanes, shared)
        if graph.whole:
            bits = 8 * word_bytes(self._p.act_bits)
            self._lies |= layouts_of_rows(graph, self._lanes, bits)
        self._first: dict[str, int] = {}
        total = 0
        for name in graph.outputs:
            if name not in self._first:
                lies = self._lies[name]
                self._first[name] = -(-total // self._lanes) * self._lanes if lies.tile else total
                # Behind one another are whole tensors, or what they have in a row.
                total = self._first[name] + (lies.channels * lies.width if lies.row else lies.size)
        self._total = self._lies[graph.outputs[0]].size if graph.whole else total

    def bring(self, run: str, loads: Sequence[ActLoad]) -> Iterator[Move]:
        """Give the moves that load activations from memory before a run.

        ``run`` is the run's name, with which those of its planes begin.
        """
        for load in loads:
            if load.dealt and len(load.channels) > 1:
                raise CompileError("inputs of several tensors cannot be dealt to blocks of PEs")
            base, begun = load.base, False
            for channels in load.channels:
                part, layout = self._lies[channels.tensor].apart(channels, load.layout)
                where = self._where(part, layout)
                count = part.stop - part.start
                each, spread = count, _ALL
                if load.dealt:
                    each, spread = self._deal(channels, layout)
                    where["block"] = each * where["channel"]
                    where["block_row"] = spread["blocks_x"] * where["block"]
                plane: dict[str, int] = {
                    **_tile_fields(layout),
                    "base": base,
                    "channels": each * layout.sy * layout.sx,
                    "y_stride": layout.y_stride,
                    "dense": int(layout.dense),
                    "append": int(begun),
                    "word": 0 if begun else load.word,
                    "limit": load.limit,
                }
                fields = {"plane": plane, "spread": spread, "memory": where}
                name = f"{run}/plane_in_{base}"
                yield self._words(name, PLANE_IN, plane_in_layout(self._p), fields)
                tensor = self._name(part.tensor)
                beats = 0
                for block, tiles in enumerate(self._blocks(layout)):
                    first = block * each if load.dealt else 0
                    some = range(first, max(first, min(first + each, count)))
                    beats += count_beats(where, tiles, some, self._lanes)
                yield RowsIn(tensor, 0, self._rows(tensor), beats)
                base += count * layout.sy * layout.sx
                begun = True

    def always_holds(self, loads: Sequence[ActLoad]) -> bool:
        """Return whether there are loads, and the last has room even if no activation is 0."""
        if not loads:
            return False
        load = loads[-1]
        entries = load.each(sum(1 for _ in self._blocks(load.layout)))
        return load.limit - load.word >= dense_rows(load.layout, entries, self._p)

    def fetch(self, run: str, stores: Sequence[ActStore]) -> Iterator[Move]:
        """Give the moves that store a run's outputs to memory; see :meth:`bring` for ``run``."""
        for place, store in enumerate(stores):
            spread, whole = self._spread(store)
            tensor = store.blocks[0].tensor
            every = Channels(tensor=tensor, start=whole[0].start, stop=whole[-1].stop)
            channels, layout = self._lies[tensor].apart(every, store.layout)
            phases = store.layout.sy * store.layout.sx
            each = max(len(part) for part in whole)
            spread["rem_channels"] *= phases
            plane: dict[str, int] = {
                **_tile_fields(layout),
                "base": store.base,
                "channels": each * phases,
                "y_stride": layout.y_stride,
            }
            where = self._where(channels, layout)
            where["block"] = each * math.prod(self._lies[tensor].phases) * where["channel"]
            where["block_row"] = spread["blocks_x"] * where["block"]
            fields = {"plane": plane, "spread": spread, "memory": where}
            about = f"{run}/plane_out_{place}"
            yield self._words(about, PLANE_OUT, plane_out_layout(self._p), fields)
            name = self._name(tensor)
            moved = range(channels.stop - channels.start)
            beats = count_beats(where, layout, moved, self._lanes)
            yield RowsOut(name, 0, self._rows(name), destination=False, beats=beats)

    def tensors(self) -> tuple[RowTensor, ...]:
        """Return all tensors that lie in memory: the input first, the output last."""
        names = [*self._between, self._output]
        return tuple(self._tensor(name) for name in names)

    def _tensor(self, name: str) -> RowTensor:
        graph = self._graph
        fracs = {name: layer.in_frac for layer in graph.layers for name in layer.inputs}
        fracs |= {layer.name: layer.out_frac for layer in graph.layers}
        members = graph.outputs if name == self._output else (name,)
        positions: list[NDArray[np.int64]] = []
        rows_first = graph.whole and name == self._output
        for member in members:
            places = self._places(member)
            order = self._orders.get(member)
            if order is not None and name == self._output:
                places = places[np.argsort(order)]
            first = self._first[member] if name == self._output else 0
            if rows_first:
                height = graph.shape(member)[1]
                places = places.reshape(len(places), height, -1).swapaxes(0, 1)
            positions.append(first + places.reshape(len(places) if rows_first else 1, -1))
        return RowTensor(
            name=name,
            rows=self._rows(name),
            lanes=self._lanes,
            bits=8 * word_bytes(self._p.act_bits),
            frac=fracs[members[0]],
            positions=np.concatenate(positions, axis=1).ravel().astype(np.int64),
        )

    def _places(self, tensor: str) -> NDArray[np.int64]:
        """Return the place of each value of a tensor in memory: (channels, rows * columns)."""
        channels, height, width = self._graph.shape(tensor)
        lies = self._lies[tensor]
        sy, sx = lies.phases
        c, y, x = np.ogrid[:channels, :height, :width]
        of_phase = (c * sy + y % sy) * sx + x % sx
        places = of_phase * lies.channel + y // sy * lies.pitch + lies.column(x // sx)
        return places.reshape(channels, -1)

    def _rows(self, name: str) -> int:
        size = self._total if name == self._output else self._lies[name].size
        return -(-size // self._lanes)

    def _name(self, tensor: str) -> str:
        """Return the tensor in memory that a tensor is a part of."""
        if tensor in self._first:
            return self._output
        self._between[tensor] = None
        return tensor

    def _where(self, part: Channels, layout: TileLayout) -> dict[str, int]:
        """Return fields of :func:`.plane_memory_layout` of channels from ``part.start`` up."""
        first = self._first.get(part.tensor, 0)
        fields = self._lies[part.tensor].where(first, part, layout)
        if max(fields.values()) >> PLANE_BITS:
            raise CompileError(
                f"tensor {part.tensor!r} has {max(fields.values())} values before the last of what "
                f"is moved, and there is room for {1 << PLANE_BITS}"
            )
        return fields

    def _deal(self, part: Channels, layout: TileLayout) -> tuple[int, dict[str, int]]:
        """Divide the channels of an input among the blocks of PEs, which then own them.

        Returns
        -------
        Channels of a block as memory has them, and the fields that say how entries are dealt.
        """
        phases = math.prod(self._lies[part.tensor].phases)
        entries = phases * layout.sy * layout.sx
        count = part.stop - part.start
        across, down = -(-self._p.pes_x >> layout.block_x), -(-self._p.pes_y >> layout.block_y)
        each = -(-count // (across * down))
        full, rest = divmod(count, each)
        return each * phases, {
            "blocks_x": across,
            "blocks_y": down,
            "full_blocks": full,
            "rem_channels": rest * entries,
        }

    def _blocks(self, layout: TileLayout) -> Iterator[TileLayout]:
        """Give what each block of PEs has of a plane; those at the grid's edges lack PEs."""
        for top in range(0, self._p.pes_y, 1 << layout.block_y):
            for left in range(0, self._p.pes_x, 1 << layout.block_x):
                height, width = layout.height, layout.width
                if top + (1 << layout.block_y) > self._p.pes_y:
                    height = min(height, (self._p.pes_y - top) * layout.tile_h)
                if left + (1 << layout.block_x) > self._p.pes_x:
                    width = min(width, (self._p.pes_x - left) * layout.tile_w)
                yield replace(layout, height=height, width=width)

    def _spread(self, store: ActStore) -> tuple[dict[str, int], list[range]]:
        """Say how channels are dealt to blocks: fields, and channels of those that have some."""
        p, layout = self._p, store.layout
        across, down = min(1 << layout.block_x, p.pes_x), min(1 << layout.block_y, p.pes_y)
        blocks_x, blocks_y = p.pes_x // across, p.pes_y // down
        row = -(-p.pes_x >> layout.block_x)
        dealt = [store.blocks[y * row + x] for y in range(blocks_y) for x in range(blocks_x)]
        whole = [range(part.start, part.stop) for part in dealt if part.start < part.stop]
        each = len(whole[0])
        full = sum(len(part) == each for part in whole)
        follows = all(
            part.start == whole[0].start + place * each for place, part in enumerate(whole)
        )
        known = sum(part.start < part.stop for part in store.blocks)
        if not follows or len(whole) - full > 1 or known != len(whole):
            raise CompileError(f"channels of {store.blocks[0].tensor!r} are dealt in no order")
        rest = len(whole[-1]) if full < len(whole) else 0
        fields = {
            "blocks_x": blocks_x,
            "blocks_y": blocks_y,
            "full_blocks": full,
            "rem_channels": rest,
        }
        return fields, whole

    def _words(self, name: str, space: int, layout: Any, fields: Mapping[str, _Fields]) -> Load:
        for field, value in fields["plane"].items():
            if value >> layout["plane"].shape[field].width:
                raise CompileError(
                    f"a plane that {name.split('/')[0]} moves between memory and PEs needs {value} "
                    f"for {field!r}, and the hardware of an array of {self._p.accs} accumulators a "
                    "PE has no room for that; raise bank_entries or banks"
                )
        bits = sum(
            pack(layout[part].shape, **values) << layout[part].offset
            for part, values in fields.items()
        )
        count = plane_spaces(self._p)[space].rows
        words = [bits >> 64 * place & (1 << 64) - 1 for place in range(count)]
        about = "where an input is" if space == PLANE_IN else "where an output is"
        return Load(
            name=name,
            about=about,
            space=space,
            pe=0,
            words=np.array(words, np.uint64)[:, None],
            width=64,
        )


def _tile_fields(layout: TileLayout) -> dict[str, int]:
    full_x, full_y = (
        # What is left behind the last PE's tile is that PE's.
        size // tile if size <= tile << block else (1 << block) - 1
        for size, tile, block in (
            (layout.width, layout.tile_w, layout.block_x),
            (layout.height, layout.tile_h, layout.block_y),
        )
    )
    return {
        "wo": layout.tile_w,
        "ho": layout.tile_h,
        "full_x": full_x,
        "full_y": full_y,
        "rem_x": layout.width - full_x * layout.tile_w,
        "rem_y": layout.height - full_y * layout.tile_h,
        "block_x": layout.block_x,
        "block_y": layout.block_y,
        "sx": layout.sx,
        "sy": layout.sy,
    }
