"""The arithmetic of layers of both kinds, by hand and against unbounded integers."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.compiler.ir.fixed import run_layer
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph, QuantLinear

DrawNetwork = Callable[..., QuantGraph[QuantLinear]]

KINDS = pytest.mark.parametrize("kind", ["linear", "conv"])


def layer_of(
    kind: str, weights: list[list[int]], bias: list[int], shift: int, relu: bool
) -> QuantConv | QuantLinear:
    """Return a matrix as a layer of either kind, with its weights in a codebook."""
    dense, (rows, cols) = np.array(weights), np.shape(weights)
    codebook = np.array([0, *sorted(set(dense[dense != 0].tolist()))])
    if kind == "conv":
        return QuantConv(
            name="one",
            kind="conv",
            inputs=(INPUT,),
            in_shape=(cols, 1, 1),
            out_shape=(rows, 1, 1),
            weight=dense[:, :, None, None],
            codebook=codebook,
            bias=np.array(bias),
            stride=(1, 1),
            padding=(0, 0),
            groups=1,
            relu=relu,
            op="add",
            signed_input=True,
            in_frac=0,
            weight_frac=0,
            out_frac=-shift,
        )
    codes = np.searchsorted(codebook[1:], dense) + 1
    codes[dense == 0] = 0
    return QuantLinear(
        name="one",
        inputs=(INPUT,),
        in_shape=(cols, 1, 1),
        codes=csc_array(codes.astype(np.uint8)),
        codebook=codebook,
        bias=np.array(bias),
        relu=relu,
        in_frac=0,
        weight_frac=0,
        out_frac=-shift,
    )


def run_weights(
    kind: str,
    weights: list[list[int]],
    x: list[list[int]],
    *,
    bias: list[int] | None = None,
    shift: int = 0,
    relu: bool = False,
    act_bits: int = 16,
    acc_bits: int = 32,
) -> tuple[list[list[int]], list[int]]:
    """Run a layer given by its weights on ``x`` (cols, batch); return (rows, batch)."""
    layer = layer_of(kind, weights, bias or [0] * len(weights), shift, relu)
    samples = np.array(x).T[:, :, None, None]
    y, saturated = run_layer(layer, samples, act_bits=act_bits, acc_bits=acc_bits)
    assert y.dtype == saturated.dtype == np.int64
    return y[:, :, 0, 0].T.tolist(), saturated.tolist()


@KINDS
def test_a_layer_by_hand(kind: str) -> None:
    y, saturated = run_weights(
        kind, [[2, 0, -1], [0, 3, 0]], [[1, -1], [10, 0], [4, 5]], bias=[100, -7]
    )
    assert y == [[98, 93], [23, -7]]
    assert saturated == [0, 0]


@KINDS
@pytest.mark.parametrize(
    ("acc", "rounded"), [(5, 1), (6, 2), (7, 2), (-5, -1), (-6, -1), (-7, -2), (2, 1), (-2, 0)]
)
def test_half_a_step_is_rounded_up(kind: str, acc: int, rounded: int) -> None:
    assert run_weights(kind, [[1]], [[acc]], shift=2)[0] == [[rounded]]


@KINDS
def test_no_shift_adds_no_half(kind: str) -> None:
    assert run_weights(kind, [[1]], [[-3]], shift=0)[0] == [[-3]]


@KINDS
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
def test_outputs_saturate_before_relu(
    kind: str, x: int, relu: bool, y: int, saturated: int
) -> None:
    # The bias takes the sum out of range, as the input cannot be.
    got = run_weights(kind, [[1]], [[x // 2]], bias=[x - x // 2], relu=relu, act_bits=8)
    assert got == ([[y]], [saturated])


@KINDS
def test_saturation_is_counted_per_sample(kind: str) -> None:
    weights, x = [[100], [-100], [1]], [[0, 1, 2, -2]]
    y, saturated = run_weights(kind, weights, x, act_bits=8)
    assert y == [[0, 100, 127, -128], [0, -100, -128, 127], [0, 1, 2, -2]]
    assert saturated == [0, 0, 2, 2]


@KINDS
def test_sums_may_leave_the_accumulator_and_come_back(kind: str) -> None:
    # 100 + 100 wraps to -56 in 8 bits, and -100 brings it back.
    assert run_weights(kind, [[100, 100, -100]], [[1], [1], [1]], act_bits=8, acc_bits=8)[0] == [
        [100]
    ]
    assert run_weights(kind, [[100, 100, 0]], [[1], [1], [1]], act_bits=8, acc_bits=8)[0] == [[-56]]


@KINDS
def test_the_rounding_step_wraps_as_well(kind: str) -> None:
    # 127 + half a step of 2 is 128, which wraps to -128.
    assert run_weights(kind, [[127]], [[1]], shift=1, act_bits=8, acc_bits=8)[0] == [[-64]]


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
    kind=st.sampled_from(["linear", "conv"]),
    acc_bits=st.integers(8, 64),
    shift=st.integers(0, 63),
    bias=st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=3, max_size=3),
    seed=st.integers(0, 1000),
)
def test_arithmetic_wraps_as_unbounded_integers_do(
    kind: str, acc_bits: int, shift: int, bias: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-(1 << 31), 1 << 31, (3, 5))
    x = rng.integers(-128, 128, (5, 1))
    made, _ = run_weights(
        kind, weights.tolist(), x.tolist(), bias=bias, shift=shift, act_bits=8, acc_bits=acc_bits
    )
    assert [row[0] for row in made] == exact(weights, bias, shift, x[:, 0].tolist(), acc_bits)


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
    drawn = draw_network([cols, rows], shift=shift, **options).layers[0]
    layer = dataclasses.replace(drawn, relu=relu)
    x = np.random.default_rng(options["seed"]).integers(-(1 << 15), 1 << 15, (cols, batch))
    y, saturated = run_layer(layer, x.T, act_bits=16, acc_bits=48)
    y = y[:, :, 0, 0].T
    # Below 2**53 every product and sum is exact in a double.
    weights = layer.codebook.astype(np.float64)[layer.codes.toarray()]
    scaled = np.floor((weights @ x + layer.bias[:, None]) / 2.0**shift + (0.5 if shift else 0.0))
    expected = np.clip(scaled, 0 if relu else -32768, 32767)
    assert np.array_equal(y, expected)
    wrong = scaled > 32767 if relu else np.abs(scaled + 0.5) > 32768
    assert np.array_equal(saturated, wrong.sum(axis=0))


@pytest.mark.parametrize(
    ("change", "x", "message"),
    [
        ({}, np.zeros((1, 3)), "activations must be whole numbers, not of float64"),
        ({}, np.zeros((1, 3), np.int64), "a Linear layer of 2 columns must not get 3 values"),
        (
            {"bias": np.zeros(2, np.int64)},
            np.zeros((1, 2), np.int64),
            "bias must be (1,), not (2,)",
        ),
        ({"out_frac": -64}, np.zeros((1, 2), np.int64), "shift must be from 0 to 63, not 64"),
        ({"out_frac": 1}, np.zeros((1, 2), np.int64), "shift must be from 0 to 63, not -1"),
        (
            {"codebook": np.array([0])},
            np.zeros((1, 2), np.int64),
            "codes must be below 1, the codebook's size, not 1",
        ),
        (
            {},
            np.array([[0, 128]]),
            "activations must be from -128 to 127 (8 bits), not 0 to 128",
        ),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Any], x: np.ndarray, message: str) -> None:
    layer: Any = dataclasses.replace(layer_of("linear", [[1, 1]], [0], 0, relu=False), **change)
    with pytest.raises(ValueError, match=re.escape(message)):
        run_layer(layer, x, act_bits=8, acc_bits=16)
