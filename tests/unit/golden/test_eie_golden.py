from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.compiler.ir.network import QuantNetwork
from zeroskip.sim.eie.golden import run_layer, run_network

DrawNetwork = Callable[..., QuantNetwork]


def run_weights(
    weights: list[list[int]],
    x: list[list[int]],
    *,
    bias: list[int] | None = None,
    shift: int = 0,
    relu: bool = False,
    act_bits: int = 16,
    acc_bits: int = 32,
) -> tuple[list[list[int]], list[int]]:
    """Run a layer given by its weights, at most 255 different ones."""
    dense = np.array(weights)
    codebook = np.array([0, *sorted(set(dense[dense != 0].tolist()))])
    codes = np.searchsorted(codebook[1:], dense) + 1
    codes[dense == 0] = 0
    y, saturated = run_layer(
        csc_array(codes.astype(np.uint8)),
        codebook,
        np.array(bias or [0] * len(dense)),
        shift,
        relu,
        np.array(x),
        act_bits=act_bits,
        acc_bits=acc_bits,
    )
    assert y.dtype == saturated.dtype == np.int64
    return y.tolist(), saturated.tolist()


def test_a_layer_by_hand() -> None:
    y, saturated = run_weights([[2, 0, -1], [0, 3, 0]], [[1, -1], [10, 0], [4, 5]], bias=[100, -7])
    assert y == [[98, 93], [23, -7]]
    assert saturated == [0, 0]


@pytest.mark.parametrize(
    ("acc", "rounded"), [(5, 1), (6, 2), (7, 2), (-5, -1), (-6, -1), (-7, -2), (2, 1), (-2, 0)]
)
def test_half_a_step_is_rounded_up(acc: int, rounded: int) -> None:
    assert run_weights([[1]], [[acc]], shift=2)[0] == [[rounded]]


def test_no_shift_adds_no_half() -> None:
    assert run_weights([[1]], [[-3]], shift=0)[0] == [[-3]]


@pytest.mark.parametrize(
    ("x", "relu", "y", "saturated"),
    [
        (127, False, 127, 0),
        (128, False, 127, 1),
        (-128, False, -128, 0),
        (-129, False, -128, 1),
        (128, True, 127, 1),
        (-1, True, 0, 0),
        (-129, True, 0, 0),  # ReLU would have clipped it anyway
    ],
)
def test_outputs_saturate_before_relu(x: int, relu: bool, y: int, saturated: int) -> None:
    # The bias takes the sum out of range, as the input cannot be.
    got = run_weights([[1]], [[x // 2]], bias=[x - x // 2], relu=relu, act_bits=8)
    assert got == ([[y]], [saturated])


def test_saturation_is_counted_per_sample() -> None:
    weights, x = [[100], [-100], [1]], [[0, 1, 2, -2]]
    y, saturated = run_weights(weights, x, act_bits=8)
    assert y == [[0, 100, 127, -128], [0, -100, -128, 127], [0, 1, 2, -2]]
    assert saturated == [0, 0, 2, 2]


def test_sums_may_leave_the_accumulator_and_come_back() -> None:
    # 100 + 100 wraps to -56 in 8 bits, and -100 brings it back.
    assert run_weights([[100, 100, -100]], [[1], [1], [1]], act_bits=8, acc_bits=8)[0] == [[100]]
    assert run_weights([[100, 100, 0]], [[1], [1], [1]], act_bits=8, acc_bits=8)[0] == [[-56]]


def test_the_rounding_step_wraps_as_well() -> None:
    # 127 + half a step of 2 is 128, which wraps to -128.
    assert run_weights([[127]], [[1]], shift=1, act_bits=8, acc_bits=8)[0] == [[-64]]


def exact(
    weights: NDArray[np.int64], bias: list[int], shift: int, x: list[int], acc_bits: int
) -> list[int]:
    """Compute a layer in Python's unbounded integers."""
    result: list[int] = []
    for row, add in zip(weights.tolist(), bias, strict=True):
        acc = sum(w * a for w, a in zip(row, x, strict=True)) + add + ((1 << shift) >> 1)
        acc = (acc + (1 << acc_bits - 1)) % (1 << acc_bits) - (1 << acc_bits - 1)
        result.append(min(max(acc >> shift, -128), 127))
    return result


@given(
    acc_bits=st.integers(8, 64),
    shift=st.integers(0, 63),
    bias=st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=3, max_size=3),
    seed=st.integers(0, 1000),
)
def test_arithmetic_wraps_as_unbounded_integers_do(
    acc_bits: int, shift: int, bias: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    codebook = rng.integers(-(1 << 31), 1 << 31, 16)
    codes = rng.integers(1, 16, (3, 5)).astype(np.uint8)
    x = rng.integers(-128, 128, (5, 1))
    y, _ = run_layer(
        csc_array(codes),
        codebook,
        np.array(bias, np.int64),
        shift,
        False,
        x,
        act_bits=8,
        acc_bits=acc_bits,
    )
    assert y[:, 0].tolist() == exact(codebook[codes], bias, shift, x[:, 0].tolist(), acc_bits)


@given(
    rows=st.integers(1, 30),
    cols=st.integers(1, 30),
    batch=st.integers(0, 5),
    shift=st.integers(0, 12),
    relu=st.booleans(),
    density=st.sampled_from([0.0, 0.2, 1.0]),
    seed=st.integers(0, 1000),
)
def test_golden_is_a_dense_product_in_floating_point(
    draw_network: DrawNetwork,
    rows: int,
    cols: int,
    batch: int,
    shift: int,
    relu: bool,
    **options: Any,
) -> None:
    layer = draw_network([cols, rows], shift=shift, **options).layers[0]
    x = np.random.default_rng(options["seed"]).integers(-(1 << 15), 1 << 15, (cols, batch))
    y, saturated = run_layer(
        layer.codes, layer.codebook, layer.bias, shift, relu, x, act_bits=16, acc_bits=48
    )
    # Below 2**53 every product and sum is exact in a double.
    weights = layer.codebook.astype(np.float64)[layer.codes.toarray()]
    scaled = np.floor((weights @ x + layer.bias[:, None]) / 2.0**shift + (0.5 if shift else 0.0))
    expected = np.clip(scaled, 0 if relu else -32768, 32767)
    assert np.array_equal(y, expected)
    wrong = scaled > 32767 if relu else np.abs(scaled + 0.5) > 32768
    assert np.array_equal(saturated, wrong.sum(axis=0))


def test_a_network_is_its_layers_in_turn(draw_network: DrawNetwork) -> None:
    network = draw_network([12, 20, 5], shift=14)
    x = np.random.default_rng(1).integers(-30000, 30000, (12, 7))
    result = run_network(network.layers, x, act_bits=16, acc_bits=40)
    assert [y.shape for y in result.outputs] == [(20, 7), (5, 7)]
    assert [count.shape for count in result.saturated] == [(7,), (7,)]
    then = x
    for layer, y in zip(network.layers, result.outputs, strict=True):
        then, _ = run_layer(
            layer.codes,
            layer.codebook,
            layer.bias,
            layer.shift,
            layer.relu,
            then,
            act_bits=16,
            acc_bits=40,
        )
        assert np.array_equal(y, then)
    assert result.outputs[0].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros((3, 1), np.int64)}, r"^x must be \(2, batch\), not \(3, 1\)$"),
        ({"x": np.zeros(2, np.int64)}, r"^x must be \(2, batch\), not \(2,\)$"),
        ({"bias": np.zeros(2, np.int64)}, r"^bias must be \(1,\), not \(2,\)$"),
        ({"shift": 64}, r"^shift must be from 0 to 63, not 64$"),
        ({"shift": -1}, r"^shift must be from 0 to 63, not -1$"),
        ({"codebook": np.array([0])}, r"^codes must be below 1, the codebook's size, not 1$"),
        (
            {"x": np.array([[0, 128], [0, 0]])},
            r"^x must be from -128 to 127 \(8 bits\), not 0 to 128$",
        ),
    ],
)
def test_wrong_arguments_are_named(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "codes": csc_array(np.ones((1, 2), np.uint8)),
        "codebook": np.array([0, 1]),
        "bias": np.zeros(1, np.int64),
        "shift": 0,
        "relu": False,
        "x": np.zeros((2, 1), np.int64),
    }
    with pytest.raises(ValueError, match=message):
        run_layer(**arguments | changes, act_bits=8, acc_bits=16)
