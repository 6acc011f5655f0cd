"""Numbers that do not fit their format are counted, and what is told about calibration data."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.compiler.drawn_graphs import chain
from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.fixed import limits
from zeroskip.compiler.ir.graph import INPUT, FloatLinear
from zeroskip.compiler.passes.clipping import WARN_SHARE, calibration_warnings, count_clipped
from zeroskip.compiler.passes.errors import fixed_point_errors
from zeroskip.compiler.passes.fixed_point import quantize_input, round_half_up
from zeroskip.compiler.passes.partition import arithmetics
from zeroskip.compiler.passes.quality import MIN_SNR_DB, snr_warnings
from zeroskip.compiler.passes.quantize import quantize
from zeroskip.compiler.passes.report import FixedPointError, QuantReport
from zeroskip.hw.eie.params import EieParams


@given(
    values=st.lists(st.floats(-40, 40), min_size=2, max_size=12),
    frac=st.integers(-3, 12),
    act_bits=st.integers(2, 16),
)
def test_counts_what_saturation_changes(values: list[float], frac: int, act_bits: int) -> None:
    x = np.array([values, values[::-1]])
    clipped = count_clipped(x, frac, act_bits)
    rounded = round_half_up(np.ldexp(x, frac))
    assert clipped.counts.tolist() == (quantize_input(x, frac, act_bits) != rounded).sum(1).tolist()
    assert (clipped.size, clipped.numbers) == (len(values), x.size)
    least, most = limits(act_bits)
    assert (clipped.lowest * 2.0**frac, clipped.highest * 2.0**frac) == (least, most)


def test_what_overflows_float_is_clipped() -> None:
    x = np.array([[1e300, -1e300, 0.5]])
    assert quantize_input(x, 200, 16).tolist() == [[32767, -32768, 32767]]
    assert count_clipped(x, 200, 16).total == 3


@pytest.mark.parametrize("beyond", [0, 1, 2])
def test_warns_of_more_than_a_share(beyond: int) -> None:
    x = np.zeros((2, 50))
    x[0, :beyond] = 3.0
    clipped = count_clipped(x, 15, 16)
    assert str(clipped) == f"clipped inputs: {beyond} of 100 ({beyond:.1f} %)"
    assert clipped.share == beyond / 100
    assert (clipped.warning is not None) == (clipped.share > WARN_SHARE)
    if clipped.warning is not None:
        assert "2.0 % of the numbers" in clipped.warning
        assert "(-1 to 0.999969)" in clipped.warning
        assert "calibration data like this" in clipped.warning
        assert clipped.lines() == [str(clipped), f"warning: {clipped.warning}"]
    document = json.loads(json.dumps(clipped.to_dict()))
    assert (document["clipped"], document["per_input"]) == (beyond, [beyond, 0])


@pytest.mark.parametrize("value", [0.0, -0.25])
def test_warns_of_calibration_data_that_are_all_the_same(value: float) -> None:
    (warning,) = calibration_warnings(np.full((3, 4), value))
    assert f"all numbers of the calibration data are {value:.6g}, which says nothing" in warning
    assert calibration_warnings(np.array([[value, value + 1e-9]])) == ()


def measured(weight: np.ndarray, x: np.ndarray, **params: Any) -> QuantReport:
    layer = FloatLinear("fc", (INPUT,), weight, np.zeros(len(weight)), relu=False)
    network = chain(layer, sample_shape=weight.shape[1:])
    widths = arithmetics(network, EieParams(**params))
    rounded, report = quantize(network, x, widths, share=True)
    return fixed_point_errors(network, rounded, report, x, widths)


def test_warns_of_outputs_little_above_their_error() -> None:
    rng = np.random.default_rng(3)
    weight, x = rng.normal(size=(150, 2)), rng.normal(size=(20, 2))
    assert measured(weight, x, code_bits=8).warnings == ()
    (warning,) = measured(weight, x, code_bits=1).warnings
    assert "outputs of 'fc' (" in warning
    assert f"less than {MIN_SNR_DB:.0f} dB above their error" in warning
    assert "clustering 'fc' costs the most" in warning
    (warning,) = measured(np.sign(weight), x, act_bits=3).warnings
    assert "wider weight_bits or act_bits" in warning


def test_warns_of_weights_that_narrow_accumulators_make_coarse() -> None:
    """The width that is named is enough, and one bit less is not."""
    rng = np.random.default_rng(3)
    weight, x = np.sign(rng.normal(size=(5, 40))) * 0.3, rng.normal(size=(20, 40))
    weight[:, 0] = 0.017
    assert measured(weight, x, acc_bits=40).warnings == ()
    first, *others = measured(weight, x, acc_bits=22, act_bits=16).warnings
    assert first.startswith("weights of layer 'fc' are only ")
    enough = int(first.rpartition("acc_bits = ")[2].split()[0])
    assert measured(weight, x, acc_bits=enough).warnings == ()
    assert measured(weight, x, acc_bits=enough - 1).warnings
    (poor,) = others
    assert "raise acc_bits, which costs weights of 'fc' most bits" in poor


def test_the_limit_of_the_warning() -> None:
    rng = np.random.default_rng(3)
    report = measured(rng.normal(size=(8, 2)), rng.normal(size=(20, 2)), code_bits=8)
    for snr, warned in ((None, 0), (MIN_SNR_DB, 0), (MIN_SNR_DB - 0.1, 1)):
        error = FixedPointError(max_abs=1.0, rms=1.0, snr_db=snr, saturated=0, outputs=1)
        layers = [dataclasses.replace(layer, error=error) for layer in report.layers]
        assert len(snr_warnings(layers)) == warned


@pytest.mark.parametrize("scale", [1e160, 1e300])
def test_refuses_errors_that_would_overflow(scale: float) -> None:
    """Also where the outputs are finite, but not their squares."""
    with pytest.raises(CompileError, match=r"'fc' overflows float64 .*: scale the data as in"):
        measured(np.ones((1, 2)), np.full((1, 2), scale))
    report = measured(np.ones((1, 2)), np.full((1, 2), 1e140))
    assert json.dumps(report.to_dict(), allow_nan=False)
