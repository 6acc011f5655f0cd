"""Operators that are written as sums of ReLUs, against torch and the operators of onnx."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.unit.compiler.cnn_networks import conv, fun, seq
from tests.unit.compiler.test_onnx import Net, check
from zeroskip.compiler.frontend.networks import import_module
from zeroskip.compiler.ir.compute import run_nodes

pytest.importorskip("onnx")


def slopes(count: int) -> nn.PReLU:
    layer = nn.PReLU(count)
    nn.init.uniform_(layer.weight, -0.5, 1.5)
    return layer


MODULES: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "leaky": (seq(conv(2, 3, 3), nn.LeakyReLU(0.25)), "relu(x) - 0.25 relu(-x)"),
    "a slope": (seq(conv(2, 3, 3), slopes(1)), "relu(x) - slope relu(-x)"),
    "slopes": (seq(conv(2, 3, 3), slopes(3)), "relu(x) - slope relu(-x)"),
    "absolute": (fun(lambda m, x: m.c(x).abs(), c=conv(2, 3, 3)), "relu(x) + relu(-x)"),
    "larger": (
        fun(lambda m, x: torch.maximum(m.c(x), m.d(x)), c=conv(2, 3, 3), d=conv(2, 3, 3)),
        "a + relu(b - a)",
    ),
    "smaller": (
        fun(lambda m, x: torch.minimum(m.c(x), m.d(x)), c=conv(2, 3, 3), d=conv(2, 3, 3)),
        "a - relu(a - b)",
    ),
    "of two": (
        fun(lambda m, x: torch.max(torch.min(m.c(x), m.d(x)), torch.zeros(())),
            c=conv(2, 3, 3), d=conv(2, 3, 3)),
        "a - relu(a - b)",
    ),
    "flat": (seq(nn.Flatten(), nn.Linear(72, 6), nn.LeakyReLU(), nn.Linear(6, 3)), "0.01"),
    "second names": (
        fun(lambda m, x: torch.fmax(m.c(x).negative(), m.d(x).multiply(0.5).view_as(m.d(x))),
            c=conv(2, 3, 3), d=conv(2, 3, 3)),
        "a + relu(b - a)",
    ),
    "six": (fun(lambda m, x: functional.relu6(9 * m.c(x)).clip(1), c=conv(2, 3, 3)), ""),
    "limit": (
        fun(lambda m, x: torch.maximum(torch.zeros(()), m.c(x)), c=conv(2, 3, 3)), ""
    ),
    "relu": (
        fun(lambda m, x: torch.where((y := m.c(x)) > 0, y, torch.zeros_like(y)), c=conv(2, 3, 3)),
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_computes_what_torch_does(name: str) -> None:
    build, how = MODULES[name]
    torch.manual_seed(1)
    module, x = build().eval(), torch.randn(4, 2, 6, 6)
    network = import_module(module, x[:1])
    made = next(y for n, y in run_nodes(network, x.double().numpy()) if n.name == network.output)
    expected = module.double()(x.double()).detach().numpy().reshape(4, -1)
    np.testing.assert_allclose(made.reshape(4, -1), expected, rtol=1e-5, atol=1e-6)
    assert len(network.notes) == bool(how)
    assert not how or how in network.notes[0]


def extremes(net: Net) -> str:
    """Return the largest of three tensors, no larger than a number."""
    a = net.add("Gemm", "x", net.weight("w", 5, 4))
    b = net.add("Gemm", "x", net.weight("v", 5, 4))
    largest = net.add("Max", a, b, net.add("Abs", a))
    return net.add("Gemm", net.add("Min", largest, net.weight("most", 1)), net.weight("u", 4, 3))


def product(net: Net) -> str:
    """Return matrix products, weights in front and behind, rows and columns of them."""
    a = net.add("Einsum", "x", net.weight("w", 5, 4), equation="bi, io -> bo")
    a = net.add("LeakyRelu", a, alpha=0.125)
    return net.add("Einsum", net.weight("v", 3, 4), a, equation="oi,bi->bo")


@pytest.mark.parametrize("build", [extremes, product])
def test_computes_what_onnx_does(build: Callable[[Net], str], tmp_path: Path) -> None:
    net = Net("N", 5)
    check(net, build(net), tmp_path)
