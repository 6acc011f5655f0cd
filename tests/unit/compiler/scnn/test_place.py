"""Runs of many layers: every constraint on where tensors lie holds, whatever the network."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.tiers import examples
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph
from zeroskip.compiler.scnn.allocate import Lifetime, allocate, peak
from zeroskip.compiler.scnn.cuts import best_cuts
from zeroskip.compiler.scnn.eliminate import cheapest
from zeroskip.compiler.scnn.fill import DenseFill, MeasuredFill
from zeroskip.compiler.scnn.layer import input_channels
from zeroskip.compiler.scnn.order import goes_along
from zeroskip.compiler.scnn.place import Placed, Placer
from zeroskip.compiler.scnn.placement import Placement, block_sizes
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.scnn.schedule import Schedule, Spot, schedule
from zeroskip.compiler.scnn.segments import Segments
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.sim.scnn.decode import decode
from zeroskip.sim.scnn.decoded import as_decoded

TINY = PRESETS["tiny"]


def _layer(
    name: str,
    shapes: Sequence[tuple[str, tuple[int, int, int]]],
    outputs: int,
    *,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    op: str = "add",
    seed: int = 0,
) -> QuantConv:
    channels = sum(shape[0] for _, shape in shapes)
    _, rows, columns = shapes[0][1]
    pad = kernel // 2
    out = [(size + 2 * pad - kernel) // stride + 1 for size in (rows, columns)]
    shape = outputs, channels // groups, kernel, kernel
    rng = np.random.default_rng(seed)
    weight = rng.integers(1, 9, shape) * (rng.random(shape) < 0.5)
    return QuantConv(
        name=name,
        kind="conv" if op == "add" else "max",
        inputs=tuple(tensor for tensor, _ in shapes),
        in_shape=(channels, rows, columns),
        out_shape=(outputs, out[0], out[1]),
        weight=weight if op == "add" else np.ones(shape, np.int64),
        codebook=None,
        bias=np.zeros(outputs, np.int64),
        stride=(stride, stride),
        padding=(pad, pad),
        groups=groups,
        relu=True,
        op="add" if op == "add" else "max",
        signed_input=False,
        in_frac=0,
        weight_frac=0,
        out_frac=0,
    )


def _windows(name: str, source: str, shape: tuple[int, int, int]) -> QuantConv:
    """Make a maximum of windows of 2 x 2 that cover a plane of even rows and columns."""
    layer = _layer(name, [(source, shape)], shape[0], kernel=2, stride=2, groups=shape[0], op="max")
    out = shape[0], shape[1] // 2, shape[2] // 2
    return replace(layer, padding=(0, 0), out_shape=out)


@st.composite
def graphs(draw: st.DrawFn) -> QuantGraph:
    """Draw chains, branches that are read together, additions, poolings, strides and groups."""
    size = draw(st.integers(4, 16))
    shape = draw(st.integers(1, 4)), size, draw(st.integers(4, 16))
    layers: list[QuantConv] = []
    here = [(INPUT, shape)]

    def add(reads: Sequence[tuple[str, tuple[int, int, int]]], outputs: int, **words: int) -> None:
        layer = _layer(f"l{len(layers)}", reads, outputs, seed=len(layers), **words)  # pyright: ignore
        layers.append(layer)
        made.append((layer.name, layer.out_shape))

    made: list[tuple[str, tuple[int, int, int]]] = []
    for _ in range(draw(st.integers(1, 4))):
        made.clear()
        kinds = ["conv", "pool", "windows", "branch", "add", "depthwise", "groups"]
        kind = draw(st.sampled_from(kinds))
        channels = sum(shape[0] for _, shape in here)
        outputs, kernel = draw(st.integers(1, 9)), draw(st.sampled_from([1, 3]))
        stride = draw(st.integers(1, 2))
        if kind == "branch":
            for _ in range(draw(st.integers(2, 3))):
                add(here, draw(st.integers(1, 6)), kernel=draw(st.sampled_from([1, 3])))
        elif kind == "add":
            add(here, outputs, kernel=kernel)
            first = made[-1]
            add([first], outputs, kernel=kernel)
            add([made[-1], first], outputs)
            made[:] = made[-1:]
        elif kind == "windows" and all(size % 2 == 0 for size in here[0][1][1:]):
            add(here, outputs, kernel=kernel)
            layers.append(_windows(f"l{len(layers)}", *made[-1]))
            made[:] = [(layers[-1].name, layers[-1].out_shape)]
        elif kind == "pool":
            layers.append(
                _layer(
                    f"l{len(layers)}", here, channels,
                    kernel=draw(st.sampled_from([2, 3])), stride=stride, groups=channels, op="max",
                )
            )  # fmt: skip
            made.append((layers[-1].name, layers[-1].out_shape))
        elif kind == "depthwise":
            add(here, channels, kernel=3, stride=stride, groups=channels)
        elif kind == "groups" and channels % 2 == 0:
            add(here, 2 * outputs, kernel=kernel, groups=2)
        else:
            add(here, outputs, kernel=kernel, stride=stride)
        here = list(made)
        if min(here[0][1][1:]) < 3:
            break
    return QuantGraph(shape, tuple(layers), tuple(name for name, _ in here))


_BUS = replace(TINY, act_fifo_words=4)
ARRAYS = [
    replace(_BUS, num_streams=4),
    replace(_BUS, pes_x=4, pes_y=4, num_streams=16, num_descriptors=64, num_taps=256),
    replace(_BUS, pes_x=4, pes_y=2, num_streams=4, act_words=24, num_descriptors=64),
    replace(_BUS, pes_x=3, pes_y=2, num_streams=6, bank_entries=64, act_words=256),
    replace(TINY, pes_x=1, pes_y=1, bank_entries=128, num_descriptors=64),
]


@examples(25)
@given(graph=graphs(), params=st.sampled_from(ARRAYS))
def test_constraints_of_runs(graph: QuantGraph, params: ScnnParams) -> None:
    densities = {layer.name: 0.5 for layer in graph.layers}
    segments = Segments(graph, params, densities, DenseFill(params)).choose()
    assert [n for segment in segments for n in segment.layers] == list(range(len(graph.layers)))
    for segment in segments:
        for part in segment.parts:
            _check_places(part.strip.graph, part.placed, params)
            _check_schedule(part.strip.graph, part.placed, part.schedule, params)


@pytest.mark.parametrize("mult_i", [1, 2, 4])
@pytest.mark.parametrize("other", [None, "reads", "leaves", "signs"])
def test_a_convolution_makes_the_pooling_behind_it(other: str | None, mult_i: int) -> None:
    """Unless others need what is between the two, or a step of the drain has no whole window."""
    params = replace(PRESETS["tile"], mult_i=mult_i)
    first = _layer("l0", [(INPUT, (2, 8, 12))], 4, kernel=3)
    pool = _windows("l1", "l0", first.out_shape)
    third = _layer("l2", [("l1", pool.out_shape)], 4, kernel=3)
    layers, outputs = [first, pool, third], ["l2"]
    if other == "reads":
        layers.append(_layer("l3", [("l0", first.out_shape)], 2))
        outputs.append("l3")
    elif other == "leaves":
        outputs.append("l0")
    elif other == "signs":
        # ReLU of the maximum alone would need one of its own.
        layers[0] = replace(first, relu=False)
    graph = QuantGraph((2, 8, 12), tuple(layers), tuple(outputs))
    runs = build(graph, params)
    fused = other is None and mult_i > 1
    passes = {number for run in runs for number in run.passes}
    assert passes == set(range(len(layers))) - ({1} if fused else set())
    step, output = runs[0].program[0], runs[0].outputs[0]
    assert (step.pool_y, step.pool_x) == ((2, 2) if fused else (1, 1))
    assert output is not None
    assert output.blocks[0].tensor == ("l1" if fused else "l0")
    for made, layer in zip(decode(runs, graph, params), graph.layers, strict=True):
        expected = as_decoded(layer, graph)
        np.testing.assert_array_equal(made.weight, expected.weight, layer.name)


def test_a_tensor_before_a_fused_pooling_is_not_cut() -> None:
    """It would take two RAMs, and is in none."""
    params = replace(PRESETS["tile"], act_words=256)
    first = _layer("l0", [(INPUT, (1, 16, 16))], 8, kernel=3)
    pool = _windows("l1", "l0", first.out_shape)
    runs = build(QuantGraph((1, 16, 16), (first, pool), ("l1",)), params)
    assert [run.passes for run in runs] == [(0,)]


def test_stages_and_slices() -> None:
    """The block halves before a pooling, and what only pooling reads is made in slices."""
    params = replace(PRESETS["paper"], pes_x=4, pes_y=4, act_words=512, num_channels=128)
    first = _layer("l0", [(INPUT, (3, 32, 32))], 8, kernel=3)
    second = _layer("l1", [("l0", (8, 32, 32))], 16, kernel=3)
    pool = _layer("l2", [("l1", (16, 32, 32))], 16, kernel=2, stride=2, groups=16, op="max")
    third = _layer("l3", [("l2", pool.out_shape)], 16, kernel=3)
    graph = QuantGraph((3, 32, 32), (first, second, pool, third), ("l3",))
    densities: dict[str, float] = {layer.name: 0.5 for layer in graph.layers}
    fill = DenseFill(params)
    placed = Placer(graph, params, densities, fill).place(range(4), 16 * 32 * 32 / 2)
    assert placed is not None
    assert any(placed.buses.values())
    blocks = [plan.mapping.blocks(params) for plan in placed.plans.values()]
    assert blocks == sorted(blocks)
    assert blocks[0] < blocks[-1]
    order = schedule(graph, placed, params, fill.rows)
    assert order is not None
    assert [step.layer for step in order.passes] == [0, 1, 2, 1, 2, 3]


def _check_places(graph: QuantGraph, placed: Placed, params: ScnnParams) -> None:
    """Check blocks, tiles and row strides of each layer."""
    holding = placed.holding
    sizes = block_sizes(params.pes_y), block_sizes(params.pes_x)
    for layer in placed.layers:
        conv, mapping = graph.layers[layer], placed.plans[layer].mapping
        to = placed.place(holding.makes[layer])
        (made,) = (
            one for one in graph.layers if one.name == holding.tensors[holding.makes[layer]].name
        )
        own = Placement(mapping.block_y, mapping.block_x, mapping.ho, mapping.wo)
        assert to == (own if made is conv else own.pooled(made.stride))
        assert mapping.ho * sizes[0][to.block_y] >= conv.out_shape[1]
        assert mapping.wo * sizes[1][to.block_x] >= conv.out_shape[2]
        assert mapping.y_stride - mapping.wo <= params.max_run
        sources = {placed.place(at) for at in holding.reads[layer]}
        assert len(sources) == 1
        source = sources.pop()
        for own, block, tile, there, step, axis in (
            (to.block_y, source.block_y, mapping.ho, source.tile_h, conv.stride[0], 0),
            (to.block_x, source.block_x, mapping.wo, source.tile_w, conv.stride[1], 1),
        ):
            assert block in (own, own + 1)
            parts = sizes[axis][block] // sizes[axis][own]
            # A PE without neighbours reads all that there is.
            assert sizes[axis][own] == 1 or tile * step == there * parts
            assert there * sizes[axis][block] >= conv.in_shape[1 + axis]
            assert there % step == 0
        strides = {placed.y_strides[holding.of_tensor[at]] for at in holding.reads[layer]}
        assert strides == {mapping.y_stride}
        tensors = [holding.tensors[at] for at in holding.reads[layer]]
        assert {tensor.stride for tensor in tensors} == {conv.stride}
        # PEs of one block hear nothing of others but over the bus.
        assert placed.buses[layer] or (
            source == Placement(to.block_y, to.block_x, source.tile_h, source.tile_w)
            and (goes_along(conv) or placed.owners(holding.reads[layer][0], params) == 1)
        )


def _check_schedule(graph: QuantGraph, placed: Placed, order: Schedule, params: ScnnParams) -> None:
    """Check that each pass reads what is there, and writes where nothing is that is needed."""
    holding = placed.holding
    rows: dict[int, Spot] = {}
    entries: dict[int, Spot] = {}

    def write(spot: Spot) -> None:
        for memory, first, count, size in (
            (rows, spot.word, spot.rows, params.act_words),
            (entries, spot.base, spot.entries, params.num_channels),
        ):
            assert first + count <= size
            memory |= dict.fromkeys(range(first, first + count), spot)

    def there(spot: Spot) -> bool:
        return all(
            memory.get(at) is spot
            for memory, first, count in (
                (rows, spot.word, spot.rows),
                (entries, spot.base, spot.entries),
            )
            for at in range(first, first + count)
        )

    made: dict[int, list[range]] = {layer: [] for layer in placed.layers}
    for number, tensor in enumerate(holding.tensors):
        owners = placed.owners(number, params)
        words = placed.place(number).words(tensor.stride, params)
        for spot in order.spots[number]:
            assert owners * spot.each >= spot.piece.stop - spot.piece.start
            assert spot.entries == spot.each * tensor.phases
            assert spot.rows == spot.entries * words
            if tensor.maker < 0:
                write(spot)
    for step in order.passes:
        assert all(map(there, step.reads))
        if placed.buses[step.layer]:
            assert set(step.span) <= set(entries)
        write(step.target)
        assert all(map(there, step.reads))
        made[step.layer].append(range(step.target.piece.start, step.target.piece.stop))
        conv = graph.layers[step.layer]
        read = sum(spot.piece.stop - spot.piece.start for spot in step.reads)
        needed = input_channels(conv, made[step.layer][-1])
        assert step.first <= needed.start
        assert needed.stop <= step.first + read
    for layer, parts in made.items():
        channels = [channel for part in parts for channel in part]
        assert channels == list(range(graph.layers[layer].out_shape[0]))
    for number, tensor in enumerate(holding.tensors):
        if tensor.leaves:
            assert all(map(there, order.spots[number]))


@examples(15)
@given(
    graph=graphs(),
    params=st.sampled_from(ARRAYS),
    seed=st.integers(0, 1 << 32),
    measured=st.booleans(),
)
def test_runs_compute_the_network(
    graph: QuantGraph,
    params: ScnnParams,
    seed: int,
    measured: bool,
    machine: Any,
    convolve: Callable[..., NDArray[np.int64]],
) -> None:
    rng = np.random.default_rng(seed)
    planes = rng.integers(0, 100, graph.input_shape) * (rng.random(graph.input_shape) < 0.6)
    expected = {INPUT: planes}
    for layer in graph.layers:
        read = np.concatenate([expected[name] for name in layer.inputs])
        expected[layer.name] = convolve(layer, read, params)
    there = {name: tensor[None] != 0 for name, tensor in expected.items()}
    fill = MeasuredFill(params, there, 0.0) if measured else DenseFill(params)
    runs = build(graph, params, fill=fill)
    made = {INPUT: planes} | {
        layer.name: np.zeros(layer.out_shape, np.int64) for layer in graph.layers
    }
    array = machine(params)
    for run in runs:
        array.run(run, made)
    for name in graph.outputs:
        np.testing.assert_array_equal(made[name], expected[name])
    for layer, decoded in zip(graph.layers, decode(runs, graph, params), strict=True):
        for name, right in vars(as_decoded(layer, graph)).items():
            np.testing.assert_array_equal(getattr(decoded, name), right)


@examples(50)
@given(seed=st.integers(0, 1 << 32), count=st.integers(1, 5))
def test_cheapest_choice(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, count).tolist()
    costs: dict[tuple[int, ...], np.ndarray] = {}
    for names in [*itertools.combinations(range(count), 2), *((name,) for name in range(count))]:
        if rng.random() < 0.6:
            table = rng.integers(0, 50, [sizes[name] for name in names]).astype(float)
            table[rng.random(table.shape) < 0.2] = np.inf
            costs[names] = table

    def cost(values: Sequence[int]) -> float:
        return sum(table[tuple(values[n] for n in names)] for names, table in costs.items())

    least = min(map(cost, itertools.product(*map(range, sizes))))
    found = cheapest(sizes, costs)
    assert found is None if np.isinf(least) else found is not None and cost(found) == least


@examples(50)
@given(
    lives=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 6), st.integers(0, 4)), max_size=9)
)
def test_lifetimes_do_not_meet(lives: list[tuple[int, int, int]]) -> None:
    lifetimes = [Lifetime(rows, first, first + more) for rows, first, more in lives]
    every = sum(lifetime.rows for lifetime in lifetimes)
    bases = allocate(lifetimes, every)
    assert bases is not None
    most = max(
        (sum(x.rows for x in lifetimes if x.first <= t <= x.last) for t in range(11)), default=0
    )
    assert most <= peak(lifetimes, bases) <= every
    assert not most or allocate(lifetimes, most - 1) is None
    for (one, low), (other, high) in itertools.combinations(zip(lifetimes, bases, strict=True), 2):
        assert not one.meets(other) or low + one.rows <= high or high + other.rows <= low


@pytest.mark.parametrize(
    ("costs", "cuts"),
    [
        ({}, [(0, 1), (1, 2), (2, 3)]),
        ({(0, 2): 1.5}, [(0, 2), (2, 3)]),
        ({(0, 2): 2.5, (0, 3): 2.6}, [(0, 3)]),
        ({(1, 3): 0.5, (0, 2): 0.4}, [(0, 2), (2, 3)]),
    ],
)
def test_cuts_of_least_cost(
    costs: dict[tuple[int, int], float], cuts: list[tuple[int, int]]
) -> None:
    def cost(first: int, last: int) -> float | None:
        return costs.get((first, last), 1.0 if last == first + 1 else None)

    assert best_cuts([0, 1, 2, 3], cost) == cuts


def test_the_last_pe_takes_rows_that_fill_no_tile(
    machine: Any, convolve: Callable[..., NDArray[np.int64]]
) -> None:
    """A kernel of 3 at stride 2 reads 17 rows for 8 outputs, which two PEs share evenly."""
    reads = _layer("conv", [(INPUT, (1, 17, 17))], 4, kernel=3, stride=2)
    conv = replace(reads, padding=(0, 0), out_shape=(4, 8, 8))
    pool = _layer("pool", [("conv", (4, 8, 8))], 4, kernel=2, stride=2, groups=4, op="max")
    pool = replace(pool, padding=(0, 0), out_shape=(4, 4, 4))
    graph = QuantGraph((1, 17, 17), (conv, pool), ("pool",))
    (run,) = build(graph, TINY)
    (load,) = run.loads
    assert (load.layout.block_y, load.layout.tile_h, load.layout.walk_h) == (1, 8, 10)
    planes = np.random.default_rng(1).integers(0, 100, (1, 17, 17))
    expected = convolve(pool, convolve(conv, planes, TINY), TINY)
    made = {INPUT: planes, "conv": np.zeros((4, 8, 8), np.int64), "pool": np.zeros_like(expected)}
    machine(TINY).run(run, made)
    np.testing.assert_array_equal(made["pool"], expected)
    decoded, _ = decode([run], graph, TINY)
    for name, right in vars(as_decoded(conv, graph)).items():
        np.testing.assert_array_equal(getattr(decoded, name), right)
