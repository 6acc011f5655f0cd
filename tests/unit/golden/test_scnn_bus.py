"""Passes whose channels come over the bus: golden reads hand-made programs as convolutions."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.graphs import run_graph
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph
from zeroskip.compiler.scnn.bus import check_bus
from zeroskip.compiler.scnn.candidates import strides
from zeroskip.compiler.scnn.collect import collect
from zeroskip.compiler.scnn.fields import stored_fields
from zeroskip.compiler.scnn.geometry import whole_plane
from zeroskip.compiler.scnn.mapping import Mapping, Room
from zeroskip.compiler.scnn.passes import Encoder, Pass, Share
from zeroskip.compiler.scnn.run import ActLoad, Channels, ScnnRun
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.golden.words import Descriptor
from zeroskip.sim.scnn.accumulate import Accumulators, Stored
from zeroskip.sim.scnn.decode import decode
from zeroskip.sim.scnn.decoded import DecodedConv, as_decoded
from zeroskip.sim.scnn.streams import StreamReader, split_beats

P = dataclasses.replace(
    PRESETS["tiny"], pes_x=4, num_streams=8, bank_entries=32, act_words=512, act_fifo_words=4
)
PLANE = 8, 16
DEPTHS = 5, 6, 3
CHANNELS = 2


def conv(number: int) -> QuantConv:
    """Return the layer, of a 3x3 kernel, that reads the one before it."""
    rng = np.random.default_rng(number)
    given = DEPTHS[number - 1] if number else CHANNELS
    weight = rng.integers(-9, 10, (DEPTHS[number], given, 3, 3))
    weight *= rng.random(weight.shape) < 0.6
    return QuantConv(
        name=f"layer{number}",
        kind="conv",
        inputs=(f"layer{number - 1}" if number else INPUT,),
        in_shape=(given, *PLANE),
        out_shape=(DEPTHS[number], *PLANE),
        weight=weight,
        codebook=None,
        bias=rng.integers(-50, 50, DEPTHS[number]),
        stride=(1, 1),
        padding=(1, 1),
        groups=1,
        relu=True,
        op="add",
        signed_input=not number,
        in_frac=0,
        weight_frac=4,
        out_frac=0,
    )


GRAPH = QuantGraph((CHANNELS, *PLANE), tuple(map(conv, range(3))), ("layer2",))


def mapping(layer: QuantConv, block: tuple[int, int]) -> Mapping:
    """Lay a layer on blocks of so many PEs, log2, down and across."""
    ho, wo = PLANE[0] >> block[0], PLANE[1] >> block[1]
    found = strides(wo, ho, Room.of(layer, (1, 1)), P)
    assert found is not None
    k_stride, y_stride = found
    return Mapping(
        block_x=block[1], block_y=block[0], wo=wo, ho=ho, kc=1, k_stride=k_stride, y_stride=y_stride
    )


def program(blocks: Sequence[tuple[int, int]], **change: int) -> ScnnRun:
    """Make a run of the layers in blocks of these sizes; ``change`` fields of the last pass."""
    layers = GRAPH.layers
    maps = [mapping(layer, block) for layer, block in zip(layers, blocks, strict=True)]
    passes: list[Pass] = []
    base, word = CHANNELS, CHANNELS * maps[0].words(P)
    source, entries = 0, 0
    for number, (layer, own) in enumerate(zip(layers, maps, strict=True)):
        # Channels of the layer before are dealt to its blocks, in turn.
        numbers = np.arange(CHANNELS)
        if number:
            owners = maps[number - 1].blocks(P)
            each = -(-DEPTHS[number - 1] // owners)
            owner, entry = np.divmod(np.arange(DEPTHS[number - 1]), each)
            numbers = owner * entries + entry
        share = Share(
            region=whole_plane(layer), outputs=range(DEPTHS[number]), channels=range(len(numbers))
        )
        then = maps[number + 1].y_stride if number + 1 < len(maps) else None
        made = Encoder(layer, stored_fields(layer, P), own, P).make(
            share, layer=number, out_y_stride=then, numbers=numbers
        )
        made = made.writing_to(base, word)
        fields: dict[str, Any] = {"src_base": source}
        if number:
            before = maps[number - 1]
            fields |= {
                "bus": True,
                "src_block_x": before.block_x,
                "src_block_y": before.block_y,
                "src_entries": entries,
                "src_step_x": before.wo * (before.block_x != own.block_x),
                "src_step_y": before.ho * own.y_stride * (before.block_y != own.block_y),
            }
        source, entries = base, made.channels
        base += made.channels
        word += made.channels * own.words(P)
        descriptor = dataclasses.replace(made.descriptor, **fields)
        passes.append(dataclasses.replace(made, descriptor=descriptor))
    passes[-1] = dataclasses.replace(
        passes[-1], descriptor=dataclasses.replace(passes[-1].descriptor, **change)
    )
    layout = maps[0].layout(whole_plane(layers[0]), (1, 1), dense=False)
    whole = Channels(tensor=INPUT, start=0, stop=CHANNELS)
    steps, srams = collect(passes, P)
    return ScnnRun(
        program=steps,
        passes=(0, 1, 2),
        outputs=tuple(made.output for made in passes),
        srams=srams,
        loads=(
            ActLoad(
                channels=(whole,), base=0, word=0, limit=P.act_words, dealt=False, layout=layout
            ),
        ),
        stores=(),
    )


BLOCKS = {
    "alike": [(1, 1), (1, 1), (1, 1)],
    "across": [(1, 2), (1, 2), (1, 1)],
    "down": [(1, 1), (1, 1), (0, 1)],
    "both": [(1, 2), (0, 1), (0, 1)],
    "one block": [(1, 2), (1, 2), (1, 2)],
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_reads_what_owners_send(kind: str) -> None:
    run = program(BLOCKS[kind])
    for number, step in enumerate(run.program):
        check_bus(f"program.{number}", step, P)
    for made, layer in zip(decode([run], GRAPH, P), GRAPH.layers, strict=True):
        expected = as_decoded(layer, GRAPH)
        for field in dataclasses.fields(DecodedConv):
            np.testing.assert_array_equal(getattr(made, field.name), getattr(expected, field.name))


@pytest.mark.parametrize("kind", BLOCKS)
def test_words_make_plain_convolutions(kind: str) -> None:
    """Products and sums PE by PE, as they are in a run from memory."""
    run = program(BLOCKS[kind])
    srams = {name: sram.words for name, sram in run.srams.items()}
    readers = [
        StreamReader(beats, str(n), P) for n, beats in enumerate(split_beats(srams["weights"], P))
    ]
    rng = np.random.default_rng(7)
    x = rng.integers(-99, 99, GRAPH.input_shape) * (rng.random(GRAPH.input_shape) < 0.7)
    expected = run_graph(GRAPH, x[None], P.acc_bits, P.act_bits)
    acts, sums = Stored(P), Accumulators(P)
    (load,) = run.loads
    acts.put(load.layout, load.base, [x] * acts.count_blocks(load.layout))
    for layer, block, step, output in zip(
        GRAPH.layers, BLOCKS[kind], run.program, run.outputs, strict=True
    ):
        made = sums.run(Descriptor(vars(step)), srams, readers, acts)
        assert made is not None
        assert output is not None
        for part, planes in zip(output.blocks, made, strict=True):
            right = expected[layer.name][0, part.start : part.stop]
            np.testing.assert_array_equal(planes[: len(right)], right)
        layout = mapping(layer, block).out_layout(whole_plane(layer))
        acts.put(dataclasses.replace(layout, y_stride=step.out_y_stride), step.dst_base, list(made))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"src_step_x": 5}, r"^src_step_x of a pass that reads 'layer1' must be 4, not 5$"),
        ({"src_step_x": 0}, r"^src_step_x of a pass that reads 'layer1' must be 4, not 0$"),
        ({"src_entries": 2}, r"^weights of layer 'layer2' work on channel . from .*, which has"),
        ({"src_base": 3}, r"^layer 'layer2' must read .* with a row stride of 10, not .* with 6$"),
        ({"src_block_x": 1, "src_step_x": 0}, r"from blocks of \(2, 2\) PEs, but none has written"),
        ({"src_block_y": 0}, r"^a pass reads from blocks of \(1, 4\) PEs, but none has written$"),
        ({"bus": False}, r"^a pass reads from blocks of \(2, 2\) PEs, but none has written$"),
        # The last pass would write over what owners still send.
        ({"dst_word": 100}, r"^weights of layer 'layer2' work on .*, which has nothing$"),
    ],
)
def test_wrong_passes_are_refused(change: dict[str, int], message: str) -> None:
    run = program(BLOCKS["across"], **change)
    with pytest.raises(ValueError, match=message):
        decode([run], GRAPH, P)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"src_block_x": 0}, r"^here.src_block_x must be 1 or 2, as block_x says, not 0$"),
        ({"src_block_x": 3}, r"^here.src_block_x must be 1 or 2, as block_x says, not 3$"),
        ({"src_block_y": 2}, r"^here.src_block_y must be 1, as block_y says, not 2$"),
        ({"src_step_y": 7}, r"^here.src_step_y must be that of owners' blocks as large .* not 7$"),
        ({"src_entries": 0}, r"^here.src_entries must be 1 to \d+, the entries .* not 0$"),
        ({"src_entries": 999}, r"^here.src_entries must be 1 to \d+, the entries .* not 999$"),
        ({"bus": False}, r"^here.src_block_x must be that of a pass without bus = 0, not 2$"),
    ],
)
def test_images_with_wrong_fields_are_refused(change: dict[str, int], message: str) -> None:
    step = dataclasses.replace(program(BLOCKS["across"]).program[-1], **change)
    with pytest.raises(ValueError, match=message):
        check_bus("here", step, P)


def test_arrays_without_bus_are_told() -> None:
    step = program(BLOCKS["alike"]).program[-1]
    with pytest.raises(ValueError, match=r"^here.bus must be false: the array has no bus \(act_"):
        check_bus("here", step, dataclasses.replace(P, act_fifo_words=0))


def test_channels_must_ascend() -> None:
    """Some bit of the weights makes a header name a channel that has passed."""
    run = program(BLOCKS["alike"])
    weights = run.srams["weights"]
    for row, bit in np.ndindex(len(weights.words), weights.width):
        words = weights.words.copy()
        words[row, bit // 64] ^= np.uint64(1 << bit % 64)
        srams = {**run.srams, "weights": dataclasses.replace(weights, words=words)}
        try:
            decode([dataclasses.replace(run, srams=srams)], GRAPH, P)
        except ValueError as error:
            if "must be of ascending channels, as the bus sends them" in str(error):
                return
    pytest.fail("no bit does")
