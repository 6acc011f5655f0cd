"""Networks with Linear layers anywhere: branches, planes made of vectors, sums, against torch."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.unit.compiler.cnn_networks import conv, fun, seq
from tests.unit.compiler.float_nodes import forward, kinds, prepared
from zeroskip.base.errors import CompileError
from zeroskip.compiler.api import compile
from zeroskip.compiler.frontend.networks import import_module
from zeroskip.compiler.ir.compute import run_nodes
from zeroskip.compiler.ir.graph import FloatConv, FloatLinear
from zeroskip.compiler.ir.verify import verify_graph
from zeroskip.compiler.passes.errors import fixed_point_errors
from zeroskip.compiler.passes.partition import arithmetics
from zeroskip.compiler.passes.quantize import quantize
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.run import run

Case = tuple[Callable[[], nn.Module], tuple[int, ...], str]


def fc(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs)


# name: (module, sample shape, kinds of the nodes, with + for a ReLU)
NETWORKS: dict[str, Case] = {
    "residual": (
        fun(lambda m, x: x + m.b(torch.relu(m.a(x))), a=fc(6, 9), b=fc(9, 6)),
        (6,),
        "L+ L s",
    ),
    "residual, normalized": (
        fun(
            lambda m, x: m.b(torch.relu(m.n(x + m.a(x)))),
            n=nn.BatchNorm1d(6),
            a=fc(6, 6),
            b=fc(6, 3),
        ),
        (6,),
        "L s L+ L",
    ),
    "residual of images": (
        fun(lambda m, x: x + m.f(x.flatten(1)).view(-1, 2, 4, 4), f=fc(32, 32)),
        (2, 4, 4),
        "L c s",
    ),
    "sum of both": (
        fun(lambda m, x: torch.relu(m.a(x) + m.b(x)).clamp(-1, 0.5), a=fc(6, 6), b=fc(6, 6)),
        (6,),
        "L L s+ L+ L+ L",
    ),
    "sum with the reverse": (
        fun(
            lambda m, x: m.b(m.a(x) * m.k + m.a(x).flip(1)), a=fc(6, 4), b=fc(4, 3), k=torch.rand(4)
        ),
        (6,),
        "L L c s L",
    ),
    "conv after linear": (
        seq(fc(6, 48), nn.ReLU(), nn.Unflatten(1, (3, 4, 4)), nn.BatchNorm2d(3), conv(3, 2, 3)),
        (6,),
        "L+ L c c",
    ),
    "conv in one dimension after linear": (
        fun(lambda m, x: m.c(m.a(x).view(-1, 2, 5)), a=fc(6, 10), c=nn.Conv1d(2, 3, 2)),
        (6,),
        "L c c",
    ),
    "linear, conv, linear": (
        seq(
            nn.Flatten(),
            fc(32, 18),
            nn.ReLU6(),
            nn.Unflatten(1, (2, 3, 3)),
            conv(2, 2, 2),
            nn.Flatten(),
            fc(8, 3),
        ),
        (2, 4, 4),
        "L+ L+ L c c L",
    ),
    "transposed planes of a vector": (
        fun(
            lambda m, x: m.c(m.a(x).view(-1, 4, 4, 3).permute(0, 3, 1, 2)),
            a=fc(6, 48),
            c=conv(3, 2, 3),
        ),
        (6,),
        "L c c",
    ),
    "heads": (
        fun(lambda m, x: torch.cat([m.a(x), torch.relu(m.b(x))], 1), a=fc(6, 9), b=fc(6, 5)),
        (6,),
        "L L+ |",
    ),
    "heads, reversed": (
        fun(lambda m, x: torch.cat([m.a(x), m.b(x)], 1).flip(1), a=fc(6, 4), b=fc(6, 3)),
        (6,),
        "L L | L",
    ),
    "heads, scaled and joined": (
        fun(
            lambda m, x: m.c(torch.cat([m.a(x), m.b(x)], 1) * 2 - 1),
            a=fc(6, 4),
            b=fc(6, 3),
            c=fc(7, 2),
        ),
        (6,),
        "L L | L",
    ),
    "parts of heads": (
        fun(lambda m, x: torch.cat([m.a(x)[:, :2], m.b(x)[:, 1:]], 1), a=fc(6, 4), b=fc(6, 3)),
        (6,),
        "L L c c |",
    ),
    "halves of a vector": (
        fun(lambda m, x: (p := m.a(x).chunk(2, 1))[0] + p[1], a=fc(6, 8)),
        (6,),
        "L c c s",
    ),
    "input and its features": (
        fun(
            lambda m, x: m.b(torch.cat([x.flatten(1), m.a(x.flatten(1))], 1)),
            a=fc(8, 3),
            b=fc(11, 2),
        ),
        (2, 4),
        "L | L",
    ),
    "pixels and their features": (
        fun(
            lambda m, x: m.b(torch.cat([x.flatten(1), m.a(x.flatten(1))], 1)),
            a=fc(8, 3),
            b=fc(11, 2),
        ),
        (2, 2, 2),
        "L c | L",
    ),
    "pool after linear": (
        fun(lambda m, x: functional.max_pool2d(m.a(x).view(-1, 2, 4, 4), 2), a=fc(6, 32)),
        (6,),
        "L c m",
    ),
    "mean after linear": (
        fun(lambda m, x: m.a(x).view(-1, 2, 3).mean(2), a=fc(6, 6)),
        (6,),
        "L c a",
    ),
    "squeezed": (
        fun(
            lambda m, x: (
                (y := m.c(x))
                + m.b(torch.relu(m.a(y.mean((2, 3)))))[:, :, None, None].expand(-1, -1, 4, 4)
            ),
            c=conv(2, 3, 3),
            a=fc(3, 2),
            b=fc(2, 3),
        ),
        (2, 6, 6),
        "c a L+ L c s",
    ),
    "pooled image, spread": (
        fun(
            lambda m, x: torch.cat(
                [
                    m.c(x),
                    functional.interpolate(m.d(x.mean((2, 3), keepdim=True)), size=(6, 6)),
                ],
                1,
            ),
            c=conv(2, 2, 1),
            d=conv(2, 3, 1),
        ),
        (2, 6, 6),
        "c a c c |",
    ),
    "two vectors": (
        fun(
            lambda m, x: m.f(m.c(x).flatten(1)) + m.g(x.flatten(1)),
            c=conv(2, 2, 1),
            f=fc(72, 3),
            g=fc(72, 3),
        ),
        (2, 6, 6),
        "c L L s",
    ),
    "vector, normalized, as planes": (
        seq(
            conv(1, 2, 3),
            nn.Flatten(),
            nn.BatchNorm1d(8),
            nn.Unflatten(1, (2, 2, 2)),
            conv(2, 3, 2),
        ),
        (1, 4, 4),
        "c L c c",
    ),
    "means, normalized, as planes": (
        fun(
            lambda m, x: m.d(m.n(m.c(x).mean((2, 3)))[:, :, None, None]),
            c=conv(1, 2, 3),
            n=nn.BatchNorm1d(2),
            d=conv(2, 3, 1),
        ),
        (1, 4, 4),
        "c a c",
    ),
    "copies, normalized": (
        seq(
            conv(1, 2, 3),
            nn.Upsample(scale_factor=2),
            nn.Flatten(),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            fc(32, 3),
        ),
        (1, 4, 4),
        "c L+ L",
    ),
    "adaptive, then a convolution": (
        seq(conv(2, 2, 1), nn.AdaptiveAvgPool2d(4), conv(2, 2, 3)),
        (2, 6, 6),
        "c c c c",
    ),
    "planes of planes": (
        fun(lambda m, x: m.c(x.flatten(1, 2)), c=conv(4, 2, 2)),
        (2, 2, 3, 3),
        "c",
    ),
    "read before and after a change in place": (
        fun(lambda m, x: m.g(y := m.f(x)) + y.relu_(), f=fc(5, 5), g=fc(5, 5)),
        (5,),
        "L L L+ s",
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_computes_what_torch_does(name: str) -> None:
    build, shape, nodes = NETWORKS[name]
    module = prepared(build())
    x = torch.randn(3, *shape, dtype=torch.float64)
    graph = import_module(module, x)
    with torch.no_grad():
        exact = module(x.clone()).numpy()
    made = forward(graph, x.numpy())
    assert kinds(graph) == nodes
    np.testing.assert_allclose(made.reshape(exact.shape), exact, rtol=1e-9, atol=1e-9)
    *_, (_, y) = run_nodes(graph, x.numpy().reshape(3, *graph.input_shape))
    np.testing.assert_allclose(y, made, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_rounds_to_fixed_point(name: str) -> None:
    build, shape, _ = NETWORKS[name]
    module = prepared(build())
    x = torch.randn(16, *shape, dtype=torch.float64).numpy()
    graph = import_module(module, x[:1])
    # Linear layers of all values: codes as wide as there are weights.
    widths = arithmetics(graph, EieParams(code_bits=8), PRESETS["tile"])
    rounded, numbers = quantize(graph, x, widths, share=True)
    verify_graph(rounded, "quantization")
    report = fixed_point_errors(graph, rounded, numbers, x, widths)
    for layer in report.to_dict()["layers"]:
        assert layer["error"]["saturated"] == 0
        assert layer["error"]["snr_db"] is None or layer["error"]["snr_db"] > 30, layer["name"]


def test_planes_of_a_vector_cost_a_weight_an_element() -> None:
    module = seq(fc(6, 48), nn.Unflatten(1, (3, 4, 4)), conv(3, 2, 3))()
    linear, planes, _ = import_module(module, torch.zeros(1, 6)).nodes
    assert isinstance(linear, FloatLinear)
    assert isinstance(planes, FloatConv)
    assert planes.name == "1"
    assert (planes.groups, planes.padding, np.count_nonzero(planes.weight)) == (3, (3, 3), 48)


def test_planes_too_large_for_a_vector() -> None:
    module = seq(fc(1, 19200), nn.Unflatten(1, (3, 80, 80)), conv(3, 2, 3))()
    with pytest.raises(
        CompileError,
        match=r"planes of shape \(3, 80, 80\) of 19200 numbers; .* make smaller planes",
    ):
        import_module(module, torch.zeros(1, 1))


def test_names_count_layers() -> None:
    """Layers of one module are numbered (``act``, ``act#2``) after folding, without gaps."""
    act = nn.Hardtanh(-1.0, 2.0)
    module = fun(lambda m, x: m.act(m.b(m.act(m.a(x)))), a=fc(6, 4), b=fc(4, 3), act=act)()
    graph = import_module(module, torch.zeros(1, 6))
    assert [node.name for node in graph.nodes] == ["a", "act", "act#2", "b", "act#3", "act#4"]


def test_arrays_take_turns() -> None:
    module = NETWORKS["residual"][0]().eval().double()
    x = torch.randn(8, 6, dtype=torch.float64)
    image = compile(module, x[:1], x.numpy(), share=True)
    assert len(image.parts) > 1
    exact = module(x).detach().numpy()
    for on in ("golden", "cycles"):
        assert np.abs(run(image, x.numpy(), on).outputs - exact).max() < 0.2 * np.abs(exact).max()
