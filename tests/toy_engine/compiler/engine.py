"""The dense engine, as the compiler sees it: one Linear layer, with all its weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tests.toy_engine.hw.params import DenseParams, sram_files
from zeroskip.base.errors import CompileError
from zeroskip.compiler.engine import Engine, Job, Part, Preset, SramData
from zeroskip.compiler.image.strict import Size, StrictEntry, must_be
from zeroskip.compiler.ir.graph import FloatLinear, FloatNode, QuantConv, QuantGraph, QuantLinear
from zeroskip.compiler.passes.arithmetic import Arithmetic
from zeroskip.hw.common.formats import bias_word

__all__ = ["ENGINE", "DenseParams", "DensePart"]

_CODE_BITS = 8
"""Widest codes of a layer's weights; the array itself has no codebook."""


@dataclass(frozen=True, eq=False)
class DensePart(Part):
    """A Linear layer on one array.

    Parameters
    ----------
    params : of the array.
    graph : the layer.
    srams : weights row by row, and biases with half an output step.
    """

    engine: ClassVar[str] = "dense"

    params: DenseParams
    graph: QuantGraph[QuantLinear]
    srams: Mapping[str, SramData]

    @property
    def layer(self) -> QuantLinear:
        """The only layer."""
        return self.graph.layers[0]

    @property
    def loads(self) -> tuple[Mapping[str, SramData], ...]:
        """What the host loads before the run."""
        return (self.srams,)


class DenseEntry(StrictEntry):
    """What a manifest has of a :class:`DensePart`."""

    rows: Size
    columns: Size


class _Dense(Engine[DenseParams, DensePart]):
    name = "dense"
    about = "Linear layers: every product, by one multiplier"
    params = DenseParams
    presets: Mapping[str, Preset[DenseParams]] = {
        "single": Preset(DenseParams(), "one multiplier; the default")
    }

    def arithmetic(self, params: DenseParams) -> Arithmetic:
        return Arithmetic(
            engine=self.name,
            act_bits=params.act_bits,
            acc_bits=params.acc_bits,
            weight_bits=params.weight_bits,
            code_bits=_CODE_BITS,
            code_bits_limit=_CODE_BITS,
        )

    def takes(self, node: FloatNode | QuantConv | QuantLinear) -> bool:
        return isinstance(node, FloatLinear | QuantLinear)

    def compile(self, graph: QuantGraph[QuantLinear], params: DenseParams, job: Job) -> DensePart:
        del job
        (layer,) = graph.layers
        rows, columns = layer.shape
        for field, need in (
            ("num_weights", rows * columns), ("num_acts", columns), ("num_biases", rows),
        ):  # fmt: skip
            if need > getattr(params, field):
                raise CompileError(
                    f"layer {layer.name!r} of {rows} x {columns} needs {field} = {need}, but the "
                    f"dense array has {getattr(params, field)}: compile with {field}={need}"
                )
        weights = layer.codebook[layer.codes.toarray()].ravel()
        biases = np.array([bias_word(one, layer.shift) for one in layer.bias.tolist()])
        srams = {
            "weights": _words(weights, params.weight_bits),
            "biases": _words(biases, params.acc_bits),
        }
        return DensePart(params, graph, srams)

    def describe(self, part: DensePart) -> tuple[DenseEntry, dict[str, bytes]]:
        rows, columns = part.layer.shape
        return DenseEntry(rows=rows, columns=columns), {}

    def restore(
        self,
        raw: str,
        graph: QuantGraph[QuantLinear],
        params: DenseParams,
        srams: Callable[[Sequence[Sequence[str]]], list[dict[str, SramData]]],
        read: Callable[[str], bytes],
    ) -> DensePart:
        del read
        entry = DenseEntry.model_validate_json(raw)
        must_be("the number of layers", len(graph.layers), "what a run computes", 1)
        shape = entry.rows, entry.columns
        must_be("rows and columns", shape, "the layer's shape", graph.layers[0].shape)
        (held,) = srams([list(sram_files(params))])
        for name, length in (("weights", entry.rows * entry.columns), ("biases", entry.rows)):
            must_be(f"the words of {name}", len(held[name].words), "the layer's", length)
        return DensePart(params, graph, held)

    def files(self, params: DenseParams) -> Mapping[str, tuple[int, int]]:
        return sram_files(params)

    def file_names(self, raw: str) -> tuple[Sequence[Sequence[str]], Sequence[str]]:
        DenseEntry.model_validate_json(raw)
        return [list(sram_files(DenseParams()))], []


def _words(values: NDArray[Any], bits: int) -> SramData:
    """Write numbers in two's complement, one a row."""
    mask = np.uint64((1 << bits) - 1)
    return SramData((values.astype(np.int64).view(np.uint64) & mask)[:, None], bits)


ENGINE = _Dense()
"""What the entry point names."""
