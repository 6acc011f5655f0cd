"""Who reads what in a model of Keras, whose layers may be used more than once."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zeroskip.base.errors import InputError

__all__ = ["Calls", "Reference", "operands", "references"]

Reference = tuple[str, int, int]
"""A layer's name, which use of it, and which of its results."""


def references(value: Any) -> list[Reference]:
    """Return the results of layers that a call reads, or that a model gives, in order.

    ``value`` is an item of ``inbound_nodes``, or ``output_layers``, as Keras 2 or 3 writes them.
    """
    return [found for found in operands(value) if isinstance(found, tuple)]


def operands(value: Any) -> list[Reference | float]:
    """Return the results of layers and the numbers that a call reads, in order.

    ``value`` is as for :func:`references`; a number is an operand as in ``x + 0.5``.
    """
    if isinstance(value, Mapping) and "args" in value:
        numbers = (int, float)
        args = list(value["args"])
        found = [
            part
            for arg in args
            for part in (
                [float(arg)]
                if isinstance(arg, numbers) and not isinstance(arg, bool)
                else _referred(arg)
            )
        ]
        return [*found, *_referred(value.get("kwargs", {}))]
    return [*_referred(value)]


def _referred(value: Any) -> Iterator[Reference]:
    if isinstance(value, Mapping):
        if "keras_history" in value:
            name, call, result = value["keras_history"]
            yield str(name), int(call), int(result)
            return
        for inner in value.values():
            yield from _referred(inner)
    elif isinstance(value, list | tuple):
        if (
            len(value) > 2
            and isinstance(value[0], str)
            and all(isinstance(n, int) for n in value[1:3])
        ):
            yield value[0], value[1], value[2]
            return
        for inner in value:
            yield from _referred(inner)


class Calls:
    """Say which use of a layer reads which results, in a functional model of Keras.

    Parameters
    ----------
    entries : the configurations of its layers.
    ends : the model's outputs.

    Raises
    ------
    InputError
        If something reads a layer, or a use of one, that there is not.
    """

    def __init__(self, entries: Sequence[Mapping[str, Any]], ends: Sequence[Reference]) -> None:
        self._of = {str(e["config"]["name"]): list(e["inbound_nodes"]) for e in entries}
        models = {str(e["config"]["name"]) for e in entries if "layers" in e["config"]}
        read = [ref for calls in self._of.values() for call in calls for ref in references(call)]
        for name, _, _ in (*read, *ends):
            if name not in self._of:
                raise InputError(f"something reads layer {name!r}, which the model does not have")
        self._first: dict[str, tuple[int, int]] = {
            name: self._counted_from(
                name,
                {number for layer, number, _ in read if layer == name},
                {number for layer, number, _ in ends if layer == name},
                model=name in models,
            )
            for name in self._of
        }

    def _count(self, name: str) -> int:
        return max(1, len(self._of[name]))  # an input has no entry for its only use

    def _counted_from(
        self, name: str, read: set[int], ends: set[int], *, model: bool
    ) -> tuple[int, int]:
        """Return the number that a layer's first use has, where layers read it, and as an output.

        Keras counts from 0, but the uses of a model from 1, as its own graph is one: Keras 2
        everywhere, Keras 3 in the list of outputs. A network has no use that nothing reads, so that
        the right way is that in which all are read.

        Raises
        ------
        InputError
            If numbers are of uses that the layer does not have.
        """
        uses = set(range(self._count(name)))
        ways = ((0, 0), (0, 1), (1, 1)) if model else ((0, 0),)
        found = [({n - way[0] for n in read} | {n - way[1] for n in ends}, way) for way in ways]
        for numbers, way in found:
            if numbers == uses or (numbers < uses and not model):
                return way
        if not read | ends:
            return 0, 0
        wrong = sorted((found[0][0] - uses) or read | ends)
        raise InputError(
            f"layer {name!r} is used {'once' if len(uses) == 1 else f'{len(uses)} times'}, and "
            f"what reads it asks for use {wrong[0]}, counted from 0: the file is damaged"
        )

    def use(self, ref: Reference, *, output: bool = False) -> tuple[str, int]:
        """Return the layer that is referred to, and the number of its use, counted from 0.

        ``output`` says that the reference is one of the model's outputs.
        """
        name, number, _ = ref
        return name, number - self._first[name][output]

    def in_order(self) -> Iterator[tuple[str, int, list[Reference | float]]]:
        """Give each use of a layer, and what it reads, behind those whose results it reads.

        Raises
        ------
        InputError
            If layers read each other in a circle.
        """
        made = {(name, 0) for name, calls in self._of.items() if not calls}
        waiting = [
            (name, number) for name, calls in self._of.items() for number in range(len(calls))
        ]
        while waiting:
            left: list[tuple[str, int]] = []
            for name, number in waiting:
                read = operands(self._of[name][number])
                if all(self.use(ref) in made for ref in read if isinstance(ref, tuple)):
                    made.add((name, number))
                    yield name, number, read
                else:
                    left.append((name, number))
            if len(left) == len(waiting):
                raise InputError(f"layer {left[0][0]!r} reads what is made of its own result")
            waiting = left
