"""Turn segments into the moves of an inference that no host takes part in."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.eie.segment import Segment
from zeroskip.compiler.engine import SramData
from zeroskip.compiler.ir.graph import INPUT, QuantCell, QuantLinear
from zeroskip.compiler.system.moves import Load, Move, Moves, RowsIn, RowsOut, RowTensor, Run
from zeroskip.hw.eie.formats import load_bits
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.system.formats import word_bytes
from zeroskip.hw.system.params import SystemParams

__all__ = ["part_moves"]

# Of an image's SRAMs: where they are written, and what is in them.
_SPACES = {
    "program": (Space.PROGRAM, "descriptors"),
    "codebook": (Space.CODEBOOK, "shared weights"),
    "spmat": (Space.SPMAT, "codes and run lengths"),
    "ptr": (Space.POINTER, "column pointers"),
    "bias": (Space.BIAS, "biases"),
}


def part_moves(part: EiePart, port: SystemParams, given: Mapping[str, RowTensor]) -> Moves:
    """Order loads, inputs, runs and outputs of all segments.

    What later segments replace, every inference loads anew; the rest is loaded once. Rows come in
    before words are loaded, since that can be done while the segment before still runs.

    Parameters
    ----------
    part : of a compiled network.
    port, given : see :meth:`.Engine.moves`.
    """
    if part.graph.steps is not None:
        return _step_moves(part, _step_inputs(part, port, given))
    segments, layers, params = part.segments, part.layers, part.params
    placement, heights = part.placement, part.heights
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
        loads = [load for load in loads if len(load.words)]
        if not number:
            setup = tuple(load for load in loads if _held_memory(load) not in replaced)
            loads = [load for load in loads if _held_memory(load) in replaced]
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


def _step_moves(part: EiePart, inputs: Sequence[tuple[RowTensor, int]]) -> Moves:
    """Give a run for each step; the next step's input comes in while it is under way."""
    (segment,), layers, steps = part.segments, part.layers, part.graph.steps or 1
    names = {_memory(name): None for name in segment.srams}
    loads = [_load(0, name, segment.srams, part.params) for name in names]
    made, final, every = layers[-1].name, part.heights[-1], part.graph.every_step
    backward = part.sweep != "forward"
    moves = list[Move]()
    for run in range(steps):
        step = steps - 1 - run if backward else run
        row = 0
        for tensor, height in inputs:
            moves.append(RowsIn(tensor.name, step * (tensor.rows // steps), height, row=row))
            row += height
        # Of the run before, which is over when the next begins.
        place = run if part.sweep == "final" else step
        out = RowsOut(made, place * final if every else 0, final, destination=True)
        leaves = [out] if every or place == steps - 1 else []
        moves += [Run(takes=True, begins=not run), *leaves]
    outputs = _step_tensor(
        part, made, final, steps if every else 1, layers[-1].out_frac, part.placement[-1]
    )
    tensors = (*(tensor for tensor, _ in inputs), outputs)
    return Moves(tuple(load for load in loads if len(load.words)), _ahead(moves), tensors)


def _ahead(moves: Sequence[Move]) -> tuple[Move, ...]:
    """Let rows of a run come in before those of the run before leave, which wait for its end."""
    ordered: list[Move] = []
    for move in moves:
        place = len(ordered)
        while isinstance(move, RowsIn) and place and isinstance(ordered[place - 1], RowsOut):
            place -= 1
        ordered.insert(place, move)
    return tuple(ordered)


def _step_inputs(
    part: EiePart, port: SystemParams, given: Mapping[str, RowTensor]
) -> list[tuple[RowTensor, int]]:
    """Return the tensors that steps take their inputs from, and the rows of each in a step."""
    names, steps, lanes = part.layers[0].inputs, part.graph.steps or 1, part.params.num_pes
    first, base = 0, 0
    found: list[tuple[RowTensor, int]] = []
    for name in names:
        lies = given.get(name)
        if lies is None or lies.lanes != lanes or lies.packed or lies.rows % steps:
            break
        elements = len(lies.positions) // steps
        height = int(lies.positions[:elements].max()) // lanes + 1
        own = part.placement[0][first : first + elements] - base * lanes
        if not np.array_equal(own, lies.positions[:elements]):
            break
        found.append((lies, height))
        first, base = first + elements, base + height
    if len(found) == len(names):
        return found
    name, frac, height = "+".join(names), part.layers[0].in_frac, part.heights[0]
    # What another engine has made lies with nothing in between, but at the end of a step.
    packed = names != (INPUT,)
    tensor = _step_tensor(part, name, height, steps, frac, part.placement[0], packed=packed)
    if (lies := given.get(name)) is not None:
        rows = lies.rows // steps * lies.row_bytes(port) // tensor.row_bytes(port)
        tensor = _step_tensor(part, name, rows, steps, frac, part.placement[0], packed=packed)
    return [(tensor, height)]


def _step_tensor(
    part: EiePart,
    name: str,
    height: int,
    count: int,
    frac: int,
    positions: NDArray[np.int64],
    *,
    packed: bool = False,
) -> RowTensor:
    """Describe vectors of ``count`` steps, each ``height`` rows behind the one before."""
    p = part.params
    return RowTensor(
        name=name,
        rows=height * count,
        lanes=p.num_pes,
        bits=8 * word_bytes(p.act_bits),
        frac=frac,
        positions=(np.arange(count)[:, None] * height * p.num_pes + positions).ravel(),
        packed=packed,
    )


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
