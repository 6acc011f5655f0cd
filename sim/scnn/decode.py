"""Read convolutions back from SRAM contents, to show that an image says what its network says.

A program says which stored activation (channel, phase) a weight works on, and the addresses of
accumulators say which output that is for. From the two follows the place in the kernel: input
row less output row. So nothing of the compiler's own geometry is used here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import QuantConv, QuantGraph
from zeroskip.compiler.scnn.fuse import made_layer
from zeroskip.compiler.scnn.run import Channels, PassOutput, ScnnRun
from zeroskip.hw.common.formats import Activation, bias_word
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORDS, descriptor_layout
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.golden.words import Descriptor, read_descriptors, signed
from zeroskip.sim.scnn.decoded import DecodedConv, Part, assemble, source_channels
from zeroskip.sim.scnn.directory import Directories, Entry
from zeroskip.sim.scnn.landing import Landing
from zeroskip.sim.scnn.streams import Block, StreamReader, split_beats, weight_values

__all__ = ["decode"]


@dataclass(frozen=True, eq=False)
class _Products:
    """Weights of one block that a stream adds up.

    Parameters
    ----------
    outputs : (n,) output channels of the pass.
    entry : of the activations that they meet.
    moves : (2, n) rows and columns from an activation, counted in its phase, to its output.
    values : (n,) weights.
    """

    outputs: NDArray[np.int64]
    entry: Entry
    moves: NDArray[np.int64]
    values: NDArray[np.int64]

    def reaching(self, output: PassOutput, depth: int) -> "_Products":
        """Leave out what meets no activation on its way to one of ``depth`` outputs."""
        there = self.outputs < depth
        for axis, rows in enumerate((output.height, output.width)):
            step, phase = self.entry.steps[axis], self.entry.phase[axis]
            # The activations of the phase are 0 up to, not with, this one.
            stop = -(-(self.entry.size[axis] - phase) // step)
            move = self.moves[axis]
            there = there & (np.maximum(0, -move) < np.minimum(stop, rows - move))
        return replace(
            self,
            outputs=self.outputs[there],
            moves=self.moves[:, there],
            values=self.values[there],
        )

    def places(self, conv: QuantConv, output: PassOutput) -> NDArray[np.int64]:
        """Return (2, n) rows and columns of the kernel: input less stride times output."""
        found = np.empty_like(self.moves)
        for axis, first in enumerate((output.y0, output.x0)):
            base = self.entry.first[axis] + self.entry.phase[axis] + conv.padding[axis]
            found[axis] = base - (self.moves[axis] + first) * conv.stride[axis]
        return found


def decode(
    runs: Sequence[ScnnRun], graph: QuantGraph, params: ScnnParams
) -> tuple[DecodedConv, ...]:
    """Decode every layer of a program.

    Parameters
    ----------
    runs : contents of SRAMs, and what the host does, run by run.
    graph : which tensors there are, and the layers' strides and paddings; neither weights, nor
        biases, nor what follows the sum, are looked at.
    params : sizes of the array.

    Returns
    -------
    Of each layer; see :class:`.DecodedConv`.

    Raises
    ------
    ValueError
        If the contents do not compute the graph's layers: a stream ends early, a weight works on
        an activation that is not there or is outside the kernel, passes of a layer disagree, an
        output is computed twice or never.
    """
    reader = _Reader(graph, params)
    for run in runs:
        reader.run(run)
    return tuple(assemble(layer, reader.parts[number]) for number, layer in enumerate(graph.layers))


class _Reader:
    """The state of one walk through all runs."""

    def __init__(self, graph: QuantGraph, params: ScnnParams) -> None:
        self._graph, self._params = graph, params
        self._srams: dict[str, NDArray[np.uint64]] = {}
        self._directories = Directories(params)
        # Sums that stay in the accumulators, and how those are laid out.
        self._open: dict[int, list[_Products]] = {}
        self._landing: Landing | None = None
        self.parts: list[list[Part]] = [[] for _ in graph.layers]

    def run(self, run: ScnnRun) -> None:
        """Go through a run."""
        self._srams |= {name: sram.words for name, sram in run.srams.items()}
        self._directories.load(run.loads)
        layout = descriptor_layout(self._params)
        program = read_descriptors(self._srams["program"], layout, DESCRIPTOR_WORDS)
        if not len(program) == len(run.passes) == len(run.outputs):
            raise ValueError(
                f"a run must have as many descriptors as passes and outputs, not {len(program)}, "
                f"{len(run.passes)} and {len(run.outputs)}"
            )
        streams = [
            StreamReader(beats, f"stream_{number}", self._params)
            for number, beats in enumerate(split_beats(self._srams.get("weights"), self._params))
        ]
        for descriptor, layer, output in zip(program, run.passes, run.outputs, strict=True):
            self._pass(descriptor, layer, output, streams)
        for number, stream in enumerate(streams):
            if not stream.used_up:
                raise ValueError(f"stream_{number} must have no weights behind those of its passes")

    def _pass(
        self,
        descriptor: Descriptor,
        layer: int,
        output: PassOutput | None,
        streams: Sequence[StreamReader],
    ) -> None:
        """Go through a pass."""
        conv, blocks = self._graph.layers[layer], self._directories.blocks(descriptor)
        landing = Landing.of(descriptor, self._params)
        if descriptor.wipe:
            self._open, self._landing = {}, landing
        elif landing != self._landing:
            raise ValueError(f"sums of layer {conv.name!r} must stay where they are, or be wiped")
        if descriptor.init_min != descriptor.keep_zeros:
            raise ValueError(
                f"a pass of layer {conv.name!r} must begin with the least number where it looks at "
                "zeros, and there only"
            )
        if not descriptor.pool_y or not descriptor.pool_x:
            raise ValueError(f"a pass of layer {conv.name!r} must have windows of at least 1 x 1")
        if not descriptor.drain and descriptor.groups != 1:
            raise ValueError(f"a pass without drain must have one group, not {descriptor.groups}")
        if descriptor.drain:
            self._directories.begin(descriptor)
        for stream in range(blocks):
            products = self._open.setdefault(stream, [])
            found = streams[stream].blocks(
                descriptor.groups, descriptor.log_kc, plain=bool(descriptor.plain)
            )
            before = -1, -1
            for group, block in found:
                # The bus sends a channel once a group, in the order of the numbers.
                if descriptor.bus and (group, block.channel) <= before:
                    raise ValueError(
                        f"weights of layer {conv.name!r} must be of ascending channels, as the "
                        f"bus sends them, but {block.channel} comes behind {before[1]}"
                    )
                before = group, block.channel
                made = self._products(descriptor, conv, landing, stream, block)
                products.append(replace(made, outputs=made.outputs + group * descriptor.kc))
        if not descriptor.drain:
            if output is not None:
                raise ValueError(f"a pass of layer {conv.name!r} without drain has outputs")
            return
        if output is None:
            raise ValueError(f"a pass of layer {conv.name!r} must say what it writes")
        self._drain(descriptor, layer, output, blocks)

    def _products(
        self,
        descriptor: Descriptor,
        conv: QuantConv,
        landing: Landing,
        stream: int,
        block: Block,
    ) -> _Products:
        """Find out what the weights of a block are for."""
        entry = self._directories.read(descriptor, stream, block.channel)
        if entry is None:
            raise ValueError(
                f"weights of layer {conv.name!r} work on channel {block.channel} from directory "
                f"entry {descriptor.src_base} on, which has nothing"
            )
        tile = descriptor.ho * conv.stride[0], descriptor.wo * conv.stride[1]
        log_blocks = descriptor.block_y, descriptor.block_x
        # A PE without neighbours may hold other rows, or columns, than its outputs are below.
        tile = tuple(
            size if min(1 << log_pes, pes) > 1 else held
            for size, held, log_pes, pes in zip(
                tile, entry.tile, log_blocks, (self._params.pes_y, self._params.pes_x), strict=True
            )
        )
        if (entry.steps, entry.tile, entry.y_stride) != (conv.stride, tile, descriptor.y_stride):
            raise ValueError(
                f"layer {conv.name!r} must read {conv.stride} phases of tiles of {tile} with a row "
                f"stride of {descriptor.y_stride}, not {entry.steps} of {entry.tile} with "
                f"{entry.y_stride}"
            )
        if descriptor.keep_zeros and not entry.dense:
            raise ValueError(
                f"layer {conv.name!r} looks at zeros, but those of {entry.tensor!r} are not stored"
            )
        values = weight_values(block.fields, self._srams, descriptor, self._params)
        if block.taps.max(initial=-1) >= len(self._srams.get("tap", ())):
            raise ValueError(f"weights of layer {conv.name!r} have taps beyond the table")
        taps = self._srams["tap"][block.taps, 0].astype(np.int64) if block.taps.size else block.taps
        rows, columns = (
            -(-min(size, here) // step)
            for size, here, step in zip(entry.size, entry.walked, entry.steps, strict=True)
        )
        down, across = landing.moves(taps, block.outputs, (rows, columns))
        # What never reaches an output that is read does not matter.
        there = (down < landing.nowhere) & (values != 0)
        return _Products(
            outputs=block.outputs[there],
            entry=entry,
            moves=np.stack([down[there], across[there]]),
            values=values[there],
        )

    def _drain(self, descriptor: Descriptor, layer: int, output: PassOutput, blocks: int) -> None:
        """Close the sums: they are the outputs that ``output`` says."""
        conv = self._graph.layers[layer]
        size = (
            descriptor.full_y * descriptor.ho + descriptor.rem_y,
            descriptor.full_x * descriptor.wo + descriptor.rem_x,
        )
        windows = descriptor.pool_y, descriptor.pool_x
        written = output.height * windows[0], output.width * windows[1]
        if size != written or len(output.blocks) != blocks:
            raise ValueError(
                f"a pass of layer {conv.name!r} must write {size} outputs of {blocks} "
                f"blocks, not {written} of {len(output.blocks)}"
            )
        made_by = made_layer(self._graph, layer, output)
        target = self._graph.layers[made_by]
        if windows != ((1, 1) if made_by == layer else target.kernel):
            raise ValueError(
                f"a pass of layer {conv.name!r} must write what layer {target.name!r} makes, not "
                f"maxima of windows of {windows}"
            )
        made = (descriptor.groups - 1) * descriptor.kc + descriptor.kc_last
        for stream, part in enumerate(output.blocks):
            if part.stop - part.start > made or (
                part.start < part.stop and part.tensor != target.name
            ):
                raise ValueError(
                    f"a pass of layer {conv.name!r} makes {made} of its channels, not {part}"
                )
            if part.start < part.stop:
                outputs = _before_windows(output, windows)
                self.parts[layer].append(self._part(descriptor, conv, outputs, stream, part))
                if made_by != layer:
                    self.parts[made_by].append(_pooled_part(target, output, part))
        self._open = {}
        self._directories.write(descriptor, output)

    def _part(
        self,
        descriptor: Descriptor,
        conv: QuantConv,
        output: PassOutput,
        stream: int,
        part: Channels,
    ) -> Part:
        """Put weights and biases of one stream in their places."""
        depth = part.stop - part.start
        kernel = conv.weight.shape[2], conv.weight.shape[3]
        weight = np.zeros((depth, conv.in_shape[0], *kernel), np.int64)
        times = np.zeros_like(weight)
        for made in (products.reaching(output, depth) for products in self._open[stream]):
            rows, columns = made.places(conv, output)
            inside = (rows >= 0) & (rows < kernel[0]) & (columns >= 0) & (columns < kernel[1])
            if not inside.all():
                raise ValueError(
                    f"layer {conv.name!r} has a weight at {rows[~inside][0], columns[~inside][0]}, "
                    f"outside its kernel of {kernel}"
                )
            channel = _channel(self._graph, conv, made.entry)
            where = made.outputs, rows, columns
            np.add.at(times[:, channel], where, 1)
            np.add.at(weight[:, channel], where, made.values)
        # A tensor that is read twice has two weights a place, which work on the same activations.
        most = np.bincount(source_channels(conv, self._graph), minlength=conv.in_shape[0])
        if (times > most[:, None, None]).any():
            raise ValueError(f"layer {conv.name!r} has two weights in the same place")
        words = self._srams[f"stream_{stream}/bias"][
            descriptor.bias_base : descriptor.bias_base + depth, 0
        ]
        if len(words) < depth:
            raise ValueError(f"stream_{stream}/bias must have {descriptor.bias_base + depth} rows")
        half = np.uint64(bias_word(0, descriptor.shift))
        return Part(
            channels=range(part.start, part.stop),
            first=(output.y0, output.x0),
            size=(output.height, output.width),
            weight=weight,
            bias=signed(words - half, self._params.acc_bits),
            shift=descriptor.shift,
            relu=descriptor.activation == Activation.RELU,
            maximum=bool(descriptor.maximum),
            keep_zeros=bool(descriptor.keep_zeros),
        )


def _before_windows(output: PassOutput, windows: tuple[int, int]) -> PassOutput:
    """Return the region of a layer's plane that the windows of a pass cover."""
    down, across = windows
    return replace(
        output,
        y0=output.y0 * down,
        x0=output.x0 * across,
        height=output.height * down,
        width=output.width * across,
    )


def _pooled_part(pool: QuantConv, output: PassOutput, part: Channels) -> Part:
    """Return the part of a pooling that a pass of the layer before makes: it sees all outputs."""
    depth = part.stop - part.start
    weight = np.zeros((depth, pool.in_shape[0], *pool.kernel), np.int64)
    weight[np.arange(depth), np.arange(part.start, part.stop)] = 1
    return Part(
        channels=range(part.start, part.stop),
        first=(output.y0, output.x0),
        size=(output.height, output.width),
        weight=weight,
        bias=np.zeros(depth, np.int64),
        shift=0,
        relu=pool.relu,
        maximum=True,
        keep_zeros=pool.signed_input,
    )


def _channel(graph: QuantGraph, conv: QuantConv, entry: Entry) -> int:
    """Return the number of an entry's channel among all inputs of a layer, the first if several."""
    if entry.tensor not in conv.inputs:
        raise ValueError(f"layer {conv.name!r} must read {conv.inputs}, not {entry.tensor!r}")
    before = conv.inputs[: conv.inputs.index(entry.tensor)]
    return sum(graph.shape(name)[0] for name in before) + entry.channel
