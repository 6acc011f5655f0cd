"""Values in the graph of a recurrent network: sequences, single steps, final states."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend.program import Graph, Node

__all__ = ["SUPPORTED", "SWAPPED", "Form", "StepValue", "is_whole", "refusal", "swaps"]

SUPPORTED = (
    "of a recurrent network LSTM, with projection and peepholes or without, GRU, LSTMCell and "
    "GRUCell from a state of zeros, Linear and ReLU at every step, concatenation, Dropout, and the "
    "outputs of the last step or of all"
)

_ENDLESS = (1 << 63) - 1
"""End that torch writes for a slice without one, such as ``x[1:]``."""

Form = Literal[
    "batch",
    "steps",
    "step",
    "hidden",
    "finals",
    "state",
    "apart",
    "pairs",
    "single",
    "single of batch",
    "single of steps",
]

SWAPPED: Mapping[str, Form] = {
    "batch": "steps", "steps": "batch", "hidden": "finals", "apart": "pairs",
}  # fmt: skip
"""By form of a value, its form with batch and steps, or batch and directions, swapped."""


@dataclass(frozen=True)
class StepValue:
    """A value of the graph, by the layer that makes it.

    Parameters
    ----------
    tensor : name of the layer.
    form : ``batch`` and ``steps`` are of sequences, whichever is the first dimension; ``step`` is a
        single step; ``hidden`` is the last step that each layer and direction has made, ``state``
        their states, and ``finals`` hidden ones with the batch first. ``apart`` are steps whose
        directions are a dimension of their own, behind the steps, and ``pairs`` behind the batch. A
        ``single`` step is a sequence of one, of either form where the batch is one, too.
    step : its number, of a single one.
    sides : names of those layers and directions, in order.
    """

    tensor: str
    form: Form
    step: int = 0
    sides: tuple[str, ...] = ()


def swaps(node: Node, form: str = "steps") -> bool:
    """Say whether a node swaps batch and steps or, of form ``apart``, steps and directions."""
    pair, order = ({1, 2}, [0, 2, 1, 3]) if form == "apart" else ({0, 1}, [1, 0, 2])
    dims = node.args.get("dim0"), node.args.get("dim1")
    return set(dims) == pair or node.args.get("dims") == order


def is_whole(graph: Graph, node: Node) -> bool:
    """Say whether a slice leaves nothing out, as those of a batch of any size."""
    args = node.args
    size = graph.values[node.refs()[0]].shape[args.get("dim") or 0]
    end = args.get("end")
    reaches = end is None or end >= (_ENDLESS if size is None else size)
    return reaches and not args.get("start") and args.get("step") in (None, 1)


def refusal(node: Node, why: str) -> CompileError:
    """Return the error that ``node`` is not supported, for the reason ``why``."""
    place = f", in module {node.module!r}" if node.module else ""
    return CompileError(
        f"node {node.name!r} ({node.op}{place}) is not supported: {why}; supported is {SUPPORTED}"
    )
