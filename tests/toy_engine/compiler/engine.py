"""The dense engine, as the compiler sees it: one Linear layer, with all its weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.toy_engine.hw.params import DenseParams
from zeroskip.compiler.engine import Preset, SramData
from zeroskip.compiler.image.words import unsigned_field
from zeroskip.compiler.ir.graph import FloatLinear, QuantLinear
from zeroskip.compiler.layer_engine import LayerEngine, LayerPart
from zeroskip.hw.common.formats import bias_word

__all__ = ["ENGINE", "DenseParams", "DensePart"]


class DensePart(LayerPart):
    """A Linear layer on one array."""

    engine = "dense"


class _Dense(LayerEngine[DenseParams]):
    name = "dense"
    about = "Linear layers: every product, by one multiplier"
    params = DenseParams
    part = DensePart
    presets: Mapping[str, Preset[DenseParams]] = {
        "single": Preset(DenseParams(), "one multiplier; the default")
    }

    def takes(self, node: Any) -> bool:
        return isinstance(node, FloatLinear | QuantLinear)

    def files(self, params: DenseParams) -> Mapping[str, tuple[int, int]]:
        return {
            "weights": (params.num_weights, params.weight_bits),
            "biases": (params.num_biases, params.acc_bits),
        }

    def contents(self, layer: QuantLinear, params: DenseParams) -> Mapping[str, SramData]:
        rows, columns = layer.shape
        needs = {"num_weights": rows * columns, "num_acts": columns, "num_biases": rows}
        self.check_room(layer, params, needs)
        numbers = {
            # Row by row; and biases with half an output step.
            "weights": layer.codebook[layer.codes.toarray()].ravel(),
            "biases": np.array([bias_word(one, layer.shift) for one in layer.bias.tolist()]),
        }
        return {
            name: SramData(unsigned_field(numbers[name], width)[:, None], width)
            for name, (_, width) in self.files(params).items()
        }


ENGINE = _Dense()
"""What the entry point names."""
