"""Engines that compute one layer at a time, with all that it needs loaded before.

What an image keeps of such a part, and how it is read again, is the same for all of them.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from zeroskip.base.errors import CompileError
from zeroskip.compiler.engine import Engine, Job, Part, SramData
from zeroskip.compiler.image.strict import StrictEntry, must_be
from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.hw.common.params import ArrayParams

__all__ = ["LayerEngine", "LayerPart"]

ParamsT = TypeVar("ParamsT", bound=ArrayParams)


@dataclass(frozen=True, eq=False)
class LayerPart(Part):
    """A layer on an array.

    Parameters
    ----------
    params : of the array.
    graph : the layer.
    srams : what the host loads, by the SRAM's name.
    """

    params: Any
    graph: QuantGraph[Any]
    srams: Mapping[str, SramData]

    @property
    def layer(self) -> Any:
        """The only layer."""
        return self.graph.layers[0]

    @property
    def loads(self) -> tuple[Mapping[str, SramData], ...]:
        """What the host loads before the only run."""
        return (self.srams,)


class LayerEngine(Engine[ParamsT, LayerPart]):
    """An array that computes a layer in one run.

    Attributes
    ----------
    part : class of its parts.
    """

    part: type[LayerPart]

    @abstractmethod
    def contents(self, layer: Any, params: ParamsT) -> Mapping[str, SramData]:
        """Return what the SRAMs of :meth:`files` hold for a layer.

        Raises
        ------
        CompileError
            If the layer does not fit, see :meth:`check_room`.
        """

    def check_room(self, layer: Any, params: ParamsT, needs: Mapping[str, int]) -> None:
        """Check that a layer needs no more than parameters of the array say.

        Parameters
        ----------
        needs : by the parameter's name, how many.

        Raises
        ------
        CompileError
            If it does; the sentence says with which value it fits.
        """
        for name, need in needs.items():
            if need > getattr(params, name):
                raise CompileError(
                    f"layer {layer.name!r} needs {name} = {need}, but the {self.name} array has "
                    f"{getattr(params, name)}: compile with {name}={need}"
                )

    def compile(self, graph: QuantGraph[Any], params: ParamsT, job: Job) -> LayerPart:
        del job
        return self.part(params, graph, self.contents(graph.layers[0], params))

    def describe(self, part: LayerPart) -> tuple[StrictEntry, dict[str, bytes]]:
        del part
        return StrictEntry(), {}

    def restore(
        self,
        raw: str,
        graph: QuantGraph[Any],
        params: ParamsT,
        srams: Callable[[Sequence[Sequence[str]]], list[dict[str, SramData]]],
        read: Callable[[str], bytes],
    ) -> LayerPart:
        del read
        runs, _ = self.file_names(raw)
        must_be("the number of layers", len(graph.layers), "what a run computes", 1)
        (found,) = srams(runs)
        for name, wanted in self.contents(graph.layers[0], params).items():
            must_be(
                f"the words of {name}", len(found[name].words), "the layer's", len(wanted.words)
            )
        return self.part(params, graph, found)

    def file_names(self, raw: str) -> tuple[Sequence[Sequence[str]], Sequence[str]]:
        StrictEntry.model_validate_json(raw)
        return [list(self.files(self.presets[self.default].params))], []
