"""No sum overflows: each layer's proof against ranges worked out by themselves, and driven."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.sparse import csc_array

from tests.support.tiers import examples
from tests.unit.compiler.drawn_graphs import chains, networks_with_tails
from tests.unit.compiler.reachable import Reach, of_chain, of_cnn
from tests.unit.golden.unbounded import run_conv, run_linear
from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.fixed import run_layer
from zeroskip.compiler.ir.graph import FloatCnn, FloatConv, FloatGraph, QuantConv
from zeroskip.compiler.ir.network import FloatLayer, FloatNetwork, QuantLayer
from zeroskip.compiler.passes.fixed_point import limits
from zeroskip.compiler.passes.quantize import quantize as quantize_chain
from zeroskip.compiler.passes.report import LayerReport
from zeroskip.compiler.scnn.quantize import quantize
from zeroskip.compiler.scnn.quantize_report import ConvReport, fixed_point_errors
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams


def hold(facts: LayerReport | ConvReport, true: Reach, acc_bits: int) -> None:
    """Hold what a report claims against what can really be."""
    assert facts.in_lowest <= true.inputs[0]
    assert true.inputs[1] <= facts.in_highest
    assert facts.acc_lowest <= true.sums[0]
    assert true.sums[1] <= facts.acc_highest
    if isinstance(facts, ConvReport):
        assert facts.out_lowest <= true.outputs[0]
        assert true.outputs[1] <= facts.out_highest
    least, most = limits(facts.acc_bits_needed)
    assert least <= facts.acc_lowest
    assert facts.acc_highest <= most
    assert facts.acc_bits_needed <= acc_bits


def drive_linear(layer: QuantLayer, facts: LayerReport, acc_bits: int, act_bits: int) -> None:
    """Give a layer the inputs that its proof calls worst: the sums are what it says, and fit."""
    ends = facts.in_lowest, facts.in_highest
    reached = [0]
    for row in layer.codebook[layer.codes.toarray()].tolist():
        for sign in (1, -1):
            x = [max((*ends, 0), key=lambda a, w=sign * w: (w * a, -abs(a))) for w in row]
            made = run_linear(layer, x, act_bits, acc_bits)
            reached += [*made.sums, *made.totals]
            _same_as_golden_linear(layer, x, made.outputs, acc_bits, act_bits)
    assert (facts.acc_lowest, facts.acc_highest) == (min(reached), max(reached))


def _same_as_golden_linear(
    layer: QuantLayer, x: list[int], outputs: list[int], acc_bits: int, act_bits: int
) -> None:
    y, _ = run_layer(layer, np.array([x]), act_bits=act_bits, acc_bits=acc_bits)
    assert y.ravel().tolist() == outputs


def drive_conv(
    layer: QuantConv, facts: ConvReport, ends: list[tuple[int, int]], acc_bits: int, act_bits: int
) -> None:
    """Do the same with a convolution; ``ends`` are those of each input channel.

    In one place, whose window is whole; or, of an average, in all places with the same input.
    """
    (depth, fan), channels = layer.weight.shape[:2], layer.in_shape[0]
    one = layer
    if layer.op == "add" and not layer.areas:
        kernel = layer.weight.shape[2], layer.weight.shape[3]
        one = dataclasses.replace(
            layer,
            in_shape=(channels, *kernel),
            out_shape=(depth, 1, 1),
            stride=(1, 1),
            padding=(0, 0),
        )
    reached = [0] if layer.op == "add" else []
    for k, sign in itertools.product(range(depth), (1, -1)):
        x = np.zeros(one.in_shape, np.int64)
        first = k // (depth // layer.groups) * fan
        for c, (low, high) in enumerate(ends):
            choices = (low, high) if layer.op == "max" else (min(low, 0), max(high, 0))
            if one is layer:
                x[c] = max(choices, key=lambda a: sign * a)
            elif first <= c < first + fan:
                x[c] = np.where(sign * layer.weight[k, c - first] > 0, choices[1], choices[0])
        made = run_conv(one, x, act_bits, acc_bits)
        reached += [*made.sums, *made.totals]
        y, _ = run_layer(one, x[None], acc_bits=acc_bits, act_bits=act_bits)
        assert y.ravel().tolist() == made.outputs
    assert (facts.acc_lowest, facts.acc_highest) == (min(reached), max(reached))


@examples(300)
@given(
    drawn=networks_with_tails(),
    act_bits=st.integers(4, 16),
    scnn_acc=st.integers(16, 40),
    eie_acc=st.integers(16, 40),
)
def test_networks_of_both_engines(
    drawn: tuple[FloatCnn, np.ndarray], act_bits: int, scnn_acc: int, eie_acc: int
) -> None:
    network, x = drawn
    params = ScnnParams(act_bits=act_bits, acc_bits=scnn_acc)
    tail_params = EieParams(act_bits=act_bits, acc_bits=eie_acc)
    try:
        cnn, report = quantize(network, x, params, tail_params)
    except CompileError:
        assume(False)
        raise
    assert cnn.tail is not None
    assert report.tail is not None
    true = of_cnn(cnn, act_bits)
    ends = {"input": limits(act_bits)}
    for layer, facts in zip(cnn.graph.layers, report.layers, strict=True):
        hold(facts, true[layer.name], scnn_acc)
        read = [ends[name] for name in layer.inputs for _ in range(cnn.graph.shape(name)[0])]
        assert facts.in_lowest == min(low for low, _ in read)
        assert facts.in_highest == max(high for _, high in read)
        drive_conv(layer, facts, read, scnn_acc, act_bits)
        ends[layer.name] = facts.out_lowest, facts.out_highest
    for layer, facts in zip(cnn.tail.layers, report.tail.layers, strict=True):
        hold(facts, true[layer.name], eie_acc)
        drive_linear(layer, facts, eie_acc, act_bits)


@examples(100)
@given(
    data=st.data(),
    inputs=st.integers(1, 8),
    act_bits=st.integers(2, 32),
    acc_bits=st.integers(8, 64),
    in_limits=st.none() | st.tuples(st.integers(-9, 0), st.integers(0, 9)),
)
def test_chains(
    data: st.DataObject,
    inputs: int,
    act_bits: int,
    acc_bits: int,
    in_limits: tuple[int, int] | None,
) -> None:
    assume(acc_bits >= act_bits)
    if in_limits is not None:
        least, most = limits(act_bits)
        in_limits = max(in_limits[0], least), min(in_limits[1], most)
    network = FloatNetwork((inputs,), data.draw(chains(inputs)))
    params = EieParams(act_bits=act_bits, acc_bits=acc_bits)
    x = np.random.default_rng(1).normal(size=(5, inputs))
    try:
        rounded, report = quantize_chain(network, x, params, in_limits=in_limits)
    except CompileError:
        assume(False)
        raise
    true = of_chain(rounded.layers, [in_limits or limits(act_bits)] * inputs, act_bits)
    for layer, facts, one in zip(rounded.layers, report.layers, true, strict=True):
        hold(facts, one, acc_bits)
        drive_linear(layer, facts, acc_bits, act_bits)


def negative_output() -> tuple[FloatCnn, np.ndarray]:
    """Return convolutions whose output is never positive, and Linears that turn it around."""
    conv = FloatConv(
        "neg", ("input",), -np.ones((2, 2, 1, 1)), np.zeros(2), (1, 1), (0, 0), 1, relu=False
    )
    first = dataclasses.replace(conv, name="pos", weight=np.eye(2)[:, :, None, None], relu=True)
    tail = (
        FloatLayer("turn", -np.eye(32), np.zeros(32), relu=True),
        FloatLayer("sum", np.ones((3, 32)), np.zeros(3), relu=False),
    )
    graph = FloatGraph((2, 4, 4), (first, dataclasses.replace(conv, inputs=("pos",))), "neg")
    return FloatCnn(graph, FloatNetwork((2, 4, 4), tail)), np.linspace(0.1, 1, 320)


def test_a_hidden_layer_reaches_what_the_output_of_convolutions_does_not() -> None:
    """The limits of each Linear are those of its own input, not of the first one's."""
    network, numbers = negative_output()
    x = numbers.reshape(-1, 2, 4, 4)
    cnn, report = quantize(network, x, ScnnParams(), EieParams())
    assert report.tail is not None
    assert [(one.in_lowest, one.in_highest) for one in report.tail.layers] == [
        (-32768, 0),
        (0, 32767),
    ]
    report = fixed_point_errors(network, cnn, report, x, ScnnParams(), EieParams())
    assert report.tail is not None
    error = report.tail.layers[1].error
    assert error is not None
    assert error.max_abs < 0.01


@pytest.mark.parametrize("engine", ["eie", "scnn"])
def test_the_report_shows_a_sum_that_wraps(engine: str) -> None:
    """Were a proof wrong, the errors of the report would say so: it wraps as golden does."""
    network, numbers = negative_output()
    x = numbers.reshape(-1, 2, 4, 4)
    cnn, report = quantize(network, x, ScnnParams(), EieParams())
    narrow: dict[str, Any] = {"scnn": ScnnParams(), "eie": EieParams()}
    narrow[engine] = dataclasses.replace(narrow[engine], acc_bits=24)
    report = fixed_point_errors(network, cnn, report, x, narrow["scnn"], narrow["eie"])
    assert report.tail is not None
    rows = {"eie": report.tail.layers, "scnn": report.layers}
    wrong = [one.error.max_abs for one in rows[engine] if one.error is not None]
    assert max(wrong) > 0.1


def test_a_bias_that_accumulators_cannot_hold_makes_weights_coarser() -> None:
    """A bias is stored as wide as an accumulator; a layer whose bias never fits says so."""
    layer = FloatLayer("a", np.ones((1, 1)), np.array([-100.0]), relu=False)
    params = EieParams(acc_bits=16, act_bits=8)
    rounded, report = quantize_chain(FloatNetwork((1,), (layer,)), np.ones((1, 1)), params)
    assert abs(rounded.layers[0].bias[0]) < 1 << 15
    assert report.layers[0].acc_bits_needed <= 16
    with pytest.raises(CompileError, match="its largest bias, 100, is beyond accumulators of"):
        quantize_chain(FloatNetwork((1,), (layer,)), np.full((1, 1), 0.02), params)


def test_a_claim_that_is_too_small_fails() -> None:
    """What the tests above look at can fail."""
    layer = QuantLayer(
        "a", csc_array(np.array([[1]], np.uint8)), np.array([0, 5]), np.array([3]), False, 0, 0, 0
    )
    _, report = quantize_chain(
        FloatNetwork((1,), (FloatLayer("a", np.ones((1, 1)), np.zeros(1), relu=False),)),
        np.ones((1, 1)),
        EieParams(),
    )
    facts = dataclasses.replace(
        report.layers[0], in_lowest=-2, in_highest=1, acc_lowest=-10, acc_highest=8
    )
    drive_linear(layer, facts, 32, 16)
    with pytest.raises(AssertionError):
        drive_linear(layer, dataclasses.replace(facts, acc_highest=7), 32, 16)
