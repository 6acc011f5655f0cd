"""Chains and graphs with a chain behind are the same network as one graph."""

import pytest
import torch
from torch import nn

from zeroskip.base.errors import CompileError
from zeroskip.compiler.api import compile
from zeroskip.compiler.frontend.networks import import_module
from zeroskip.compiler.ir.graph import QuantCnn
from zeroskip.compiler.ir.network import QuantNetwork
from zeroskip.compiler.ir.seam import check_order, join_quant, split_quant
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


def test_what_cannot_be_split() -> None:
    module = nn.Sequential(nn.Linear(6, 8), nn.Unflatten(1, (2, 2, 2)), nn.Conv2d(2, 1, 1))
    with pytest.raises(
        CompileError,
        match=r"layer '1' reads what the Linear layer '0' makes, .* compile what comes after '0'",
    ):
        check_order(import_module(module, torch.zeros(1, 6)))
