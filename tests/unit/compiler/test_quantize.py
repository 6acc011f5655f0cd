"""Formats: rounding, the overflow proof, the report, and what is refused."""

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
from zeroskip.compiler.ir.fixed import run_layer
from zeroskip.compiler.ir.network import FloatLayer, FloatNetwork, QuantLayer, QuantNetwork
from zeroskip.compiler.passes.fixed_point import largest_frac, limits
from zeroskip.compiler.passes.quantize import (
    check_input,
    dequantize,
    fixed_point_errors,
    quantize,
    quantize_input,
)
from zeroskip.hw.eie.params import EieParams

PARAMS = EieParams()


def random_network(
    seed: int, sizes: list[int], *, density: float = 0.5, scale: float = 1.0, values: int = 15
) -> FloatNetwork:
    """Return layers of shared weights; every other has a ReLU."""
    rng = np.random.default_rng(seed)
    layers = []
    for i, (cols, rows) in enumerate(itertools.pairwise(sizes)):
        weight = rng.choice(rng.normal(size=values) * scale, (rows, cols))
        weight *= rng.random((rows, cols)) < density
        layers.append(FloatLayer(f"fc{i}", weight, rng.normal(size=rows), relu=i % 2 == 0))
    return FloatNetwork((sizes[0],), tuple(layers))


def samples(network: FloatNetwork, count: int = 20, scale: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(5)
    return scale * rng.normal(size=(count, *network.input_shape))


def reach(layer: QuantLayer, lowest: int, params: EieParams) -> list[int]:
    """Return the extreme partial sums over all rows, by an adversary, in Python integers."""
    least, most = lowest, limits(params.act_bits)[1]
    half = (1 << layer.shift) >> 1
    sums = []
    weights = layer.codebook[layer.codes.toarray()].tolist()
    for row, bias in zip(weights, layer.bias.tolist(), strict=True):
        # The adversary may stop the sum anywhere: products of one sign only.
        up = sum(max(w * most, w * least, 0) for w in row)
        down = sum(min(w * most, w * least, 0) for w in row)
        sums += [up, down, up + bias + half, down + bias + half]
    return sums


def lowest_inputs(network: QuantNetwork, params: EieParams) -> list[int]:
    relus = [False] + [layer.relu for layer in network.layers]
    return [0 if relu else limits(params.act_bits)[0] for relu in relus[:-1]]


@examples(150)
@given(
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
    params = EieParams(
        code_bits=code_bits, weight_bits=weight_bits, act_bits=act_bits, acc_bits=acc_bits
    )
    network = random_network(seed, sizes, density=density, scale=scale, values=(1 << code_bits) - 1)
    try:
        rounded, report = quantize(network, samples(network, scale=x_scale), params)
    except CompileError as error:
        if "has no fixed-point format that cannot overflow" not in str(error):
            raise
        return
    for layer, facts, lowest in zip(
        rounded.layers, report.layers, lowest_inputs(rounded, params), strict=True
    ):
        sums = reach(layer, lowest, params)
        least, most = limits(acc_bits)
        assert least <= min(sums)
        assert max(sums) <= most
        # The width in the report is the one that is needed, not more.
        least, most = limits(facts.acc_bits_needed - 1) if facts.acc_bits_needed > 1 else (0, 0)
        assert not (least <= min(sums) and max(sums) <= most) or facts.acc_bits_needed == 1
        assert 0 <= layer.shift <= min(63, acc_bits - 1)
        least, most = limits(weight_bits)
        assert least <= layer.codebook.min()
        assert layer.codebook.max() <= most
        assert layer.codebook[0] == 0
        assert layer.codebook.size == 1 << code_bits
        assert np.all(layer.codebook[layer.codes.data.astype(int)] != 0)
    for one, then in itertools.pairwise(rounded.layers):
        assert then.in_frac == one.out_frac


def test_weight_format_is_the_finest() -> None:
    """One more fraction bit would overflow."""
    network = random_network(3, [400, 20], density=0.8)
    (layer,) = quantize(network, samples(network), PARAMS)[0].layers
    finer = dataclasses.replace(
        layer,
        weight_frac=layer.weight_frac + 1,
        codebook=2 * layer.codebook,
        bias=2 * layer.bias,
    )
    assert max(map(abs, reach(layer, -(1 << 15), PARAMS))) < 1 << 31
    assert max(map(abs, reach(finer, -(1 << 15), PARAMS))) >= 1 << 31


def test_relu_input_is_never_negative() -> None:
    """After a ReLU there are only half as many inputs to fear, so weights may be finer."""
    weight = np.tile([0.5, -0.5], (1, 64))
    after = FloatLayer("b", weight, np.zeros(1), relu=False)
    fracs = []
    for relu in (False, True):
        before = FloatLayer("a", np.eye(128), np.zeros(128), relu=relu)
        network = FloatNetwork((128,), (before, after))
        fracs.append(quantize(network, samples(network), PARAMS)[0].layers[1].weight_frac)
    assert fracs[1] == fracs[0] + 1


def test_calibration_does_not_saturate() -> None:
    """Formats are the finest in which calibration data fit."""
    network = random_network(7, [30, 20, 10], density=0.3)
    x = samples(network, 50)
    rounded, report = quantize(network, x, PARAMS)
    frac = rounded.layers[0].in_frac
    assert np.abs(np.floor(x * 2.0**frac + 0.5)).max() <= 32768
    assert np.abs(x * 2.0 ** (frac + 1)).max() > 32767
    errors = fixed_point_errors(network, rounded, x, PARAMS)
    assert [error.saturated for error in errors] == [0, 0]
    assert report.input_frac == frac
    assert report.samples == 50


def test_report() -> None:
    network = random_network(7, [30, 20, 10], density=0.3)
    x = samples(network, 200)
    rounded, report = quantize(network, x, PARAMS)
    report = report.with_errors(fixed_point_errors(network, rounded, x, PARAMS))
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False)) == report.to_dict()

    y, exact = quantize_input(x, report.input_frac, 16), x.T
    for layer, quant, facts in zip(network.layers, rounded.layers, report.layers, strict=True):
        exact = layer.weight @ exact + layer.bias[:, None]
        exact = np.maximum(exact, 0) if layer.relu else exact
        y, _ = run_layer(quant, y, act_bits=16, acc_bits=32)
        error = y[:, :, 0, 0].T * 2.0**-quant.out_frac - exact
        assert facts.error is not None
        assert facts.error.max_abs == pytest.approx(np.abs(error).max())
        assert facts.error.rms == pytest.approx(np.sqrt(np.mean(error**2)))
        snr = 10 * np.log10(np.sum(exact**2) / np.sum(error**2))
        assert facts.error.snr_db == pytest.approx(snr)
        assert facts.error.snr_db is not None
        assert facts.error.snr_db > 50
        assert facts.error.outputs == error.size
        weights = quant.codebook[quant.codes.toarray()] * 2.0**-quant.weight_frac
        assert facts.codebook_error == pytest.approx(np.abs(weights - layer.weight).max())
        assert facts.codebook_error <= 2.0 ** -(quant.weight_frac + 1)
        assert (facts.rows, facts.cols) == layer.shape == quant.shape
        assert facts.nnz == np.count_nonzero(layer.weight) == quant.codes.nnz
        assert facts.density == pytest.approx(np.mean(layer.weight != 0))
        assert facts.values == len(set(layer.weight[layer.weight != 0]))
        assert facts.shift == facts.in_frac + facts.weight_frac - facts.out_frac == quant.shift


def test_saturation_is_counted() -> None:
    network = FloatNetwork((1,), (FloatLayer("a", np.ones((1, 1)), np.zeros(1), relu=False),))
    rounded, _ = quantize(network, np.array([[0.9]]), PARAMS)
    (error,) = fixed_point_errors(network, rounded, np.array([[0.5]]), PARAMS)
    assert (error.saturated, error.max_abs, error.snr_db) == (0, 0.0, None)
    layer = dataclasses.replace(rounded.layers[0], bias=np.array([1 << 30]))
    rounded = QuantNetwork((1,), (layer,))
    (error,) = fixed_point_errors(network, rounded, np.array([[0.9], [0.1]]), PARAMS)
    assert error.saturated == 2


def test_small_weights_are_dropped() -> None:
    """Weights that round to 0 leave the matrix, and are counted."""
    weight = np.array([[1.0, 1e-9, 0.0], [1e-9, -1e-9, 2.0]])
    network = FloatNetwork((3,), (FloatLayer("a", weight, np.zeros(2), relu=True),))
    rounded, report = quantize(network, np.ones((1, 3)), PARAMS)
    (layer,) = rounded.layers
    assert layer.codes.nnz == report.layers[0].nnz == 2
    assert layer.codes.indptr.tolist() == [0, 1, 1, 2]
    assert report.layers[0].rounded_to_zero == 3
    assert report.layers[0].values == 2
    assert np.array_equal(
        layer.codebook[layer.codes.toarray()] * 2.0**-layer.weight_frac,
        [[1, 0, 0], [0, 0, 2]],
    )


@pytest.mark.parametrize("bias", [0.0, 3.0, -1e-12])
@pytest.mark.parametrize("relu", [False, True])
def test_zero_layer(bias: float, relu: bool) -> None:
    network = FloatNetwork((3,), (FloatLayer("a", np.zeros((2, 3)), np.full(2, bias), relu),))
    rounded, report = quantize(network, np.zeros((4, 3)), PARAMS)
    (error,) = fixed_point_errors(network, rounded, np.zeros((4, 3)), PARAMS)
    assert report.layers[0].nnz == report.layers[0].values == 0
    assert error.max_abs <= 1e-12


def test_out_frac_is_lowered() -> None:
    """Outputs are not finer than the accumulator they come from."""
    weight = np.full((1, 2), 1024.0)
    network = FloatNetwork((2,), (FloatLayer("a", weight, np.zeros(1), relu=False),))
    rounded, _ = quantize(network, np.array([[1000.0, -1000.0]]), EieParams(weight_bits=2))
    (layer,) = rounded.layers
    assert layer.shift == 0
    assert layer.out_frac == layer.in_frac + layer.weight_frac


def test_share() -> None:
    network = random_network(0, [40, 30], values=200)
    with pytest.raises(CompileError, match="distinct non-zero weights, but a codebook holds 15"):
        quantize(network, samples(network), PARAMS)
    rounded, report = quantize(network, samples(network), PARAMS, share=True)
    assert report.layers[0].clustered
    assert report.layers[0].values == 15
    (error,) = fixed_point_errors(network, rounded, samples(network), PARAMS)
    assert error.snr_db is not None
    assert 10 < error.snr_db < 60


def test_unprovable() -> None:
    network = FloatNetwork((64,), (FloatLayer("wide", np.ones((1, 64)), np.zeros(1), relu=False),))
    message = (
        r"^layer 'wide' has no fixed-point format that cannot overflow: its sums could need 14 "
        r"bits even with weights of at most 1 steps, and accumulators have acc_bits = 8; raise "
        r"acc_bits or lower act_bits$"
    )
    with pytest.raises(CompileError, match=message):
        quantize(network, np.ones((1, 64)), EieParams(acc_bits=8, act_bits=8))


def test_unprovable_shift() -> None:
    layer = FloatLayer("big", np.full((1, 1), 1e-30), np.full(1, 1e3), relu=False)
    message = "weights of at most 1e-30 round to 0 beside outputs of 5 fraction bits, with a shift"
    with pytest.raises(CompileError, match=message):
        quantize(FloatNetwork((1,), (layer,)), np.ones((1, 1)), PARAMS)


def test_small_and_large() -> None:
    layer = FloatLayer("far", np.full((1, 1), 1e-30), np.zeros(1), relu=False)
    network = FloatNetwork((1,), (layer, FloatLayer("b", np.full((1, 1), 1e30), np.zeros(1), True)))
    rounded, _ = quantize(network, np.ones((1, 1)), PARAMS)
    assert all(0 <= layer.shift <= 31 for layer in rounded.layers)


def test_float_overflow() -> None:
    layer = FloatLayer("huge", np.full((1, 1), 1e300), np.zeros(1), relu=False)
    with pytest.raises(CompileError, match="layer 'huge' overflows float64 on the calibration"):
        quantize(FloatNetwork((1,), (layer,)), np.full((1, 1), 1e300), PARAMS)


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
    layer = FloatLayer("a", np.ones((1, 6)), np.zeros(1), relu=False)
    with pytest.raises(InputError, match=message):
        quantize(FloatNetwork((2, 3), (layer,)), x, PARAMS)


def test_check_input() -> None:
    x = np.zeros((3, 2), np.float32)
    x[2, 1] = np.inf
    with pytest.raises(InputError, match=r"input has 1 values .* the first in sample 2"):
        check_input(x, (2,), "input")
    assert check_input(x[:2], (2,), "input").dtype == np.float64
