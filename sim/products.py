"""Count the products of a layer, with and without those of zeros."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.changes import changes
from zeroskip.compiler.ir.graph import QuantCell, QuantConv, QuantLayer, QuantLinear
from zeroskip.compiler.ir.sequences import Sequences

__all__ = ["act_macs", "past_of", "useful_macs"]


def useful_macs(
    layer: QuantLayer,
    x: NDArray[Any],
    past: NDArray[Any] | None = None,
    sequences: Sequences | None = None,
) -> NDArray[np.int64]:
    """Count the products of two non-zeros that outputs of a layer need: (n,).

    Parameters
    ----------
    x : (n, C, H, W), what the layer reads; only where it is 0 matters, unless it has thresholds.
    past : of a recurrent layer, see :func:`past_of`; its elements are (n, values, 1, 1).
    sequences : of a recurrent layer, unless all have as many steps as it says.
    """
    if isinstance(layer, QuantCell):
        read, before = _read(layer, x, past, sequences)
        own = read @ np.diff(layer.matrix.indptr)
        return own + before @ np.diff(layer.recurrent.indptr)
    if isinstance(layer, QuantLinear):
        return (x != 0).reshape(len(x), -1) @ np.diff(layer.codes.indptr)
    return _reached(layer, x, layer.weight != 0)


def act_macs(
    layer: QuantLayer,
    x: NDArray[Any],
    past: NDArray[Any] | None = None,
    sequences: Sequences | None = None,
) -> NDArray[np.int64]:
    """Count the products of non-zero activations, whatever the weights: (n,), see `useful_macs`."""
    if isinstance(layer, QuantCell):
        read, before = _read(layer, x, past, sequences)
        return (read.sum(axis=1) + before.sum(axis=1)) * layer.weight_rows
    if isinstance(layer, QuantLinear):
        return np.count_nonzero(x.reshape(len(x), -1), axis=1) * layer.shape[0]
    return _reached(layer, x, layer.weight_places)


def past_of(layer: QuantLayer, tensors: Mapping[str, NDArray[Any]]) -> NDArray[Any] | None:
    """Return the tensor that a recurrent layer reads of the step before; None of another layer."""
    return tensors[layer.past] if isinstance(layer, QuantCell) else None


def _read(
    layer: QuantCell,
    x: NDArray[Any],
    past: NDArray[Any] | None,
    sequences: Sequences | None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return where a cell's input, and its h of the step before, are multiplied: (n, values) each.

    A sequence begins with 0. With thresholds there are products where either changes.
    """
    assert past is not None
    sequences = sequences or Sequences.equal(len(past), layer.steps)
    steps = [tensor.reshape(len(tensor), -1) for tensor in (x, past)]
    if layer.thresholds is None:
        steps = [tensor != 0 for tensor in steps]
    if layer.sweep != "forward":
        steps[0] = sequences.reversed(steps[0])
    # Outputs of a backward cell are stored from the first step on; it made them from the last on.
    if layer.sweep == "reverse":
        steps[1] = sequences.reversed(steps[1])
    read, made = (sequences.padded(tensor) for tensor in steps)
    before = np.concatenate([np.zeros_like(made[:, :1]), made[:, :-1]], axis=1)
    runs = read, before
    if layer.thresholds is not None:
        of_each = zip(runs, layer.thresholds, strict=True)
        runs = tuple(changes(tensor, threshold) for tensor, threshold in of_each)
    found = [sequences.joined(tensor) != 0 for tensor in runs]
    if layer.sweep != "forward":
        found = [sequences.reversed(tensor) for tensor in found]
    return found[0], found[1]


def _reached(layer: QuantConv, x: NDArray[Any], weights: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the products of non-zero activations with some weights."""
    (_, rows, columns), (sy, sx), (top, left) = layer.out_shape, layer.stride, layer.padding
    depth, fan, taps_y, taps_x = weights.shape
    of_group = depth // layer.groups
    # How many output channels each input channel's taps have a weight for.
    used = weights.reshape(layer.groups, of_group, fan, taps_y, taps_x).sum(axis=1)
    used = used.reshape(-1, taps_y, taps_x)
    _, _, height, width = x.shape
    bottom = max(0, (rows - 1) * sy + taps_y - height - top)
    right = max(0, (columns - 1) * sx + taps_x - width - left)
    there = np.pad(x != 0, ((0, 0), (0, 0), (top, bottom), (left, right)))
    total = np.zeros(len(x), np.int64)
    for r in range(taps_y):
        for s in range(taps_x):
            window = there[
                :, :, r : r + (rows - 1) * sy + 1 : sy, s : s + (columns - 1) * sx + 1 : sx
            ]
            total += window.sum(axis=(2, 3)) @ used[:, r, s]
    return total
