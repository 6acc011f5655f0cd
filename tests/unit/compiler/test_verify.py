"""Graphs that a pass broke are found, and the pass is named."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.base.errors import CompileError
from zeroskip.compiler.api import compile
from zeroskip.compiler.frontend.networks import import_module
from zeroskip.compiler.ir.graph import FloatGraph, QuantConv, QuantGraph, QuantLinear
from zeroskip.compiler.ir.verify import verify_graph

X = torch.linspace(-1, 1, 8 * 2 * 6 * 6).reshape(8, 2, 6, 6)


def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 4)
    ).eval()


def float_graph() -> FloatGraph:
    return import_module(module(), X[:1])


def quant_graph() -> QuantGraph[Any]:
    return compile(module(), X[:1], X).graph


def changed(graph: Any, at: int, **fields: Any) -> Any:
    """Return a graph whose node, or layer, number ``at`` has other ``fields``."""
    key = "nodes" if isinstance(graph, FloatGraph) else "layers"
    nodes = list(getattr(graph, key))
    nodes[at] = replace(nodes[at], **fields)
    return replace(graph, **{key: tuple(nodes)})


def test_whole_graphs_pass() -> None:
    verify_graph(float_graph(), "the test")
    verify_graph(quant_graph(), "the test")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "input"}, "two layers have the name 'input'"),
        ({"name": "2"}, "two layers have the name '2'|reads '0'"),
        ({"inputs": ("4",)}, "layer '0' reads '4', which is not made before"),
        ({"weight": np.ones((3, 1, 3, 3))}, "layer '0' takes 1 channels, but gets 2"),
        ({"weight": np.ones((3, 2, 9, 3))}, "layer '0' makes an empty tensor"),
        ({"weight": np.ones((5, 2, 3, 3))}, "has 3 biases|takes 12 values"),
        ({"bias": np.zeros(4)}, "layer '0' has 4 biases for 3 outputs"),
        ({"bias": np.full(3, np.inf)}, "layer '0' has 3 weights and biases that are NaN or inf"),
        ({"weight": np.full((3, 2, 3, 3), np.nan)}, "layer '0' has 54 weights and biases"),
    ],
)
def test_broken_in_float(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(
        CompileError, match=f"^the pass made a network that is not one: .*{message}"
    ):
        verify_graph(changed(float_graph(), 0, **fields), "the pass")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"nodes": ()}, "the network has no layer"),
        ({"output": "9"}, "the network's output '9' is not made by any layer"),
        ({"sample_shape": (5,)}, r"samples of shape \(5,\) are not inputs of shape \(2, 6, 6\)"),
    ],
)
def test_broken_as_a_whole(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(CompileError, match=message):
        verify_graph(replace(float_graph(), **fields), "the pass")


@pytest.mark.parametrize(
    ("at", "fields", "message"),
    [
        (1, {"name": "0"}, "two layers have the name '0'"),
        (1, {"inputs": ("4",)}, "layer '2' reads '4', which is not made before"),
        (1, {"inputs": ()}, "layer '2' reads nothing"),
        (1, {"inputs": ("0", "0")}, r"layer '2' takes \(3, 4, 4\), but gets \(6, 4, 4\)"),
        (1, {"in_frac": 99}, "layer '2' takes 99 fraction bits, but '0' has"),
        (2, {"in_frac": 99}, "layer '4' takes 99 fraction bits, but '2' has"),
        (0, {"bias": np.zeros(7, np.int64)}, "layer '0' has weights and biases for other shapes"),
        (2, {"bias": np.zeros(7, np.int64)}, "layer '4' has weights and biases for other shapes"),
        (0, {"groups": 2}, "layer '0' has weights and biases for other shapes or groups"),
        (0, {"groups": 0}, "layer '0' has weights and biases for other shapes or groups"),
        (0, {"weight": np.ones((3, 2), np.int64)}, "layer '0' has weights and biases for other"),
        (0, {"stride": (0, 1)}, "the stride of layer '0' must be at least 1"),
        (0, {"weight_frac": 99}, "the shift of layer '0' .* must be from 0 to 63, not"),
        (2, {"out_frac": 99}, "the shift of layer '4' .* must be from 0 to 63, not -"),
        (1, {"bias": np.ones(3, np.int64)}, "layer '2' is a maximum: it must have weights 1"),
        (1, {"padding": (2, 0)}, "layer '2' is a maximum: its windows must not lie in padding"),
        (0, {"codebook": np.zeros(4, np.int64)}, "layer '0' has weights that its codebook has not"),
        (2, {"codebook": np.zeros(1, np.int64)}, "layer '4' has weights that its codebook has not"),
    ],
)
def test_broken_in_fixed_point(at: int, fields: dict[str, Any], message: str) -> None:
    graph = quant_graph()
    assert [type(one) for one in graph.layers] == [QuantConv, QuantConv, QuantLinear]
    with pytest.raises(CompileError, match=message):
        verify_graph(changed(graph, at, **fields), "the pass")


def test_outputs_in_fixed_point() -> None:
    with pytest.raises(CompileError, match="the network gives 'none', which is not made before"):
        verify_graph(replace(quant_graph(), outputs=("none",)), "the pass")


def test_outputs_side_by_side_have_one_fraction() -> None:
    graph = quant_graph()
    frac = graph.layers[0].out_frac
    same = replace(changed(graph, 2, out_frac=frac), outputs=("0", "4"))
    verify_graph(same, "the pass")
    with pytest.raises(CompileError, match="gives '0', '4' side by side, which have different"):
        verify_graph(changed(same, 2, out_frac=frac - 1), "the pass")
