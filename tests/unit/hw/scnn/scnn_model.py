"""An SCNN array that executes commands one after the other."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from numpy.typing import NDArray

from tests.support.graphs import run_graph
from tests.unit.hw.host_bench import Told
from tests.unit.hw.host_model import ArrayModel
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.compiler.scnn.tiles import decode_tiles, encode_tiles
from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS
from zeroskip.hw.scnn.formats import (
    DESCRIPTOR_WORDS,
    VERSION,
    Space,
    act_word_layout,
    counter_row,
    descriptor_layout,
    directory_layout,
    readable_rows,
)
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.golden.words import Descriptor, read_descriptors
from zeroskip.sim.rtl.runs import host_writes
from zeroskip.sim.scnn.cycles.program import ScnnCycles
from zeroskip.sim.scnn.rtl_files import scnn_place

P = ScnnParams(
    pes_x=2,
    mult_f=1,
    mult_i=2,
    banks=2,
    bank_entries=8,
    scatter_depth=2,
    weight_depth=4,
    block_depth=2,
    run_bits=3,
    field_bits=4,
    code_bits=2,
    weight_bits=6,
    act_bits=7,
    acc_bits=16,
    act_words=9,  # no power of two, and one row more than anybody uses
    num_channels=5,
    stream_beats=4,
    num_taps=4,
    num_biases=4,
    num_codebooks=1,
    num_descriptors=3,
)
PLANE = 2, 3
WIDTH = {
    Space.ACT: Shape.cast(act_word_layout(P)).width,
    Space.DIRECTORY: Shape.cast(directory_layout(P)).width,
}
SPARE = P.act_words - 1
"""A row behind inputs and outputs."""


@dataclass(frozen=True, eq=False)
class Network:
    """A convolution of 1 x 1, whose outputs lie as its inputs do."""

    codes: NDArray[np.int64]
    layer: QuantConv
    run: ScnnRun

    @property
    def channels(self) -> int:
        return len(self.codes)

    def graph(self, codebook: NDArray[np.int64], bias: NDArray[np.int64]) -> QuantGraph:
        """Give the network with what the memories hold now."""
        layer = replace(self.layer, weight=codebook[self.codes], codebook=codebook, bias=bias)
        return QuantGraph(layer.in_shape, (layer,), (layer.name,))


def draw_network(rng: np.random.Generator, channels: int) -> Network:
    codes = rng.integers(1, P.num_codes, (channels, channels, 1, 1))
    codebook = np.array([0, *rng.integers(1, 32, P.num_codes - 1)])
    layer = QuantConv(
        name="layer",
        kind="conv",
        inputs=(INPUT,),
        in_shape=(channels, *PLANE),
        out_shape=(channels, *PLANE),
        stride=(1, 1),
        padding=(0, 0),
        groups=1,
        signed_input=True,
        weight=codebook[codes],
        codebook=codebook,
        bias=rng.integers(-300, 300, channels),
        relu=bool(channels == 1),
        op="add",
        in_frac=0,
        weight_frac=5,
        out_frac=0,
    )
    (run,) = build(QuantGraph(layer.in_shape, (layer,), (layer.name,)), P)
    # Rows of inputs are apart for the sake of banks; those of outputs are not unless we say so.
    apart = run.loads[0].layout.y_stride
    (store,) = run.stores
    run = replace(
        run,
        program=(replace(run.program[0], out_y_stride=apart),),
        stores=(replace(store, layout=replace(store.layout, y_stride=apart)),),
    )
    assert run.loads[0].layout == run.stores[0].layout
    # Outputs take as many rows as the inputs before them.
    assert 2 * run.program[0].dst_word <= SPARE
    return Network(codes, layer, run)


def loading(network: Network) -> list[Told]:
    spaces = {space.value: space for space in Space}
    apart = "program", "weights"
    srams = {name: sram for name, sram in network.run.srams.items() if name not in apart}
    commands = [
        Told(spaces[space], row, pe, data)
        for space, pe, row, data in host_writes(srams, scnn_place).tolist()
    ]
    return commands + program_writes(network)


def feeder(port: Any, sequencer: Callable[[], Any], networks: list[Network]) -> Any:
    """Make what gives each run the weights of its network, which its descriptor tells apart.

    Parameters
    ----------
    port : with ``weights``.
    sequencer : of the array; called once that is elaborated.
    networks : of one group, of two, and so on.
    """
    weights = [
        [sum(limb << 64 * at for at, limb in enumerate(row)) for row in words.tolist()]
        for words in (network.run.srams["weights"].words for network in networks)
    ]

    async def feed(ctx: Any) -> None:
        of_array, groups, before, left = sequencer(), 1, 0, list[int]()
        ports = of_array.run.counting, of_array.load_en & (of_array.load_row == 0)
        while True:
            offered = left[:1]
            ctx.set(port.weights.valid, len(offered))
            ctx.set(port.weights.payload, sum(offered))
            signals = *ports, of_array.load_data, port.weights.ready
            _, _, counting, told, word, ready = await ctx.tick().sample(*signals)
            groups = word & 0xFFF if told else groups
            if ready:
                del left[: len(offered)]
            if not counting:
                left.clear()
            elif not before:
                left += weights[groups - 1]
            before = counting

    return feed


def program_writes(network: Network, **changes: int) -> list[Told]:
    descriptor = replace(network.run.program[0], **changes)
    layout = descriptor_layout(P)
    init: Any = {name: int(getattr(descriptor, name)) for name, _ in layout}
    word = layout.const(init).as_bits()
    mask = (1 << DESCRIPTOR_WORD_BITS) - 1
    return [
        Told(Space.PROGRAM, row, 0, word >> DESCRIPTOR_WORD_BITS * row & mask)
        for row in range(DESCRIPTOR_WORDS)
    ]


def input_writes(network: Network, x: NDArray[np.int64]) -> list[Told]:
    return [Told(space, row, pe, word) for space, pe, row, word in stored(network, x)]


def stored(
    network: Network, x: NDArray[np.int64], base: int = 0, first: int = 0
) -> list[tuple[Space, int, int, int]]:
    """Encode a tensor as the words of all PEs' activation RAMs and directories.

    Parameters
    ----------
    network : whose first layer reads it.
    x : (C, H, W).
    base, first : directory entry and row at which it begins.

    Returns
    -------
    Of each word its space, PE and row, and the word.
    """
    tiles = encode_tiles(P, network.run.loads[0].layout, x, first)
    rows: list[tuple[Space, int, int, int]] = []
    for pe in range(P.num_pes):
        for row, limbs in enumerate(tiles.words[pe].tolist()):
            word = sum(limb << 64 * at for at, limb in enumerate(limbs))
            rows.append((Space.ACT, pe, int(tiles.starts[pe, 0]) + row, word))
        for row, word in enumerate(tiles.directory(P)[pe].tolist()):
            rows.append((Space.DIRECTORY, pe, base + row, word))
    return rows


@dataclass
class ScnnModel(ArrayModel):
    """The array; what it computes is golden's result for what its memories hold."""

    networks: list[Network] = field(default_factory=list)
    sums: NDArray[np.int64] | None = None
    """What accumulators hold besides 0; None if nobody can know it."""

    def clear_sums(self) -> None:
        self.sums = np.zeros((1, *PLANE), np.int64)

    def write(self, one: Told) -> None:
        super().write(one)
        if one.space in WIDTH:
            word = (one.data or 0) & (1 << WIDTH[one.space]) - 1
            self.memory[one.space, one.pe, one.addr] = word

    def held(self, space: Space, pe: int, first: int, rows: int) -> list[int]:
        """Return rows that are known; those that never were written are 0."""
        return [self.memory.get((space, pe, first + row)) or 0 for row in range(rows)]

    def run(self) -> None:
        words = np.array(self.held(Space.PROGRAM, 0, 0, DESCRIPTOR_WORDS), np.uint64)[:, None]
        (fields,) = read_descriptors(words, descriptor_layout(P), DESCRIPTOR_WORDS)
        network = self.networks[fields.groups - 1]
        codebook = self.held(Space.CODEBOOK, 0, 0, P.num_codes)
        biases = [
            signed(word, P.acc_bits) - (1 << fields.shift) // 2
            for word in self.held(Space.BIAS, 0, 0, network.channels)
        ]
        weights = [signed(word, P.weight_bits) for word in codebook]
        graph = network.graph(np.array(weights), np.array(biases))
        x = self.plane(network, 0)
        if fields.wipe:
            self.clear_sums()
        y = self.compute(graph, x, drain=bool(fields.drain))
        self.store(network, y, fields)
        descriptor = replace(
            network.run.program[0],
            **{n: bool(getattr(fields, n)) for n in ("wipe", "drain")},
        )
        run = replace(
            network.run,
            program=(descriptor,),
            outputs=network.run.outputs if fields.drain else (None,),
        )
        tensors = {INPUT: np.ones(network.layer.in_shape, np.int64) if x is None else x}
        tensors[network.layer.name] = tensors[INPUT] if y is None else y
        found = ScnnCycles(P, (run,)).count(0, tensors)
        self.cycles = found.cycles if x is not None else None
        self.count(
            (pe, counter_row(number, stall), int(count) if x is not None else None)
            for (number, pe, stall), count in np.ndenumerate(found.counters)
        )

    def plane(self, network: Network, base: int) -> NDArray[np.int64] | None:
        """Read the channels from a directory entry on; None if they are not known."""
        entries = [
            [self.memory.get((Space.DIRECTORY, pe, base + row)) for row in range(network.channels)]
            for pe in range(P.num_pes)
        ]
        if any(entry is None for mine in entries for entry in mine):
            return None
        for pe, mine in enumerate(entries):
            for entry in mine:
                count, start = divmod(entry or 0, 1 << P.act_addr_bits)
                for row in range(start, start + -(-count // P.mult_i)):
                    if self.memory[Space.ACT, pe, row] is None:
                        return None
        words = [
            np.array(self.held(Space.ACT, pe, 0, P.act_words), np.uint64)[:, None]
            for pe in range(P.num_pes)
        ]
        directory = np.array(entries, np.uint64)
        return decode_tiles(P, network.run.loads[0].layout, words, directory)

    def compute(
        self, graph: QuantGraph, x: NDArray[np.int64] | None, *, drain: bool
    ) -> NDArray[np.int64] | None:
        """Add to the sums, or make outputs of them; golden does what has no sums before."""
        (layer,) = graph.layers
        if x is None or self.sums is None:
            self.sums = self.sums if drain and x is None else None
            return None
        if drain and not self.sums.any():
            return run_graph(graph, x[None], P.acc_bits, P.act_bits)[layer.name][0]
        total = self.sums + np.einsum("kc,chw->khw", layer.weight[:, :, 0, 0], x)
        if not drain:
            self.sums = total
            return None
        self.clear_sums()
        total = total + layer.bias[:, None, None] + (1 << layer.shift) // 2
        half = 1 << P.acc_bits - 1
        total = ((total + half) % (2 * half) - half) >> layer.shift
        return total.clip(0 if layer.relu else P.min_act, P.max_act)

    def store(self, network: Network, y: NDArray[np.int64] | None, fields: Descriptor) -> None:
        """Put outputs where the array does."""
        if not fields.drain:
            self.written = []
            return
        rows = [(Space.ACT, row) for row in range(fields.dst_word, P.act_words)]
        base = fields.dst_base
        rows += [(Space.DIRECTORY, row) for row in range(base, base + network.channels)]
        self.written = [(space, pe, row) for space, row in rows for pe in range(P.num_pes)]
        if y is None:
            self.memory |= dict.fromkeys(self.written)
            return
        for space, pe, row, word in stored(network, y, base, fields.dst_word):
            self.memory[space, pe, row] = word


def signed(word: int, bits: int) -> int:
    word &= (1 << bits) - 1
    return word - (word >> bits - 1 << bits)


def new_model(networks: list[Network]) -> ScnnModel:
    model = ScnnModel(readable_rows(P), Space.COUNTER, VERSION, P.num_pes, networks=networks)
    model.clear_sums()
    model.clear_counters()
    return model
