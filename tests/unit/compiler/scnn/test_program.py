"""Networks compiled to runs compute what their layers do one after the other."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.tiers import examples
from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph
from zeroskip.compiler.scnn.cost import input_densities
from zeroskip.compiler.scnn.fill import DenseFill
from zeroskip.compiler.scnn.fuse import made_layer
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.scnn.segments import Segments
from zeroskip.hw.scnn.params import PRESETS, ScnnParams

Convolve = Callable[[QuantConv, NDArray[np.int64], ScnnParams], NDArray[np.int64]]


class Network:
    """Grows a graph layer by layer, with weights of its own."""

    def __init__(self, input_shape: tuple[int, int, int], seed: int = 0) -> None:
        self.shapes = {INPUT: input_shape}
        self.layers: list[QuantConv] = []
        self._rng = np.random.default_rng(seed)

    def conv(
        self,
        *inputs: str,
        out: int = 0,
        kernel: int = 1,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        pool: bool = False,
        relu: bool = True,
        density: float = 0.5,
    ) -> str:
        """Add a layer, a maximum if ``pool``; return its name."""
        rng, name = self._rng, f"layer{len(self.layers)}"
        shapes = [self.shapes[one] for one in inputs]
        channels = sum(shape[0] for shape in shapes)
        size = [(length + 2 * padding - kernel) // stride + 1 for length in shapes[0][1:]]
        out, groups = (channels, channels) if pool else (out, groups)
        shape = out, channels // groups, kernel, kernel
        weight = rng.integers(-7, 8, shape) * (rng.random(shape) < density)
        self.layers.append(
            QuantConv(
                name=name,
                kind="max" if pool else "conv",
                inputs=inputs,
                in_shape=(channels, *shapes[0][1:]),
                out_shape=(out, size[0], size[1]),
                weight=np.ones(shape, np.int64) if pool else weight,
                codebook=np.arange(-7, 8)[np.argsort(np.arange(-7, 8) != 0, kind="stable")]
                if not pool and len(self.layers) % 2
                else None,
                bias=rng.integers(-50, 50, out) * (not pool),
                stride=(stride, stride),
                padding=(padding, padding),
                groups=groups,
                relu=relu,
                op="max" if pool else "add",
                signed_input=not all(
                    one != INPUT and next(x for x in self.layers if x.name == one).relu
                    for one in inputs
                ),
                in_frac=0,
                weight_frac=0 if pool else 3,
                out_frac=0,
            )
        )
        self.shapes[name] = self.layers[-1].out_shape
        return name

    def graph(self, *outputs: str) -> QuantGraph:
        return QuantGraph(self.shapes[INPUT], tuple(self.layers), outputs)


def _check(
    graph: QuantGraph, params: ScnnParams, machine: Any, convolve: Convolve, seed: int = 0
) -> int:
    """Compare all tensors that come back; return the number of runs."""
    rng = np.random.default_rng(seed)
    want = {INPUT: rng.integers(-99, 100, graph.input_shape)}
    for layer in graph.layers:
        x = np.concatenate([want[name] for name in layer.inputs])
        want[layer.name] = convolve(layer, x, params)
    got = {name: np.full(tensor.shape, 12345) for name, tensor in want.items()}
    got[INPUT] = want[INPUT]
    array = machine(params)
    runs = build(graph, params)
    for run in runs:
        array.run(run, got)
    stored = {c.tensor for run in runs for store in run.stores for c in store.blocks}
    assert set(graph.outputs) <= stored | {INPUT}
    for name in stored:
        np.testing.assert_array_equal(got[name], want[name], name)
    done = [
        number
        for run in runs
        for layer, output in zip(run.passes, run.outputs, strict=True)
        for number in (layer, made_layer(graph, layer, output))
    ]
    assert list(dict.fromkeys(done)) == list(range(len(graph.layers)))
    return len(runs)


def _lenet() -> QuantGraph:
    """Give LeNet-5's shape on 8 x 8 digits."""
    net = Network((1, 8, 8))
    x = net.conv(INPUT, out=6, kernel=3, padding=1)
    x = net.conv(x, kernel=2, stride=2, pool=True)
    x = net.conv(x, out=16, kernel=3, padding=1)
    x = net.conv(x, kernel=2, stride=2, pool=True)
    return net.graph(x)


_SQUARE = replace(PRESETS["tile"], pes_x=2, pes_y=2)


@pytest.mark.parametrize(
    ("params", "runs"),
    [(PRESETS["tile"], 1), (_SQUARE, 1), (replace(_SQUARE, num_streams=4, pes_x=3), 1)],
)
def test_lenet_runs(params: ScnnParams, runs: int, machine: Any, convolve: Convolve) -> None:
    assert _check(_lenet(), params, machine, convolve) == runs


def test_fire_modules_are_one_run(machine: Any, convolve: Convolve) -> None:
    net = Network((3, 13, 13))
    x = net.conv(INPUT, out=6, kernel=3, stride=2)
    for _ in range(2):
        squeeze = net.conv(x, out=3)
        one, three = net.conv(squeeze, out=4), net.conv(squeeze, out=5, kernel=3, padding=1)
        x = net.conv(three, one, kernel=3, stride=2, padding=1, pool=True)
    assert _check(net.graph(x), _SQUARE, machine, convolve) == 1


def test_what_is_needed_later_stays(machine: Any, convolve: Convolve) -> None:
    """A residual block and an inception module are one run."""
    net = Network((2, 6, 6))
    stem = net.conv(INPUT, out=4, kernel=3, padding=1)
    inner = net.conv(stem, out=4, kernel=3, padding=1)
    total = net.conv(inner, stem, out=4)
    left = net.conv(total, out=2)
    middle = net.conv(net.conv(total, out=2), out=3, kernel=3, padding=1)
    right = net.conv(net.conv(total, kernel=3, padding=1, pool=True), out=2)
    out = net.conv(left, middle, right, out=5, relu=False)
    assert _check(net.graph(out, left), _SQUARE, machine, convolve) == 1


def test_planes_in_strips(machine: Any, convolve: Convolve) -> None:
    """What the RAMs do not hold as a whole is made row by row, through all layers."""
    net = Network((2, 40, 6))
    x = net.conv(INPUT, out=8, kernel=3, padding=1)
    x = net.conv(x, out=8, kernel=3, padding=1)
    graph = net.graph(net.conv(x, kernel=2, stride=2, pool=True))
    params = replace(_SQUARE, act_words=128)
    _check(graph, params, machine, convolve)
    layers = [
        frozenset(
            number
            for layer, output in zip(run.passes, run.outputs, strict=True)
            for number in (layer, made_layer(graph, layer, output))
        )
        for run in build(graph, params)
    ]
    assert any(len(some) > 1 and layers.count(some) > 1 for some in layers)


def test_strips_of_rows_that_fill_tiles() -> None:
    """Strips at the edges need fewer rows in between, and have others than those of one height."""
    net = Network((2, 40, 6))
    x = net.conv(INPUT, out=8, kernel=3, padding=1)
    graph = net.graph(net.conv(x, out=8, kernel=3, padding=1))
    params = replace(_SQUARE, act_words=128)
    densities = input_densities(graph, None)
    (segment,) = Segments(graph, params, densities, DenseFill(params)).choose()
    heights = [part.strip.graph.layers[1].out_shape[1] for part in segment.parts]
    assert sum(heights) == 40
    assert len(set(heights)) > 1


def test_rows_that_no_window_has(machine: Any, convolve: Convolve) -> None:
    """Products of the last row must not reach the first of the next channel."""
    net = Network((2, 9, 8))
    x = net.conv(INPUT, out=4)
    x = net.conv(x, out=5, kernel=2, stride=2)
    graph = net.graph(net.conv(x, out=3, kernel=2))
    assert _check(graph, PRESETS["tile"], machine, convolve) == 1


def test_signed_maxima_on_chip(machine: Any, convolve: Convolve) -> None:
    net = Network((2, 7, 7))
    x = net.conv(INPUT, out=4, kernel=3, padding=1, relu=False)
    x = net.conv(x, kernel=3, stride=2, padding=1, pool=True, relu=False)
    x = net.conv(x, out=3, relu=False)
    assert _check(net.graph(x), _SQUARE, machine, convolve) == 1


@st.composite
def graphs(draw: st.DrawFn) -> QuantGraph:
    net = Network((draw(st.integers(1, 3)), draw(st.integers(4, 9)), draw(st.integers(4, 9))))
    made = [INPUT]
    for _ in range(draw(st.integers(1, 5))):
        first = made[draw(st.integers(max(0, len(made) - 3), len(made) - 1))]
        same = [name for name in made if net.shapes[name][1:] == net.shapes[first][1:]]
        inputs = [first]
        if draw(st.booleans()):
            inputs += [name for name in draw(st.permutations(same))[:1] if name != first]
        kernel = draw(st.integers(1, min(3, *net.shapes[first][1:])))
        made.append(
            net.conv(
                *inputs,
                out=draw(st.integers(1, 5)),
                kernel=kernel,
                stride=draw(st.integers(1, 2)),
                padding=draw(st.integers(0, kernel // 2)),
                pool=draw(st.integers(0, 3)) == 0,
                relu=draw(st.booleans()),
                density=draw(st.sampled_from([0.3, 1.0])),
            )
        )
    return net.graph(made[-1])


@examples(40)
@given(
    graph=graphs(),
    pes=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    words=st.sampled_from([16, 32, 128]),
)
def test_any_network(
    graph: QuantGraph,
    pes: tuple[int, int],
    words: int,
    machine: Any,
    convolve: Convolve,
) -> None:
    params = replace(
        PRESETS["tiny"],
        pes_x=pes[0],
        pes_y=pes[1],
        num_streams=pes[0] * pes[1],
        bank_entries=32,
        act_words=2 * words,
    )
    _check(graph, params, machine, convolve)


def test_strides_that_descriptors_have_no_bits_for(machine: Any, convolve: Convolve) -> None:
    """The host stores phases of any stride; only on the array are there bits for 7 at most."""
    net = Network((2, 26, 17))
    out = net.conv(INPUT, out=3, kernel=3, stride=1, padding=1)
    out = net.conv(out, out=3, kernel=9, stride=8)
    graph = net.graph(out)
    _check(graph, replace(PRESETS["tiny"], num_channels=512, bank_entries=32), machine, convolve)
    assert all(run.program[0].out_sx <= 7 for run in build(graph, PRESETS["tile"]))


def test_refuses_a_stride_of_0() -> None:
    net = Network((1, 17, 17))
    graph = net.graph(net.conv(INPUT, out=1))
    layer = replace(graph.layers[0], stride=(1, 0))
    with pytest.raises(CompileError, match="stride of layer 'layer0' must be at least 1"):
        build(replace(graph, layers=(layer,)), _SQUARE)
