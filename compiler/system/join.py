"""Put the moves of a network's parts behind one another, as those of one list."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zeroskip.base.errors import InputError
from zeroskip.compiler.engine import engine
from zeroskip.compiler.image.image import Image, part_folder
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.system.moves import (
    Load,
    Move,
    Moves,
    RowsIn,
    RowsOut,
    RowTensor,
    Weights,
)
from zeroskip.compiler.system.steps import repeat_steps
from zeroskip.hw.system.params import SystemParams

__all__ = ["Joined", "join_parts"]

_LISTS = "setup", "inference", "bounded"


@dataclass(frozen=True, eq=False)
class Joined:
    """Moves of all parts.

    Parameters
    ----------
    moves : with the engines' numbers; names of words are unique, and each tensor is there once.
    views : how an engine sees a tensor that lies in memory, by its number and the tensor's name.
    """

    moves: Moves
    views: Mapping[tuple[int, str], RowTensor]


def join_parts(image: Image, port: SystemParams) -> Joined:
    """Join the parts of an image; engines are numbered as parts are.

    Memories that several parts of an engine load are loaded by every inference.

    Raises
    ------
    InputError
        If a part cannot run from a command list, or reads a tensor otherwise than it lies in
        memory.
    """
    numbers = {name: n for n, name in enumerate(dict.fromkeys(p.engine for p in image.parts))}
    several = len(image.parts) > 1
    parts: list[tuple[int, Moves]] = []
    views: dict[tuple[int, str], RowTensor] = {}
    tensors: dict[str, RowTensor] = {}
    shared = {name for part in image.parts for name in part.graph.given} - set(image.graph.given)
    for place, part in enumerate(image.parts):
        number = numbers[part.engine]
        made = engine(part.engine).moves(part, port, tensors, shared)
        if made.per_step:
            own = [layer.name for layer in part.layers]
            made = repeat_steps(made, part.graph.steps or 1, own, port)
        prefix = f"{part_folder(place, part.engine)}/" if several else ""
        parts.append((number, _numbered(made, number, prefix)))
        _lay_tensors(image.name, part, made, tensors, port)
        views |= {(number, view.name): view for view in made.tensors}
    loaded = Counter(
        memory for number, made in parts for memory in {_memory(one) for one in made if _loads(one)}
    )
    setup: list[Load] = []
    inference, bounded = list[Move](), list[Move]()
    for _, made in parts:
        setup += [load for load in made.setup if loaded[_memory(load)] == 1]
        shared = [load for load in made.setup if loaded[_memory(load)] > 1]
        inference += [*shared, *made.inference]
        bounded += made.bounded or [*shared, *made.inference]
    if any(made.bounded for _, made in parts):
        # The next inference finds what it does not load itself.
        changed = {_memory(move) for move in bounded if _loads(move)}
        bounded += [load for load in setup if _memory(load) in changed]
    else:
        bounded.clear()
    final = parts[-1][1].tensors[-1].name
    if set(image.graph.outputs) != set(image.parts[-1].graph.outputs):
        output = _joined_output(image, tensors, port)
        places = _places(image, tensors)
        final, tensors[output.name] = output.name, output
        setup, inference, bounded = (
            [_moved(one, output, places) for one in some] for some in (setup, inference, bounded)
        )
        views |= {(number, output.name): output for number, name in list(views) if name in places}
        tensors = {name: one for name, one in tensors.items() if name not in places}
    elif image.graph.outputs != image.parts[-1].graph.outputs:
        tensors[final] = _as_returned(image, tensors[final])
    ordered = [one for name, one in tensors.items() if name != final]
    in_place = frozenset(number for number, made in parts if made.in_place)
    moves = Moves(
        tuple(setup), tuple(inference), (*ordered, tensors[final]), tuple(bounded), in_place
    )
    return Joined(moves, views)


def _lay_tensors(
    name: str, part: Any, made: Moves, tensors: dict[str, RowTensor], port: SystemParams
) -> None:
    """Add the tensors that a part moves, as they lie in memory, to those of parts before it.

    Raises
    ------
    InputError
        If image ``name`` has one in several places, or the part sees it otherwise than it lies.
    """
    for view in made.tensors[:-1]:
        if view.name not in {INPUT, *tensors, *(layer.name for layer in part.layers)}:
            raise InputError(
                f"image {name!r} cannot run from one START: {part.engine} takes "
                f"{view.name!r} from one place, and parts before it leave it in several"
            )
    for view in made.tensors:
        lies = tensors.setdefault(view.name, view)
        if not _agree(lies, view, port):
            raise InputError(
                f"image {name!r} cannot run from one START: {part.engine} takes "
                f"{view.name!r} in rows of {view.lanes} values of {view.bits} bits, and it "
                f"lies in rows of {lies.lanes} values of {lies.bits} bits in memory; a number "
                "of PEs that is a power of two, whose row fills a beat of the port, would do"
            )


def _joined_output(image: Image, tensors: Mapping[str, RowTensor], port: SystemParams) -> RowTensor:
    """Make one tensor of outputs of several parts, whose rows stand behind one another.

    Raises
    ------
    InputError
        If they have not the same rows.
    """
    names = image.graph.outputs
    found = [tensors[name] for name in names if name in tensors]
    kinds = {(one.lanes, one.bits, one.frac, one.row_bytes(port)) for one in found}
    if len(found) != len(names) or len(kinds) != 1 or any(one.packed for one in found):
        raise InputError(
            f"image {image.name!r} cannot run from one START: {', '.join(names)} are outputs of "
            "several parts, which leave them in different rows"
        )
    places = _places(image, tensors)
    positions = [
        (one.positions + places[one.name] * one.lanes).reshape(
            -1, math.prod(image.graph.shape(one.name))
        )
        for one in found
    ]
    if not image.graph.every_step:
        # Of an output that others read, too, all steps lie in memory.
        positions = [steps[-1:] for steps in positions]
    return replace(
        found[0],
        name="+".join(names),
        rows=sum(one.rows for one in found),
        positions=np.concatenate(positions, axis=1).ravel(),
    )


def _as_returned(image: Image, tensor: RowTensor) -> RowTensor:
    """Let the outputs of the last part be read as the network returns them, some maybe twice."""
    graph, own = image.graph, image.parts[-1].graph.outputs
    ends = np.cumsum([math.prod(graph.shape(name)) for name in own])
    steps = tensor.positions.reshape(-1, ends[-1])
    found = dict(zip(own, np.split(steps, ends[:-1], axis=1), strict=True))
    returned = np.concatenate([found[name] for name in graph.outputs], axis=1)
    return replace(tensor, positions=returned.ravel())


def _places(image: Image, tensors: Mapping[str, RowTensor]) -> dict[str, int]:
    """Return the first row of each output among those of all."""
    found: dict[str, int] = {}
    row = 0
    for name in image.graph.outputs:
        found[name] = row
        row += tensors[name].rows
    return found


def _moved(one: Any, output: RowTensor, places: Mapping[str, int]) -> Any:
    """Let rows of one of several outputs be those of all together."""
    if not isinstance(one, RowsIn | RowsOut) or one.tensor not in places:
        return one
    return replace(one, tensor=output.name, first=places[one.tensor] + one.first)


def _numbered(made: Moves, number: int, prefix: str) -> Moves:
    """Give moves of a part their engine's number, and names of their own."""

    def change(one: Any) -> Any:
        named = {"name": prefix + one.name} if isinstance(one, Load | Weights) else {}
        return replace(one, engine=number, **named)

    lists = {name: tuple(map(change, getattr(made, name))) for name in _LISTS}
    return replace(made, **lists)


def _agree(lies: RowTensor, view: RowTensor, port: SystemParams) -> bool:
    """Say whether two engines see the same values in the same bits."""
    same = (lies.bits, lies.frac) == (view.bits, view.frac)
    return same and np.array_equal(lies.places(port), view.places(port))


def _loads(one: Move) -> bool:
    return isinstance(one, Load)


def _memory(one: Any) -> tuple[int, int, int]:
    return one.engine, one.space, one.pe
