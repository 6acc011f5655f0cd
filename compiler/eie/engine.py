"""EIE, as the compiler sees it: Linear layers, one after the other."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.fields import Field
from zeroskip.compiler.eie.check import check_arithmetic
from zeroskip.compiler.eie.choose import FREE, choose_params
from zeroskip.compiler.eie.entry import EieEntry, SegmentEntry, check_positions, segment_rows
from zeroskip.compiler.eie.moves import part_moves
from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.eie.place import Placement, Strategy, is_interleaved, place
from zeroskip.compiler.eie.presets import PRESETS
from zeroskip.compiler.eie.program import build
from zeroskip.compiler.eie.segment import Segment
from zeroskip.compiler.engine import Engine, FreeParams, Job, Preset, SramData
from zeroskip.compiler.image.arrays import pack_arrays, unpack_arrays
from zeroskip.compiler.image.runs import check_programs
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatCell,
    FloatLinear,
    FloatNode,
    QuantCell,
    QuantGraph,
    QuantLayer,
    QuantLinear,
)
from zeroskip.compiler.passes.arithmetic import Arithmetic
from zeroskip.compiler.system.moves import Moves, RowTensor
from zeroskip.hw.board.boards import BOARDS
from zeroskip.hw.eie.boards import BESIDE, DIGITS
from zeroskip.hw.eie.formats import DESCRIPTOR_WORDS, descriptor_layout, sram_files
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.system.params import SystemParams

__all__ = ["ENGINE"]

_PLACEMENT = "placement.npz"


class _Eie(Engine[EieParams, EiePart]):
    name = "eie"
    about = "Linear layers, LSTM and GRU: compressed sparse columns, one multiplier per PE"
    params = EieParams
    presets: Mapping[str, Preset[EieParams]] = {
        **PRESETS,
        **{
            name: Preset(DIGITS[name], f"what fits {board.about}", {"placement": "schedule"})
            for name, board in BOARDS.items()
        },
        "board": Preset(
            BESIDE,
            "4 PEs in a chip, behind an array for convolutions, for boards with ECP5",
            {"placement": "schedule"},
        ),
    }
    options = (
        Field(
            "placement",
            get_args(Strategy),
            "rows on PEs. interleave: row i on PE i mod N. balance: equal work per PE. schedule: "
            "balance, and activations in an order that keeps the PEs abreast.",
        ),
    )
    free = FREE

    def arithmetic(self, params: EieParams) -> Arithmetic:
        found = super().arithmetic(params)
        if not params.plain:
            return found
        return replace(found, code_bits=0, code_bits_limit=0, plain_bits=params.weight_bits)

    def choose(
        self, wanted: FreeParams, nodes: Sequence[FloatNode], *, share: bool
    ) -> tuple[EieParams, tuple[str, ...]]:
        layers = [node for node in nodes if isinstance(node, FloatLinear | FloatCell)]
        return choose_params(wanted, layers, share=share)

    def takes(self, node: FloatNode | QuantLayer) -> bool:
        return isinstance(node, FloatLinear | QuantLinear | FloatCell | QuantCell)

    def joins(
        self,
        graph: QuantGraph[QuantLayer],
        before: QuantLayer,
        layer: QuantLayer,
    ) -> bool:
        # Between layers of a chain activations stay in the array, where nobody else can read.
        readers = [reader for reader in graph.layers if before.name in reader.inputs]
        return (
            layer.inputs == (before.name,)
            and len(readers) == 1
            and before.name not in graph.outputs
            and _same_sweep(graph, before, layer)
        )

    def compile(
        self, graph: QuantGraph[QuantLinear | QuantCell], params: EieParams, job: Job
    ) -> EiePart:
        tell, strategy = job.progress, job.options["placement"]
        job.report["placement"] = strategy
        tell("place", 0, 1)
        known = [job.activity.get(layer.name) for layer in graph.layers]
        activity = [often for often in known if often is not None]
        positions = place(graph, params, strategy, activity or None)
        # Activations that another part has left in memory, or reads there, keep their order as
        # columns. An order of our own saves few cycles, and would need a host to sort them.
        names = graph.layers[0].inputs
        given = _side_by_side([job.positions.get(name) for name in names], params.num_pes)
        if given is None and names != (INPUT,):
            given = np.arange(len(positions[0]))
        positions = (positions[0] if given is None else given, *positions[1:])
        tell("place", 1, 1)
        segments = build(graph, positions, params, lambda done, total: tell("encode", done, total))
        return EiePart(params, graph, positions, segments)

    def describe(self, part: EiePart) -> tuple[EieEntry, dict[str, bytes]]:
        interleaved = is_interleaved(part.placement)
        entry = EieEntry(
            placement="interleave" if interleaved else _PLACEMENT,
            segments=tuple(SegmentEntry.of(segment) for segment in part.segments),
        )
        arrays = {f"placement_{n}": positions for n, positions in enumerate(part.placement)}
        return entry, {} if interleaved else {_PLACEMENT: pack_arrays(arrays)}

    def restore(
        self,
        raw: str,
        graph: QuantGraph[QuantLinear | QuantCell],
        params: EieParams,
        srams: Callable[[Sequence[Sequence[str]]], list[dict[str, SramData]]],
        read: Callable[[str], bytes],
    ) -> EiePart:
        entry = EieEntry.model_validate_json(raw)
        entry.check(graph, params)
        for layer in graph.layers:
            check_arithmetic(layer, params)
        placement = self._placement(entry, graph, params, read)
        heights = segment_rows(entry.segments, graph)
        for index, (positions, rows) in enumerate(zip(placement, heights, strict=True)):
            check_positions(index, positions, rows * params.num_pes)
        loaded = srams([segment.srams for segment in entry.segments])
        segments = tuple(
            segment.run(Segment, contents)
            for segment, contents in zip(entry.segments, loaded, strict=True)
        )
        check_programs(segments, "segments", descriptor_layout(params), DESCRIPTOR_WORDS)
        return EiePart(params, graph, placement, segments)

    def _placement(
        self,
        entry: EieEntry,
        graph: QuantGraph[QuantLinear | QuantCell],
        params: EieParams,
        read: Callable[[str], bytes],
    ) -> Placement:
        if entry.placement == "interleave":
            return place(graph, params, "interleave")
        sizes = [
            math.prod(graph.layers[0].in_shape),
            *(layer.out_shape[0] for layer in graph.layers),
        ]
        expected = {f"placement_{n}": (np.int64, (size,)) for n, size in enumerate(sizes)}
        arrays = unpack_arrays(read(_PLACEMENT), expected)
        return tuple(arrays[name] for name in expected)

    def files(self, params: EieParams) -> Mapping[str, tuple[int, int]]:
        return sram_files(params)

    def in_chip(self, params: EieParams) -> EieParams:
        # Rows of the next inference stream into the third file.
        return replace(params, act_files=3)

    def moves(
        self,
        part: EiePart,
        port: SystemParams,
        given: Mapping[str, RowTensor] | None = None,
        shared: Collection[str] = (),
    ) -> Moves:
        del shared
        return part_moves(part, port, given or {})

    def file_names(self, raw: str) -> tuple[Sequence[Sequence[str]], Sequence[str]]:
        entry = EieEntry.model_validate_json(raw)
        placed = [] if entry.placement == "interleave" else [_PLACEMENT]
        return [segment.srams for segment in entry.segments], placed


def _same_sweep(graph: QuantGraph[QuantLayer], before: QuantLayer, layer: QuantLayer) -> bool:
    """Say whether a layer behind another takes steps in the order in which that makes them."""
    made = {one.name: one for one in graph.layers}
    cell: QuantLayer | None = before
    while cell is not None and not isinstance(cell, QuantCell):
        cell = made.get(cell.inputs[0]) if len(cell.inputs) == 1 else None
    if cell is None:
        return True
    if not isinstance(layer, QuantCell):
        return cell.sweep != "final" or layer.name == cell.projection
    return cell.sweep != "final" and (cell.sweep == "forward") == (layer.sweep == "forward")


def _side_by_side(
    tensors: Sequence[NDArray[np.int64] | None], num_pes: int
) -> NDArray[np.int64] | None:
    """Return positions of tensors whose rows stand behind one another; None if one is not known."""
    found, base = list[NDArray[np.int64]](), 0
    for positions in tensors:
        if positions is None:
            return None
        found.append(positions + base * num_pes)
        base += int(positions.max()) // num_pes + 1
    return np.concatenate(found)


ENGINE = _Eie()
"""What is found of EIE, see :mod:`zeroskip.compiler.engine`."""
