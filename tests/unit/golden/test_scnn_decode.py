"""What SCNN's compiler stores says what the network says; damage shows."""

import contextlib
import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cosim.scnn_check import integer_torch
from tests.cosim.scnn_draw import draw_graph, draw_planes
from tests.support.tiers import examples
from zeroskip.base.errors import CompileError
from zeroskip.compiler.engine import SramData
from zeroskip.compiler.ir.fixed import layer_results
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORDS, descriptor_layout
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.sim.golden.words import Descriptor, read_descriptors
from zeroskip.sim.scnn.decode import decode
from zeroskip.sim.scnn.decoded import DecodedConv, Part, as_decoded, assemble
from zeroskip.sim.scnn.landing import Landing
from zeroskip.sim.scnn.streams import StreamReader, split_beats

TINY = PRESETS["tiny"]
ARRAYS = {
    "tiny": TINY,
    "tile": PRESETS["tile"],
    "blocks": dataclasses.replace(TINY, pes_x=4, pes_y=3, num_streams=6, num_taps=128),
    "wide": dataclasses.replace(TINY, mult_f=5, mult_i=3, run_bits=2, num_streams=4),
}


def conv(**change: Any) -> QuantConv:
    """Return a 3x3 layer of two channels on a 6x6 plane, with changes."""
    rng = np.random.default_rng(3)
    layer = QuantConv(
        name="one",
        kind="conv",
        inputs=(INPUT,),
        in_shape=(2, 6, 6),
        out_shape=(3, 6, 6),
        weight=rng.integers(-9, 10, (3, 2, 3, 3)),
        codebook=None,
        bias=np.array([5, -6, 70]),
        stride=(1, 1),
        padding=(1, 1),
        groups=1,
        relu=True,
        op="add",
        signed_input=True,
        in_frac=0,
        weight_frac=4,
        out_frac=0,
    )
    return dataclasses.replace(layer, **change)


def graph_of(*layers: QuantConv) -> QuantGraph:
    return QuantGraph(layers[0].in_shape, layers, (layers[-1].name,))


def check(made: DecodedConv, layer: QuantConv, graph: QuantGraph | None = None) -> None:
    expected = as_decoded(layer, graph or graph_of(layer))
    for field in dataclasses.fields(DecodedConv):
        np.testing.assert_array_equal(getattr(made, field.name), getattr(expected, field.name))


@examples(100)
@given(
    seed=st.integers(0, 2**32 - 1), array=st.sampled_from(sorted(ARRAYS)), layers=st.integers(1, 4)
)
def test_drawn_networks_come_back(seed: int, array: str, layers: int) -> None:
    params = ARRAYS[array]
    graph = draw_graph(np.random.default_rng(seed), params, layers)
    with contextlib.suppress(CompileError):
        runs = build(graph, params)
        decoded = decode(runs, graph, params)
        assert len(decoded) == layers
        for made, layer in zip(decoded, graph.layers, strict=True):
            check(made, layer, graph)
        planes = draw_planes(
            np.random.default_rng(seed), graph.input_shape, 2, params, low=params.min_act
        )
        exact = integer_torch(graph, planes, params)
        for result in layer_results(graph, planes, params.acc_bits, params.act_bits):
            np.testing.assert_array_equal(result.output, exact[result.layer.name])


@pytest.mark.parametrize("array", sorted(ARRAYS))
@pytest.mark.parametrize("padding", [(1, 1), (0, 3), (4, 4)])
@pytest.mark.parametrize(("kernel", "stride"), [((1, 1), 1), ((3, 3), 1), ((3, 2), 2)])
def test_outputs_that_no_input_reaches(
    array: str, padding: tuple[int, int], kernel: tuple[int, int], stride: int
) -> None:
    out = tuple((6 + 2 * p - k) // stride + 1 for p, k in zip(padding, kernel, strict=True))
    layer = conv(
        weight=np.random.default_rng(3).integers(1, 9, (3, 2, *kernel)),
        out_shape=(3, *out),
        stride=(stride, stride),
        padding=padding,
    )
    graph = graph_of(layer)
    try:
        runs = build(graph, ARRAYS[array])
    except CompileError:
        assert array == "wide"  # runs of at most 3 zeros do not reach so far
        return
    check(decode(runs, graph, ARRAYS[array])[0], layer)


@pytest.mark.parametrize("inputs", [("a", "b", "b"), ("a", "b", "a"), ("b", "a", "a", "b")])
@pytest.mark.parametrize("fused", [True, False])
def test_a_tensor_may_be_read_twice(inputs: tuple[str, ...], fused: bool) -> None:
    params = TINY if fused else dataclasses.replace(TINY, num_descriptors=2)
    rng = np.random.default_rng(4)
    last = conv(
        name="last",
        inputs=inputs,
        in_shape=(3 * len(inputs), 6, 6),
        weight=rng.integers(-9, 10, (3, 3 * len(inputs), 3, 3)),
    )
    graph = graph_of(conv(name="a"), conv(name="b"), last)
    runs = build(graph, params)
    assert (len(runs) == 1) == fused
    for made, layer in zip(decode(runs, graph, params), graph.layers, strict=True):
        check(made, layer, graph)
    # Weights of a place that is read once are not added up.
    moved = dataclasses.replace(
        graph,
        layers=(
            *graph.layers[:2],
            dataclasses.replace(last, inputs=(*inputs[:-1], "a" if inputs[-1] == "b" else "b")),
        ),
    )
    with pytest.raises((ValueError, AssertionError)):
        check(decode(runs, moved, params)[2], moved.layers[2], moved)


@pytest.mark.parametrize(
    ("change", "params"),
    [
        # More than one region, more than one run, halos, a kernel in parts.
        ({"in_shape": (2, 40, 40), "out_shape": (3, 40, 40)}, TINY),
        ({"in_shape": (2, 40, 40), "out_shape": (3, 20, 20), "stride": (2, 2)}, ARRAYS["blocks"]),
        (
            {
                "weight": np.random.default_rng(1).integers(-9, 9, (2, 2, 1, 23)),
                "bias": np.zeros(2, np.int64),
                "padding": (0, 11),
                "in_shape": (2, 3, 50),
                "out_shape": (2, 3, 50),
            },
            TINY,
        ),
        (
            {
                "weight": np.random.default_rng(1).integers(-9, 9, (70, 50, 1, 1)),
                "bias": np.arange(70),
                "padding": (0, 0),
                "in_shape": (50, 6, 6),
                "out_shape": (70, 6, 6),
            },
            TINY,
        ),
    ],
)
def test_layers_in_parts_come_back(change: dict[str, Any], params: ScnnParams) -> None:
    layer = conv(**change)
    graph = graph_of(layer)
    runs = build(graph, params)
    assert len(runs) > 1
    check(decode(runs, graph, params)[0], layer)


def test_taps_that_reach_nothing_do_not_matter() -> None:
    layer = conv(in_shape=(2, 1, 6), out_shape=(3, 1, 6))
    graph = graph_of(layer)
    (made,) = decode(build(graph, TINY), graph, TINY)
    assert not made.weight[0][:, :, [0, 2]].any()
    np.testing.assert_array_equal(made.weight[0][:, :, 1], layer.weight[:, :, 1])


def changed(runs: tuple[ScnnRun, ...], name: str, row: int, bit: int) -> tuple[ScnnRun, ...]:
    """Return the runs with a bit of an SRAM of the first one flipped."""
    words = runs[0].srams[name].words.copy()
    words[row, bit // 64] ^= np.uint64(1 << bit % 64)
    srams = runs[0].srams | {name: SramData(words, runs[0].srams[name].width)}
    return (dataclasses.replace(runs[0], srams=srams), *runs[1:])


@pytest.mark.parametrize("name", ["weights", "stream_0/bias", "tap"])
def test_every_bit_counts(name: str) -> None:
    layer = conv(weight=conv().weight | 1)
    graph, params = graph_of(layer), TINY
    runs = build(graph, params)
    expected = as_decoded(layer, graph)
    sram = runs[0].srams[name]
    unseen = 0
    for row in range(len(sram.words)):
        for bit in range(0, sram.width, 1 if len(sram.words) * sram.width < 500 else 3):
            try:
                (made,) = decode(changed(runs, name, row, bit), graph, params)
            except ValueError:
                continue
            same = np.array_equal(made.weight, expected.weight)
            unseen += same and np.array_equal(made.bias, expected.bias)
    # A weight of 0 at the very end of a pass is as good as none.
    assert unseen <= (name == "weights")


def test_every_field_counts() -> None:
    layer = conv()
    graph, params = graph_of(layer), TINY
    runs = build(graph, params)
    expected = as_decoded(layer, graph)
    seen = set()
    for row in range(4):
        for bit in range(64):
            with contextlib.suppress(ValueError):
                (made,) = decode(changed(runs, "program", row, bit), graph, params)
                if all(
                    np.array_equal(getattr(made, f.name), getattr(expected, f.name))
                    for f in dataclasses.fields(DecodedConv)
                ):
                    continue
            seen.add((row, bit))
    # Fields that matter for what comes after the layer, codebooks that are not used, and bits
    # that no field has, are not the weights' affair.
    assert len(seen) > 100


class TestRefusals:
    """What cannot be a program of the network."""

    def refuse(self, runs: tuple[ScnnRun, ...], message: str, layer: QuantConv) -> None:
        with pytest.raises(ValueError, match=re.escape(message)):
            decode(runs, graph_of(layer), TINY)

    def test_outputs(self) -> None:
        layer = conv()
        runs = build(graph_of(layer), TINY)
        self.refuse((), "must agree in shift, relu, maximum and keep_zeros", layer)
        one = runs[0].outputs[0]
        assert one is not None
        missing = dataclasses.replace(runs[0], outputs=(None,))
        self.refuse((missing,), "of layer 'one' must say what it writes", layer)
        more = dataclasses.replace(runs[0], outputs=())
        self.refuse((more,), "as many descriptors as passes and outputs, not 1, 1 and 0", layer)
        small = dataclasses.replace(runs[0], outputs=(dataclasses.replace(one, width=2),))
        self.refuse((small,), "must write (6, 6) outputs", layer)

    def test_inputs(self) -> None:
        layer = conv()
        runs = build(graph_of(layer), TINY)
        (load,) = runs[0].loads
        self.refuse(
            (dataclasses.replace(runs[0], loads=(dataclasses.replace(load, base=1),)),),
            "work on channel 0 from directory entry 0 on, which has nothing",
            layer,
        )
        tile = dataclasses.replace(load.layout, tile_w=1)
        self.refuse(
            (dataclasses.replace(runs[0], loads=(dataclasses.replace(load, layout=tile),)),),
            "must read (1, 1) phases of tiles of",
            layer,
        )
        moved = dataclasses.replace(load.layout, x0=load.layout.x0 + 9)
        self.refuse(
            (dataclasses.replace(runs[0], loads=(dataclasses.replace(load, layout=moved),)),),
            "outside its kernel of (3, 3)",
            layer,
        )
        named = tuple(dataclasses.replace(one, tensor="other") for one in load.channels)
        self.refuse(
            (dataclasses.replace(runs[0], loads=(dataclasses.replace(load, channels=named),)),),
            "must read ('input',), not 'other'",
            layer,
        )

    def test_streams(self) -> None:
        words = np.zeros((3, 1), np.uint64)
        with pytest.raises(ValueError, match="must have a last descriptor, but none of 0 is it"):
            read_descriptors(words, descriptor_layout(TINY), DESCRIPTOR_WORDS)
        zeros, last = np.zeros((1, 2), np.uint64), np.array([[1 << 3, 0]], np.uint64)
        empty = StreamReader(zeros[:0], "s", TINY)
        with pytest.raises(ValueError, match="s must have more than 0 beats of weights"):
            empty.read(1, plain=False)
        odd = StreamReader(zeros, "s", TINY)
        with pytest.raises(ValueError, match="s must not have an empty block before the last"):
            odd.read(1, plain=False)
        assert StreamReader(last, "s", TINY).read(1, plain=False).last.tolist() == [1]
        more = StreamReader(last | np.array([[1 << 60, 0]], np.uint64), "s", TINY)
        with pytest.raises(ValueError, match="s must have zeros where no field is"):
            more.read(1, plain=False)
        with pytest.raises(ValueError, match="weights must have 1 beats behind beat 0"):
            split_beats(np.array([[1, 0]], np.uint64), TINY)
        with pytest.raises(ValueError, match="weights must have 1 streams only in beat 0"):
            split_beats(np.array([[1 | 1 << 20, 0], [0, 0]], np.uint64), TINY)

    def test_landing(self) -> None:
        values = {
            "kc": 2, "k_stride": 12, "y_stride": 3, "origin": 0, "wo": 2, "ho": 3,
            "halo_left": 0, "halo_right": 0, "halo_top": 0, "halo_bottom": 0,
        }  # fmt: skip
        good = Landing.of(Descriptor(values), TINY)
        zero = np.zeros(1, np.int64)
        assert [part.tolist() for part in good.moves(zero, zero, (3, 2))] == [[0], [0]]
        assert [part.tolist() for part in good.moves(zero + 3, zero, (3, 2))] == [[1], [0]]
        assert [part.tolist() for part in good.moves(zero + 50, zero, (3, 2))] == [
            [good.nowhere]
        ] * 2
        with pytest.raises(ValueError, match="for output channel 0 of a group to channel 1"):
            good.moves(zero + 12, zero, (3, 2))
        with pytest.raises(ValueError, match="to outputs beside them in 2 ways"):
            # One to the right in some rows, one to the left of the next row in others.
            Landing.of(Descriptor({**values, "y_stride": 2}), TINY).moves(zero + 1, zero, (3, 2))
        with pytest.raises(ValueError, match="must not have the same accumulator"):
            Landing.of(Descriptor({**values, "k_stride": 2}), TINY).moves(zero, zero, (3, 2))
        with pytest.raises(ValueError, match="accumulators must be from 0 to 127, not 120 to"):
            Landing.of(Descriptor({**values, "origin": 120}), TINY).moves(zero, zero, (3, 2))

    def test_parts(self) -> None:
        layer = conv()
        expected = as_decoded(layer, graph_of(layer))
        part = Part(
            channels=range(3),
            first=(0, 0),
            size=(6, 3),
            weight=expected.weight[0],
            bias=expected.bias,
            shift=expected.shift,
            relu=True,
            maximum=False,
            keep_zeros=False,
        )
        right = dataclasses.replace(part, first=(0, 3))
        check(assemble(layer, [part, right]), layer)
        with pytest.raises(ValueError, match=re.escape("output (0, 0, 3) of layer 'one' must be")):
            assemble(layer, [part])
        with pytest.raises(ValueError, match="agree in shift"):
            assemble(layer, [part, dataclasses.replace(right, shift=1)])
        for change in ({"bias": expected.bias + 1}, {"weight": expected.weight[0] + 1}):
            with pytest.raises(ValueError, match="disagree in weights or biases"):
                assemble(layer, [part, dataclasses.replace(right, **change)])
        with pytest.raises(ValueError, match=re.escape("has outputs beyond (3, 6, 6)")):
            assemble(layer, [part, dataclasses.replace(right, first=(0, 4))])
