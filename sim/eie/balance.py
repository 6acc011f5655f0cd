"""Measure how evenly a placement spreads the entries of each layer over the PEs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zeroskip.base.errors import CompileError
from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.eie.place import is_interleaved, place
from zeroskip.compiler.eie.program import build
from zeroskip.compiler.eie.recurrent import is_recurrent
from zeroskip.compiler.eie.window import windows
from zeroskip.sim.eie.storage import LayerStorage, layer_storage

__all__ = ["LayerBalance", "layer_balance"]


@dataclass(frozen=True)
class LayerBalance:
    """Entries per PE of a layer: what the array issues if every column is broadcast.

    Parameters
    ----------
    mean, largest : of the PEs, as placed.
    before, after : mean over largest, with interleaved rows and as placed; 1 is perfect. None
        before, if the network does not fit the array with interleaved rows.
    bound : entries of the largest PE if no placement could be better: all PEs have the same, and
        none is padding.
    """

    mean: float
    largest: int
    before: float | None
    after: float
    bound: int


def layer_balance(part: EiePart, storage: Sequence[LayerStorage]) -> list[LayerBalance]:
    """Compare the placement of every layer with interleaved rows.

    Parameters
    ----------
    part : of a compiled network.
    storage : what :func:`.layer_storage` gives for it.
    """
    after = [layer.balance for layer in storage]
    before = after if is_interleaved(part.placement) else _interleaved(part)
    num_pes = part.params.num_pes
    return [
        LayerBalance(
            mean=float(layer.entries.mean()),
            largest=int(layer.entries.max()),
            before=was,
            after=now,
            bound=-(-layer.nnz // num_pes),
        )
        for layer, was, now in zip(storage, before, after, strict=True)
    ]


def _interleaved(part: EiePart) -> Sequence[float | None]:
    network, params = part.graph, part.params
    entries = np.zeros((len(network.layers), params.num_pes), np.int64)
    try:
        if is_recurrent(network):
            placed = place(network, params, "interleave")
            there = EiePart(params, network, placed, build(network, placed, params))
            return [layer.balance for layer in layer_storage(there)]
        for window in windows(network, place(network, params, "interleave"), params):
            entries[window.layer] += window.ends[:, -1]
    except CompileError:
        return [None] * len(entries)
    return [float(counts.mean() / counts.max()) if counts.any() else 1.0 for counts in entries]
