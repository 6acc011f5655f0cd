"""What a run of a compiled network gives, whatever it ran on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.tables import to_html
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.ir.sequences import Sequences
from zeroskip.compiler.passes.clipping import Clipping

__all__ = ["PartResult", "Result", "by_layer"]

Tensors = dict[str, NDArray[np.int64]]


@dataclass(frozen=True, eq=False, kw_only=True)
class PartResult:
    """What ``n`` inputs gave on one array.

    Parameters
    ----------
    engine : of the array.
    layers : names of the layers that it computed, in order.
    tensors : output of every layer by name, (n, C, H, W) int64, as the hardware has it: channels
        of inner layers may be renumbered. From RTL as each pass wrote it.
    read : tensors that leave the array, as a host reads them; None from golden.
    saturated : by layer, (n,) int64 outputs that saturation changed; None from RTL, which has no
        counter for them.
    run_cycles : (n, runs) int64 cycles from start to end of each run; None from golden.
    counters : (n, layers, num_pes, stall classes) int64, see the engine's ``StallClass``; None
        from golden, and from RTL without counters.
    reload_cycles : (n,) int64 cycles of the host's commands between runs, which ``run_cycles``
        does not count; None from golden.
    seconds : (n,) float64 wall-clock time of the RTL's runs, without loading and reading; None
        from the models.
    raw : all that the simulation of the RTL recorded; None from the models.
    """

    engine: str
    layers: tuple[str, ...]
    tensors: Tensors
    read: Tensors | None = None
    saturated: Tensors | None = None
    run_cycles: NDArray[np.int64] | None = None
    counters: NDArray[np.int64] | None = None
    reload_cycles: NDArray[np.int64] | None = None
    seconds: NDArray[np.float64] | None = None
    raw: Any = None

    @property
    def cycles(self) -> NDArray[np.int64] | None:
        """(n,) cycles of all runs; None from golden."""
        return None if self.run_cycles is None else self.run_cycles.sum(axis=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """What ``n`` inputs gave. Tensors are in the order of the user's network.

    Of a recurrent network an input is a sequence, and tensors have the steps of all sequences one
    behind the other: ``n * steps`` where others have ``n``, or as many as lengths add up to; of
    what is computed of whole sequences before, they have ``n``.

    Parameters
    ----------
    image : that was run.
    planes : (n, C, H, W) int64, the inputs in fixed point.
    parts : what each array gave, in the order of the image's parts.
    clipped : numbers of the inputs that did not fit their format; None if inputs were integers.
    spoiled : inputs for whose activations the arrays had no room, so that the host ran all of them
        again with runs that always have.
    """

    image: Image
    planes: NDArray[np.int64]
    parts: tuple[PartResult, ...]
    clipped: Clipping | None = None
    spoiled: tuple[int, ...] = ()

    @cached_property
    def outputs(self) -> NDArray[np.float64]:
        """(n, *output_shape), see :class:`.Image`: outputs of the network, in its shape."""
        return np.ldexp(self.result.astype(np.float64), -self.image.out_frac)

    @cached_property
    def result(self) -> NDArray[np.int64]:
        """``outputs`` as integers; from RTL and cycle model as a host reads them."""
        tensors: Tensors = {}
        for part in self.parts:
            tensors |= part.tensors if part.read is None else part.read
        found = [self._in_order(name, tensors[name]) for name in self.image.graph.outputs]
        whole = np.concatenate(found, axis=1)
        graph = self.image.graph
        if graph.steps is not None:
            sequences = graph.sequences(len(whole))
            every = graph.every_step
            whole = sequences.padded(whole, graph.steps) if every else whole[sequences.ends - 1]
        elif graph.result_axes is not None:
            whole = whole.transpose(0, *(1 + axis for axis in graph.result_axes))
        return whole.reshape(-1, *self.image.output_shape)

    @property
    def tensors_on_arrays(self) -> Tensors:
        """The input, and every layer's output by name as the arrays have them, (n, C, H, W)."""
        found = {INPUT: self.planes}
        for part in self.parts:
            found |= part.tensors
        return found

    @cached_property
    def tensors(self) -> Tensors:
        """Every layer's output by name, (n, C, H, W) int64."""
        return {
            name: self._in_order(name, tensor)
            for part in self.parts
            for name, tensor in part.tensors.items()
        }

    def _in_order(self, name: str, tensor: NDArray[np.int64]) -> NDArray[np.int64]:
        order = self.image.channel_orders.get(name)
        return tensor if order is None else tensor[:, np.argsort(order)]

    @cached_property
    def layer_outputs(self) -> tuple[NDArray[np.int64], ...]:
        """Outputs per layer, in order: (n, rows) of a Linear layer, else (n, C, H, W)."""
        return tuple(
            self.tensors[layer.name].reshape(-1, layer.out_shape[0])
            if layer.kind in ("linear", "lstm", "gru")
            else self.tensors[layer.name]
            for layer in self.image.graph.layers
            if layer.name in self.tensors
        )

    @property
    def saturated(self) -> tuple[NDArray[np.int64], ...] | None:
        """Outputs that saturation changed, per layer (n,), in order; None from RTL."""
        found: Tensors = {}
        for part in self.parts:
            if part.saturated is None:
                return None
            found |= part.saturated
        return tuple(found[layer.name] for layer in self.image.graph.layers if layer.name in found)

    @property
    def inputs(self) -> int:
        """How many there were."""
        return len(self.sequences.lengths)

    @cached_property
    def sequences(self) -> Sequences:
        """Which of a tensor's samples are of one input."""
        return self.image.graph.sequences(len(self.planes), whole=True)

    @property
    def cycles(self) -> NDArray[np.int64] | None:
        """(n,) cycles of all arrays, without what brings activations from one to the next."""
        return self._by_input([part.cycles for part in self.parts])

    @property
    def reload_cycles(self) -> NDArray[np.int64] | None:
        """(n,) cycles of the host's commands between runs of any array."""
        return self._by_input([part.reload_cycles for part in self.parts])

    @property
    def seconds(self) -> NDArray[np.float64] | None:
        """(n,) wall-clock time of the RTL's runs on all arrays."""
        return self._by_input([part.seconds for part in self.parts])

    def _by_input(self, arrays: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
        """Add up what parts, and the steps of an input, took."""
        sums = [
            array if array is None or len(array) == self.inputs else self.sequences.sums(array)
            for array in arrays
        ]
        return _sum(sums)

    def part(self, engine: str) -> PartResult:
        """Return what the array of an engine gave; the first, if there are several.

        Raises
        ------
        KeyError
            If there is none.
        """
        for part in self.parts:
            if part.engine == engine:
                return part
        raise KeyError(engine)

    def _repr_html_(self: Any) -> str:
        # Here, since the report is of results.
        from zeroskip.sim.report import result_report

        return to_html([repr(self), *result_report(self)])

    def __repr__(self) -> str:
        cycles = self.cycles
        spent = "no cycles counted" if cycles is None else f"{cycles.mean():,.0f} cycles an input"
        of = ", ".join(f"{part.engine} {len(part.layers)} layers" for part in self.parts)
        return (
            f"<Result of {self.image.name!r}: {len(self.result)} inputs, outputs "
            f"{self.outputs.shape}\n {spent}; {of}>"
        )


def _sum(arrays: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Add up; None where one is missing."""
    known = [array for array in arrays if array is not None]
    return np.sum(known, axis=0) if len(known) == len(arrays) else None


def by_layer(passes: Sequence[int], layers: int, counters: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add up counters of descriptors, (n, descriptors, ...), to those of layers.

    Parameters
    ----------
    passes : the layer of each descriptor.
    layers : how many there are.
    """
    sums = np.zeros((len(counters), layers, *counters.shape[2:]), np.int64)
    for number, layer in enumerate(passes):
        sums[:, layer] += counters[:, number]
    return sums
