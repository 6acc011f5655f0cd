"""Layers of a recurrent network under construction."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend.program import Node
from zeroskip.compiler.frontend.recurrent_values import refusal
from zeroskip.compiler.ir.graph import FloatCell, FloatConcat, FloatLinear, FloatNode

__all__ = ["StepLayers"]


class StepLayers:
    """The layers that were made so far.

    Parameters
    ----------
    first : those that each step goes through by itself, before the others.

    Attributes
    ----------
    by_name : all of them, in order.
    """

    def __init__(self, first: Sequence[FloatNode]) -> None:
        self.by_name: dict[str, FloatNode] = {node.name: node for node in first}
        # Bidirectional layers: by name, the names of the forward and the backward cell.
        self._both: dict[str, tuple[str, ...]] = {}

    def add(self, layer: FloatCell | FloatLinear, node: Node) -> None:
        arrays = [layer.weight, layer.bias]
        if isinstance(layer, FloatCell):
            arrays += [layer.recurrent]
            arrays += [] if layer.peepholes is None else [layer.peepholes]
        bad = sum(int(np.count_nonzero(~np.isfinite(array))) for array in arrays)
        if bad:
            raise CompileError(
                f"layer {layer.name!r} has {bad} weights and biases that are NaN or infinite; was "
                "the network trained to the end?"
            )
        if layer.name in self.by_name:
            raise refusal(node, f"layer {layer.name!r} is used more than once")
        self.by_name[layer.name] = layer

    def join(self, name: str, parts: Sequence[str]) -> None:
        """Add a concatenation ``name`` of the outputs of layers ``parts``."""
        self.by_name[name] = FloatConcat(name, tuple(parts))

    def join_directions(self, name: str, parts: Sequence[str]) -> None:
        """Add a bidirectional layer ``name`` as the concatenation of its cells ``parts``."""
        self.join(name, parts)
        self._both[name] = tuple(parts)

    def linear(self, name: str) -> FloatLinear | None:
        """Return the Linear layer that makes tensor ``name``; None for others, and for projections.

        The outputs of a projection are read again by its LSTM, and must not be changed.
        """
        layer = self.by_name.get(name)
        cells = (node for node in self.by_name.values() if isinstance(node, FloatCell))
        is_projection = any(cell.projection == name for cell in cells)
        return layer if isinstance(layer, FloatLinear) and not is_projection else None

    def clip(self, layer: FloatLinear) -> None:
        """Give a Linear layer a ReLU."""
        self.by_name[layer.name] = dataclasses.replace(layer, relu=True)

    def end(self, name: str) -> None:
        """Let a backward cell make only its final state, that of the sequence's first step."""
        cell = self.cell_of(name)
        if cell.sweep == "reverse":
            self.by_name[cell.name] = dataclasses.replace(cell, sweep="final")

    def cell_of(self, name: str) -> FloatCell:
        """Return the cell that makes a tensor, itself or by its projection."""
        cells = (layer for layer in self.by_name.values() if isinstance(layer, FloatCell))
        return next(cell for cell in cells if cell.past == name)

    def free_name(self, name: str) -> str:
        """Return ``name``, with a number behind it if a layer has it already."""
        numbers = (f"{name}.{number}" for number in itertools.count(1))
        taken = {one for layer in self.by_name for one in (layer, layer.rpartition(".")[0])}
        return next(one for one in itertools.chain([name], numbers) if one not in taken)

    def needed(self, output: str) -> tuple[FloatNode, ...]:
        """Return the layers that the output depends on.

        Raises
        ------
        CompileError
            If outputs of steps are needed of a layer of which the final state is, too.
        """
        needed = {output}
        for node in reversed(self.by_name.values()):
            if node.name in needed:
                needed.update(node.inputs)
        for both, sides in self._both.items():
            final = next((side for side in sides if self.cell_of(side).sweep == "final"), None)
            if both in needed and final is not None:
                raise CompileError(
                    f"layer {both!r} gives its outputs at steps and the final state of {final!r}, "
                    "and one of the two alone can be had: use those of the last step, or the final "
                    "states, of both directions"
                )
        return tuple(node for name, node in self.by_name.items() if name in needed)
