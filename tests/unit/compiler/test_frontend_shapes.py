"""Padding, cuts, other orders, lines and whole planes that the front end reads, against torch."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.unit.compiler.cnn_networks import conv, fun, seq
from tests.unit.compiler.float_nodes import forward, kinds, prepared
from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend.networks import import_file, import_module, import_program
from zeroskip.compiler.ir.compute import run_nodes
from zeroskip.compiler.ir.graph import FloatConv, FloatLinear


def box(inputs: int, outputs: int, size: tuple[int, int], **words: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, **words)


def line(inputs: int, outputs: int, size: int, **words: Any) -> nn.Conv1d:
    return nn.Conv1d(inputs, outputs, size, **words)


Case = tuple[Callable[[], nn.Module], tuple[int, ...], str]

# name: (module, sample shape, kinds of the nodes, with + for a ReLU)
PADDED: dict[str, Case] = {
    "before": (seq(nn.ZeroPad2d((0, 1, 2, 3)), conv(2, 3, 3, stride=2)), (2, 6, 7), "c"),
    "constant": (seq(nn.ConstantPad2d(1, 0.0), conv(2, 3, 3, padding=1)), (2, 6, 6), "c"),
    "beyond the kernel": (seq(nn.ZeroPad2d(4), conv(2, 3, 2)), (2, 5, 5), "c"),
    "cut by padding": (seq(nn.ZeroPad2d((-1, 1, -2, -1)), conv(2, 3, 2)), (2, 7, 6), "c"),
    "cut under padding": (
        seq(nn.ZeroPad2d((-1, 0, 0, -2)), conv(2, 3, 3, padding=1)),
        (2, 7, 6),
        "c c",
    ),
    "sliced": (fun(lambda m, x: m.c(x[:, :, 1:, :-2]), c=conv(2, 3, 3)), (2, 7, 7), "c"),
    "thinned out": (
        fun(lambda m, x: m.c(x[:, :, 1::2, ::3]), c=conv(2, 3, 2)),
        (2, 8, 9),
        "c c",
    ),
    "moved": (
        fun(lambda m, x: m.c(functional.pad(x[:, :, 1:, :-1], (1, 0, 0, 1))), c=conv(2, 3, 3)),
        (2, 6, 6),
        "c",
    ),
    "put to 0": (
        fun(lambda m, x: m.c(functional.pad(x[:, :, 1:, :-1], (0, 1, 1, 0))), c=conv(2, 3, 3)),
        (2, 6, 6),
        "c c c",
    ),
    "read twice": (
        fun(
            lambda m, x: m.c(y := m.p(x)) + m.d(y),
            p=nn.ZeroPad2d(1),
            c=conv(2, 3, 3),
            d=conv(2, 3, 3),
        ),
        (2, 6, 6),
        "c c s",
    ),
    "around lines of a vector": (
        fun(
            lambda m, x: m.c(functional.pad(x[:, None, :, None], (0, 0, 3, 5))),
            c=box(1, 3, (4, 1), stride=2),
        ),
        (20,),
        "c",
    ),
    "around a scaled signal": (
        fun(
            lambda m, x: m.c(functional.pad((2 * x - 1)[:, None], (3, 5))),
            c=line(1, 3, 4, stride=2),
        ),
        (20,),
        "c c",
    ),
    "same, even, dilated": (
        seq(box(2, 4, (4, 3), padding="same", dilation=(3, 2), groups=2)),
        (2, 6, 7),
        "c",
    ),
    "dilated": (
        seq(conv(4, 4, 3, dilation=(2, 1), groups=2, padding=(2, 1), stride=2)),
        (4, 8, 8),
        "c",
    ),
    "norm, padding": (seq(nn.BatchNorm2d(2), nn.ZeroPad2d(1), conv(2, 3, 3)), (2, 5, 5), "c c"),
    "padding, norm": (seq(nn.ZeroPad2d(1), nn.BatchNorm2d(2), conv(2, 3, 3)), (2, 5, 5), "c c"),
    "maximum of clipped": (
        seq(conv(2, 3, 3), nn.ReLU(), nn.ZeroPad2d((0, 1, 1, 0)), nn.MaxPool2d(3, 2)),
        (2, 8, 8),
        "c+ m",
    ),
    "maximum of signed": (
        seq(conv(2, 3, 3), nn.ZeroPad2d((0, 1, 1, 0)), nn.MaxPool2d(3, 2)),
        (2, 8, 8),
        "c c m",
    ),
    "maximum of padding alone": (
        seq(conv(2, 3, 3), nn.ReLU(), nn.ZeroPad2d(2), nn.MaxPool2d(2)),
        (2, 8, 8),
        "c+ c m",
    ),
    "maximum of a cut": (
        fun(lambda m, x: functional.max_pool2d(m.c(x)[:, :, :-1, :-1], 2), c=conv(2, 3, 3)),
        (2, 7, 7),
        "c m",
    ),
    "maximum at a cut": (
        fun(lambda m, x: functional.max_pool2d(m.c(x)[:, :, :-2], 3, 2, 1), c=conv(2, 3, 3)),
        (2, 7, 7),
        "c c m",
    ),
    "average": (seq(nn.ZeroPad2d((0, 1, 0, 1)), nn.AvgPool2d(2)), (2, 7, 7), "a"),
    "average, divided differently": (
        seq(nn.ZeroPad2d((0, 1, 0, 1)), nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
        (2, 7, 7),
        "c a",
    ),
    "at the end": (seq(conv(2, 3, 3), nn.ZeroPad2d(1)), (2, 5, 5), "c c"),
    "more channels": (
        fun(
            lambda m, x: m.c(x) + functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2)),
            c=conv(2, 5, 3, stride=2, padding=1),
        ),
        (2, 6, 6),
        "c c s",
    ),
    "channels of zeros": (
        fun(lambda m, x: m.c(torch.cat([x, torch.zeros(len(x), 2, 6, 6)], 1)), c=conv(4, 3, 3)),
        (2, 6, 6),
        "c c",
    ),
}

MOVED: dict[str, Case] = {
    "channels last": (
        fun(
            lambda m, x: m.f(m.c(x).permute(0, 2, 3, 1).flatten(1)),
            c=conv(2, 3, 3),
            f=nn.Linear(48, 4),
        ),
        (2, 6, 6),
        "c L",
    ),
    "shuffled": (
        seq(conv(2, 4, 1), nn.ReLU(), nn.ChannelShuffle(2), conv(4, 4, 3, groups=2)),
        (2, 6, 6),
        "c+ c c",
    ),
    "space to depth": (seq(nn.PixelUnshuffle(2), conv(8, 3, 3)), (2, 6, 8), "c c"),
    "focus": (
        fun(
            lambda m, x: m.c(torch.cat([x[..., a::2, b::2] for b in (0, 1) for a in (0, 1)], 1)),
            c=conv(8, 3, 3),
        ),
        (2, 6, 8),
        "c c",
    ),
    "pixel shuffle": (
        seq(conv(2, 4, 3), nn.PixelShuffle(2), nn.Flatten(), nn.Linear(64, 3)),
        (2, 6, 6),
        "c L",
    ),
    "nearest": (
        seq(conv(2, 3, 3), nn.Upsample(scale_factor=2), nn.Flatten(), nn.Linear(192, 3)),
        (2, 6, 6),
        "c L",
    ),
    "nearest, uneven": (
        seq(conv(2, 3, 3), nn.Upsample((5, 7)), nn.Flatten(), nn.Linear(105, 3)),
        (2, 6, 6),
        "c L",
    ),
    "reflected": (
        seq(conv(2, 3, 3), nn.ReflectionPad2d(1), nn.Flatten(), nn.Linear(108, 3)),
        (2, 6, 6),
        "c L",
    ),
    "halves": (
        fun(
            lambda m, x: torch.cat([m.c(x.chunk(2, 1)[1]), x.split([1, 3], 1)[1]], 1),
            c=conv(2, 2, 3, padding=1),
        ),
        (4, 5, 5),
        "c c c |",
    ),
    "one row": (fun(lambda m, x: m.c(x.select(2, 3)), c=line(2, 3, 3)), (2, 5, 6), "c"),
    "other colours": (fun(lambda m, x: m.c(x[:, [2, 0, 1]]), c=conv(3, 2, 3)), (3, 5, 5), "c c"),
    "reversed": (fun(lambda m, x: m.c(x.flip(1)), c=conv(3, 2, 3)), (3, 5, 5), "c c"),
    "two vectors": (
        fun(
            lambda m, x: m.f(torch.cat([m.c(x).flatten(1), x.flatten(1)], 1)),
            c=conv(2, 3, 3),
            f=nn.Linear(120, 3),
        ),
        (2, 6, 6),
        "c c c | L",
    ),
    "sum of vectors": (
        fun(lambda m, x: m.c(x).flatten(1) + x.flatten(1), c=conv(2, 2, 1)),
        (2, 6, 6),
        "c s",
    ),
    "cut before Linear": (
        fun(
            lambda m, x: m.f(m.c(x)[:, :, 1:3, :2].flatten(1)), c=conv(2, 3, 3), f=nn.Linear(12, 4)
        ),
        (2, 6, 6),
        "c L",
    ),
    "a flat picture": (seq(nn.Unflatten(1, (1, 6, 6)), conv(1, 2, 3)), (36,), "c"),
    "clipped at 6": (seq(conv(2, 3, 3), nn.ReLU6(), conv(3, 2, 3)), (2, 6, 6), "c+ c+ c c"),
    "clipped, padded": (
        seq(conv(2, 3, 3), nn.Hardtanh(-0.2, 0.4), conv(3, 2, 3, padding=1)),
        (2, 6, 6),
        "c+ c+ c c",
    ),
}

LINES: dict[str, Case] = {
    "convolutions": (
        seq(
            line(4, 3, 3, padding=1),
            nn.ReLU(),
            line(3, 2, 3, dilation=2, stride=2),
            nn.Flatten(),
            nn.Linear(6, 5),
        ),
        (4, 10),
        "c+ c L",
    ),
    "groups, norm": (seq(line(4, 4, 2, padding="same", groups=4), nn.BatchNorm1d(4)), (4, 9), "c"),
    "pools": (
        seq(line(2, 4, 3), nn.MaxPool1d(2, 1), nn.AvgPool1d(3, 2, 1), nn.AdaptiveAvgPool1d(2)),
        (2, 11),
        "c m a a",
    ),
    "whole": (seq(line(2, 3, 3), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten()), (2, 9), "c+ m"),
    "mean": (fun(lambda m, x: m.c(x).mean(-1), c=line(2, 3, 3)), (2, 9), "c a"),
    "padded": (seq(nn.ConstantPad1d((2, 0), 0.0), line(2, 3, 3)), (2, 9), "c"),
    "as a row": (fun(lambda m, x: m.c(x.unsqueeze(2)), c=box(2, 3, (1, 3))), (2, 9), "c"),
    "as a column": (fun(lambda m, x: m.c(x.unsqueeze(3)), c=box(2, 3, (3, 1))), (2, 9), "c"),
    "as a picture": (fun(lambda m, x: m.c(x.unsqueeze(1)), c=box(1, 3, (2, 3))), (5, 9), "c"),
    "of feature maps": (
        fun(lambda m, x: m.d(m.c(x).squeeze(2)), c=box(2, 3, (4, 1)), d=line(3, 2, 3)),
        (2, 4, 9),
        "c c",
    ),
    "pool alone": (seq(nn.MaxPool1d(2), nn.Flatten(), nn.Linear(20, 5)), (4, 10), "m L"),
}

WHOLE: dict[str, Case] = {
    "adaptive maximum": (seq(conv(2, 3, 3), nn.AdaptiveMaxPool2d(1)), (2, 6, 8), "c m"),
    "adaptive maxima": (seq(conv(2, 3, 3), nn.AdaptiveMaxPool2d((2, 3))), (2, 6, 9), "c m"),
    "amax": (fun(lambda m, x: m.c(x).amax((2, 3)), c=conv(2, 3, 3)), (2, 6, 8), "c m"),
    "max, max": (
        fun(lambda m, x: m.c(x).max(3).values.max(-1, keepdim=True)[0], c=conv(2, 3, 3)),
        (2, 6, 8),
        "c m m",
    ),
    "view, mean": (
        fun(lambda m, x: m.c(x).view(len(x), 3, -1).mean(2), c=conv(2, 3, 3)),
        (2, 6, 8),
        "c a",
    ),
    "view, max": (fun(lambda m, x: m.c(x).flatten(2).amax(2), c=conv(2, 3, 3)), (2, 6, 8), "c m"),
    "mean, mean": (fun(lambda m, x: m.c(x).mean(3).mean(2), c=conv(2, 3, 3)), (2, 6, 8), "c a a"),
    "channels last": (
        fun(lambda m, x: m.c(x).permute(0, 2, 3, 1).mean((1, 2)), c=conv(2, 3, 3)),
        (2, 6, 8),
        "c a",
    ),
    "sum": (
        fun(
            lambda m, x: m.d(m.c(x).sum((2, 3), keepdim=True) / 24),
            c=conv(2, 3, 3),
            d=conv(3, 2, 1),
        ),
        (2, 6, 8),
        "c a c",
    ),
    "sum, Linear": (
        fun(lambda m, x: m.f(m.c(x).sum((2, 3)) / 24), c=conv(2, 3, 3), f=nn.Linear(3, 4)),
        (2, 6, 8),
        "c a L",
    ),
    "rows of a part": (
        fun(lambda m, x: m.c(x)[:, :, 1:].mean(2), c=conv(2, 3, 3)),
        (2, 6, 8),
        "c c a",
    ),
    "nothing": (
        seq(conv(2, 3, 3), nn.AdaptiveAvgPool2d((4, None)), nn.AdaptiveMaxPool2d((None, 6))),
        (2, 6, 8),
        "c",
    ),
    "holes between single elements": (
        seq(nn.MaxPool2d((1, 3), (2, 1), (0, 1), dilation=(3, 1))),
        (2, 7, 9),
        "m",
    ),
    "every other": (seq(nn.MaxPool2d(1, 2), nn.AvgPool2d(1, 2)), (2, 7, 9), "m a"),
    "uneven": (
        seq(conv(2, 3, 3), nn.AdaptiveAvgPool2d((3, 4)), nn.Flatten(), nn.Linear(36, 4)),
        (2, 7, 8),
        "c c L",
    ),
    "uneven, at the end": (seq(conv(2, 3, 3), nn.AdaptiveAvgPool2d(3)), (2, 7, 8), "c c"),
    "uneven, Linear of many values": (
        seq(conv(2, 3, 3), nn.AdaptiveAvgPool2d((3, 4)), nn.Flatten(), nn.Linear(36, 9)),
        (2, 7, 8),
        "c L",
    ),
}

_NORMS = nn.utils.parametrizations
COMPUTED: dict[str, Case] = {
    "weight norm": (lambda: nn.Sequential(_NORMS.weight_norm(conv(2, 3, 3))), (2, 5, 5), "c"),
    "spectral norm": (lambda: nn.Sequential(_NORMS.spectral_norm(conv(2, 3, 3))), (2, 5, 5), "c"),
    "spectral norm, old": (
        lambda: nn.Sequential(nn.utils.spectral_norm(conv(2, 3, 3))),
        (2, 5, 5),
        "c",
    ),
    "masked": (
        fun(
            lambda m, x: functional.conv2d(x, m.w * m.k),
            w=torch.randn(3, 2, 3, 3),
            k=(torch.rand(3, 2, 3, 3) < 0.5).double(),
        ),
        (2, 5, 5),
        "c",
    ),
    "scaled": (
        fun(
            lambda m, x: functional.conv2d(x, m.w * m.s[:, None, None, None]),
            w=torch.randn(3, 2, 3, 3),
            s=torch.rand(3),
        ),
        (2, 5, 5),
        "c",
    ),
    "changed in sign": (
        fun(lambda m, x: -torch.relu(-m.a(-x)) + (-m.b(x)), a=conv(2, 3, 3), b=conv(2, 3, 3)),
        (2, 5, 5),
        "c+ c c s",
    ),
    "put together": (
        fun(
            lambda m, x: functional.conv2d(
                x, torch.cat([m.a.weight, m.b.weight]), torch.stack([m.a.bias, m.b.bias]).view(-1)
            ),
            a=conv(2, 2, 3),
            b=conv(2, 2, 3),
        ),
        (2, 5, 5),
        "c",
    ),
    "ternary": (
        fun(
            lambda m, x: functional.conv2d(
                x,
                torch.where(m.w.abs() > 0.5, m.w.sign() * m.w.abs().mean(), torch.zeros_like(m.w)),
            ),
            w=torch.randn(3, 2, 3, 3),
        ),
        (2, 5, 5),
        "c",
    ),
    "tied": (
        fun(lambda m, x: functional.conv2d(m.c(x), m.c.weight.flip(0)), c=conv(2, 2, 2)),
        (2, 5, 5),
        "c c",
    ),
    "halves": (
        fun(
            lambda m, x: functional.conv2d(functional.conv2d(x, (p := m.w.chunk(2))[0]), p[1]),
            w=torch.randn(4, 2, 2, 2),
        ),
        (2, 5, 5),
        "c c",
    ),
    "powers of two": (
        fun(
            lambda m, x: functional.linear(
                x, (2.0 ** m.w.clamp(-2, 2).round()).t().norm(dim=0, keepdim=True)
            ),
            w=torch.randn(5, 4),
        ),
        (5,),
        "L",
    ),
}

ALL = {
    f"{kind}: {name}": case
    for kind, cases in (
        ("padded", PADDED),
        ("moved", MOVED),
        ("lines", LINES),
        ("whole", WHOLE),
        ("computed", COMPUTED),
    )
    for name, case in cases.items()
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
def test_computes_what_torch_does(name: str, tmp_path: Path) -> None:
    build, shape, nodes = ALL[name]
    module = prepared(build())
    x = torch.randn(3, *shape, dtype=torch.float64)
    with torch.no_grad():
        exact = module(x).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (x,))
        torch.export.save(program, tmp_path / "model.pt2")
    for network in (import_program(program), import_file(tmp_path / "model.pt2")):
        made = forward(network, x.numpy())
        assert kinds(network) == nodes
        assert (network.sample_shape or network.input_shape) == shape
        *_, (node, y) = run_nodes(network, x.numpy().reshape(3, *network.input_shape))
        assert node.name == network.output
        np.testing.assert_allclose(y, made, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(made.reshape(exact.shape), exact, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "before",
    [
        lambda x: functional.pad(x.permute(0, 3, 1, 2), (1, 2, 1, 0)),
        lambda x: (2 * x - 1).permute(0, 3, 1, 2),
        lambda x: (x / torch.tensor([2.0, 3.0]) - 1).relu().permute(0, 3, 1, 2),
        lambda x: functional.max_pool2d(functional.pad((-x).permute(0, 3, 1, 2).relu(), (1, 0)), 2),
    ],
    ids=["padded", "scaled", "scaled by channels", "pooled"],
)
def test_channels_that_were_last(before: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """The input is given in another order, as of TensorFlow's networks, whatever is done to it."""
    module = prepared(
        fun(
            lambda m, x: m.c(m.n(before(x))),
            c=conv(2, 3, 3, stride=2),
            n=nn.BatchNorm2d(2),
        )()
    )
    x = torch.randn(3, 7, 8, 2, dtype=torch.float64)
    network = import_module(module, x)
    assert network.sample_axes == (2, 0, 1)
    made = forward(network, x.permute(0, 3, 1, 2).numpy())
    np.testing.assert_allclose(made, module(x).detach().numpy(), rtol=1e-9, atol=1e-9)


def test_zeros_of_a_cut_are_zeros() -> None:
    """A kernel is shifted by zeros, which cost no multiplication."""
    module = nn.Sequential(nn.ZeroPad2d((-1, 0, -2, 0)), nn.Conv2d(1, 1, 2)).double()
    cnn = import_module(module, torch.zeros(1, 1, 6, 6))
    (node,) = cnn.nodes
    assert isinstance(node, FloatConv)
    assert node.weight.shape == (1, 1, 4, 3)
    assert np.count_nonzero(node.weight) == 4
    assert node.padding == (0, 0)


def test_slice_changed_in_place() -> None:
    module = fun(lambda m, x: ((y := m.c(x))[:, :1].relu_(), y)[1], c=conv(2, 3, 3))()
    with pytest.raises(CompileError, match="conv2d is not a result of the network"):
        import_module(module, torch.zeros(1, 2, 5, 5))


def test_copy_changed_in_place() -> None:
    module = prepared(fun(lambda m, x: (y := m.c(x)) + y.flip(1).relu_(), c=conv(2, 2, 3))())
    x = torch.randn(2, 2, 5, 5, dtype=torch.float64)
    cnn = import_module(module, x)
    with torch.no_grad():
        np.testing.assert_allclose(forward(cnn, x.numpy()), module(x).numpy(), atol=1e-9)


@pytest.mark.parametrize("size", [3, 4])
def test_copies_do_not_undo_sharing(size: int) -> None:
    """What VGG does to planes smaller than 7 x 7: sums of weights, unless they were shared."""
    layer = nn.Linear(147, 3).double()
    module = nn.Sequential(conv(2, 3, 3), nn.AdaptiveAvgPool2d(7), nn.Flatten(), layer).double()
    x = torch.randn(2, 2, size, size, dtype=torch.float64)
    for values, nodes in ((3, "c c L"), (1000, "c L")):
        with torch.no_grad():
            layer.weight.copy_(torch.randint(1, values, layer.weight.shape) / 8)
            exact = module(x).numpy()
        cnn = import_module(module, x)
        assert kinds(cnn) == nodes
        np.testing.assert_allclose(forward(cnn, x.numpy()).reshape(2, 3), exact, atol=1e-9)
        head = cnn.nodes[-1]
        assert isinstance(head, FloatLinear)
        assert bool(head.folded) == (values > 3)
