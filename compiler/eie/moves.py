"""Turn segments into the moves of an inference that no host takes part in."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.place import Placement
from zeroskip.compiler.eie.segment import Segment
from zeroskip.compiler.engine import SramData
from zeroskip.compiler.ir.graph import INPUT, QuantCell, QuantLinear
from zeroskip.compiler.system.moves import Load, Move, Moves, RowsIn, RowsOut, RowTensor, Run
from zeroskip.hw.eie.formats import load_bits
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.system.formats import word_bytes

__all__ = ["segment_moves"]

# Of an image's SRAMs: where they are written, and what is in them.
_SPACES = {
    "program": (Space.PROGRAM, "descriptors"),
    "codebook": (Space.CODEBOOK, "shared weights"),
    "spmat": (Space.SPMAT, "codes and run lengths"),
    "ptr": (Space.POINTER, "column pointers"),
    "bias": (Space.BIAS, "biases"),
}


def segment_moves(
    segments: Sequence[Segment],
    layers: Sequence[QuantLinear | QuantCell],
    placement: Placement,
    heights: Sequence[int],
    params: EieParams,
    *,
    every_step: bool = False,
) -> Moves:
    """Order loads, inputs, runs and outputs of all segments.

    What later segments replace, every inference loads anew; the rest is loaded once. Rows come in
    before words are loaded, since that can be done while the segment before still runs.

    Parameters
    ----------
    segments, layers, placement : of the part.
    heights : rows of its input, then of each layer's output.
    params : of the array.
    every_step : of a recurrent network: outputs of all steps leave, not only of the last.
    """
    if any(isinstance(layer, QuantCell) for layer in layers):
        return _step_moves(segments[0], layers, placement, heights, params, every=every_step)
    held: dict[str, SramData] = {}
    replaced = {_memory(name) for one in segments[1:] for name in one.srams}
    setup: tuple[Load, ...] = ()
    moves: list[Move] = []
    used: set[int] = set()
    for number, segment in enumerate(segments):
        held |= segment.srams
        changed = {_memory(name): None for name in segment.srams}
        loads = [_load(number, name, held, params) for name in changed]
        # A PE without a weight has no words.
        loads = [one for one in loads if len(one.words)]
        if not number:
            setup = tuple(one for one in loads if _held_memory(one) not in replaced)
            loads = [one for one in loads if _held_memory(one) in replaced]
        vector = segment.passes[0]
        if segment.load is not None:
            moves.append(RowsIn(_name(layers, vector), *segment.load))
            used.add(vector)
        moves += [*loads, Run(takes=segment.load is not None)]
        if segment.store is not None:
            vector = segment.passes[-1] + 1
            moves.append(
                RowsOut(
                    _name(layers, vector),
                    *segment.store,
                    destination=not segment.program[-1].swap,
                    made_from=_made_from(segment),
                )
            )
            used.add(vector)
    tensors = tuple(
        RowTensor(
            name=_name(layers, vector),
            rows=heights[vector],
            lanes=params.num_pes,
            bits=8 * word_bytes(params.act_bits),
            frac=layers[vector - 1].out_frac if vector else layers[0].in_frac,
            positions=placement[vector],
            # What another engine has made lies with nothing in between.
            packed=not vector and layers[0].inputs != (INPUT,),
        )
        for vector in sorted(used)
    )
    return Moves(setup, tuple(moves), tensors)


def _step_moves(
    segment: Segment,
    layers: Sequence[QuantLinear | QuantCell],
    placement: Placement,
    heights: Sequence[int],
    params: EieParams,
    *,
    every: bool,
) -> Moves:
    """Give a run for each step; the next step's input comes in while it is under way."""
    steps = next(layer.steps for layer in layers if isinstance(layer, QuantCell))
    names = {_memory(name): None for name in segment.srams}
    loads = [_load(0, name, segment.srams, params) for name in names]
    rows, final, moves = heights[0], heights[-1], list[Move]()
    for step in range(steps):
        moves += [RowsIn(INPUT, step * rows, rows), Run(takes=True, begins=step == 0)]
        if every or step == steps - 1:
            place = step * final if every else 0
            moves.append(RowsOut(layers[-1].name, place, final, destination=True))

    def tensor(name: str, height: int, count: int, frac: int, positions: Any) -> RowTensor:
        return RowTensor(
            name=name,
            rows=height * count,
            lanes=params.num_pes,
            bits=8 * word_bytes(params.act_bits),
            frac=frac,
            positions=(np.arange(count)[:, None] * height * params.num_pes + positions).ravel(),
        )

    tensors = (
        tensor(INPUT, rows, steps, layers[0].in_frac, placement[0]),
        tensor(layers[-1].name, final, steps if every else 1, layers[-1].out_frac, placement[-1]),
    )
    return Moves(tuple(one for one in loads if len(one.words)), tuple(moves), tensors)


def _made_from(segment: Segment) -> int | None:
    """Find the first pass that drains into the result, if all do so row behind row."""
    *passes, final = enumerate(segment.program)
    if not final[1].swap:
        return None
    before = [number for number, one in passes if one.swap]
    drains = [
        (number, one) for number, one in (*passes, final)
        if one.drain and number > max(before, default=-1)
    ]  # fmt: skip
    row = 0
    for _, one in drains:
        if one.dst_base != row:
            return None
        row += one.drain_rows
    return drains[0][0] if drains else None


def _name(layers: Sequence[QuantLinear | QuantCell], vector: int) -> str:
    return layers[vector - 1].name if vector else "+".join(layers[0].inputs)


def _memory(name: str) -> str:
    """Return the memory that an SRAM is of: both banks of pointers are one to the host."""
    return name.removesuffix("_even").removesuffix("_odd")


def _held_memory(load: Load) -> str:
    return load.name.split("/", 1)[1]


def _load(number: int, memory: str, held: Mapping[str, SramData], params: EieParams) -> Load:
    """Make the load of a memory for a segment."""
    *prefix, kind = memory.split("/")
    space, about = _SPACES[kind]
    words = _pointers(memory, held) if kind == "ptr" else held[memory].words
    return Load(
        name=f"run_{number}/{memory}",
        about=about,
        space=space.value,
        pe=int(prefix[0].removeprefix("pe_")) if prefix else 0,
        words=words,
        width=load_bits(params)[space],
    )


def _pointers(memory: str, held: Mapping[str, SramData]) -> NDArray[np.uint64]:
    """Take pointers of the even and the odd bank in turns, as the host addresses them."""
    even, odd = held[f"{memory}_even"].words, held[f"{memory}_odd"].words
    words = np.empty((len(even) + len(odd), 1), np.uint64)
    words[0::2], words[1::2] = even, odd
    return words
