# amaranth: UnusedElaboratable=no
"""Any two parameters at any ends of their ranges: what is accepted, becomes sound Verilog."""

import inspect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from amaranth.lib import wiring

from zeroskip.base.errors import ParameterError
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.common.params import ArrayParams
from zeroskip.hw.eie.array import EieArray
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.pe import Pe
from zeroskip.hw.eie.system import EieUnit
from zeroskip.hw.scnn.array import ScnnArray
from zeroskip.hw.scnn.params import DESCRIPTOR_BITS, ScnnParams
from zeroskip.hw.scnn.pe import ScnnPe
from zeroskip.hw.scnn.system import ScnnUnit
from zeroskip.hw.system.chip import SystemChip
from zeroskip.hw.system.params import SystemParams

# What more of it would be more of the same text.
_MANY = {
    "num_pes": 17,
    "pes_x": 3,
    "pes_y": 2,
    "num_streams": 3,
    "plane_units": 2,
    "scatter_depth": 5,
    "mult_f": 3,
    "mult_i": 3,
}
Pair = tuple[tuple[str, Any], tuple[str, Any]]


def ends(kind: type[ArrayParams]) -> dict[str, tuple[Any, Any]]:
    """Return the ends of each field."""
    names = inspect.signature(kind).parameters
    return {
        name: (kind.ranges[name][0], _MANY.get(name, kind.ranges[name][1]))
        if name in kind.ranges
        else (False, True)
        for name in names
    }


def accepted(kind: type[ArrayParams], values: Mapping[str, Any]) -> bool:
    try:
        kind(**values)
    except ParameterError:
        return False
    return True


def pairs_of(values: Mapping[str, Any]) -> set[Pair]:
    return set(itertools.combinations(values.items(), 2))


def covering(kind: type[ArrayParams]) -> Iterator[dict[str, Any]]:
    """Give few sets of values that have every pair of ends which any accepted set has.

    A set begins with a pair that none had yet; each field then takes the end that brings more new
    pairs, and falls back to what keeps the set accepted.
    """
    every = ends(kind)
    left = {
        pair
        for one, other in itertools.combinations(every, 2)
        for pair in itertools.product(
            ((one, end) for end in every[one]), ((other, end) for end in every[other])
        )
    }
    while left:
        start = dict(min(left, key=repr))
        values = complete(kind, every, start, left)
        if values is None:
            left -= pairs_of(start)
            continue
        left -= pairs_of(values)
        yield values


def single_ends(kind: type[ArrayParams]) -> Iterator[dict[str, Any]]:
    """Give the sets of :func:`covering` in which a parameter has an end for the first time."""
    seen: set[tuple[str, Any]] = set()
    for values in covering(kind):
        if not seen.issuperset(values.items()):
            seen.update(values.items())
            yield values


def complete(
    kind: type[ArrayParams],
    every: Mapping[str, tuple[Any, Any]],
    start: Mapping[str, Any],
    left: set[Pair],
) -> dict[str, Any] | None:
    """Give the fields that ``start`` leaves open an end each; None if nothing is accepted."""
    open_ = [name for name in every if name not in start]
    values = next(filter(partial(accepted, kind), _candidates(every, start, open_)), None)
    if values is None:
        return None
    for name in open_:
        tried = values | {name: next(end for end in every[name] if end != values[name])}
        if accepted(kind, tried) and len(pairs_of(tried) & left) > len(pairs_of(values) & left):
            values = tried
    return values


def _candidates(
    every: Mapping[str, tuple[Any, Any]], start: Mapping[str, Any], open_: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Give sets with ``start``, and all open fields but up to three at the same end.

    What bounds others is large: of the bounded ones, those that are open give way. Where more have
    to, as with ``delta``, nearly all are small.
    """
    for end in (1, 0):
        values = {name: start.get(name, every[name][end]) for name in every}
        for count in range(4):
            for some in itertools.combinations(open_, count):
                yield values | {name: every[name][1 - end] for name in some}


def assert_sound(component: wiring.Component) -> str:
    """Emit without a word from Yosys, a signal of 0 bits or a latch."""
    text = emit_verilog(component, "top")
    assert "[-1:0]" not in text
    assert "latch" not in text
    return text


@pytest.mark.long("converts dozens of arrays to Verilog")
@pytest.mark.parametrize("kind", [EieParams, ScnnParams])
def test_any_two_ends_go_together(kind: type[EieParams | ScnnParams]) -> None:
    sets = list(covering(kind))
    every = ends(kind)
    # Each end of each field is in a set that is accepted.
    assert {pair for values in sets for pair in values.items()} == {
        (name, end) for name, both in every.items() for end in both
    }
    for values in sets:
        p = kind(**values)
        parts = (Pe(p), EieArray(p)) if isinstance(p, EieParams) else (ScnnPe(p), ScnnArray(p))
        for part in parts:
            assert_sound(part)


@pytest.mark.long("converts dozens of arrays to Verilog")
def test_any_ends_of_both_engines_make_a_chip() -> None:
    """Each end once: of two that meet in an array, the arrays' own test has all."""
    both = itertools.zip_longest(single_ends(ScnnParams), single_ends(EieParams), fillvalue={})
    for place, (scnn, eie) in enumerate(both):
        port = SystemParams(data_bits=(64, 128, 256)[place % 3])
        units = {
            "scnn": partial(ScnnUnit, port, ScnnParams(**scnn)),
            "eie": partial(EieUnit, port, EieParams(**{**eie, "act_files": 3})),
        }
        assert_sound(SystemChip(port, units))


def test_combinations_that_are_refused() -> None:
    with pytest.raises(
        ParameterError,
        match=r"^banks \* bank_entries must be at most 32768, not 131072: a descriptor of 384 bits",
    ):
        ScnnParams(banks=128, bank_entries=1024)
    assert ScnnParams(banks=128, bank_entries=256).descriptor_bits <= DESCRIPTOR_BITS
