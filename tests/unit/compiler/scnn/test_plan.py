"""Plans: right where there is hardly any memory, fast where there is enough, or refused."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compiler.errors import CompileError
from compiler.graph import QuantConv
from compiler.scnn.clear import keeps_clear
from compiler.scnn.geometry import layer_regions, least_tile
from compiler.scnn.layer import LayerPlan, layer_runs
from compiler.scnn.mapping import Mapping
from compiler.scnn.plan import estimate, plan_layer
from hw.scnn.params import PRESETS, ScnnParams

TINY, PAPER = PRESETS["tiny"], PRESETS["paper"]


def _conv(
    in_shape: tuple[int, int, int],
    out_channels: int,
    kernel: int = 1,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
    op: str = "add",
    density: float = 1.0,
    seed: int = 0,
) -> QuantConv:
    channels, *size = in_shape
    out = [(length + 2 * padding - kernel) // stride + 1 for length in size]
    shape = out_channels, channels // groups, kernel, kernel
    rng = np.random.default_rng(seed)
    weight = rng.integers(1, 9, shape) * (rng.random(shape) < density)
    return QuantConv(
        name="layer",
        kind="conv" if op == "add" else "max",
        inputs=("input",),
        in_shape=in_shape,
        out_shape=(out_channels, out[0], out[1]),
        weight=weight if op == "add" else np.ones(shape, np.int64),
        codebook=None,
        bias=rng.integers(-9, 9, out_channels) * (op == "add"),
        stride=(stride, stride),
        padding=(padding, padding),
        groups=groups,
        relu=False,
        op="add" if op == "add" else "max",
        signed_input=True,
        in_frac=0,
        weight_frac=0,
        out_frac=0,
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[QuantConv, ScnnParams, NDArray[np.int64]]:
    pes_x, pes_y = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    params = replace(
        TINY,
        pes_x=pes_x,
        pes_y=pes_y,
        num_streams=draw(st.integers(1, pes_x * pes_y)),
        banks=draw(st.sampled_from([1, 8])),
        bank_entries=draw(st.sampled_from([16, 64])),
        act_words=draw(st.sampled_from([16, 64])),
        num_channels=draw(st.sampled_from([8, 64])),
        weight_words=draw(st.sampled_from([8, 256])),
        num_blocks=draw(st.sampled_from([8, 256])),
        num_biases=draw(st.sampled_from([2, 64])),
        weight_depth=4,
        num_taps=32,
    )
    groups = draw(st.integers(1, 3))
    pool = draw(st.booleans())
    of_group, per_group = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    padding = draw(st.integers(0, kernel // 2))
    size = st.integers(max(1, kernel - 2 * padding), 12)
    if pool:
        in_shape = groups * per_group, draw(size), draw(size)
        conv = _conv(in_shape, in_shape[0], kernel, stride, padding, in_shape[0], "max")
    else:
        in_shape = groups * per_group, draw(size), draw(size)
        density = draw(st.sampled_from([0.2, 1.0]))
        conv = _conv(in_shape, groups * of_group, kernel, stride, padding, groups, "add", density)
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    values = rng.integers(params.min_act, params.max_act, in_shape)
    values[rng.random(in_shape) >= draw(st.sampled_from([0.2, 1.0]))] = 0
    return conv, params, values


@settings(deadline=None, derandomize=True, max_examples=100, report_multiple_bugs=False)
@given(case=cases())
def test_any_layer_fits_small_memories(
    case: tuple[QuantConv, ScnnParams, NDArray[np.int64]],
    machine: Any,
    convolve: Callable[..., NDArray[np.int64]],
) -> None:
    conv, params, values = case
    try:
        plan = plan_layer(conv, params)
        runs = layer_runs(conv, plan, params)
    except CompileError:
        # One block of PEs holds nothing of so large a window, or its weights.
        assert params.weight_words == 8 or params.num_blocks == 8 or params.banks == 1
        return
    assert plan.cycles == estimate(conv, plan, params)
    tensors = {"input": values, "layer": np.full(conv.out_shape, 12345)}
    array = machine(params)
    for run in runs:
        array.run(run, tensors)
    np.testing.assert_array_equal(tensors["layer"], convolve(conv, values, params))


def test_small_planes_get_small_blocks() -> None:
    conv = _conv((832, 7, 7), 384, density=0.32)
    plan = plan_layer(conv, PAPER, 0.31)
    assert plan.mapping.block_x + plan.mapping.block_y == 2
    multipliers = PAPER.num_pes * PAPER.mults
    products = 0.31 * 7 * 7 * np.count_nonzero(conv.weight)
    assert products / (multipliers * plan.cycles) >= 0.4


def test_neighbouring_channels_fall_into_different_banks() -> None:
    for kernel, size in ((1, 14), (3, 28), (5, 7), (1, 56)):
        conv = _conv((64, size, size), 64, kernel, padding=kernel // 2)
        mapping = plan_layer(conv, PAPER).mapping
        assert 4 <= mapping.k_stride % PAPER.banks <= PAPER.banks - 4


def test_a_million_weights_compile_in_time() -> None:
    conv = _conv((384, 13, 13), 304, 3, padding=1, density=0.35)
    small = _conv((3, 4, 4), 3)
    layer_runs(small, plan_layer(small, PAPER), PAPER)  # Numba compiles its parts.
    begin = time.process_time()
    layer_runs(conv, plan_layer(conv, PAPER, 0.5), PAPER)
    assert conv.weight.size > 1_000_000
    assert time.process_time() - begin < 5


def test_tiles_hold_what_reaches_over_a_neighbour() -> None:
    conv = _conv((1, 4, 4), 1, 5, padding=2)
    assert least_tile(conv, layer_regions(conv, 4, 4), (4, 1)) == (2, 4)
    # Inputs, not outputs, decide for a kernel without padding.
    conv = _conv((1, 9, 9), 1, 3)
    assert least_tile(conv, layer_regions(conv, 7, 7), (2, 4)) == (5, 3)


@pytest.mark.parametrize(
    ("kernel", "stride", "changes", "message"),
    [
        (1, 3, {"act_words": 4, "mult_i": 1}, "9 words of activation RAM of 4"),
        (1, 3, {"num_channels": 8}, "9 directory entries of 8"),
        (5, 1, {"weight_words": 8, "mult_f": 1}, "needs 25 words and 2 headers of a stream's"),
        (5, 1, {"num_blocks": 2, "weight_depth": 4}, "headers of a stream's"),
        (7, 1, {"run_bits": 1}, "zeros in a run of 1"),
        (7, 1, {"banks": 2, "bank_entries": 2}, "accumulators of 4"),
        (7, 1, {"banks": 2, "bank_entries": 2, "run_bits": 1}, "accumulators of 4 and . zeros"),
    ],
)
def test_refuses_with_numbers(
    kernel: int, stride: int, changes: dict[str, int], message: str
) -> None:
    params = replace(TINY, **changes)
    conv = _conv((3, 9, 9), 24, kernel, stride, kernel // 2 if kernel > 5 else 0)
    with pytest.raises(CompileError, match=message) as caught:
        layer_runs(conv, plan_layer(conv, params), params)
    # The array that it names is one.
    _, said = str(caught.value).split(" for an array with ")
    changes = {name: int(value) for name, value in re.findall(r"(\w+) = (\d+)", said)}
    assert said == " and ".join(f"{name} = {value}" for name, value in changes.items())
    params = replace(params, **changes)
    assert layer_runs(conv, plan_layer(conv, params), params)


def test_says_what_lacks_and_nothing_else() -> None:
    conv = _conv((2, 8, 8), 3, kernel=7, padding=3)
    small = replace(TINY, banks=4, bank_entries=2, num_streams=4)
    with pytest.raises(CompileError, match=r"one output needs 16 accumulators of 8: compile for"):
        plan_layer(conv, small)
    # That is enough for each PE by itself, but not where they have to share a plane.
    larger = replace(small, bank_entries=4, num_streams=1)
    with pytest.raises(CompileError, match=r"share a plane.* for an array with num_streams = 4$"):
        plan_layer(conv, larger)
    assert plan_layer(conv, replace(larger, num_streams=4)).mapping.blocks(larger) == 4


@pytest.mark.parametrize("op", ["add", "max"])
def test_kernels_of_any_size_are_cut(
    op: str, machine: Any, convolve: Callable[..., NDArray[np.int64]]
) -> None:
    """A plane is pooled to one output: its kernel reaches further than any row stride."""
    params = replace(PRESETS["tile"], pes_x=2, num_streams=2)
    conv = _conv((5, 20, 21), 5, 20, groups=5, op=op)
    conv = replace(conv, out_shape=(5, 1, 2))
    plan = plan_layer(conv, params)
    assert plan.kernel_step < (20, 20)
    values = np.random.default_rng(0).integers(-99, 99, conv.in_shape)
    tensors = {"input": values, "layer": np.full(conv.out_shape, 12345)}
    array = machine(params)
    for run in layer_runs(conv, plan, params):
        array.run(run, tensors)
    np.testing.assert_array_equal(tensors["layer"], convolve(conv, values, params))


@pytest.mark.parametrize(("y_stride", "clear"), [(4, True), (5, False)])
def test_knows_when_a_maximum_would_see_zeros_beyond_the_plane(
    y_stride: int, clear: bool, machine: Any, convolve: Callable[..., NDArray[np.int64]]
) -> None:
    """The fourth PE lies beyond the plane; with a long row stride it stores the zeros beside it."""
    params = replace(TINY, pes_x=4, pes_y=1, num_streams=1, run_bits=2)
    conv = _conv((1, 2, 6), 1, 3, padding=1, op="max")
    mapping = Mapping(block_x=2, block_y=0, wo=2, ho=2, kc=1, k_stride=20, y_stride=y_stride)
    plan = LayerPlan(mapping=mapping, region_h=2, region_w=6, k_step=1, c_step=1)
    assert keeps_clear(conv, plan, params) == clear
    values = np.full(conv.in_shape, -5)
    tensors = {"input": values, "layer": np.zeros(conv.out_shape, np.int64)}
    array = machine(params)
    for run in layer_runs(conv, plan, params):
        array.run(run, tensors)
    assert np.array_equal(tensors["layer"], convolve(conv, values, params)) == clear
