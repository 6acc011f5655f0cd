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
from tests.unit.compiler.drawn_graphs import chain, chains, networks
from tests.unit.compiler.reachable import Reach, of_graph
from tests.unit.golden.unbounded import run_conv, run_linear
from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.fixed import limits, run_layer
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatAdd,
    FloatConv,
    FloatGraph,
    FloatLinear,
    QuantConv,
    QuantGraph,
    QuantLinear,
)
from zeroskip.compiler.passes.errors import fixed_point_errors
from zeroskip.compiler.passes.partition import arithmetics
from zeroskip.compiler.passes.quantize import quantize
from zeroskip.compiler.passes.report import LayerReport, QuantReport
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams


def hold(facts: LayerReport, true: Reach, acc_bits: int) -> None:
    """Hold what a report claims against what can really be."""
    assert facts.in_lowest <= true.inputs[0]
    assert true.inputs[1] <= facts.in_highest
    assert facts.acc_lowest <= true.sums[0]
    assert true.sums[1] <= facts.acc_highest
    assert facts.out_lowest <= true.outputs[0]
    assert true.outputs[1] <= facts.out_highest
    least, most = limits(facts.acc_bits_needed)
    assert least <= facts.acc_lowest
    assert facts.acc_highest <= most
    assert facts.acc_bits_needed <= acc_bits


def drive_linear(
    layer: QuantLinear,
    facts: LayerReport,
    ends: list[tuple[int, int]],
    acc_bits: int,
    act_bits: int,
) -> None:
    """Give a layer the inputs that its proof calls worst: the sums are what it says, and fit.

    ``ends`` are those of each input channel.
    """
    reached = [0]
    plane = layer.shape[1] // len(ends)
    choices = [(low, high, 0) for low, high in ends for _ in range(plane)]
    for row in layer.codebook[layer.codes.toarray()].tolist():
        for sign in (1, -1):
            x = [
                max(three, key=lambda a, w=sign * w: (w * a, -abs(a)))
                for w, three in zip(row, choices, strict=True)
            ]
            made = run_linear(layer, x, act_bits, acc_bits)
            reached += [*made.sums, *made.totals]
            y, _ = run_layer(layer, np.array([x]), act_bits=act_bits, acc_bits=acc_bits)
            assert y.ravel().tolist() == made.outputs
    assert (facts.acc_lowest, facts.acc_highest) == (min(reached), max(reached))


def drive_conv(
    layer: QuantConv, facts: LayerReport, ends: list[tuple[int, int]], acc_bits: int, act_bits: int
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


def prove(graph: QuantGraph, report: QuantReport, act_bits: int, acc_bits: dict[str, int]) -> None:
    """Hold every layer's claims against what can be, and drive it to the worst it claims."""
    true = of_graph(graph, act_bits)
    ends = {INPUT: limits(act_bits)}
    for layer, facts in zip(graph.layers, report.layers, strict=True):
        bits = acc_bits[facts.engine]
        hold(facts, true[layer.name], bits)
        read = [ends[name] for name in layer.inputs for _ in range(graph.shape(name)[0])]
        assert facts.in_lowest == min(low for low, _ in read)
        assert facts.in_highest == max(high for _, high in read)
        if isinstance(layer, QuantLinear):
            drive_linear(layer, facts, read, bits, act_bits)
        else:
            drive_conv(layer, facts, read, bits, act_bits)
        ends[layer.name] = facts.out_lowest, facts.out_highest


@examples(400)
@given(
    drawn=networks(linear=True),
    act_bits=st.integers(4, 16),
    scnn_acc=st.integers(16, 40),
    eie_acc=st.integers(16, 40),
)
def test_networks_of_both_engines(
    drawn: tuple[FloatGraph, np.ndarray], act_bits: int, scnn_acc: int, eie_acc: int
) -> None:
    network, x = drawn
    scnn = ScnnParams(act_bits=act_bits, acc_bits=scnn_acc)
    eie = EieParams(act_bits=act_bits, acc_bits=eie_acc)
    try:
        graph, report = quantize(network, x, arithmetics(network, eie, scnn))
    except CompileError:
        assume(False)
        raise
    prove(graph, report, act_bits, {"scnn": scnn_acc, "eie": eie_acc})


@examples(100)
@given(
    data=st.data(),
    inputs=st.integers(1, 8),
    act_bits=st.integers(2, 32),
    acc_bits=st.integers(8, 64),
)
def test_chains(data: st.DataObject, inputs: int, act_bits: int, acc_bits: int) -> None:
    assume(acc_bits >= act_bits)
    network = data.draw(chains(inputs))
    params = EieParams(act_bits=act_bits, acc_bits=acc_bits)
    x = np.random.default_rng(1).normal(size=(5, inputs, 1, 1))
    try:
        graph, report = quantize(network, x, arithmetics(network, params))
    except CompileError:
        assume(False)
        raise
    prove(graph, report, act_bits, {"eie": acc_bits})


SEAMS = {
    "linear_after_conv": "linear",
    "conv_after_linear": "conv",
    "linear_after_linear": "linear",
    "add_after_linear": "add",
}


@pytest.mark.parametrize("seam", SEAMS)
@pytest.mark.parametrize("relu", [False, True])
def test_every_seam(seam: str, relu: bool) -> None:
    """Layers of one engine read what the other's can really give, and no less."""
    rng = np.random.default_rng(len(seam))
    book = rng.normal(size=15)

    def matrix(name: str, source: str, rows: int, columns: int) -> FloatLinear:
        weight = rng.choice(book, (rows, columns))
        return FloatLinear(name, (source,), weight, rng.normal(size=rows), relu)

    first: FloatConv | FloatLinear = matrix("first", INPUT, 4, 18)
    if seam == "linear_after_conv":
        weight = rng.normal(size=(4, 2, 3, 3))
        first = FloatConv("first", (INPUT,), weight, np.zeros(4), (1, 1), (0, 0), 1, relu)
    second: Any = matrix("second", "first", 5, 4)
    if seam == "conv_after_linear":
        weight = rng.normal(size=(5, 4, 1, 1))
        second = FloatConv("second", ("first",), weight, np.zeros(5), (1, 1), (0, 0), 1, relu)
    elif seam == "add_after_linear":
        second = FloatAdd("second", ("first", "other"), relu)
    nodes = (first, matrix("other", INPUT, 4, 18), second)
    network = FloatGraph((2, 3, 3), nodes, "second")
    x = rng.normal(size=(6, 2, 3, 3))
    eie, scnn = EieParams(acc_bits=40), ScnnParams(acc_bits=30)
    graph, report = quantize(network, x, arithmetics(network, eie, scnn))
    assert graph.layers[-1].kind == SEAMS[seam]
    assert graph.layers[-1].in_frac == graph.layers[0].out_frac
    prove(graph, report, 16, {"eie": 40, "scnn": 30})
    report = fixed_point_errors(network, graph, report, x, arithmetics(network, eie, scnn))
    assert all(one.error is not None and one.error.saturated == 0 for one in report.layers)
    assert all(((one.error and one.error.snr_db) or 0) > 30 for one in report.layers)


def negative_output() -> tuple[FloatGraph, np.ndarray]:
    """Return convolutions whose output is never positive, and Linears that turn it around."""
    conv = FloatConv(
        "neg", ("pos",), -np.ones((2, 2, 1, 1)), np.zeros(2), (1, 1), (0, 0), 1, relu=False
    )
    first = dataclasses.replace(
        conv, name="pos", inputs=(INPUT,), weight=np.eye(2)[:, :, None, None], relu=True
    )
    turn = FloatLinear("turn", ("neg",), -np.eye(32), np.zeros(32), relu=True)
    total = FloatLinear("sum", ("turn",), np.ones((3, 32)), np.zeros(3), relu=False)
    graph = FloatGraph((2, 4, 4), (first, conv, turn, total), "sum")
    return graph, np.linspace(0.1, 1, 320).reshape(-1, 2, 4, 4)


def test_a_hidden_layer_reaches_what_the_output_of_convolutions_does_not() -> None:
    """The limits of each Linear are those of its own input, not of the first one's."""
    network, x = negative_output()
    widths = arithmetics(network, EieParams(), ScnnParams())
    graph, report = quantize(network, x, widths)
    assert [(one.in_lowest, one.in_highest) for one in report.layers[2:]] == [
        (-32768, 0),
        (0, 32767),
    ]
    report = fixed_point_errors(network, graph, report, x, widths)
    error = report.layers[3].error
    assert error is not None
    assert error.max_abs < 0.01


@pytest.mark.parametrize("engine", ["eie", "scnn"])
def test_the_report_shows_a_sum_that_wraps(engine: str) -> None:
    """Were a proof wrong, the errors of the report would say so: it wraps as golden does."""
    network, x = negative_output()
    arrays: dict[str, Any] = {"scnn": ScnnParams(), "eie": EieParams()}
    graph, report = quantize(network, x, arithmetics(network, *arrays.values()))
    arrays[engine] = dataclasses.replace(arrays[engine], acc_bits=24)
    report = fixed_point_errors(network, graph, report, x, arithmetics(network, *arrays.values()))
    rows = [one for one in report.layers if one.engine == engine]
    assert max(one.error.max_abs for one in rows if one.error is not None) > 0.1


def test_a_bias_that_accumulators_cannot_hold_makes_weights_coarser() -> None:
    """A bias is stored as wide as an accumulator; a layer whose bias never fits says so."""
    layer = FloatLinear("a", (INPUT,), np.ones((1, 1)), np.array([-100.0]), relu=False)
    network, params = chain(layer), EieParams(acc_bits=16, act_bits=8)
    widths = arithmetics(network, params)
    graph, report = quantize(network, np.ones((1, 1, 1, 1)), widths)
    assert abs(graph.layers[0].bias[0]) < 1 << 15
    assert report.layers[0].acc_bits_needed <= 16
    with pytest.raises(CompileError, match="its largest bias, 100, is beyond accumulators of"):
        quantize(network, np.full((1, 1, 1, 1), 0.02), widths)


def test_a_claim_that_is_too_small_fails() -> None:
    """What the tests above look at can fail."""
    network = chain(FloatLinear("a", (INPUT,), np.ones((1, 1)), np.zeros(1), relu=False))
    _, report = quantize(network, np.ones((1, 1, 1, 1)), arithmetics(network, EieParams()))
    layer = QuantLinear(
        name="a",
        inputs=(INPUT,),
        in_shape=(1, 1, 1),
        codes=csc_array(np.array([[1]], np.uint8)),
        codebook=np.array([0, 5]),
        bias=np.array([3]),
        relu=False,
        in_frac=0,
        weight_frac=0,
        out_frac=0,
    )
    facts = dataclasses.replace(report.layers[0], acc_lowest=-10, acc_highest=8)
    drive_linear(layer, facts, [(-2, 1)], 32, 16)
    with pytest.raises(AssertionError):
        drive_linear(layer, dataclasses.replace(facts, acc_highest=7), [(-2, 1)], 32, 16)
