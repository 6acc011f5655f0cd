"""The points of a sweep: every combination of the values of its axes."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

from zeroskip.base.errors import ParameterError
from zeroskip.compiler.eie.place import Strategy
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.sweep.axes import combinations

__all__ = ["AXES", "Memories", "Point", "grid", "image_key"]

Memories = Literal["total", "per-pe"]
"""``total``: the array keeps its memories, so that twice the PEs have half as much each.
``per-pe``: each PE keeps its memories."""

AXES = (
    "num_pes",
    "queue_depth",
    "run_bits",
    "word_bits",
    "placement",
    "pointers_first",
    "skip_padding",
)
"""What can be swept, in the order of the table's rows: the last changes fastest."""

# These do not change what the compiler writes: points that differ in them share an image.
_TIMING_ONLY = ("queue_depth", "pointers_first", "skip_padding")

# Fields that are a PE's share of something of the whole array. Pointers are not: each PE has
# those of all columns.
_SHARES = ("num_acts", "num_accs", "num_biases")
_LARGEST = {"spmat_words": 1 << 20, "num_acts": 1 << 16, "num_accs": 1 << 16, "num_biases": 1 << 16}


@dataclass(frozen=True)
class Point:
    """An array and a placement."""

    params: EieParams
    placement: Strategy


def grid(
    base: Point, axes: Mapping[str, Sequence[Any]], memories: Memories = "total"
) -> list[Point]:
    """List the points.

    Parameters
    ----------
    base : what the axes leave as it is.
    axes : values by name, see :data:`AXES`.
    memories : see :data:`Memories`; how many bits of Spmat there are does not depend on the
        width of a word either.

    Raises
    ------
    InputError
        If an axis is unknown or has no value, one twice, or one that no array can have.
    """
    points = []
    for chosen in combinations(axes, AXES, partial(_check, base.params)):
        placement = chosen.pop("placement", base.placement)
        sizes = _memories(base.params, chosen, memories)
        points.append(Point(dataclasses.replace(base.params, **chosen, **sizes), placement))
    return points


def image_key(point: Point) -> tuple[EieParams, Strategy]:
    """Return what is the same for points that share an image."""
    plain = EieParams()
    same = {name: getattr(plain, name) for name in _TIMING_ONLY}
    return dataclasses.replace(point.params, **same), point.placement


def _check(params: EieParams, name: str, value: Any) -> None:
    if name != "placement":
        dataclasses.replace(params, **{name: value})
    elif value not in get_args(Strategy):
        raise ParameterError.of_names("placement", value, get_args(Strategy))


def _memories(base: EieParams, chosen: Mapping[str, Any], memories: Memories) -> dict[str, int]:
    """Size the memories of one PE."""
    word_bits = chosen.get("word_bits", base.word_bits)
    num_pes = chosen.get("num_pes", base.num_pes) if memories == "total" else base.num_pes
    shares = {name: getattr(base, name) * base.num_pes for name in _SHARES}
    shares["spmat_words"] = base.spmat_words * base.word_bits * base.num_pes // word_bits
    return {
        # No more than the largest that can be built: then the host reloads.
        name: min(_LARGEST[name], max(2, -(-total // num_pes)))
        for name, total in shares.items()
    }
