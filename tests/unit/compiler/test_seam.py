"""Chains and graphs with a chain behind are the same network as one graph."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.unit.compiler.float_nodes import forward
from zeroskip.compiler.api import compile
from zeroskip.compiler.frontend.networks import import_module
from zeroskip.compiler.ir.compute import run_nodes
from zeroskip.compiler.ir.graph import FloatCnn, QuantCnn
from zeroskip.compiler.ir.network import FloatNetwork, QuantNetwork
from zeroskip.compiler.ir.seam import join_float, join_quant, split_float, split_quant
from zeroskip.compiler.scnn.image import CnnImage

NETWORKS = {
    "chain": (nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), (6,)),
    "conv": (nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU()), (2, 5, 5)),
    "both": (
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 4), nn.ReLU()),
        (1, 5, 5),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_joined_and_split(name: str) -> None:
    module, shape = NETWORKS[name]
    torch.manual_seed(0)
    x = torch.randn(8, *shape)
    network = import_module(module.eval(), x[:1])
    graph = join_float(network)
    planes = x.numpy().astype(np.float64).reshape(8, *graph.input_shape)
    *_, (_, y) = run_nodes(graph, planes)
    np.testing.assert_allclose(
        y.reshape(8, -1), module(x).detach().numpy().reshape(8, -1), atol=1e-5
    )
    again = split_float(graph)
    if isinstance(network, FloatNetwork):
        assert isinstance(again, FloatNetwork)
        assert again.input_shape == network.input_shape
        assert again.layers == network.layers or all(
            one.weight is two.weight and one.name == two.name
            for one, two in zip(again.layers, network.layers, strict=True)
        )
    else:
        assert isinstance(again, FloatCnn)
        assert again.graph.output == network.graph.output
        assert (again.tail is None) == (network.tail is None)
        if again.tail is not None and network.tail is not None:
            assert again.tail.input_shape == network.tail.input_shape
        np.testing.assert_array_equal(forward(again, planes), forward(network, planes))

    image = compile(module, x[:1], x)
    made = image.network
    back = split_quant(join_quant(made))
    if isinstance(image, CnnImage):
        assert isinstance(made, QuantCnn)
        assert isinstance(back, QuantCnn)
        assert back.graph.outputs == made.graph.outputs
        assert back.graph.layers == made.graph.layers
        pairs = (back.tail, made.tail)
    else:
        assert isinstance(made, QuantNetwork)
        assert isinstance(back, QuantNetwork)
        pairs = (back, made)
    for one, two in zip(*(() if net is None else net.layers for net in pairs), strict=True):
        assert one.codes is two.codes
        assert (one.name, one.shift, one.in_frac) == (two.name, two.shift, two.in_frac)
