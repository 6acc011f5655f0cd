"""A chain of layers under construction, which takes in scalings and ReLUs."""

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend.moves import ZERO, Places
from zeroskip.compiler.frontend.sharing import values_before
from zeroskip.compiler.ir.network import FloatLayer

__all__ = ["Chain"]

_MAX_DIAGONAL = 8192
"""Most inputs of a layer made for a ReLU alone; its matrix is dense in memory."""


class Chain:
    """Layers in order, and a scaling that waits for the next one.

    Parameters
    ----------
    features : values per sample at the input.
    """

    def __init__(self, features: int) -> None:
        self.features = features
        self._layers: list[FloatLayer] = []
        self._waiting: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._folded: list[str] = []

    def linear(
        self,
        name: str,
        weight: NDArray[np.float64],
        bias: NDArray[np.float64],
        places: Places,
        mover: str = "",
    ) -> None:
        """Append ``y = weight x + bias``, with a scaling that waits folded into it.

        Parameters
        ----------
        name, weight, bias : of the layer.
        places : which of the last layer's outputs each column is for.
        mover : what put them there, if weights of an output that has several columns are added.

        Raises
        ------
        CompileError
            If a weight or bias is not finite.
        """
        bad_weights = int(weight.size - np.count_nonzero(np.isfinite(weight)))
        bad_biases = int(bias.size - np.count_nonzero(np.isfinite(bias)))
        if bad_weights or bad_biases:
            raise CompileError(
                f"layer {name!r} has {bad_weights} weights and {bad_biases} biases that are NaN "
                "or infinite; was the network trained to the end?"
            )
        if not weight.size:
            raise CompileError(f"layer {name!r} has a matrix of shape {weight.shape}: empty")
        plain = FloatLayer(name, weight, bias, relu=False)
        if not np.array_equal(places, np.arange(self.features)):
            weight = _gathered(weight, places, self.features)
            if np.unique(places).size < places.size and mover:
                self._folded.append(mover)
        if self._waiting is not None:
            scale, shift = self._waiting
            bias = bias + weight @ shift
            weight = weight * scale if self._folded else weight
        self._append(name, weight, bias, values_before(plain) if self._folded else None)

    def affine(self, name: str, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> None:
        """Append ``y = scale * x + shift``: fold it into the layer before, or keep it waiting."""
        # A bare shift, as of a bias added by hand, leaves the weights as they are.
        names = (name,) if np.any(scale != 1.0) else ()
        if self._layers and self._waiting is None and not self._layers[-1].relu:
            last = self._layers[-1]
            self._layers[-1] = dataclasses.replace(
                last,
                weight=last.weight * scale[:, None] if names else last.weight,
                bias=last.bias * scale + shift,
                folded=(*last.folded, *names),
                values=values_before(last),
            )
            return
        self._folded.extend(names)
        if self._waiting is not None:
            scale, shift = self._waiting[0] * scale, self._waiting[1] * scale + shift
        self._waiting = scale, shift

    def relu(self, name: str) -> None:
        """Append a ReLU; one without a Linear before it takes a layer of its own, ``name``."""
        if self._waiting is not None or not self._layers:
            self._diagonal(name)
        self._layers[-1] = dataclasses.replace(self._layers[-1], relu=True)

    def settle(self, name: str) -> None:
        """Append a layer for a scaling that waits, so that the next one reads its zeros."""
        if self._waiting is not None:
            self._diagonal(name)

    def arrange(self, name: str, places: Places) -> None:
        """Append a layer that gives what stands at ``places``."""
        if max(self.features, places.size) > _MAX_DIAGONAL:
            raise CompileError(
                f"{name!r} moves {places.size} values with no Linear to be part of; such a layer "
                f"of its own can have at most {_MAX_DIAGONAL}"
            )
        weight = _gathered(np.eye(places.size), places, self.features)
        self.linear(name, weight, np.zeros(places.size), np.arange(self.features))

    def finish(self, name: str, places: Places) -> tuple[FloatLayer, ...]:
        """Return the layers; a scaling that still waits becomes the last.

        Parameters
        ----------
        name : of what put the outputs at their places.
        places : of the outputs.
        """
        if self._waiting is None and not self._layers and places.size == self.features:
            raise CompileError("the network has no layer: nothing in it computes")
        if self._waiting is not None:
            self._diagonal(self._folded[-1] if self._folded else "identity")
        if not np.array_equal(places, np.arange(self.features)):
            if not self._layers:
                self.arrange(name, places)
                return tuple(self._layers)
            # Rows in another order cost nothing.
            last, there = self._layers[-1], places != ZERO
            self._layers[-1] = dataclasses.replace(
                last,
                weight=last.weight[places] * there[:, None],
                bias=last.bias[places] * there,
            )
        return tuple(self._layers)

    def _diagonal(self, name: str) -> None:
        """Append a layer that does the waiting scaling, or nothing."""
        if self.features > _MAX_DIAGONAL:
            raise CompileError(
                f"{name!r} acts on {self.features} values with no Linear to be part of; such a "
                f"layer of its own can have at most {_MAX_DIAGONAL}"
            )
        scale, shift = self._waiting or (np.ones(self.features), np.zeros(self.features))
        self._append(name, np.diag(scale), shift)

    def _append(
        self,
        name: str,
        weight: NDArray[np.float64],
        bias: NDArray[np.float64],
        values: int | None = None,
    ) -> None:
        used = {layer.name for layer in self._layers}
        unique, count = name, 1
        while unique in used:
            count += 1
            unique = f"{name}#{count}"
        self._layers.append(
            FloatLayer(
                name=unique,
                weight=np.ascontiguousarray(weight, np.float64),
                bias=np.array(bias, np.float64),
                relu=False,
                folded=tuple(self._folded),
                values=values,
            )
        )
        self.features = weight.shape[0]
        self._waiting = None
        self._folded = []


def _gathered(weight: NDArray[np.float64], places: Places, features: int) -> NDArray[np.float64]:
    """Return weights with a column for each feature, the sum of those that stand for it."""
    there = np.flatnonzero(places != ZERO)
    ones = np.ones(there.size)
    moves = csr_array((ones, (there, places[there])), shape=(places.size, features))
    return np.asarray((moves.T @ weight.T).T)
