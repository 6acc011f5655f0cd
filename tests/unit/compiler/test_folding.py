"""What folding BatchNorm does to shared weights, and what is said of it."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip import EieParams, compile
from zeroskip.compiler.frontend.networks import import_module
from zeroskip.compiler.ir.graph import FloatConv
from zeroskip.hw.scnn.params import PRESETS

WAY_OUT = "fold before sharing, as zeroskip compress does"


def shared(module: nn.Module, values: int) -> nn.Module:
    """Give every weight matrix ``values`` values, and batch norms statistics."""
    torch.manual_seed(0)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, (nn.Conv2d, nn.Linear)):
                index = torch.arange(part.weight.numel()).reshape(part.weight.shape)
                part.weight.copy_((index % values + 1) / 64)
            elif isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
                assert part.running_var is not None
                part.running_var.uniform_(0.5, 2.0)
    return module.eval()


def warnings_of(report: dict[str, Any]) -> list[str]:
    return [one for one in report["quantization"]["warnings"] if "folded" in one]


def cnn(channels: int) -> nn.Module:
    return shared(nn.Sequential(nn.Conv2d(3, channels, 3), nn.BatchNorm2d(channels)), 15)


def test_a_codebook_that_holds_all_loses_nothing() -> None:
    x = torch.randn(4, 3, 5, 5)
    image = compile(cnn(4), x[:1], x, arrays=PRESETS["tiny"])
    assert image.graph.layers[0].codebook is not None
    assert warnings_of(image.report) == []


@pytest.mark.parametrize("share", [False, True])
def test_too_many_for_a_codebook(share: bool) -> None:
    x = torch.randn(4, 3, 5, 5)
    module = cnn(24)
    image = compile(module, x[:1], x, arrays=PRESETS["tiny"], share=share)
    network = import_module(module, x)
    node = network.nodes[0]
    assert isinstance(node, FloatConv)
    after = np.unique(node.weight).size
    limit = PRESETS["tiny"].num_codes - 1
    assert after > limit
    (warning,) = warnings_of(image.report)
    became = "clustered to" if share else "stored plain"
    assert "layer '0' had 15 shared values, but 1, folded into its weights, made" in warning
    assert f"made them {after}, which " in warning
    assert became in warning
    assert WAY_OUT in warning


def test_linear() -> None:
    x = torch.randn(4, 6)
    layers = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)
    module = shared(nn.Sequential(*layers), 3)
    image = compile(module, x[:1], x)
    (warning,) = warnings_of(image.report)
    assert "layer '0' had 3 shared values, but 1, folded into its weights, made them 24" in warning
    assert "codes need 5 bits instead of 2" in warning
    image = compile(module, x[:1], x, EieParams(code_bits=4), share=True)
    (warning,) = warnings_of(image.report)
    assert "made them 24, which were clustered to 15: " + WAY_OUT in warning


def test_scaling_all_alike_loses_nothing() -> None:
    module = shared(nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3)), 3)

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x * 0.5)

    x = torch.randn(4, 6)
    assert warnings_of(compile(Scaled().eval(), x[:1], x).report) == []
