"""Convolutional networks: what the front end reads, against torch in float64, and refuses."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.support.tiers import cases
from tests.unit.compiler.cnn_networks import (
    Dense,
    GoogLeNet,
    LeNet,
    PreActivation,
    ResNet,
    SqueezeNet,
    conv,
    depthwise,
    fun,
    seq,
)
from tests.unit.compiler.float_nodes import forward, kinds, prepared
from zeroskip import compile
from zeroskip.compiler.frontend.networks import import_file, import_module, import_program
from zeroskip.compiler.image.image import load
from zeroskip.compiler.ir.compute import run_nodes
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatConv,
    FloatGraph,
    FloatLinear,
    dense_macs,
)


def program_of(module: nn.Module, example: torch.Tensor) -> torch.export.ExportedProgram:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(module.eval(), (example,))


def same(one: FloatGraph, other: FloatGraph) -> None:
    """Check that two networks are the same, number by number."""
    assert repr_of(one) == repr_of(other)


def repr_of(graph: FloatGraph) -> list[Any]:
    rows: list[Any] = [graph.input_shape, graph.output]
    for node in graph.nodes:
        fields = (
            dict(vars(node))
            if not isinstance(node, (FloatConv, FloatLinear))
            else {**vars(node), "weight": node.weight.tolist(), "bias": node.bias.tolist()}
        )
        rows.append((type(node).__name__, fields))
    return rows


IMAGE = (3, 33, 33)

# name: (module, sample shape, kinds of the nodes, with + for a ReLU)
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int], str]] = {
    "squeezenet 1.0": (
        lambda: SqueezeNet("1.0"),
        IMAGE,
        "c+ m c+ c+ c+ | c+ c+ c+ | m c+ c+ c+ | c+ a",
    ),
    "squeezenet 1.1": (
        lambda: SqueezeNet("1.1"),
        IMAGE,
        "c+ m c+ c+ c+ | m c+ c+ c+ | c+ c+ c+ | c+ a",
    ),
    "googlenet": (
        GoogLeNet,
        IMAGE,
        "c+ m c+ c+ c+ c+ c+ m c+ | c+ c+ c+ c+ c+ m c+ | m a L",
    ),
    "resnet": (
        ResNet,
        IMAGE,
        "c+ m c+ c s+ c+ c s+ c+ c c s+ c+ c s+ a L",
    ),
    "lenet": (LeNet, (1, 28, 28), "c m c m L+ L"),
    "vgg": (
        seq(
            conv(3, 4, 3, padding=1),
            nn.ReLU(True),
            conv(4, 4, 3, padding=1),
            nn.ReLU(True),
            nn.MaxPool2d(2, 2),
            conv(4, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(True),
            nn.MaxPool2d(2, 2),
            nn.AdaptiveAvgPool2d((4, 4)),
            nn.Flatten(),
            nn.Linear(96, 8),
            nn.ReLU(True),
            nn.Dropout(),
            nn.Linear(8, 5),
        ),
        (3, 16, 16),
        "c+ c+ m c+ m L+ L",
    ),
    "mobilenet": (
        seq(
            conv(3, 4, 3, stride=2, padding=1),
            depthwise(4, 6, 1),
            depthwise(6, 8, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 5),
        ),
        IMAGE,
        "c c+ c+ c+ c+ a L",
    ),
    "pre-activation": (
        seq(conv(3, 4, 3), PreActivation(4), PreActivation(4)),
        (3, 8, 8),
        "c c+ c+ c s c+ c+ c s",
    ),
    "densenet": (seq(conv(3, 4, 3), Dense(4, 2), Dense(6, 2)), (3, 8, 8), "c c+ c | c+ c |"),
}

# Single pieces: what becomes of them.
PIECES: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int], str]] = {
    "strides": (seq(conv(2, 3, 3, stride=(2, 3), padding=(2, 0))), (2, 9, 10), "c"),
    "kernel": (seq(nn.Conv2d(2, 3, (1, 4), padding=(0, 3))), (2, 5, 6), "c"),
    "groups": (seq(conv(4, 6, 3, groups=2, bias=False)), (4, 5, 6), "c"),
    "same": (seq(conv(2, 3, 3, padding="same")), (2, 5, 6), "c"),
    "same, even": (seq(nn.Conv2d(2, 4, (4, 2), padding="same", groups=2)), (2, 5, 6), "c"),
    "valid": (seq(conv(2, 3, 3, padding="valid")), (2, 5, 6), "c"),
    "pool then relu": (seq(conv(2, 3, 3), nn.MaxPool2d(2), nn.ReLU()), (2, 8, 8), "c+ m"),
    "average then relu": (seq(conv(2, 3, 3), nn.AvgPool2d(2), nn.ReLU()), (2, 8, 8), "c a+"),
    "pool alone": (seq(nn.MaxPool2d(3, 2, 1), nn.ReLU()), (2, 8, 8), "m+"),
    "relu alone": (seq(nn.ReLU(), conv(2, 3, 3)), (2, 8, 8), "m+ c"),
    "relu twice": (seq(conv(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU()), (2, 8, 8), "c+ m"),
    "pools": (
        seq(
            nn.AvgPool2d(3, 2, 1),
            nn.AvgPool2d(2, 1, 1, count_include_pad=False),
            nn.MaxPool2d(3, 2, 1, ceil_mode=True),
            nn.AvgPool2d(2, 2, ceil_mode=True),
            nn.AvgPool2d((1, 2), divisor_override=2),
            nn.AvgPool2d(2, 1, 1, divisor_override=3),
        ),
        (2, 23, 18),
        "a a m a a a",
    ),
    "divided by less than 0": (
        seq(conv(2, 3, 3), nn.ReLU(), nn.AvgPool2d(2, divisor_override=-3), nn.ReLU()),
        (2, 8, 8),
        "c+ a+",
    ),
    "adaptive, overlapping": (
        seq(conv(2, 3, 3), nn.AdaptiveAvgPool2d((3, 4))),
        (2, 9, 11),
        "c a",
    ),
    "adaptive, one row": (seq(conv(2, 3, 3), nn.AdaptiveAvgPool2d((1, 3))), (2, 8, 8), "c a"),
    "adaptive": (seq(conv(2, 3, 3), nn.AdaptiveAvgPool2d((3, None))), (2, 8, 8), "c a"),
    "mean": (fun(lambda m, x: m.c(x).mean((2, 3)), c=conv(2, 3, 3)), (2, 8, 6), "c a"),
    "mean, kept": (
        fun(
            lambda m, x: m.d(m.c(x).mean([-1, -2], keepdim=True)), c=conv(2, 3, 3), d=conv(3, 2, 1)
        ),
        (2, 8, 6),
        "c a c",
    ),
    "norm first": (seq(nn.BatchNorm2d(2), conv(2, 4, 3, groups=2)), (2, 6, 6), "c"),
    "norm before padding": (
        seq(nn.BatchNorm2d(2), conv(2, 4, 3, padding=1)),
        (2, 6, 6),
        "c c",
    ),
    "scaled before padding": (
        fun(lambda m, x: m.c(x * 3), c=conv(2, 4, 3, padding=1)),
        (2, 6, 6),
        "c",
    ),
    "norms": (seq(conv(2, 3, 3), nn.BatchNorm2d(3), nn.BatchNorm2d(3)), (2, 6, 6), "c"),
    "norm after relu": (
        seq(conv(2, 3, 3), nn.ReLU(), nn.BatchNorm2d(3), conv(3, 2, 1)),
        (2, 6, 6),
        "c+ c",
    ),
    "norm last": (seq(conv(2, 3, 3), nn.ReLU(), nn.BatchNorm2d(3)), (2, 6, 6), "c+ c"),
    "norm read twice": (
        fun(
            lambda m, x: m.c(y := m.n(x)) + m.d(y),
            c=conv(2, 3, 1),
            d=conv(2, 3, 1),
            n=nn.BatchNorm2d(2),
        ),
        (2, 6, 6),
        "c c s",
    ),
    "norm of what is read twice": (
        fun(lambda m, x: (y := m.c(x)) + m.n(y), c=conv(2, 3, 1), n=nn.BatchNorm2d(3)),
        (2, 6, 6),
        "c c s",
    ),
    "normalized input": (
        fun(
            lambda m, x: m.c((x - m.mean) / m.std),
            c=conv(3, 2, 3),
            mean=torch.rand(1, 3, 1, 1),
            std=torch.rand(3, 1, 1) + 1,
        ),
        (3, 6, 6),
        "c",
    ),
    "relu of a concatenation": (
        fun(lambda m, x: torch.cat([m.c(x), m.d(x)], 1).relu(), c=conv(2, 3, 1), d=conv(2, 2, 1)),
        (2, 6, 6),
        "c+ c+ |",
    ),
    "relu of part of it": (
        fun(
            lambda m, x: torch.cat([y := m.c(x), m.d(y)], 1).relu(),
            c=conv(2, 3, 1),
            d=conv(3, 2, 1),
        ),
        (2, 6, 6),
        "c c | m+",
    ),
    "read before relu": (
        fun(
            lambda m, x: torch.cat([y := m.c(x), m.d(y.relu())], -3),
            c=conv(2, 3, 1),
            d=conv(3, 2, 1),
        ),
        (2, 6, 6),
        "c m+ c |",
    ),
    "relu in place": (
        fun(
            lambda m, x: torch.cat([y := m.c(x), m.d(y.relu_())], 1),
            c=conv(2, 3, 1),
            d=conv(3, 2, 1),
        ),
        (2, 6, 6),
        "c+ c |",
    ),
    "sum of scaled": (
        fun(lambda m, x: torch.sub(m.c(x), m.d(x), alpha=0.5), c=conv(2, 3, 1), d=conv(2, 3, 1)),
        (2, 6, 6),
        "c c s",
    ),
    "double": (fun(lambda m, x: (y := m.c(x)) + y, c=conv(2, 3, 1)), (2, 6, 6), "c"),
    "sum in place": (
        fun(lambda m, x: m.d((y := m.c(x)).add_(x)) + y, c=conv(2, 2, 1), d=conv(2, 2, 1)),
        (2, 6, 6),
        "c s c s",
    ),
    "module twice": (fun(lambda m, x: m.c(m.c(x)), c=conv(2, 2, 3)), (2, 6, 6), "c c"),
    "unused branch": (
        fun(lambda m, x: (m.d(x), m.c(x))[1], c=conv(2, 2, 3), d=conv(2, 3, 1)),
        (2, 6, 6),
        "c",
    ),
    "concatenation of one": (
        fun(lambda m, x: torch.cat([m.c(x)], 1), c=conv(2, 2, 3)),
        (2, 6, 6),
        "c",
    ),
    "flatten, relu": (
        seq(conv(2, 3, 3), nn.Flatten(), nn.ReLU(), nn.Linear(48, 5)),
        (2, 6, 6),
        "c+ L",
    ),
    "flatten, norm": (
        seq(conv(2, 3, 3), nn.Flatten(), nn.BatchNorm1d(48), nn.Linear(48, 5)),
        (2, 6, 6),
        "c L",
    ),
    "reshapes": (
        fun(
            lambda m, x: m.f(m.d(m.c(x).flatten(2).unflatten(2, (4, 4))).reshape(-1, 48)).squeeze(
                -1
            ),
            c=conv(2, 3, 3),
            d=conv(3, 3, 1),
            f=nn.Linear(48, 1),
        ),
        (2, 6, 6),
        "c c L",
    ),
    "functional": (
        fun(
            lambda m, x: functional.conv2d(x, m.w, m.b, 2, 1),
            w=torch.randn(3, 2, 3, 3),
            b=torch.randn(3),
        ),
        (2, 6, 6),
        "c",
    ),
    "one bias": (
        fun(lambda m, x: functional.conv2d(x, m.w) + 1.5, w=torch.randn(3, 2, 3, 3)),
        (2, 6, 6),
        "c",
    ),
}

ALL = {**NETWORKS, **PIECES}


@pytest.mark.parametrize("name", ALL)
def test_computes_what_torch_does(name: str) -> None:
    build, shape, nodes = ALL[name]
    module = prepared(build())
    x = torch.randn(3, *shape, dtype=torch.float64)
    cnn = import_module(module, x)
    with torch.no_grad():
        exact = module(x).numpy()
    made = forward(cnn, x.numpy())
    assert kinds(cnn) == nodes
    np.testing.assert_allclose(made.reshape(exact.shape), exact, rtol=1e-9, atol=1e-9)
    names = [node.name for node in cnn.nodes]
    assert len(set(names)) == len(names)
    assert INPUT not in names


@pytest.mark.parametrize("name", ALL)
def test_evaluates_as_torch_does(name: str) -> None:
    build, shape, _ = ALL[name]
    x = torch.randn(2, *shape, dtype=torch.float64)
    cnn = import_module(prepared(build()), x)
    *_, (node, y) = run_nodes(cnn, x.numpy())
    assert node.name == cnn.output
    np.testing.assert_allclose(y, forward(cnn, x.numpy()), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "name",
    cases(NETWORKS, ["squeezenet 1.0", "squeezenet 1.1", "googlenet"], "exports a large network"),
)
def test_module_program_and_file_are_the_same(name: str, tmp_path: Path) -> None:
    build, shape, _ = NETWORKS[name]
    module = prepared(build())
    x = torch.randn(2, *shape, dtype=torch.float64)
    program = program_of(module, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program, tmp_path / "model.pt2")
        lowered = program.run_decompositions()
    expected = import_module(module, x)
    for made in (import_program(program), import_file(tmp_path / "model.pt2")):
        same(made, expected)
    # With other operators for the same.
    core = import_program(lowered)
    assert kinds(core) == kinds(expected)
    np.testing.assert_allclose(forward(core, x.numpy()), forward(expected, x.numpy()), atol=1e-9)


def test_names_are_paths_in_the_module() -> None:
    cnn = import_module(prepared(ResNet()), torch.zeros(1, *IMAGE))
    names = [node.name for node in cnn.nodes]
    assert names[:5] == ["conv1", "maxpool", "layer1.0.conv1", "layer1.0.conv2", "layer1.0"]
    assert names[-2:] == ["avgpool", "fc"]
    assert cnn.output == "fc"
    first = cnn.nodes[0]
    assert isinstance(first, FloatConv)
    assert (first.folded, first.inputs) == (("bn1",), (INPUT,))
    assert cnn.nodes[-1].inputs == ("avgpool",)


def test_holes_of_a_dilated_kernel_are_no_weights(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(2, 4, 3, dilation=(2, 1)), nn.ReLU())
    x = torch.rand(3, 2, 9, 9) + 0.5
    compile(module, x[:1], x).save(tmp_path / "net")
    image = load(tmp_path / "net")
    (layer,) = image.part("scnn").layers
    told = image.report["quantization"]["layers"][0]
    assert layer.weight.shape[2:] == (5, 3)
    assert (layer.kernel, layer.num_weights, told["weights"]) == ((3, 3), 72, 72)
    assert told["density"] == np.count_nonzero(layer.weight) / 72 > 0.9
    assert dense_macs(layer) == 72 * 5 * 7


def test_exact_sparse_weights_stay() -> None:
    conv0 = nn.Conv2d(2, 3, 3)
    module = nn.Sequential(conv0, nn.BatchNorm2d(3))
    with torch.no_grad():
        conv0.weight.mul_(torch.rand(conv0.weight.shape) < 0.3)
    node = import_module(module, torch.zeros(1, 2, 5, 5)).nodes[0]
    assert isinstance(node, FloatConv)
    np.testing.assert_array_equal(node.weight != 0, conv0.weight.detach().numpy() != 0)
    assert node.folded == ("1",)
