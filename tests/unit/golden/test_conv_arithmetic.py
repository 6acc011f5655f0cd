"""The arithmetic of convolutions against PyTorch on integers, and by hand."""

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from tests.support.graphs import run_graph
from tests.support.tiers import examples
from zeroskip.compiler.ir.fixed import layer_results, run_layer
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph


def conv(**change: Any) -> QuantConv:
    """Return a 1x1 layer of one channel and weight 1, with changes."""
    layer = QuantConv(
        name="one",
        kind="conv",
        inputs=(INPUT,),
        in_shape=(1, 2, 2),
        out_shape=(1, 2, 2),
        weight=np.ones((1, 1, 1, 1), np.int64),
        codebook=None,
        bias=np.zeros(1, np.int64),
        stride=(1, 1),
        padding=(0, 0),
        groups=1,
        relu=False,
        op="add",
        signed_input=True,
        in_frac=0,
        weight_frac=0,
        out_frac=0,
    )
    return dataclasses.replace(layer, **change)


def saturate(acc: torch.Tensor, layer: QuantConv, acc_bits: int, act_bits: int) -> torch.Tensor:
    """Wrap, round, saturate and clip in Python's own way."""
    size = 1 << acc_bits
    acc = acc + torch.from_numpy(layer.bias)[:, None, None] + (1 << layer.shift) // 2
    acc = (acc + size // 2).remainder(size) - size // 2
    low, high = -(1 << (act_bits - 1)), (1 << (act_bits - 1)) - 1
    y = torch.div(acc, 1 << layer.shift, rounding_mode="floor").clamp(low, high)
    return y.clamp(min=0) if layer.relu else y


def reference(
    graph: QuantGraph, modes: dict[str, Any], x: np.ndarray, acc_bits: int, act_bits: int
) -> dict[str, np.ndarray]:
    """Run the graph with torch's own convolution and pooling."""
    tensors = {INPUT: torch.from_numpy(x)}
    for layer in graph.layers:
        value = torch.cat([tensors[name] for name in layer.inputs], dim=1)
        if layer.op == "max":
            acc = functional.max_pool2d(value.double(), **modes[layer.name]).long()
        elif layer.kind == "avg":
            # torch divides; the engine multiplies: the sum itself is what both have.
            acc = functional.avg_pool2d(value.double(), divisor_override=1, **modes[layer.name])
            acc = acc.long() * int(layer.weight.flat[0])
        elif layer.kind == "add":
            first, second = (tensors[name] for name in layer.inputs)
            acc = first + second
        else:
            acc = functional.conv2d(value, torch.from_numpy(layer.weight), **modes[layer.name])
        tensors[layer.name] = saturate(acc, layer, acc_bits, act_bits)
    return {name: value.numpy() for name, value in tensors.items()}


@st.composite
def networks(draw: st.DrawFn) -> tuple[QuantGraph, dict[str, Any], np.ndarray, int, int]:
    """Draw a network, torch's words for its layers, its input, acc_bits and act_bits."""
    act_bits, acc_bits = draw(st.integers(2, 16)), draw(st.integers(16, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    shapes, layers, modes = {INPUT: shape}, [], {}
    for index in range(draw(st.integers(1, 4))):
        name = f"layer{index}"
        first = draw(st.sampled_from(sorted(shapes)))
        mates = [other for other in shapes if shapes[other][1:] == shapes[first][1:]]
        inputs = (first, *draw(st.lists(st.sampled_from(mates), max_size=2)))
        c, h, w = sum(shapes[one][0] for one in inputs), *shapes[first][1:]
        kind: Any = draw(st.sampled_from(["conv", "conv", "max", "avg", "add"]))
        twins = [one for one in mates if shapes[one] == shapes[first]]
        if kind == "add":
            inputs = (first, draw(st.sampled_from(twins)))
            k = shapes[first][0]
            c, kernel, stride, padding, groups = 2 * k, (1, 1), (1, 1), (0, 0), 1
            weight = np.tile(np.eye(k, dtype=np.int64), 2)[:, :, None, None]
            ceil = False
        else:
            padding = (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
            if kind != "conv":
                padding = tuple(min(p, s // 2) for p, s in zip(padding, (h, w), strict=True))
            kernel = tuple(
                draw(st.integers(max(1, 2 * p if kind != "conv" else 1), min(5, s + 2 * p)))
                for p, s in zip(padding, (h, w), strict=True)
            )
            stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
            groups = (
                c
                if kind != "conv"
                else draw(st.sampled_from([g for g in (1, 2, 3, c) if c % g == 0]))
            )
            k = c if kind != "conv" else groups * draw(st.integers(1, 3))
            weight = rng.integers(-(2**15), 2**15, (k, c // groups, *kernel))
            weight *= rng.random(weight.shape) < 0.7
            if kind != "conv":
                weight = np.full((k, 1, *kernel), 1 if kind == "max" else rng.integers(1, 999))
            ceil = kind != "conv" and draw(st.booleans())
        words = {"stride": stride, "padding": padding}
        trial = torch.zeros(1, c, h, w)
        if kind == "conv":
            words["groups"] = groups
            size = functional.conv2d(trial, torch.zeros(weight.shape), **words).shape[2:]
        elif kind == "add":
            size = (h, w)
        else:
            words |= {"kernel_size": kernel, "ceil_mode": ceil}
            size = functional.max_pool2d(trial, **words).shape[2:]
        shift = 0 if kind == "max" else draw(st.integers(0, 15))
        bias = rng.integers(-(2**20), 2**20, k) if kind == "conv" else np.zeros(k, np.int64)
        layers.append(
            QuantConv(
                name=name,
                kind=kind,
                inputs=inputs,
                in_shape=(c, h, w),
                out_shape=(k, size[0], size[1]),
                weight=weight,
                codebook=None,
                bias=bias,
                stride=stride,
                padding=(padding[0], padding[1]),
                groups=groups,
                relu=draw(st.booleans()),
                op="max" if kind == "max" else "add",
                signed_input=True,
                in_frac=0,
                weight_frac=0,
                out_frac=-shift,
            )
        )
        modes[name] = words
        shapes[name] = layers[-1].out_shape
    limit = 1 << (act_bits - 1)
    x = rng.integers(-limit, limit, (draw(st.integers(1, 3)), *shape))
    return QuantGraph(shape, tuple(layers), (layers[-1].name,)), modes, x, acc_bits, act_bits


@examples(300)
@given(networks())
def test_same_bits_as_torch(drawn: Any) -> None:
    graph, modes, x, acc_bits, act_bits = drawn
    expected = reference(graph, modes, x, acc_bits, act_bits)
    made = run_graph(graph, x, acc_bits, act_bits)
    assert made.keys() == expected.keys()
    for name, value in made.items():
        assert value.dtype == np.int64
        assert value.shape[1:] == graph.shape(name)
        np.testing.assert_array_equal(value, expected[name])


def test_sums_beyond_float64_wrap_exactly() -> None:
    rng = np.random.default_rng(0)
    weight = rng.integers(-(2**62), 2**62, (3, 2, 2, 2))
    x = rng.integers(-(2**15), 2**15, (2, 2, 4, 4))
    layer = conv(in_shape=(2, 4, 4), out_shape=(3, 3, 3), weight=weight, bias=np.zeros(3, np.int64))
    made, _ = run_layer(layer, x, acc_bits=64, act_bits=16)
    for n, k, p, q in np.ndindex(*made.shape):
        window = x[n, :, p : p + 2, q : q + 2]
        total = sum(int(a) * int(b) for a, b in zip(window.flat, weight[k].flat, strict=True))
        total = (total + 2**63) % 2**64 - 2**63
        assert made[n, k, p, q] == min(max(total, -(2**15)), 2**15 - 1)


@pytest.mark.parametrize(
    ("value", "shift", "relu", "output", "saturated"),
    [
        (5, 1, False, 3, 0),  # Halves go up,
        (-5, 1, False, -2, 0),  # below zero, too.
        (-5, 1, True, 0, 0),
        (120, 0, False, 7, 1),
        (-120, 0, False, -8, 1),
        (-120, 0, True, 0, 0),
        (128, 0, False, -8, 1),  # The accumulator has wrapped.
        (127, 1, False, -8, 1),  # So it has with the half that rounds.
    ],
)
def test_arithmetic(value: int, shift: int, relu: bool, output: int, saturated: int) -> None:
    layer = conv(
        in_shape=(1, 1, 1), out_shape=(1, 1, 1), bias=np.array([value]), out_frac=-shift, relu=relu
    )
    y, count = run_layer(layer, np.zeros((1, 1, 1, 1), np.int64), acc_bits=8, act_bits=4)
    assert (int(y.item()), int(count.item())) == (output, saturated)


def test_samples_do_not_depend_on_how_many_go_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    layer = conv(
        in_shape=(3, 8, 8),
        out_shape=(4, 8, 8),
        weight=rng.integers(-9, 9, (4, 3, 3, 3)),
        bias=np.zeros(4, np.int64),
        padding=(1, 1),
    )
    x = rng.integers(-9, 9, (5, 3, 8, 8))
    whole = run_layer(layer, x, acc_bits=32, act_bits=16)[0]
    monkeypatch.setattr("zeroskip.compiler.ir.windows._BLOCK", 3 * 9 * 8 * 3)
    np.testing.assert_array_equal(run_layer(layer, x, acc_bits=32, act_bits=16)[0], whole)


def test_results_come_in_order_with_saturation() -> None:
    layers = (conv(name="a", bias=np.array([7])), conv(name="b", inputs=("a",)))
    graph = QuantGraph((1, 2, 2), layers, ("b",))
    x = np.array([[[[0, 1], [-1, 7]]], [[[0, 0], [0, 0]]]])
    results = list(layer_results(graph, x, acc_bits=16, act_bits=4))
    assert [one.layer.name for one in results] == ["a", "b"]
    assert results[0].saturated.tolist() == [2, 0]
    assert results[1].saturated.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"in_shape": (2, 2, 2)}, "must get (2, 2, 2), not (1, 2, 2)"),
        ({"out_frac": 1}, "shift must be from 0 to 63, not -1"),
        ({"inputs": ("b",)}, "tensor 'b' must be made before it is read"),
    ],
)
def test_refuses(change: dict[str, Any], message: str) -> None:
    graph = QuantGraph((1, 2, 2), (conv(**change),), ("one",))
    with pytest.raises(ValueError, match=re.escape(message)):
        run_graph(graph, np.zeros((1, 1, 2, 2), np.int64), 32, 16)


def test_refuses_activations_that_are_too_wide() -> None:
    graph = QuantGraph((1, 2, 2), (conv(),), ("one",))
    with pytest.raises(ValueError, match=re.escape("must be from -8 to 7 (4 bits), not 0 to 8")):
        run_graph(graph, np.array([[[[0, 0], [0, 8]]]]), 32, 4)
    with pytest.raises(ValueError, match=re.escape("inputs must be (samples, 1, 2, 2)")):
        run_graph(graph, np.zeros((1, 2, 2), np.int64), 32, 4)
