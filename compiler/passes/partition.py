"""Decide which engine computes each node of a network."""

from collections.abc import Mapping

from zeroskip.base.errors import CompileError, ScnnCompileError
from zeroskip.compiler.ir.graph import FloatGraph, FloatLinear
from zeroskip.compiler.passes.arithmetic import Arithmetic
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["arithmetics", "partition"]


def partition(graph: FloatGraph) -> dict[str, str]:
    """Return the engine of each node: matrices go to EIE, all else to SCNN."""
    return {node.name: "eie" if isinstance(node, FloatLinear) else "scnn" for node in graph.nodes}


def arithmetics(
    graph: FloatGraph, eie: EieParams | None = None, scnn: ScnnParams | None = None
) -> dict[str, Arithmetic]:
    """Return the arithmetic of each node of a network.

    Parameters
    ----------
    graph : the network.
    eie, scnn : arrays; one that no node goes to need not be there.

    Raises
    ------
    CompileError
        If an array is missing.
    """
    known: dict[str, Arithmetic] = {}
    if eie is not None:
        known["eie"] = Arithmetic(
            engine="eie",
            act_bits=eie.act_bits,
            acc_bits=eie.acc_bits,
            weight_bits=eie.weight_bits,
            code_bits=eie.code_bits,
            code_bits_limit=EieParams.ranges["code_bits"][1],
        )
    if scnn is not None:
        known["scnn"] = Arithmetic(
            engine="scnn",
            act_bits=scnn.act_bits,
            acc_bits=scnn.acc_bits,
            weight_bits=scnn.weight_bits,
            code_bits=scnn.code_bits,
            code_bits_limit=ScnnParams.ranges["code_bits"][1],
            plain_bits=scnn.field_bits,
            error=ScnnCompileError,
        )
    return place_nodes(partition(graph), known)


def place_nodes(
    engines: Mapping[str, str], known: Mapping[str, Arithmetic]
) -> dict[str, Arithmetic]:
    """Return the arithmetic of each node, by the engine that it goes to."""
    for node, engine in engines.items():
        if engine not in known:
            raise CompileError(
                f"layer {node!r} is for {engine.upper()}, but there are no parameters of an "
                f"{engine.upper()} array"
            )
    return {node: known[engine] for node, engine in engines.items()}
