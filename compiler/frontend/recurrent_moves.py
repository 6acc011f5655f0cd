"""Nodes that select steps of a recurrent network's values, reorder or concatenate them."""

import dataclasses
from collections.abc import Mapping

from zeroskip.compiler.frontend.frames import SHAPES
from zeroskip.compiler.frontend.program import Graph, Node
from zeroskip.compiler.frontend.recurrent_layers import StepLayers
from zeroskip.compiler.frontend.recurrent_values import (
    SWAPPED,
    Form,
    StepValue,
    is_whole,
    refusal,
    swaps,
)

__all__ = ["Moves"]

_SINGLES: Mapping[int, Form] = {0: "single of steps", 1: "single of batch"}
"""By the dimension that a step gets to become a sequence, the form that it has then."""


class Moves:
    """Translate nodes that select steps of a recurrent network's values, reorder or concatenate.

    Parameters
    ----------
    graph : of the network.
    layers : those made so far; moves may add some.
    values : what is known of values by name.
    steps : of a sequence.
    """

    def __init__(
        self, graph: Graph, layers: StepLayers, values: Mapping[str, StepValue], steps: int
    ) -> None:
        self._graph, self._layers, self._values, self._steps = graph, layers, values, steps
        # By the layers that Python code joins, at each step anew.
        self._joins: dict[tuple[str, ...], str] = {}

    def moved(self, node: Node, value: StepValue) -> StepValue:
        """Translate a node that selects a step or a final state, or reorders dimensions."""
        args = node.args
        if node.base == "slice" and is_whole(self._graph, node):
            return value
        if (form := SWAPPED.get(value.form)) is not None and swaps(node, value.form):
            return dataclasses.replace(value, form=form)
        if node.base in SHAPES and (shaped := self._shaped(node, value)) is not None:
            return shaped
        if node.base == "unsqueeze":
            return self._single(node, value)
        axis = {"batch": 1, "steps": 0, "hidden": 0}.get(value.form)
        dim, index = args.get("dim"), args.get("index", 0)
        if node.base == "select" and dim == axis and value.form != "hidden":
            return StepValue(value.tensor, "step", index % self._steps)
        if value.form == "hidden" and dim == 0 and node.base == "select":
            return self._final(value.sides[index])
        raise refusal(node, "only a step, the hidden state of a layer, or dimensions swapped")

    def taken_apart(self, node: Node, value: StepValue) -> dict[str, StepValue]:
        """Return each step of a sequence, by the name that a node gives it."""
        if node.args.get("dim", 0) != {"batch": 1, "steps": 0}.get(value.form):
            raise refusal(node, "only a sequence, into its steps")
        return {
            name: StepValue(value.tensor, "step", step) for step, name in enumerate(node.outputs)
        }

    def _single(self, node: Node, value: StepValue) -> StepValue:
        """Translate a step that becomes a sequence of one, to be joined with others."""
        form = _SINGLES.get(node.args["dim"] % 3) if value.form == "step" else None
        if form is None:
            raise refusal(node, "only a step can become a sequence, of one step")
        return dataclasses.replace(value, form=form)

    def _all_steps(self, node: Node, values: list[StepValue], form: Form) -> StepValue:
        """Return the sequence of which ``values`` are the steps."""
        (tensor, *others), steps = (
            {value.tensor for value in values},
            [value.step for value in values],
        )
        if others or steps != list(range(self._steps)):
            raise refusal(node, "only all steps of one layer, from the first to the last")
        return StepValue(tensor, form)

    def _shaped(self, node: Node, value: StepValue) -> StepValue | None:
        """Translate a reshape that removes or joins the dimension of directions; None of others."""
        shapes = (self._graph.values[name].shape for name in (node.refs()[0], node.outputs[0]))
        before, after = shapes
        if before == after:
            return value
        if value.form == "step" and before[0] == 1 and after == (1, *before):
            return dataclasses.replace(value, form="single")
        if len(before) != len(after) + 1:
            return None
        if value.form == "hidden" and len(value.sides) == 1:
            return self._final(value.sides[0])
        if value.form == "finals":
            return self._joined(node, [self._final(side) for side in value.sides])
        # Directions side by side in one dimension are as torch has them; behind the steps, one
        # alone is.
        is_pair = value.form == "pairs" and after[:2] == before[:2]
        if is_pair or (value.form == "apart" and before[1] == 1 and after[1] == before[2]):
            return dataclasses.replace(value, form="steps")
        return None

    def _final(self, name: str) -> StepValue:
        """Return the final state of a layer: its output at the last step that it takes."""
        self._layers.end(name)
        return StepValue(name, "step", self._steps - 1)

    def concatenated(self, node: Node) -> StepValue:
        """Return the concatenation that a node makes of values of the same steps."""
        values = [self._values[name] for name in node.refs() if name in self._values]
        dim, first = node.args.get("dim", 0), values[0]
        same = all((value.form, value.step) == (first.form, first.step) for value in values)
        every = len(values) == len(node.refs())
        same = same and every
        joined = _SINGLES.get(dim % 3)
        forms = {"step"} if node.base == "stack" else {joined, "single"}
        if every and joined is not None and forms.issuperset(value.form for value in values):
            form = "batch" if joined == "single of batch" else "steps"
            return self._all_steps(node, values, form)
        same = same and node.base != "stack"
        last = {"step": 1, "batch": 2, "steps": 2}
        if same and first.form == "hidden" and dim == 0:
            sides = tuple(side for value in values for side in value.sides)
            return dataclasses.replace(first, sides=sides)
        if not same or dim not in (-1, last.get(first.form)):
            raise refusal(node, "only outputs of the same steps, side by side")
        return self._joined(node, values)

    def _joined(self, node: Node, values: list[StepValue]) -> StepValue:
        parts = tuple(value.tensor for value in values)
        is_step = values[0].form == "step"
        if not is_step or parts not in self._joins:
            # In Keras, what joins the directions of a layer has the layer's name.
            name = self._layers.free_name(node.name)
            self._layers.join(name, parts)
            self._joins[parts] = name
        return dataclasses.replace(values[0], tensor=self._joins[parts])
