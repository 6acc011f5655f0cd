"""Formats of networks with branches: what is proven, what is shared, what is refused."""

import contextlib
import dataclasses
import json
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional

from tests.support.graphs import run_graph
from tests.support.tiers import examples
from tests.unit.compiler.drawn_graphs import networks
from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.ir.compute import run_nodes
from zeroskip.compiler.ir.fixed import layer_results, limits, run_layer
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatAdd,
    FloatConcat,
    FloatConv,
    FloatGraph,
    FloatLinear,
    FloatNode,
    FloatPool,
    QuantConv,
    QuantGraph,
    QuantLinear,
)
from zeroskip.compiler.passes.errors import fixed_point_errors
from zeroskip.compiler.passes.fixed_point import quantize_input
from zeroskip.compiler.passes.partition import arithmetics
from zeroskip.compiler.passes.quantize import quantize
from zeroskip.compiler.passes.report import QuantReport
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams

PARAMS = ScnnParams()


def conv(name: str, source: str, weight: np.ndarray, **change: Any) -> FloatConv:
    layer = FloatConv(name, (source,), weight, np.zeros(len(weight)), (1, 1), (0, 0), 1, relu=False)
    return dataclasses.replace(layer, **change)


def linear(name: str, source: str, weight: np.ndarray, **change: Any) -> FloatLinear:
    layer = FloatLinear(name, (source,), weight, np.zeros(len(weight)), relu=False)
    return dataclasses.replace(layer, **change)


def pool(name: str, source: str, **change: Any) -> FloatPool:
    return dataclasses.replace(
        FloatPool(name, (source,), "max", (2, 2), (2, 2), (0, 0), (2, 2)), **change
    )


def cnn(shape: tuple[int, int, int], *nodes: FloatNode) -> FloatGraph:
    return FloatGraph(shape, nodes, nodes[-1].name)


def rounded(
    network: FloatGraph,
    x: np.ndarray,
    scnn: ScnnParams = PARAMS,
    eie: EieParams | None = None,
    *,
    share: bool = False,
) -> tuple[QuantGraph[Any], QuantReport]:
    """Quantize a network for an SCNN array, and for an EIE array if there is one."""
    return quantize(network, x, arithmetics(network, eie, scnn), share=share)


def floats(graph: FloatGraph, x: np.ndarray) -> dict[str, np.ndarray]:
    return {INPUT: x} | {node.name: y for node, y in run_nodes(graph, x)}


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def residual(**change: Any) -> FloatGraph:
    """Return a ResNet block: two convolutions, and the addition of what they read."""
    last = conv("b", "a", normal(3, 3, 3, 3, seed=2), padding=(1, 1))
    return cnn(
        (2, 6, 6),
        conv("stem", INPUT, normal(3, 2, 1, 1), relu=True),
        conv("a", "stem", normal(3, 3, 3, 3, seed=1), padding=(1, 1), relu=True),
        dataclasses.replace(last, **change),
        FloatAdd("sum", ("b", "stem"), relu=True),
        conv("last", "sum", normal(2, 3, 1, 1, seed=3)),
    )


def reach(layer: QuantConv, lows: list[int], highs: list[int]) -> tuple[int, int]:
    """Return the extreme partial sums, by an adversary, in Python integers."""
    half, sums = (1 << layer.shift) >> 1, [0]
    fan = layer.weight.shape[1]
    per_group = len(layer.weight) // layer.groups
    for k, row in enumerate(layer.weight.tolist()):
        up = down = 0
        for c, taps in enumerate(row):
            at = k // per_group * fan + c
            for w in np.ravel(taps).tolist():
                up += max(w * lows[at], w * highs[at], 0)
                down += min(w * lows[at], w * highs[at], 0)
        bias = int(layer.bias[k]) + half
        sums += [up, down, up + bias, down + bias]
    return min(sums), max(sums)


@examples(120)
@given(
    drawn=networks(),
    code_bits=st.integers(1, 4),
    weight_bits=st.integers(4, 16),
    act_bits=st.integers(4, 16),
    acc_bits=st.integers(24, 40),
    share=st.booleans(),
)
def test_proven_formats(
    drawn: tuple[FloatGraph, np.ndarray],
    code_bits: int,
    weight_bits: int,
    act_bits: int,
    acc_bits: int,
    share: bool,
) -> None:
    network, x = drawn
    params = ScnnParams(
        code_bits=code_bits,
        field_bits=weight_bits,
        weight_bits=weight_bits,
        act_bits=act_bits,
        acc_bits=acc_bits,
    )
    quant = report = None
    with contextlib.suppress(CompileError):
        quant, report = rounded(network, x, params, share=share)
    # A bias can be too large beside inputs that are very fine.
    assume(quant is not None)
    assert report is not None
    assert quant is not None
    graph = quant
    fracs = {INPUT: report.input_frac}
    ends = {INPUT: limits(act_bits)}
    for layer, row in zip(graph.layers, report.layers, strict=True):
        assert {fracs[name] for name in layer.inputs} == {layer.in_frac}
        assert layer.in_shape[0] == sum(graph.shape(name)[0] for name in layer.inputs)
        fracs[layer.name] = layer.out_frac
        assert 0 <= layer.shift < acc_bits
        least, most = limits(weight_bits)
        values = [*layer.weight.ravel(), *(one.weight for one in layer.areas)]
        assert least <= min(values)
        assert max(values) <= most
        if layer.codebook is not None:
            assert layer.codebook[0] == 0
            assert len(layer.codebook) <= 1 << code_bits
            assert np.isin(layer.weight, layer.codebook).all()
        assert share <= (layer.codebook is not None)
        lows = [ends[name][0] for name in layer.inputs for _ in range(graph.shape(name)[0])]
        highs = [ends[name][1] for name in layer.inputs for _ in range(graph.shape(name)[0])]
        assert layer.signed_input == (min(lows) < 0)
        low, high = (0, 0)
        layer = _fullest(layer)
        if layer.op == "add":
            low, high = reach(layer, lows, highs)
            assert -(1 << (acc_bits - 1)) <= low
            assert high < 1 << (acc_bits - 1)
            assert row.acc_bits_needed <= acc_bits
        ends[layer.name] = (0 if layer.relu else limits(act_bits)[0], limits(act_bits)[1])
        if layer.op == "max":
            ends[layer.name] = (max(0, min(lows)) if layer.relu else min(lows), max(highs))
        else:
            floor, top = ends[layer.name]
            # No output is ever beyond its extreme sums.
            first, last = (end >> layer.shift for end in _outputs(layer, lows, highs))
            ends[layer.name] = min(max(first, floor), top), min(max(last, floor), top)
    assert len({fracs[name] for name in graph.outputs}) == 1

    fixed = quantize_input(x, report.input_frac, act_bits)
    tensors = run_graph(graph, fixed, acc_bits, act_bits)
    for layer, result in zip(graph.layers, layer_results(graph, fixed, 64, act_bits), strict=True):
        # No sum wraps; calibration does not saturate.
        np.testing.assert_array_equal(result.output, tensors[layer.name])
        low, high = ends[layer.name]
        assert low <= result.output.min()
        assert result.output.max() <= high


def _fullest(layer: QuantConv) -> QuantConv:
    """Return a layer of one element a window, whose weight is that of the heaviest window."""
    if not layer.areas:
        return layer
    (pt, pl), (sy, sx), (r, s) = layer.padding, layer.stride, layer.weight.shape[2:]
    inside = np.zeros((2 * pt + 50, 2 * pl + 50), np.int64)
    inside[pt : pt + layer.in_shape[1], pl : pl + layer.in_shape[2]] = 1
    most = max(
        one.weight * int(inside[y * sy : y * sy + r, x * sx : x * sx + s].sum())
        for one in layer.areas
        for y in range(one.y0, one.y0 + one.height)
        for x in range(one.x0, one.x0 + one.width)
    )
    weight = np.full((*layer.weight.shape[:2], 1, 1), most)
    return dataclasses.replace(layer, weight=weight, areas=())


def _outputs(layer: QuantConv, lows: list[int], highs: list[int]) -> tuple[int, int]:
    """Return the extreme complete sums, bias and half included."""
    whole = []
    for k in range(len(layer.weight)):
        one = dataclasses.replace(
            layer,
            weight=layer.weight[k : k + 1],
            bias=layer.bias[k : k + 1],
            groups=1,
        )
        fan = layer.weight.shape[1]
        first = k // (len(layer.weight) // layer.groups) * fan
        down, up = reach(
            dataclasses.replace(
                one, bias=np.zeros(1, np.int64), out_frac=layer.in_frac + layer.weight_frac
            ),
            lows[first : first + fan],
            highs[first : first + fan],
        )
        bias = int(layer.bias[k]) + ((1 << layer.shift) >> 1)
        whole += [down + bias, up + bias]
    return min(whole), max(whole)


def test_tensors_read_together_have_one_fraction() -> None:
    network = cnn(
        (2, 4, 4),
        conv("small", INPUT, normal(2, 2, 1, 1) * 0.01),
        conv("large", INPUT, normal(3, 2, 1, 1) * 9, relu=True),
        pool("pooled", "large", kernel=(3, 3), stride=(1, 1), padding=(1, 1), out_size=(4, 4)),
        FloatConcat("inner", ("small", "pooled")),
        FloatConcat("both", ("inner", "small")),
        conv("last", "both", normal(1, 7, 1, 1)),
    )
    quant, _ = rounded(network, normal(8, 2, 4, 4), PARAMS)
    small, large, pooled, last = quant.layers
    assert small.out_frac == large.out_frac == pooled.out_frac == last.in_frac
    assert last.inputs == ("small", "pooled", "small")
    assert (large.signed_input, pooled.signed_input, last.signed_input) == (True, False, True)
    assert (pooled.kind, pooled.op, pooled.groups, pooled.shift) == ("max", "max", 3, 0)
    assert pooled.weight.shape == (3, 1, 3, 3)
    assert pooled.weight.all()


def test_a_linear_reads_several_tensors() -> None:
    network = cnn(
        (2, 4, 4),
        conv("a", INPUT, normal(2, 2, 1, 1)),
        conv("b", INPUT, normal(3, 2, 1, 1) * 50, relu=True),
        FloatConcat("both", ("a", "b")),
        linear("fc", "both", np.ones((2, 80))),
    )
    x = normal(8, 2, 4, 4)
    quant, report = rounded(network, x, PARAMS, EieParams())
    first, second, last = quant.layers
    assert isinstance(last, QuantLinear)
    assert (last.inputs, last.in_shape, last.out_shape) == (("a", "b"), (5, 4, 4), (2, 1, 1))
    assert first.out_frac == second.out_frac == last.in_frac
    assert [layer.engine for layer in report.layers] == ["scnn", "scnn", "eie"]
    # The planes of "a" may be negative, those of "b" not: the sums know it.
    weight = int(last.codebook[1])
    assert report.layers[2].acc_lowest == weight * 16 * (2 * report.layers[0].out_lowest)
    exact = floats(network, x)["fc"]
    fixed = run_graph(quant, quantize_input(x, report.input_frac, 16), 40, 16)["fc"]
    assert np.abs(fixed * 2.0**-last.out_frac - exact).max() < 1e-2 * np.abs(exact).max()


def test_output_may_be_several_tensors() -> None:
    network = cnn(
        (2, 4, 4),
        conv("a", INPUT, normal(2, 2, 1, 1)),
        conv("b", INPUT, normal(3, 2, 1, 1) * 50),
        FloatConcat("both", ("a", "b")),
    )
    quant, _ = rounded(network, normal(8, 2, 4, 4))
    assert quant.outputs == ("a", "b")
    assert quant.layers[0].out_frac == quant.layers[1].out_frac


def test_what_follows_a_linear() -> None:
    """Additions, pooling, convolutions and branches may read what a Linear makes."""
    x = normal(8, 2, 3, 3)
    network = cnn(
        (2, 3, 3),
        linear("a", INPUT, np.sign(normal(4, 18))),
        linear("b", INPUT, np.sign(normal(4, 18, seed=1)), relu=True),
        FloatAdd("sum", ("a", "b"), relu=True),
        conv("c", "sum", normal(3, 4, 1, 1)),
        pool("p", "a", kernel=(1, 1), stride=(1, 1), out_size=(1, 1)),
        FloatConcat("all", ("c", "p", "b")),
        linear("last", "all", np.sign(normal(2, 11))),
    )
    quant, report = rounded(network, x, PARAMS, EieParams())
    assert [layer.kind for layer in quant.layers] == [
        "linear", "linear", "add", "conv", "max", "linear",
    ]  # fmt: skip
    assert quant.layers[0].out_frac == quant.layers[1].out_frac == quant.layers[4].out_frac
    arrays = arithmetics(network, EieParams(), PARAMS)
    report = fixed_point_errors(network, quant, report, x, arrays)
    assert all(row.error and (row.error.snr_db or 0) > 40 for row in report.layers)
    assert report.activity.keys() == {"a", "b", "last"}
    assert report.activity["last"].shape == (11,)


def test_addition_joins_a_convolution() -> None:
    network, x = residual(), normal(8, 2, 6, 6)
    quant, report = rounded(network, x, PARAMS)
    assert [layer.name for layer in quant.layers] == ["stem", "a", "b", "last"]
    fused = quant.layers[2]
    assert (fused.kind, fused.inputs, fused.in_shape) == ("conv", ("a", "stem"), (6, 6, 6))
    assert (fused.relu, report.layers[2].node) == (True, "sum")
    identity = np.zeros((3, 3, 3, 3), np.int64)
    identity[range(3), range(3), 1, 1] = 1 << fused.weight_frac
    np.testing.assert_array_equal(fused.weight[:, 3:], identity)
    assert fused.codebook is not None
    assert 1 << fused.weight_frac in fused.codebook
    fixed = run_graph(quant, quantize_input(x, report.input_frac, 16), 32, 16)
    exact = floats(network, x)["sum"]
    assert np.abs(fixed["b"] * 2.0**-fused.out_frac - exact).max() < 5e-3


@pytest.mark.parametrize(
    "change",
    [
        {"relu": True},
        {"weight": normal(3, 3, 3, 3) * 1e-4},  # Weights far below 1 keep their own format.
        {"weight": normal(3, 1, 3, 3), "groups": 3},
        {"inputs": ("stem",)},  # Nothing is read twice.
    ],
)
def test_addition_of_its_own(change: dict[str, Any]) -> None:
    network, x = residual(**change), normal(8, 2, 6, 6)
    quant, report = rounded(network, x, PARAMS)
    layer = next(layer for layer in quant.layers if layer.kind == "add")
    assert (layer.name, layer.inputs, layer.in_shape) == ("sum", ("b", "stem"), (6, 6, 6))
    assert layer.relu
    assert np.array_equal(layer.weight[:, :, 0, 0], np.tile(np.eye(3), 2))
    fixed = run_graph(quant, quantize_input(x, report.input_frac, 16), 32, 16)
    exact = floats(network, x)["sum"]
    assert np.abs(fixed["sum"] * 2.0**-layer.out_frac - exact).max() < 5e-3


def test_addition_joins_only_where_its_operand_is_not_read_otherwise() -> None:
    network = cnn(
        (2, 4, 4),
        conv("a", INPUT, normal(2, 2, 1, 1)),
        conv("b", "a", normal(2, 2, 1, 1, seed=1)),
        FloatAdd("sum", ("a", "b"), relu=False),
        FloatConcat("both", ("sum", "b")),
    )
    quant, _ = rounded(network, normal(4, 2, 4, 4), PARAMS)
    assert [layer.kind for layer in quant.layers] == ["conv", "conv", "add"]


@pytest.mark.parametrize(("kernel", "exact"), [((4, 4), True), ((3, 3), False), ((13, 13), False)])
def test_average_divides_as_exactly_as_sums_allow(kernel: tuple[int, int], exact: bool) -> None:
    network = cnn(
        (3, 13, 13),
        pool(
            "mean", INPUT, kind="avg", kernel=kernel, stride=(1, 1), out_size=(14 - kernel[0],) * 2
        ),
    )
    quant, _ = rounded(network, normal(4, 3, 13, 13), PARAMS)
    (layer,) = quant.layers
    value = Fraction(int(layer.weight.flat[0])) / (1 << layer.weight_frac)
    error = abs(value * kernel[0] * kernel[1] - 1)
    assert error == 0 if exact else 0 < error < 1e-3
    assert np.unique(layer.weight).size == 1
    assert layer.codebook is not None
    assert layer.codebook.tolist() == [0, layer.weight.flat[0]]
    # Nothing finer that is safe divides better.
    for frac in range(layer.weight_frac, 30):
        weight = round(2**frac / (kernel[0] * kernel[1]))
        if weight * kernel[0] * kernel[1] << 15 < 1 << 31:
            assert abs(Fraction(weight * kernel[0] * kernel[1], 2**frac) - 1) >= error


@pytest.mark.parametrize(
    ("plane", "change", "divisors"),
    [
        (
            (4, 4),
            {"padding": (1, 1), "out_size": (3, 3), "count_include_pad": False},
            [[1, 2, 1], [2, 4, 2], [1, 2, 1]],
        ),
        ((5, 5), {"out_size": (3, 3)}, [[4, 4, 2], [4, 4, 2], [2, 2, 1]]),
        # Padding counts, but what is beyond it does not.
        (
            (5, 6),
            {"kernel": (3, 3), "stride": (3, 2), "padding": (1, 1), "out_size": (2, 4)},
            [[9, 9, 9, 6], [9, 9, 9, 6]],
        ),
    ],
)
def test_average_of_different_divisors(
    plane: tuple[int, int], change: dict[str, Any], divisors: list[list[int]]
) -> None:
    network = cnn((2, *plane), pool("mean", INPUT, kind="avg", **change))
    quant, report = rounded(network, normal(4, 2, *plane), PARAMS)
    (layer,) = quant.layers
    made = np.zeros(layer.out_shape[1:], np.int64)
    for one in layer.areas:
        made[one.y0 : one.y0 + one.height, one.x0 : one.x0 + one.width] += one.weight
    exact = 2.0**layer.weight_frac / np.array(divisors)
    np.testing.assert_array_equal(made, np.rint(exact))
    assert np.abs(made / exact - 1).max() < 1e-3
    largest = max(layer.areas, key=lambda one: one.height * one.width)
    assert (
        layer.weight.tolist() == np.full((2, 1, *layer.weight.shape[2:]), largest.weight).tolist()
    )
    assert layer.codebook is not None
    assert layer.codebook.tolist() == [0, largest.weight]
    assert report.layers[0].values == len(np.unique(divisors))
    assert report.layers[0].weight_error == np.abs(made - exact).max() / 2**layer.weight_frac


@pytest.mark.parametrize("acc_bits", [21, 23, 26, 32])
def test_different_divisors_cannot_overflow(acc_bits: int) -> None:
    """Weights of a corner's window are large, but it has few elements: its sum is no larger."""
    change = {"kernel": (4, 4), "stride": (1, 1), "padding": (2, 2), "out_size": (9, 9)}
    node = pool("mean", INPUT, kind="avg", **change, count_include_pad=False)
    params = dataclasses.replace(PARAMS, acc_bits=acc_bits)
    quant, report = rounded(cnn((1, 8, 8), node), normal(4, 1, 8, 8), params)
    (layer,) = quant.layers
    low, high = reach(_fullest(layer), [-1 << 15], [(1 << 15) - 1])
    # The largest input, 2**15, and about 2**weight_frac; rounding adds at most one bit.
    needed = max((-low - 1).bit_length(), high.bit_length()) + 1
    assert needed == report.layers[0].acc_bits_needed <= acc_bits
    assert needed <= layer.weight_frac + 15 + 2
    for value in (low, high):
        full = np.full((1, 1, 8, 8), -1 << 15 if value == low else (1 << 15) - 1)
        wide, _ = run_layer(layer, full, acc_bits=64, act_bits=16)
        made, _ = run_layer(layer, full, acc_bits=acc_bits, act_bits=16)
        np.testing.assert_array_equal(made, wide)


@pytest.mark.parametrize("divisor", [1, 3, 100, -2])
def test_divisor_of_its_own(divisor: int) -> None:
    change = {"padding": (1, 1), "out_size": (4, 4), "divisor": divisor, "kernel": (3, 3)}
    network = cnn((2, 7, 7), pool("mean", INPUT, kind="avg", **change))
    x = normal(4, 2, 7, 7)
    quant, report = rounded(network, x, PARAMS)
    (layer,) = quant.layers
    assert not layer.areas
    (made,) = np.unique(layer.weight)
    assert made == pytest.approx(2.0**layer.weight_frac / divisor, rel=1e-3)
    fixed = run_graph(quant, quantize_input(x, report.input_frac, 16), 32, 16)["mean"]
    exact = functional.avg_pool2d(torch.from_numpy(x), 3, 2, 1, divisor_override=divisor)
    assert np.abs(fixed * 2.0**-layer.out_frac - exact.numpy()).max() < 1e-2


def test_few_weights_make_a_codebook_and_many_do_not() -> None:
    params = ScnnParams(code_bits=4)
    few = conv("few", INPUT, np.repeat(normal(15), 2).reshape(2, 3, 5, 1), padding=(2, 0))
    many = conv("many", INPUT, normal(4, 3, 2, 2), stride=(2, 2))
    network = cnn((3, 8, 1), few)
    quant, _ = rounded(network, normal(4, 3, 8, 1), params)
    book = quant.layers[0].codebook
    assert book is not None
    assert len(book) == 16
    network, x = cnn((3, 8, 8), many), normal(4, 3, 8, 8)
    quant, report = rounded(network, x, params)
    assert quant.layers[0].codebook is None
    assert not report.layers[0].codebook
    quant, report = rounded(network, x, params, share=True)
    book = quant.layers[0].codebook
    assert book is not None
    assert len(book) <= 16
    assert report.layers[0].clustered


def test_plain_weights_fit_their_fields() -> None:
    params = ScnnParams(code_bits=2, field_bits=6)
    quant, _ = rounded(
        cnn((3, 4, 4), conv("a", INPUT, normal(4, 3, 2, 2))), normal(4, 3, 4, 4), params
    )
    weight = quant.layers[0].weight
    assert quant.layers[0].codebook is None
    assert 16 <= np.abs(weight).max() <= 32


def test_report_has_errors_of_golden() -> None:
    nodes = (*residual().nodes, linear("fc", "last", np.sign(normal(3, 72))))
    network, x = cnn((2, 6, 6), *nodes), normal(8, 2, 6, 6)
    quant, report = rounded(network, x, PARAMS, EieParams())
    arrays = arithmetics(network, EieParams(), PARAMS)
    report = fixed_point_errors(network, quant, report, x, arrays)
    exact = floats(network, x)
    fixed = run_graph(quant, quantize_input(x, report.input_frac, 16), 32, 16)
    for row in report.layers:
        difference = fixed[row.name] * 2.0**-row.out_frac - exact[row.node]
        assert row.error is not None
        assert row.error.max_abs == np.abs(difference).max()
        assert row.error.saturated == 0
        assert row.error.snr_db is not None
        assert row.error.snr_db > 50
    stem = np.count_nonzero(fixed["stem"]) / fixed["stem"].size
    assert report.layers[1].in_density == report.layers[0].out_density == pytest.approx(stem)
    assert report.densities == {
        name: pytest.approx(np.count_nonzero(value) / value.size) for name, value in fixed.items()
    }
    assert json.loads(json.dumps(report.to_dict()))["layers"][0]["name"] == "stem"


@pytest.mark.parametrize(
    ("network", "x", "error", "message"),
    [
        (
            residual(),
            normal(2, 2, 5, 6),
            InputError,
            "calibration must have shape (samples, 2, 6, 6)",
        ),
        (residual(), normal(2, 2, 6, 6) * np.nan, InputError, "NaN"),
        (
            cnn((2, 6, 6), conv("a", INPUT, normal(2, 3, 1, 1))),
            normal(2, 2, 6, 6),
            CompileError,
            "layer 'a' takes 3 channels, but gets 2",
        ),
        (
            cnn((4, 6, 6), conv("a", INPUT, normal(2, 2, 1, 1), groups=3)),
            normal(2, 4, 6, 6),
            CompileError,
            "layer 'a' has 3 groups, which do not divide its 4 input and 2 output channels",
        ),
        (
            cnn((2, 2, 6), conv("a", INPUT, normal(2, 2, 3, 3))),
            normal(2, 2, 2, 6),
            CompileError,
            "layer 'a' makes an empty tensor (2, 0, 4) of one of shape (2, 2, 6)",
        ),
        (
            cnn((2, 6, 6), conv("a", INPUT, normal(2, 2, 1, 1) * 1e308)),
            normal(2, 2, 6, 6) * 1e3,
            CompileError,
            "layer 'a' overflows float64",
        ),
        (
            cnn((2, 6, 6), conv("a", INPUT, normal(2, 2, 1, 1), bias=np.array([1e9, 0]))),
            normal(2, 2, 6, 6) * 1e-9,
            CompileError,
            "layer 'a' has no fixed-point format that cannot overflow",
        ),
    ],
)
def test_refusals(network: FloatGraph, x: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        rounded(network, x, PARAMS)


def test_refuses_weights_that_a_shared_format_cannot_have() -> None:
    network = cnn(
        (1, 4, 4),
        conv("huge", INPUT, np.full((1, 1, 1, 1), 1e6)),
        FloatConcat("both", ("huge", INPUT)),
    )
    with pytest.raises(CompileError, match="'huge' has no fixed-point format that those which"):
        rounded(network, normal(2, 1, 4, 4), PARAMS)


def test_evaluates_a_graph_in_order() -> None:
    graph = FloatGraph((1, 4, 4), (conv("a", "b", normal(1, 1, 1, 1)),), "a")
    with pytest.raises(CompileError, match="'a' reads 'b', which is not made before"):
        list(run_nodes(graph, normal(1, 1, 4, 4)))
    assert QuantGraph((1, 4, 4), (), (INPUT,)).shape(INPUT) == (1, 4, 4)
