"""Plans: right where there is hardly any memory, fast where there is enough, or refused."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.graphs import layer_regions
from tests.support.tiers import examples
from tests.support.tiles import least_tile
from zeroskip.base.errors import CompileError
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.ir.graph import QuantConv, QuantGraph
from zeroskip.compiler.scnn import cost, geometry
from zeroskip.compiler.scnn.clear import keeps_clear
from zeroskip.compiler.scnn.cost import Expected, count_runs
from zeroskip.compiler.scnn.geometry import cut_axis
from zeroskip.compiler.scnn.layer import LayerPlan, layer_runs
from zeroskip.compiler.scnn.mapping import Mapping
from zeroskip.compiler.scnn.plan import MAX_RUNS, pass_plans, plan_layer
from zeroskip.compiler.scnn.program import MANY_RUNS
from zeroskip.hw.scnn.params import PRESETS, ScnnParams

TINY, PAPER = PRESETS["tiny"], PRESETS["paper"]
_LONG = pytest.mark.long("cuts a layer to many runs")


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
        act_words=draw(st.sampled_from([32, 128])),
        num_channels=draw(st.sampled_from([16, 128])),
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


def estimate(conv: QuantConv, plan: LayerPlan, params: ScnnParams) -> float:
    """Estimate the cycles of a layer whose inputs are dense."""
    return cost.estimate(conv, plan, params, Expected.of(conv, 1.0))


@examples(100)
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
        assert params.banks == 1
        return
    assert plan.cycles == estimate(conv, plan, params)
    tensors = {"input": values, "layer": np.full(conv.out_shape, 12345)}
    array = machine(params)
    for run in runs:
        array.run(run, tensors)
    np.testing.assert_array_equal(tensors["layer"], convolve(conv, values, params))


def test_strided_layers_are_cut_to_few_directory_entries(
    machine: Any, convolve: Callable[..., NDArray[np.int64]]
) -> None:
    # Two of the input channels fit at once, and each stream has biases of two output channels.
    params = replace(TINY, num_streams=1, num_channels=16, num_biases=2)
    conv = _conv((3, 6, 6), 5, stride=2)
    plan = plan_layer(conv, params)
    assert (plan.c_step, plan.k_step) == (2, 2)
    values = np.random.default_rng(3).integers(-99, 99, conv.in_shape)
    tensors = {"input": values, "layer": np.full(conv.out_shape, 12345)}
    array = machine(params)
    for run in layer_runs(conv, plan, params):
        array.run(run, tensors)
    np.testing.assert_array_equal(tensors["layer"], convolve(conv, values, params))


def test_small_planes_get_small_blocks() -> None:
    conv = _conv((832, 7, 7), 384, density=0.32)
    plan = plan_layer(conv, PAPER, 0.31)
    assert plan.mapping.block_x + plan.mapping.block_y == 2
    multipliers = PAPER.num_pes * PAPER.mults
    products = 0.31 * 7 * 7 * np.count_nonzero(conv.weight)
    assert products / (multipliers * plan.cycles) >= 0.4


def test_loads_beside_computing_count_only_where_they_are_slower() -> None:
    # VGG-16's conv3_2: cutting its plane loads little, cutting its channels computes less.
    conv = _conv((256, 56, 56), 256, 3, padding=1, density=0.22)
    added = plan_layer(conv, PAPER, 0.63)
    beside = plan_layer(conv, PAPER, 0.63, loads_beside=True)
    loads = {plan: cost.load_cycles(conv, plan, PAPER) for plan in (added, beside)}
    assert loads[added] < loads[beside] < beside.cycles < 0.85 * added.cycles
    assert added.cycles + loads[added] < beside.cycles + loads[beside]


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
        (1, 3, {"act_words": 4, "mult_i": 1}, "10 words of activation RAM of 4"),
        (1, 3, {"num_channels": 8}, "10 directory entries of 8"),
        (1, 4, {"num_channels": 8, "act_words": 8}, "17 words of activation RAM of 8 and 17 dir"),
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


@pytest.mark.parametrize(
    ("kernel", "padding", "changes"),
    [
        (7, 3, {"run_bits": 1}),
        pytest.param(7, 3, {"banks": 2, "bank_entries": 2}, marks=_LONG),
        pytest.param(
            7,
            3,
            {"banks": 1, "bank_entries": 2, "run_bits": 1, "num_streams": 1},
            marks=_LONG,
        ),
        (1, (5, 7), {}),
        (3, (9, 0), {"num_streams": 1}),
    ],
)
def test_reach_and_padding_never_refuse(
    kernel: int,
    padding: int | tuple[int, int],
    changes: dict[str, int],
    machine: Any,
    convolve: Callable[..., NDArray[np.int64]],
) -> None:
    """One tap needs no accumulators around, and neither do outputs that no input reaches."""
    params = replace(TINY, **changes)
    conv = _conv((2, 5, 5), 3, kernel)
    down, across = padding if isinstance(padding, tuple) else (padding, padding)
    shape = 3, 6 + 2 * down - kernel, 6 + 2 * across - kernel
    conv = replace(conv, padding=(down, across), out_shape=shape)
    values = np.random.default_rng(0).integers(-99, 99, conv.in_shape)
    tensors = {"input": values, "layer": np.full(conv.out_shape, 12345)}
    array = machine(params)
    for run in layer_runs(conv, plan_layer(conv, params), params):
        array.run(run, tensors)
    np.testing.assert_array_equal(tensors["layer"], convolve(conv, values, params))


def test_planning_a_large_kernel_looks_at_rows_and_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kernel of 961 taps costs a few times one of 9, not a hundred times: no product of axes."""
    calls: list[int] = []

    def counted(*args: Any) -> tuple[int, int, int]:
        calls.append(1)
        return cut_axis(*args)

    monkeypatch.setattr(geometry, "cut_axis", counted)
    monkeypatch.setattr(cost, "cut_axis", counted)
    found: list[int] = []
    for kernel in (3, 31):
        geometry.axis_needs.cache_clear()
        cost.axis_kinds.cache_clear()
        calls.clear()
        conv = _conv((1, 32, 32), 2, kernel, padding=kernel // 2)
        plan = plan_layer(conv, TINY)
        found.append(len(calls))
    assert 0 < found[1] < 20 * found[0]
    assert count_runs(conv, plan, TINY) > 1000


def test_many_runs_are_told_of() -> None:
    """While they are made, and in the report; a layer in a few runs makes no noise."""
    told: list[tuple[str, int, int]] = []

    def tell(*step: Any) -> None:
        told.append(step)

    conv = _conv((1, 9, 9), 2, 13, padding=6)
    for params, many in ((TINY, True), (PRESETS["tile"], False)):
        told.clear()
        graph = QuantGraph(conv.in_shape, (conv,), ("layer",))
        image = compile_quantized(graph, {"scnn": params}, name="n", progress=tell)
        count = image.report["runs"]
        assert (count > MANY_RUNS) == many
        said = [f"layer 'layer' is cut into {count} runs"] * many
        assert [one[: len(said[0])] for one in image.report.get("many_runs", [])] == said
        steps = [done for name, done, _ in told if name == "cut layer layer into runs"]
        assert steps == list(range(1, count + 1)) * many
        assert all(done <= total for _, done, total in told)
        assert {name for name, _, _ in told} >= {"choose strides", "map"}


def test_refuses_too_many_runs_before_they_are_made() -> None:
    conv = _conv((8, 64, 64), 16, 31, padding=15)
    with pytest.raises(CompileError, match=r"about (\d+) runs .* more than 65536 .*") as caught:
        plan_layer(conv, TINY)
    (preset,) = re.findall(
        r"compile for an array as large as that of preset '(\w+)'", str(caught.value)
    )
    plan = plan_layer(conv, PRESETS[preset])
    assert count_runs(conv, plan, PRESETS[preset]) <= MAX_RUNS


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


def test_a_small_last_group_counts_for_what_it_is() -> None:
    """Of LeNet-5's conv2, 8 groups of 6 and one of 2 are faster than 10 of 5."""
    conv, p = _conv((20, 12, 12), 50, kernel=5, density=0.1), PRESETS["tile"]
    start = Mapping(block_x=0, block_y=0, wo=8, ho=8, kc=1, k_stride=1, y_stride=12)
    expected = Expected.of(conv, 0.3)
    found = {
        plan.mapping.kc: cost.estimate(conv, plan, p, expected)
        for plan in pass_plans(conv, p, expected.acts, start, 50)
    }
    assert min(found, key=found.__getitem__) == 6
