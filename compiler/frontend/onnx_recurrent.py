"""Translate ONNX's recurrent layers to those of torch, whose weights are in another order."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.frontend.program import Ref
from zeroskip.compiler.frontend.translator import Operation, Translation, Translator

__all__ = ["RECURRENT"]

_ORDERS = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2)}
"""By operator, where torch's sums of a hidden unit are among ONNX's."""

_USUAL = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh")}

_W, _R, _B, _LENGTHS, _HIDDEN, _STATE, _PEEPHOLES = range(1, 8)
"""Inputs of an operator behind its sequence."""


def _recurrent(t: Translator, op: Operation) -> None:
    """Translate a layer of one direction or both; its results keep ONNX's dimensions."""
    _check(t, op)
    weights = [t.array(op, number, "weights") for number in (_W, _R)]
    bias = t.array(op, _B, "bias")
    directions = {"forward": (1, False), "reverse": (1, True), "bidirectional": (2, False)}
    count, reverse = directions[op.attributes.get("direction", "forward")]
    seen = t.array(op, _PEEPHOLES, "peepholes")
    params: list[Ref] = []
    peepholes: list[Ref] = []
    for direction in range(count):
        arrays = [array[direction] for array in weights if array is not None]
        if bias is not None:
            arrays += np.split(bias[direction], 2)
        for number, array in enumerate(arrays):
            name = f"{op.inputs[_W]}.{direction}.{number}.of.{op.name}"
            params.append(t.constant(op, name, _reordered(op, array)))
        if seen is not None:
            # ONNX has input gate, output gate, forget gate.
            of_gates = np.asarray(seen[direction]).reshape(3, -1)[[0, 2, 1]]
            name = f"{op.inputs[_PEEPHOLES]}.{direction}.of.{op.name}"
            peepholes.append(t.constant(op, name, of_gates))
    states = (t.ref(op, number) for number in (_HIDDEN, _STATE))
    args: dict[str, Any] = {
        "input": t.ref(op, 0),
        "hx": [state for state in states if state is not None],
        "params": params,
        "peepholes": peepholes,
        "has_biases": bias is not None,
        "num_layers": 1,
        "train": False,
        "bidirectional": count == 2,
        "batch_first": False,
        "reverse": reverse,
        "apart": True,
    }
    # A result that nobody reads has no name, but its place.
    t.make(op, op.kind.lower(), args, op.outputs)


def _reordered(op: Operation, array: NDArray[Any]) -> NDArray[Any]:
    """Put rows of sums in torch's order."""
    order = _ORDERS[op.kind]
    sums = np.asarray(array, np.float64).reshape(len(order), -1, *array.shape[1:])
    return sums[list(order)].reshape(array.shape)


def _check(t: Translator, op: Operation) -> None:
    """Refuse what torch's layers do not have."""
    given = op.attributes
    if given.get("layout"):
        raise t.error(op, "its sequences have the batch first (layout = 1): export it with 0")
    if given.get("clip") or given.get("input_forget"):
        raise t.error(op, "it limits its sums (clip), or couples its gates (input_forget)")
    names = [name.decode() if isinstance(name, bytes) else name
             for name in given.get("activations", ())]  # fmt: skip
    usual = _USUAL[op.kind]
    if tuple(names) not in ((), usual, usual * 2):
        raise t.error(op, f"its functions are {', '.join(names)}, and not {', '.join(usual)}")
    if op.kind == "GRU" and not given.get("linear_before_reset"):
        raise t.error(
            op,
            "its reset gate is a factor before the matrix (linear_before_reset = 0), where torch's "
            "is one behind it",
        )
    if t.ref(op, _LENGTHS) is not None:
        raise t.error(op, "it takes lengths of sequences: give them when the network is run")


_KNOWN = (
    "activation_alpha", "activation_beta", "activations", "clip", "direction", "hidden_size",
    "input_forget", "layout", "linear_before_reset",
)  # fmt: skip

RECURRENT: Mapping[str, Translation] = {kind: (_KNOWN, _recurrent) for kind in _ORDERS}
"""Translations of recurrent layers, by operator."""
