"""Values of a traced graph as views of tensors, while these are made."""

import dataclasses
import itertools
import math
from dataclasses import dataclass

import numpy as np

from zeroskip.compiler.frontend import ops
from zeroskip.compiler.frontend.draft import DraftGraph
from zeroskip.compiler.frontend.hints import why_not_planes
from zeroskip.compiler.frontend.moves import COPIES, MOVES, ZERO, Places, in_order
from zeroskip.compiler.frontend.program import Node
from zeroskip.compiler.frontend.traced import Reader
from zeroskip.compiler.frontend.windows import padded_sides
from zeroskip.compiler.ir.graph import INPUT, Shape

__all__ = ["Values", "View", "axes_of", "planes_of"]

_MAYBE_VIEWS = ops.SAME | (MOVES - COPIES)
"""These may give their input's own memory, or a copy."""


@dataclass(frozen=True, eq=False)
class View:
    """Elements of a tensor that a value of the graph is.

    Parameters
    ----------
    tensor : whose elements it has.
    places : which of them, in the shape of the value's samples.
    mover : the node that put them there.
    """

    tensor: str
    places: Places
    mover: Node | None = None


class Values:
    """The values of a graph that are known, and the tensors under construction.

    Parameters
    ----------
    reader : of the graph.
    flat : Linear layers, and not convolutions, take in what is done to the input.
    """

    def __init__(self, reader: Reader, *, flat: bool) -> None:
        source = reader.graph.inputs[0]
        shape = reader.sample_shape(source, None)
        planes = planes_of(shape)
        if planes is None or (flat and len(shape) < 3):
            planes = math.prod(shape), 1, 1
        self._reader = reader
        self._draft = DraftGraph(planes, flat=flat)
        self._sample_shape = shape
        self._sample_axes: tuple[int, ...] | None = None
        self._values = {source: View(INPUT, in_order(shape))}
        # Values that surely, and that perhaps, share memory have the same numbers.
        self._memory = {source: 0}
        self._region = {source: 0}
        self._count = 0

    def _tensor(self, node: Node, value: str) -> tuple[str, Shape]:
        """Return a tensor that has the elements of ``value`` as planes, and its shape."""
        view = self._values[value]
        shape = planes_of(view.places.shape)
        if shape is None:
            raise ops.node_error(
                node,
                f"it takes samples of shape {view.places.shape}; only of (channels, rows, columns) "
                "or (channels, length)",
            )
        own, places = self._draft.shapes[view.tensor], view.places.reshape(shape)
        if self._as_planes(view.tensor, places):
            return view.tensor, shape
        mover = view.mover or node
        made = self._draft.select(mover.layer, view.tensor, places)
        if made is None:
            raise ops.node_error(mover, why_not_planes(mover, own, shape))
        self._values[value] = View(made, in_order(view.places.shape), mover)
        return made, shape

    def _padded(self, value: str) -> tuple[Shape | None, tuple[int, int, int, int] | None]:
        """Return the planes that a value is, and the zeros around those of its tensor.

        See :func:`.padded_sides`.
        """
        view = self._values[value]
        shape = planes_of(view.places.shape)
        if shape is None:
            return None, None
        own = self._draft.shapes[view.tensor]
        return shape, padded_sides(view.places.reshape(shape), own)

    def _as_planes(self, tensor: str, places: Places) -> bool:
        """Say whether a tensor has its elements as planes have them; an input is made so if it can.

        ``places`` (C, H, W) are the elements of the tensor that the planes have.
        """
        own, shape = self._draft.shapes[tensor], planes_of(places.shape)
        same = np.array_equal(places.ravel(), in_order(own).ravel())
        if same and shape == own:
            return True
        if same and shape and tensor == INPUT and self._draft.reshape_input(shape):
            return True
        return self._reorder_input(tensor, places)

    def _reorder_input(self, tensor: str, places: Places) -> bool:
        """Let the input have its elements as ``places`` (C, H, W) has them, if that can be.

        It can before anything has read it, if only dimensions of a sample change places.
        """
        if tensor != INPUT or (axes := axes_of(self._sample_shape, places.ravel())) is None:
            return False
        shape = places.shape[0], places.shape[1], places.shape[2]
        if self._sample_axes is not None or not self._draft.reshape_input(shape):
            return False
        self._sample_axes = axes
        number = np.argsort(places.ravel())
        for name, view in self._values.items():
            if view.tensor == INPUT:
                renumbered = np.where(view.places == ZERO, ZERO, number[view.places])
                self._values[name] = dataclasses.replace(view, places=renumbered)
        return True

    def _whole(self, node: Node, value: str) -> View:
        """View ``value`` so that it has each element of a tensor once, in any order."""
        view = self._values[value]
        flat = view.places.ndim == 1 or view.tensor in self._draft.flat
        view = self._copied(view) if flat else view
        if not self._is_whole(view):
            if flat:
                mover = view.mover or node
                made = self._draft.arrange(mover.layer, view.tensor, view.places)
                view = View(made, in_order(view.places.shape), view.mover)
            else:
                self._tensor(node, value)
                view = self._values[value]
        self._values[value] = view
        return view

    def _is_whole(self, view: View) -> bool:
        """Say whether a view has each element of its tensor once."""
        whole = in_order(self._draft.shapes[view.tensor]).ravel()
        return np.array_equal(np.sort(view.places.ravel()), whole)

    def _copied(self, view: View) -> View:
        """View a tensor of copies where elements of planes are there several times."""
        repeated = np.unique(view.places).size < view.places.size
        if view.mover is None or view.tensor in self._draft.flat or not repeated:
            return view
        made = self._draft.copy(view.mover.layer, view.tensor, view.places)
        return view if made is None else View(made, in_order(view.places.shape), view.mover)

    def _made(self, node: Node, tensor: str) -> View:
        """View a whole tensor in the shape that the graph says."""
        shape = self._reader.sample_shape(node.outputs[0], node)
        own = self._draft.shapes[tensor]
        if planes_of(shape) != own:
            raise ops.node_error(
                node,
                f"it makes samples of shape {shape} out of {own}; the first dimension must stay "
                "the batch",
            )
        return View(tensor, in_order(shape), node)

    def _check_result(self, node: Node, made: View) -> None:
        """Refuse results that are not what the graph says, or no numbers."""
        value = self._reader.graph.values[node.outputs[0]]
        shape = self._reader.sample_shape(node.outputs[0], node)
        if shape != made.places.shape:
            raise ops.node_error(
                node,
                f"it makes samples of shape {shape} out of {made.places.shape}; the first "
                "dimension must stay the batch",
            )
        if not value.floating:
            raise ops.node_error(node, "its result is not a floating-point tensor")

    def _remember(self, node: Node, source: str, output: str, view: View) -> None:
        """Note what the result ``output`` of ``node`` is, and who shares its memory."""
        self._count += 1
        shares = node.inplace or node.base in ops.VIEWS
        self._memory[output] = self._memory[source] if shares else self._count
        may_share = shares or node.base in _MAYBE_VIEWS
        self._region[output] = self._region[source] if may_share else self._count
        before = self._values[source]
        self._values[output] = view
        if node.inplace and view.tensor != before.tensor:
            for name in [n for n in self._values if self._region[n] == self._region[source]]:
                alias = self._values[name]
                if name == output:
                    continue
                if self._memory[name] == self._memory[source] and alias.tensor == before.tensor:
                    self._values[name] = dataclasses.replace(alias, tensor=view.tensor)
                else:
                    del self._values[name]

    def _first(self, node: Node) -> str:
        """Return the name of the first value that a node reads and that depends on the input."""
        refs = node.refs()
        values = [name for name in refs if name in self._values]
        if node.inplace and refs[0] != values[0]:
            raise ops.node_error(node, "it changes a parameter in place")
        return values[0]


def axes_of(shape: tuple[int, ...], order: Places) -> tuple[int, ...] | None:
    """Return the order of dimensions that puts elements of a sample in an order; None if none does.

    Parameters
    ----------
    shape : of the sample.
    order : (elements,) which element comes at each place.
    """
    sample = in_order(shape)
    axes = itertools.permutations(range(len(shape)))
    return next(
        (axis for axis in axes if np.array_equal(sample.transpose(axis).ravel(), order)), None
    )


def planes_of(shape: tuple[int, ...]) -> Shape | None:
    """Return the planes that samples of ``shape`` are: lines are planes of one row."""
    if not 1 <= len(shape) <= 3 or min(shape) < 1:
        return None
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    return (shape[0], 1, shape[1]) if len(shape) == 2 else (shape[0], 1, 1)
