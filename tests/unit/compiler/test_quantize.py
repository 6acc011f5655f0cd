"""Formats: rounding, the overflow proof, the report, and what is refused, of layers of any kind."""

import dataclasses
import itertools
import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.tiers import examples
from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.ir.fixed import limits, run_layer
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatConv,
    FloatGraph,
    FloatLinear,
    QuantCell,
    QuantConv,
    QuantGraph,
    QuantLinear,
)
from zeroskip.compiler.passes.arithmetic import Arithmetic
from zeroskip.compiler.passes.errors import fixed_point_errors
from zeroskip.compiler.passes.fixed_point import (
    check_input,
    dequantize,
    largest_frac,
    quantize_input,
)
from zeroskip.compiler.passes.quantize import quantize
from zeroskip.compiler.passes.report import QuantReport

KINDS = pytest.mark.parametrize("kind", ["linear", "conv"])


def layer_of(
    kind: str, name: str, weight: Any, bias: Any = 0.0, *, source: str = INPUT, relu: bool = False
) -> FloatLinear | FloatConv:
    """Return a matrix as a Linear layer, or as the convolution that it is."""
    matrix = np.array(weight, np.float64)
    biases = np.full(len(matrix), bias, np.float64)
    if kind == "linear":
        return FloatLinear(name, (source,), matrix, biases, relu)
    return FloatConv(name, (source,), matrix[:, :, None, None], biases, (1, 1), (0, 0), 1, relu)


def network_of(*layers: FloatLinear | FloatConv) -> FloatGraph:
    return FloatGraph((layers[0].weight.shape[1], 1, 1), layers, layers[-1].name)


def widths(network: FloatGraph, **change: Any) -> dict[str, Arithmetic]:
    """Return one arithmetic for all nodes, that of EIE's default array with changes."""
    given = {"act_bits": 16, "acc_bits": 32, "weight_bits": 16, "code_bits": 4, **change}
    arithmetic = Arithmetic(engine="any", code_bits_limit=8, **given)
    return {node.name: arithmetic for node in network.nodes}


def rounded(
    network: FloatGraph, x: Any, *, share: bool = False, **change: Any
) -> tuple[QuantGraph[Any], QuantReport]:
    """Quantize a network for (samples, inputs), and measure its errors on them."""
    planes, arithmetics = np.array(x)[:, :, None, None], widths(network, **change)
    graph, report = quantize(network, planes, arithmetics, share=share)
    return graph, fixed_point_errors(network, graph, report, planes, arithmetics)


def weights_of(layer: QuantLinear | QuantConv) -> np.ndarray:
    """Return the integers of a layer as a matrix."""
    if isinstance(layer, QuantLinear):
        return layer.codebook[layer.codes.toarray()]
    return layer.weight[:, :, 0, 0]


def random_network(
    kind: str,
    seed: int,
    sizes: list[int],
    *,
    density: float = 0.5,
    scale: float = 1.0,
    values: int = 15,
) -> FloatGraph:
    """Return layers of shared weights; every other has a ReLU."""
    rng = np.random.default_rng(seed)
    layers: list[FloatLinear | FloatConv] = []
    source = INPUT
    for i, (cols, rows) in enumerate(itertools.pairwise(sizes)):
        weight = rng.choice(rng.normal(size=values) * scale, (rows, cols))
        weight *= rng.random((rows, cols)) < density
        bias = rng.normal(size=rows)
        layers.append(layer_of(kind, f"fc{i}", weight, bias, source=source, relu=i % 2 == 0))
        source = layers[-1].name
    return network_of(*layers)


def samples(network: FloatGraph, count: int = 20, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(5).normal(size=(count, network.input_shape[0]))


def reach(weights: np.ndarray, layer: Any, ends: tuple[int, int]) -> list[int]:
    """Return the extreme partial sums over all rows, by an adversary, in Python integers."""
    least, most = ends
    half = (1 << layer.shift) >> 1
    sums = []
    for row, bias in zip(weights.tolist(), layer.bias.tolist(), strict=True):
        # The adversary may stop the sum anywhere: products of one sign only.
        up = sum(max(w * most, w * least, 0) for w in row)
        down = sum(min(w * most, w * least, 0) for w in row)
        sums += [up, down, up + bias + half, down + bias + half]
    return sums


@examples(250)
@given(
    kind=st.sampled_from(["linear", "conv"]),
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 12), min_size=2, max_size=4),
    density=st.floats(0, 1),
    scale=st.sampled_from([1e-9, 1e-3, 1.0, 50.0, 1e7]),
    x_scale=st.sampled_from([1e-6, 1.0, 300.0]),
    code_bits=st.integers(1, 6),
    weight_bits=st.integers(2, 32),
    act_bits=st.integers(2, 32),
    acc_bits=st.integers(8, 64),
)
def test_no_overflow(
    kind: str,
    seed: int,
    sizes: list[int],
    density: float,
    scale: float,
    x_scale: float,
    code_bits: int,
    weight_bits: int,
    act_bits: int,
    acc_bits: int,
) -> None:
    """Whatever the widths, no input makes a sum overflow; or else the compiler says so."""
    assume(acc_bits >= act_bits)
    values = (1 << code_bits) - 1
    network = random_network(kind, seed, sizes, density=density, scale=scale, values=values)
    change = {
        "code_bits": code_bits,
        "weight_bits": weight_bits,
        "act_bits": act_bits,
        "acc_bits": acc_bits,
    }
    x = samples(network, scale=x_scale)[:, :, None, None]
    try:
        graph, report = quantize(network, x, widths(network, **change))
    except CompileError as error:
        if "has no fixed-point format that cannot overflow" not in str(error):
            raise
        return
    ends = limits(act_bits)
    for layer, facts in zip(graph.layers, report.layers, strict=True):
        assert not isinstance(layer, QuantCell)
        sums = reach(weights_of(layer), layer, ends)
        least, most = limits(acc_bits)
        assert least <= min(sums)
        assert max(sums) <= most
        # The width in the report is the one that is needed, not more.
        least, most = limits(facts.acc_bits_needed - 1) if facts.acc_bits_needed > 1 else (0, 0)
        assert not (least <= min(sums) and max(sums) <= most) or facts.acc_bits_needed == 1
        assert 0 <= layer.shift <= min(63, acc_bits - 1)
        least, most = limits(weight_bits)
        assert layer.codebook is not None
        assert least <= layer.codebook.min()
        assert layer.codebook.max() <= most
        assert layer.codebook[0] == 0
        if isinstance(layer, QuantLinear):
            assert layer.codebook.size == 1 << code_bits
            assert np.all(layer.codebook[np.asarray(layer.codes.data, int)] != 0)
            assert layer.codes.has_canonical_format
        else:
            assert layer.codebook.size <= 1 << code_bits
            assert np.isin(layer.weight, layer.codebook).all()
        ends = facts.out_lowest, facts.out_highest
    for first, then in itertools.pairwise(graph.layers):
        assert then.in_frac == first.out_frac


@given(seed=st.integers(0, 2**32 - 1), acc_bits=st.integers(20, 48), share=st.booleans())
@examples(50)
def test_a_linear_is_a_convolution(seed: int, acc_bits: int, share: bool) -> None:
    """Whatever a layer is called, its numbers are the same, and so is all that is told of them."""
    found = []
    for kind in ("linear", "conv"):
        network = random_network(kind, seed, [9, 7, 5, 3], values=40 if share else 15)
        graph, report = rounded(network, samples(network), share=share, acc_bits=acc_bits)
        document = report.to_dict()
        for layer in document["layers"]:
            # Floats are added up in another order.
            del layer["kind"], layer["error"]
        found.append((document, [weights_of(layer).tolist() for layer in graph.layers]))
    assert found[0] == found[1]


@KINDS
def test_weight_format_is_the_finest(kind: str) -> None:
    """One more fraction bit would overflow."""
    network = random_network(kind, 3, [400, 20], density=0.8)
    (layer,) = rounded(network, samples(network))[0].layers
    weights, ends = weights_of(layer), limits(16)
    assert max(map(abs, reach(weights, layer, ends))) < 1 << 31
    assert max(map(abs, reach(2 * weights, layer, ends))) >= 1 << 31


@KINDS
def test_relu_input_is_never_negative(kind: str) -> None:
    """After a ReLU there are only half as many inputs to fear, so weights may be finer."""
    after = layer_of(kind, "b", np.tile([0.5, -0.5], (1, 64)), source="a")
    fracs = []
    for relu in (False, True):
        network = network_of(layer_of(kind, "a", np.eye(128), relu=relu), after)
        fracs.append(rounded(network, samples(network))[0].layers[1].weight_frac)
    assert fracs[1] == fracs[0] + 1


@KINDS
def test_calibration_does_not_saturate(kind: str) -> None:
    """Formats are the finest in which calibration data fit."""
    network = random_network(kind, 7, [30, 20, 10], density=0.3)
    x = samples(network, 50)
    graph, report = rounded(network, x)
    frac = graph.layers[0].in_frac
    assert np.abs(np.floor(x * 2.0**frac + 0.5)).max() <= 32768
    assert np.abs(x * 2.0 ** (frac + 1)).max() > 32767
    assert [layer.error and layer.error.saturated for layer in report.layers] == [0, 0]
    assert report.input_frac == frac
    assert report.samples == 50


@KINDS
def test_report(kind: str) -> None:
    network = random_network(kind, 7, [30, 20, 10], density=0.3)
    x = samples(network, 200)
    graph, report = rounded(network, x)
    # JSON has lists for tuples.
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert document["layers"][0]["in_shape"] == [30, 1, 1]
    assert {"samples", "input_frac", "input_density", "layers", "warnings"} <= document.keys()

    y, exact = quantize_input(x, report.input_frac, 16)[:, :, None, None], x.T
    for layer, quant, facts in zip(network.nodes, graph.layers, report.layers, strict=True):
        assert isinstance(layer, FloatLinear | FloatConv)
        matrix = layer.weight.reshape(len(layer.weight), -1)
        exact = matrix @ exact + layer.bias[:, None]
        exact = np.maximum(exact, 0) if layer.relu else exact
        y, _ = run_layer(quant, y, act_bits=16, acc_bits=32)
        error = y[:, :, 0, 0].T * 2.0**-quant.out_frac - exact
        assert facts.error is not None
        assert facts.error.max_abs == pytest.approx(np.abs(error).max())
        assert facts.error.rms == pytest.approx(np.sqrt(np.mean(error**2)))
        snr = 10 * np.log10(np.sum(exact**2) / np.sum(error**2))
        assert facts.error.snr_db == pytest.approx(snr)
        assert snr > 50
        assert facts.error.outputs == error.size
        assert facts.out_density == np.count_nonzero(y) / y.size
        weights = weights_of(quant) * 2.0**-quant.weight_frac
        assert facts.weight_error == pytest.approx(np.abs(weights - matrix).max())
        assert facts.weight_error <= 2.0 ** -(quant.weight_frac + 1)
        assert (facts.kind, facts.engine, facts.node) == (kind, "any", layer.name)
        assert (facts.out_shape[0], facts.in_shape[0]) == matrix.shape
        assert facts.nnz == np.count_nonzero(matrix) == np.count_nonzero(weights)
        assert facts.density == pytest.approx(np.mean(matrix != 0))
        assert facts.values == len(set(matrix[matrix != 0]))
        assert facts.shift == facts.in_frac + facts.weight_frac - facts.out_frac == quant.shift


def test_activity_of_linear_layers() -> None:
    first = layer_of("linear", "a", [[1.0, 0.0], [-1.0, 0.0]], relu=True)
    network = network_of(first, layer_of("linear", "b", np.ones((1, 2)), source="a"))
    _, report = rounded(network, [[1.0, 0.0], [2.0, 1.0], [-1.0, 0.0], [3.0, 0.0]])
    assert {name: often.tolist() for name, often in report.activity.items()} == {
        "a": [1.0, 0.25],
        "b": [0.75, 0.25],
    }


@KINDS
def test_saturation_is_counted(kind: str) -> None:
    network = network_of(layer_of(kind, "a", [[1.0]]))
    arithmetics = widths(network)
    graph, report = quantize(network, np.full((1, 1, 1, 1), 0.9), arithmetics)
    planes = np.array([0.9, 0.1]).reshape(2, 1, 1, 1)
    (facts,) = fixed_point_errors(network, graph, report, planes[1:], arithmetics).layers
    assert facts.error is not None
    assert facts.error.saturated == 0
    layer = dataclasses.replace(graph.layers[0], bias=np.array([1 << 30]))
    graph = dataclasses.replace(graph, layers=(layer,))
    (facts,) = fixed_point_errors(network, graph, report, planes, arithmetics).layers
    assert facts.error is not None
    assert facts.error.saturated == 2


@KINDS
def test_small_weights_are_dropped(kind: str) -> None:
    """Weights that round to 0 leave the matrix, and are counted."""
    weight = [[1.0, 1e-9, 0.0], [1e-9, -1e-9, 2.0]]
    graph, report = rounded(network_of(layer_of(kind, "a", weight, relu=True)), np.ones((1, 3)))
    (layer,), (facts,) = graph.layers, report.layers
    assert (facts.nnz, facts.rounded_to_zero, facts.values) == (2, 3, 2)
    if isinstance(layer, QuantLinear):
        assert layer.codes.nnz == 2
        assert layer.codes.indptr.tolist() == [0, 1, 1, 2]
    assert np.array_equal(weights_of(layer) * 2.0**-layer.weight_frac, [[1, 0, 0], [0, 0, 2]])


@KINDS
@pytest.mark.parametrize("bias", [0.0, 3.0, -1e-12])
@pytest.mark.parametrize("relu", [False, True])
def test_zero_layer(kind: str, bias: float, relu: bool) -> None:
    network = network_of(layer_of(kind, "a", np.zeros((2, 3)), bias, relu=relu))
    (facts,) = rounded(network, np.zeros((4, 3)))[1].layers
    assert facts.nnz == facts.values == 0
    assert facts.error is not None
    assert facts.error.max_abs <= 1e-12


@KINDS
def test_out_frac_is_lowered(kind: str) -> None:
    """Outputs are not finer than the accumulator they come from."""
    network = network_of(layer_of(kind, "a", np.full((1, 2), 1024.0)))
    (layer,) = rounded(network, [[1000.0, -1000.0]], weight_bits=2)[0].layers
    assert layer.shift == 0
    assert layer.out_frac == layer.in_frac + layer.weight_frac


@KINDS
def test_share(kind: str) -> None:
    network = random_network(kind, 0, [40, 30], values=200)
    with pytest.raises(CompileError, match="distinct non-zero weights, but a codebook holds 15"):
        rounded(network, samples(network))
    (facts,) = rounded(network, samples(network), share=True)[1].layers
    assert facts.clustered
    assert facts.values == 15
    assert facts.error is not None
    assert 10 < (facts.error.snr_db or 0) < 60


@KINDS
def test_unprovable(kind: str) -> None:
    message = (
        r"^layer 'wide' has no fixed-point format that cannot overflow: its sums could need 14 "
        r"bits even with weights of at most 1 steps, and accumulators have acc_bits = 8; raise "
        r"acc_bits or lower act_bits$"
    )
    network = network_of(layer_of(kind, "wide", np.ones((1, 64))))
    with pytest.raises(CompileError, match=message):
        rounded(network, np.ones((1, 64)), acc_bits=8, act_bits=8)


@KINDS
def test_unprovable_shift(kind: str) -> None:
    network = network_of(layer_of(kind, "big", [[1e-30]], 1e3))
    message = "weights of at most 1e-30 round to 0 beside outputs of 5 fraction bits, with a shift"
    with pytest.raises(CompileError, match=message):
        rounded(network, np.ones((1, 1)))


@KINDS
def test_small_and_large(kind: str) -> None:
    far = layer_of(kind, "far", [[1e-30]])
    network = network_of(far, layer_of(kind, "b", [[1e30]], source="far", relu=True))
    graph, _ = rounded(network, np.ones((1, 1)))
    assert all(0 <= layer.shift <= 31 for layer in graph.layers)


@KINDS
def test_float_overflow(kind: str) -> None:
    network = network_of(layer_of(kind, "huge", [[1e300]]))
    with pytest.raises(CompileError, match="layer 'huge' overflows float64 on the calibration"):
        rounded(network, np.full((1, 1), 1e300))


def test_refuses_engines_of_different_activations() -> None:
    first = layer_of("conv", "a", np.eye(2))
    network = network_of(first, layer_of("linear", "b", np.eye(2), source="a"))
    scnn, eie = widths(network)["a"], widths(network, act_bits=8)["b"]
    with pytest.raises(CompileError, match="ANY must have activations of 16 bits as ANY has"):
        quantize(network, np.ones((1, 2, 1, 1)), {"a": scnn, "b": eie})


# Numbers


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5),
    frac=st.integers(-20, 40),
    bits=st.integers(2, 32),
)
def test_quantize_input(values: list[float], frac: int, bits: int) -> None:
    """Rounds half up and saturates, against exact fractions."""
    result = quantize_input(np.array(values), frac, bits)
    least, most = limits(bits)
    scale = Fraction(2) ** frac
    exact = [(Fraction(v) * scale + Fraction(1, 2)).__floor__() for v in values]
    assert result.dtype == np.int64
    assert result.tolist() == [min(max(e, least), most) for e in exact]
    assert dequantize(result, frac).tolist() == [
        float(Fraction(q) / scale) for q in result.tolist()
    ]


def test_halves_go_up() -> None:
    x = np.array([[-1.5, -0.5, 0.5, 1.5, 0.49999999999999994, -1e9, 1e9]], np.float64)
    assert quantize_input(x, 0, 8).tolist() == [[-1, 0, 1, 2, 0, -128, 127]]


@given(low=st.floats(-1e9, 0), high=st.floats(0, 1e9), bits=st.integers(2, 32))
def test_largest_frac(low: float, high: float, bits: int) -> None:
    """The values fit, and would not with one bit more."""
    frac = largest_frac(low, high, bits)
    wide = quantize_input(np.array([low, high]), frac, 64)
    least, most = limits(bits)
    assert least <= wide[0]
    assert wide[1] <= most
    if max(-low, high) > 1e-60:
        finer = Fraction(2) ** (frac + 1)
        half = Fraction(1, 2)
        assert (Fraction(high) * finer + half).__floor__() > most or (
            (Fraction(low) * finer + half).__floor__() < least
        )


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((0, 2, 3)), "calibration has no samples"),
        (np.zeros((4, 6)), r"calibration must have shape \(samples, 2, 3\), not \(4, 6\)"),
        (np.float64(1), r"must have shape \(samples, 2, 3\), not \(\)"),
        (
            np.zeros((4, 2, 3), int),
            r"floating-point numbers, not of int64; convert it to float32",
        ),
        (np.zeros((4, 2, 3), bool), "floating-point numbers, not of bool"),
        (np.zeros((4, 2, 3), complex), "floating-point numbers, not of complex128"),
        (np.array([["a"]]), "floating-point numbers, not of <U1"),
        (None, "floating-point numbers, not of object"),
        (
            [[1.0], [1.0, 2.0]],
            "calibration must be an array of floating-point numbers, all samples of one shape",
        ),
        (
            np.full((4, 2, 3), np.nan),
            "has 24 values that are NaN or infinite, the first in sample 0",
        ),
    ],
)
def test_bad_calibration(x: Any, message: str) -> None:
    network = network_of(layer_of("linear", "a", np.ones((1, 6))))
    network = dataclasses.replace(network, sample_shape=(2, 3))
    with pytest.raises(InputError, match=message):
        quantize(network, x, widths(network))


def test_check_input() -> None:
    x = np.zeros((3, 2), np.float32)
    x[2, 1] = np.inf
    with pytest.raises(InputError, match=r"input has 1 values .* the first in sample 2"):
        check_input(x, (2,), "input")
    assert check_input(x[:2], (2,), "input").dtype == np.float64
