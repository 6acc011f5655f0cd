"""Operands of SCNN's multipliers and adders, beside what the cycle model counts of them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.arrays import SCNN
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.ir.fixed import concatenate
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph
from zeroskip.sim.run import run
from zeroskip.sim.scnn.cycles.image import cnn_references
from zeroskip.sim.scnn.operands import MOST_PRODUCTS, scnn_operands


def _conv(stride: tuple[int, int], groups: int, rng: np.random.Generator) -> QuantConv:
    weight = rng.integers(-900, 900, (4, 4 // groups, 3, 3))
    weight[rng.random(weight.shape) > 0.3] = 0
    return QuantConv(
        name="conv",
        kind="conv",
        inputs=(INPUT,),
        in_shape=(4, 4, 4),
        out_shape=(4, -(-4 // stride[0]), -(-4 // stride[1])),
        weight=weight,
        codebook=None,
        bias=np.zeros(4, np.int64),
        stride=stride,
        padding=(1, 1),
        groups=groups,
        relu=True,
        signed_input=True,
        op="add",
        in_frac=4,
        weight_frac=8,
        out_frac=4,
    )


@pytest.mark.parametrize(("stride", "groups"), [((1, 1), 1), ((2, 1), 1), ((1, 1), 2)])
def test_operands_are_those_that_are_counted(stride: tuple[int, int], groups: int) -> None:
    rng = np.random.default_rng(1)
    layer = _conv(stride, groups, rng)
    params = replace(SCNN, pes_x=1, pes_y=1, num_streams=1)
    image = compile_quantized(
        QuantGraph((4, 4, 4), (layer,), ("conv",)), {"scnn": params}, name="x"
    )
    part = image.part("scnn")
    result = run(image, rng.integers(0, 3, (1, 4, 4, 4)) / 4, "golden")
    tensors = {INPUT: result.planes}
    found = scnn_operands(part, tensors)
    assert found is not None
    (counted,) = cnn_references(
        part, {**tensors, "conv": np.zeros((1, *layer.out_shape), np.int64)}
    )
    assert 0 < len(found.factors) < MOST_PRODUCTS
    assert len(found.added) == counted.accumulators
    products = found.factors.prod(axis=1)
    assert np.count_nonzero(products) == counted.accumulators
    assert sorted(products[products != 0]) == sorted(found.added[:, 0])
    # A zero stands where a vector is not full, of multipliers that pairs are issued to.
    assert len(found.factors) == counted.weight_fifo_reads * params.mults
    x = concatenate(tensors, layer.inputs)[0]
    assert set(found.factors[:, 0]) - {0} == set(x[x != 0].tolist())
    # Every output is a sum that was reached.
    assert set(_sums(layer, x).tolist()) - {0} <= set(found.added.sum(axis=1).tolist())


def _sums(layer: QuantConv, x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Convolve without bias and rounding."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    fan = layer.weight.shape[1]
    depth = len(layer.weight) // layer.groups
    found = []
    for k, y, column in np.ndindex(*layer.out_shape):
        top, left = y * layer.stride[0], column * layer.stride[1]
        first = k // depth * fan
        window = padded[first : first + fan, top : top + 3, left : left + 3]
        found.append((window * layer.weight[k]).sum())
    return np.array(found)
