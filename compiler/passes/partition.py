"""Decide which engine computes each node of a network, and with which arithmetic."""

from collections.abc import Sequence

from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.engine import FreeParams, engine, engines
from zeroskip.compiler.ir.graph import FloatConcat, FloatGraph, FloatNode, QuantLayer
from zeroskip.compiler.passes.arithmetic import Arithmetic
from zeroskip.hw.common.params import ArrayParams

__all__ = ["Arrays", "arithmetics", "by_engine", "default_params", "partition", "taker"]

Arrays = ArrayParams | FreeParams | Sequence[ArrayParams | FreeParams]
"""Arrays to compile for: parameters, of which the class says the engine, at most one an engine."""


def by_engine(arrays: Arrays) -> dict[str, FreeParams]:
    """Return what is given for each engine.

    Raises
    ------
    InputError
        If something is no parameters of an engine, or two are of one engine.
    """
    kinds = {found.params: name for name, found in engines().items()}
    given: dict[str, FreeParams] = {}
    for array in arrays if isinstance(arrays, Sequence) else [arrays]:
        free = array if isinstance(array, FreeParams) else FreeParams(array)
        name = kinds.get(type(free.params))
        if name is None:
            known = ", ".join(kind.__name__ for kind in kinds)
            raise InputError(
                f"arrays must be parameters of engines ({known}), not a "
                f"{type(free.params).__name__}"
            )
        if name in given:
            raise InputError(f"arrays must have one of each engine, but has two for {name}")
        given[name] = free
    return given


def default_params(name: str) -> FreeParams:
    """Return the default array of an engine, of which a network may choose what is free."""
    found = engine(name)
    return FreeParams(found.presets[found.default].params, found.free)


def partition(graph: FloatGraph, first: Sequence[str] = ()) -> dict[str, str]:
    """Return the engine of each node; that of tensors side by side is that of the first.

    Parameters
    ----------
    graph : the network.
    first : engines that are asked before all others.
    """
    kinds: dict[str, str] = {}
    for node in graph.nodes:
        before = kinds.get(node.inputs[0]) if isinstance(node, FloatConcat) else None
        kinds[node.name] = before or taker(node, first)
    return kinds


def taker(node: FloatNode | QuantLayer, first: Sequence[str] = ()) -> str:
    """Return the engine that computes a node: of ``first``, else of all.

    Raises
    ------
    CompileError
        If there is none.
    """
    known = engines()
    for name in dict.fromkeys([*first, *known]):
        if known[name].takes(node):
            return name
    raise CompileError(f"no engine computes layer {node.name!r}")


def arithmetics(graph: FloatGraph, *arrays: ArrayParams | None) -> dict[str, Arithmetic]:
    """Return the arithmetic of each node of a network.

    Parameters
    ----------
    graph : the network.
    arrays : parameters of at most one array an engine; an engine that has none gets its default.
    """
    given = by_engine([array for array in arrays if array is not None])
    kinds = partition(graph, list(given))
    known = {
        kind: engine(kind).arithmetic(given.get(kind, default_params(kind)).params)
        for kind in dict.fromkeys(kinds.values())
    }
    return {node: known[kind] for node, kind in kinds.items()}
