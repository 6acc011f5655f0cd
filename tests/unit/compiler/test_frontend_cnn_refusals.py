"""Convolutional networks that the front end refuses, and in what words."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.unit.compiler.cnn_networks import Lambda, conv, fun, seq
from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend.networks import import_file, import_module


def _nan(bias: int) -> nn.Module:
    layer = nn.Conv2d(2, 3, 3)
    with torch.no_grad():
        layer.weight[0, 0, 0, :2] = float("nan")
        assert layer.bias is not None
        layer.bias[:bias] = float("inf")
    return nn.Sequential(layer)


REFUSED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "silu": (seq(conv(2, 3, 3), nn.SiLU()), (2, 6, 6), r"silu.*not that of a ReLU; use ReLU"),
    "chosen by the data": (
        fun(lambda m, x: torch.where(m.c(x) > 1, m.c(x), 0.0), c=conv(2, 3, 3)),
        (2, 6, 6),
        r"only where\(x > 0, x, 0\), which is a ReLU",
    ),
    "sigmoid": (
        seq(conv(2, 3, 3), nn.Sigmoid(), conv(3, 3, 3)),
        (2, 6, 6),
        r"sigmoid.default, in module '1'\)",
    ),
    "softmax": (
        seq(conv(2, 3, 3), nn.Flatten(), nn.Linear(48, 3), nn.Softmax(1), nn.ReLU()),
        (2, 6, 6),
        "leave it out",
    ),
    "pool dilation": (
        seq(nn.MaxPool2d(2, dilation=2)),
        (2, 6, 6),
        r"holes \(dilation\), and a maximum on the array takes every element .*; use dilation 1",
    ),
    "transposed": (seq(nn.ConvTranspose2d(2, 3, 3)), (2, 6, 6), "planes smaller, not larger"),
    "rows in a line": (
        seq(conv(2, 3, 3), nn.Flatten(2), nn.Conv1d(3, 2, 1)),
        (2, 6, 6),
        r"'flatten' .* makes samples of shape \(3, 1, 16\) .* of planes of shape \(3, 4, 4\)",
    ),
    "conv3d": (seq(nn.Conv3d(2, 3, 3), nn.Flatten()), (2, 4, 4, 4), "in one or two dimensions"),
    "nan": (lambda: _nan(2), (2, 6, 6), "layer '0' has 2 weights and 2 biases that are NaN or inf"),
    "nan norm": (
        lambda: nn.Sequential(conv(2, 3, 3), Lambda(lambda m, x: x * m.f, f=torch.tensor(np.nan))),
        (2, 6, 6),
        "its parameters make 48 values NaN or infinite",
    ),
    "weights from input": (
        fun(lambda m, x: functional.conv2d(x, x)),
        (3, 6, 6),
        "its weights and biases are not constant",
    ),
    "product": (fun(lambda m, x: m.c(x) * x, c=conv(2, 2, 1)), (2, 6, 6), "only additions of two"),
    "broadcast": (
        fun(lambda m, x: m.c(x) + x, c=conv(2, 1, 1)),
        (2, 6, 6),
        r"different shapes, \(1, 6, 6\) and",
    ),
    "constant plane": (
        fun(lambda m, x: m.c(x) + m.p, c=conv(2, 1, 1), p=torch.rand(6, 6)),
        (2, 6, 6),
        "its constant differs inside a channel",
    ),
    "rows together": (
        fun(lambda m, x: torch.cat([m.c(x), x], 2), c=conv(2, 2, 1)),
        (2, 6, 6),
        r"'cat' .* makes samples of shape \(2, 12, 6\) .* of planes of shape \(4, 6, 6\)",
    ),
    "with a constant": (
        fun(lambda m, x: torch.cat([m.c(x), m.k], 1), c=conv(2, 2, 1), k=torch.ones(2, 1, 6, 6)),
        (2, 6, 6),
        "only of tensors that depend on the input, or of zeros",
    ),
    "mean of channels": (
        fun(lambda m, x: m.c(x).mean(1), c=conv(2, 2, 1)),
        (2, 6, 6),
        r"over dimensions \[1\] of samples of shape \(2, 6, 6\); only over rows, columns or both",
    ),
    "mean of all": (
        fun(lambda m, x: m.c(x).mean(), c=conv(2, 2, 1)),
        (2, 6, 6),
        r"over the whole batch; say which dimensions, such as \(2, 3\)",
    ),
    "mean of the batch": (
        fun(lambda m, x: m.c(x).mean((0, 2)), c=conv(2, 2, 1)),
        (2, 6, 6),
        "the first dimension must stay the batch",
    ),
    "where the largest is": (
        fun(lambda m, x: m.c(x).max(2, keepdim=True).indices * 1.0, c=conv(2, 2, 1)),
        (2, 6, 6),
        "or which is no result that the array has",
    ),
    "adaptive maximum": (
        seq(conv(2, 2, 1), nn.AdaptiveMaxPool2d(4)),
        (2, 6, 6),
        r"plane of \(6, 6\) differ in size or distance .*; use an output that divides the plane",
    ),
    "reflect": (
        seq(conv(2, 2, 3, padding=1, padding_mode="reflect")),
        (2, 6, 6),
        r"pads with values of the plane \(reflect\), .* zeros only; pad with zeros .*fine-tune",
    ),
    "circular": (seq(nn.CircularPad2d(1), conv(2, 2, 3)), (2, 6, 6), r"plane \(circular\), and"),
    "replicate": (seq(nn.ReplicationPad2d(1), conv(2, 2, 3)), (2, 6, 6), r"plane \(replicate\)"),
    "pad with 1": (
        seq(nn.ConstantPad2d(1, 1.0), conv(2, 2, 3)),
        (2, 6, 6),
        "pads with 1.0, and around a plane the arrays have zeros only; subtract it before",
    ),
    "upsample": (
        seq(conv(2, 2, 1), nn.Upsample(scale_factor=2), conv(2, 2, 3)),
        (2, 6, 6),
        r"makes planes of shape \(2, 6, 6\) larger, \(2, 12, 12\), .* nothing but reshaping stands",
    ),
    "bilinear": (
        seq(conv(2, 2, 1), nn.Upsample(scale_factor=2, mode="bilinear")),
        (2, 6, 6),
        "mixes neighbours with weights that differ from place to place; use mode='nearest'",
    ),
    "pixel shuffle": (
        seq(conv(2, 4, 1), nn.PixelShuffle(2), conv(1, 2, 3)),
        (2, 6, 6),
        r"makes planes of shape \(4, 6, 6\) larger, \(1, 12, 12\)",
    ),
    "powers": (
        seq(conv(2, 4, 1), nn.LPPool2d(2, 2)),
        (2, 6, 6),
        "neither powers nor LPPool; use AvgPool2d or MaxPool2d and fine-tune",
    ),
    "mirrored": (
        fun(lambda m, x: m.c(x.flip(3)), c=conv(2, 2, 3)),
        (2, 6, 6),
        "'flip' .* can only pad, cut, thin out and exchange as a whole",
    ),
    "reshaped": (
        fun(lambda m, x: m.d(m.c(x).reshape(-1, 3, 6, 4)), c=conv(2, 2, 1), d=conv(3, 2, 1)),
        (2, 6, 6),
        r"samples of shape \(3, 6, 4\) \(channels, rows, columns\) of planes of shape \(2, 6, 6\)",
    ),
    "unknown, of parameters": (
        fun(lambda m, x: functional.conv2d(x, torch.special.erfcx(m.w)), w=torch.rand(2, 2, 3, 3)),
        (2, 6, 6),
        "computes on parameters alone, by an operator that is not known here; store its result",
    ),
    "group norm": (seq(conv(2, 2, 1), nn.GroupNorm(1, 2)), (2, 6, 6), "group_norm"),
    "training norm": (
        seq(conv(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False)),
        (2, 6, 6),
        "training mode|no running statistics",
    ),
    "changed": (
        fun(
            lambda m, x: torch.cat([y := (z := m.c(x)).reshape(-1, 2, 6, 6), z.relu_(), y], 1),
            c=conv(2, 2, 1),
        ),
        (2, 6, 6),
        "reads reshape, which an operation in place may have changed",
    ),
    "too small": (seq(conv(2, 3, 7)), (2, 6, 6), "torch.export cannot trace Sequential"),
    "wrong channels": (seq(conv(2, 3, 3)), (3, 6, 6), "torch.export cannot trace Sequential"),
    "flattened batch": (
        seq(conv(2, 3, 3), nn.Flatten(0), nn.ReLU()),
        (2, 6, 6),
        "first dimension must stay the batch",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    build, shape, message = REFUSED[name]
    with pytest.raises(CompileError, match=message) as caught:
        import_module(build(), torch.randn(2, *shape))
    assert "\n" not in str(caught.value)


def test_groups_of_a_damaged_file(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (torch.zeros(1, 4, 6, 6),))
    (node,) = [n for n in program.graph.nodes if "conv2d" in str(n.target)]
    node.args = (*node.args[:-1], 3)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    (tmp_path / "model.pt2").write_bytes(buffer.getvalue())
    with pytest.raises(
        CompileError, match=r"its 3 groups of 2 channels do not divide 4 input and 6"
    ):
        import_file(tmp_path / "model.pt2")
