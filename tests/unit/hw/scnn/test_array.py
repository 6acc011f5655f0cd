"""The whole array, PEs and all, against golden and the cycle model: outputs, cycles, reads."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.assembly import ArrayBench
from tests.support.tiers import cases
from zeroskip.compiler.ir.fixed import run_layer
from zeroskip.compiler.ir.graph import INPUT, QuantConv
from zeroskip.compiler.scnn.layer import layer_runs
from zeroskip.compiler.scnn.plan import plan_layer
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.compiler.scnn.tiles import decode_tiles
from zeroskip.hw.common.control import Command, Control
from zeroskip.hw.scnn.array import PE_MODULE, ScnnArray
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORDS, Space, directory_layout
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.pe import ScnnPe
from zeroskip.sim.bench.pysim import simulate
from zeroskip.sim.scnn.cycles.program import ScnnCycles
from zeroskip.sim.scnn.cycles.weights import stream_work
from zeroskip.sim.scnn.loads import block_members, encode_loads, members
from zeroskip.sim.scnn.streams import split_beats
from zeroskip.sim.scnn.walk import map_pass


def params(**sizes: Any) -> ScnnParams:
    small: dict[str, Any] = {
        "pes_x": 2,
        "pes_y": 2,
        "num_streams": 2,
        "mult_f": 2,
        "mult_i": 2,
        "banks": 4,
        "bank_entries": 16,
        "scatter_depth": 2,
        "weight_depth": 6,
        "block_depth": 2,
        "field_bits": 8,
        "code_bits": 4,
        "weight_bits": 8,
        "act_bits": 8,
        "acc_bits": 20,
        "act_words": 32,
        "num_channels": 16,
        "stream_beats": 2,
        "num_taps": 16,
        "num_biases": 16,
        "num_codebooks": 2,
        "num_descriptors": 4,
    }
    return ScnnParams(**(small | sizes))


@dataclass(frozen=True)
class Case:
    """An array, and a layer of 3 x 3 kernels for it."""

    sizes: dict[str, Any] = field(default_factory=dict)
    coded: bool = False
    plane: tuple[int, int] = (4, 5)
    depth: int = 4
    padding: int = 1
    zeros: float = 0.6
    """Share of the weights that are 0; unless it is 0, output channel 1 has no weights at all."""
    kc: int | None = None
    """Output channels of a group, unless the compiler chooses."""

    def draw_layer(self, rng: np.random.Generator) -> QuantConv:
        book = np.array([0, 5, -7, 100, -128, 33]) if self.coded else None
        shape = self.depth, 3, 3, 3
        weight = rng.integers(1, 128, shape) if book is None else rng.choice(book, shape)
        weight[rng.random(weight.shape) < self.zeros] = 0
        if self.zeros:
            weight[1:2] = 0
        rows, columns = (size + 2 * self.padding - 2 for size in self.plane)
        return QuantConv(
            name="layer", kind="conv", inputs=(INPUT,), in_shape=(3, *self.plane),
            out_shape=(self.depth, rows, columns), weight=weight, codebook=book,
            bias=rng.integers(-999, 999, self.depth), stride=(1, 1),
            padding=(self.padding, self.padding), groups=1, relu=False, op="add",
            signed_input=True, in_frac=0, weight_frac=6, out_frac=0,
        )  # fmt: skip


class Bench(ArrayBench):
    """Does the runs of a layer, and compares everything that the array does."""

    def __init__(self, p: ScnnParams) -> None:
        self.p, self.array = p, ScnnArray(p)
        super().__init__(self.array, {PE_MODULE: lambda: ScnnPe(p)})
        self.made: list[tuple[int, list[int]]] = []
        self.beats: list[int] = []

    async def feed(self, ctx: Any) -> None:
        """Offer the beats of weights that there are, one a cycle."""
        port = self.array.weights
        while True:
            offered = self.beats[:1]
            ctx.set(port.valid, len(offered))
            ctx.set(port.payload, sum(offered))
            _, _, ready = await ctx.tick().sample(port.ready)
            if ready:
                del self.beats[: len(offered)]

    async def record(self, ctx: Any) -> None:
        array, bits, width = self.array, self.p.act_bits, self.p.mult_i
        ports = array.out_valid, array.out_pass, array.out_lanes, array.out_data
        while True:
            _, _, valid, number, lanes, word = await ctx.tick().sample(*ports)
            for lane in range(lanes.bit_length() if valid else 0):
                places = range(lane, self.p.num_pes * width, width)
                fields = (word >> bits * place & (1 << bits) - 1 for place in places)
                self.made.append((number, [f - (f >> bits - 1 << bits) for f in fields]))

    async def load(self, ctx: Any, run: ScnnRun, x: NDArray[np.int64]) -> None:
        """Write the SRAMs of a run and its activations."""
        for path, sram in run.srams.items():
            if path == "weights":
                continue
            *stream, name = path.split("/")
            number = int(stream[0].removeprefix("stream_")) if stream else 0
            await self._write_rows(ctx, Space[name.upper()], 0, sram.words, number)
        for load, tiles, blocks in encode_loads(self.p, run.loads, {INPUT: x}):
            directory = tiles.directory(self.p)
            for pe, place in members(self.p, load.layout, blocks):
                first = int(tiles.starts[place, 0])
                await self._write_rows(ctx, Space.ACT, first, tiles.words[place], pe)
                entries = directory[place][:, None]
                await self._write_rows(ctx, Space.DIRECTORY, load.base, entries, pe)

    async def _write_rows(
        self, ctx: Any, space: Any, first: int, words: NDArray[np.uint64], number: int
    ) -> None:
        for row, limbs in enumerate(words.tolist(), first):
            word = sum(limb << 64 * at for at, limb in enumerate(limbs))
            await self.write(ctx, space, row, word, number)

    def expected_reads(
        self, run: ScnnRun, held: dict[str, NDArray[np.uint64]], references: Any
    ) -> Counter[str]:
        """Count the reads of a run of one pass, of memories that a model says something about."""
        p, (d,) = self.p, run.program
        (work,) = stream_work(p, run.program, held)
        reads = Counter({"descriptors": DESCRIPTOR_WORDS})
        streams = len(work.begin) - 1
        for stream in range(streams):
            suffix = f"_{stream}" if stream else ""
            vectors = slice(*work.first[work.begin[stream : stream + 2]])
            reads[f"beats{suffix}"] = len(split_beats(held["weights"], p)[stream])
            if d.drain:
                reads[f"bias{suffix}"] = (d.groups - 1) * d.kc + d.kc_last
            for lane in range(p.mult_f):
                weights = int(np.count_nonzero(work.banks[vectors, lane] >= 0))
                reads[f"tap_{lane}{suffix}"] = weights
                reads[f"codebook_{lane}{suffix}"] = 0 if d.plain else weights
        reads["directory_rows"] = references.directory
        reads["act_rows"] = references.act_ram
        reads["accumulators"] = references.accumulators + references.drained
        return +reads

    def seen_reads(self) -> Counter[str]:
        """Sum up what PEs have read, by kind of memory; counters apart."""
        seen: Counter[str] = Counter()
        for name, count in self.reads.items():
            pe, _, memory = name.rpartition("/")
            if memory.startswith("rows"):
                continue
            kind = "accumulators" if memory.startswith("set_") else memory.rstrip("01").rstrip("_")
            seen[kind if pe else memory] += count
        return seen

    async def check_store(self, ctx: Any, run: ScnnRun, golden: NDArray[np.int64]) -> None:
        """Read what the host stores of a run out of the RAMs, directories first."""
        p, entry = self.p, directory_layout(self.p)
        for store in run.stores:
            layout = store.layout
            phases, pes = layout.sy * layout.sx, 1 << layout.block_x + layout.block_y
            for block, channels in enumerate(store.blocks):
                count = (channels.stop - channels.start) * phases
                directory = np.zeros((pes, count), np.uint64)
                words = [np.zeros((p.act_words, 1), np.uint64) for _ in range(pes)]
                for its_block, pe, place in block_members(p, layout):
                    for at in range(count if its_block == block else 0):
                        found = await self.read(ctx, Space.DIRECTORY, store.base + at, pe)
                        directory[place, at] = found
                        start = found & (1 << p.act_addr_bits) - 1
                        stored = -(-(found >> entry["count"].offset) // p.mult_i)
                        for word in range(start, start + stored):
                            words[place][word] = await self.read(ctx, Space.ACT, word, pe)
                if count:
                    planes = golden[channels.start : channels.stop]
                    planes = planes[:, layout.y0 : layout.y0 + layout.height]
                    planes = planes[:, :, layout.x0 : layout.x0 + layout.width]
                    assert (decode_tiles(p, layout, words, directory) == planes).all()

    async def check(
        self, ctx: Any, layer: QuantConv, runs: list[ScnnRun], x: NDArray[np.int64]
    ) -> None:
        p, model = self.p, ScnnCycles(self.p, runs)
        (golden,), _ = run_layer(layer, x[None], acc_bits=p.acc_bits, act_bits=p.act_bits)
        held: dict[str, NDArray[np.uint64]] = {}
        for number, run in enumerate(runs):
            found = model.count(number, {INPUT: x})
            held |= {name: sram.words for name, sram in run.srams.items()}
            await self.load(ctx, run, x)
            await self.command(ctx, Space.CONTROL, Command.CLEAR_COUNTERS)
            self.reads.clear()
            words = held["weights"].tolist()
            self.beats += [sum(limb << 64 * at for at, limb in enumerate(row)) for row in words]
            await ctx.tick().repeat(len(words) + 10)
            self.made.clear()
            await self.command(ctx, Space.CONTROL, Command.START)
            await ctx.tick().repeat(20)  # Idle, nothing is read.
            expected = self.expected_reads(run, held, found.references[0])
            assert self.seen_reads() == expected

            (descriptor,), (output,) = run.program, run.outputs
            steps: list[list[int]] = []
            if output is not None:
                where = map_pass(p, descriptor, output)
                wrong = where.known & (where.expected(golden) != [made for _, made in self.made])
                assert not wrong.any()
                steps = where.known.tolist()
            assert [at for at, _ in self.made] == [0] * len(steps)
            await self.check_store(ctx, run, golden)
            assert await self.read(ctx, Space.CONTROL, Control.CYCLES) == found.cycles
            for pe, stall in np.ndindex(found.counters.shape[1:]):
                got = await self.read(ctx, Space.COUNTER, stall, pe)
                assert got == found.counters[0, pe, stall]


CASES = {
    "codes": Case(coded=True),
    "plain": Case(),
    # Blocks of PEs, and streams, that have nothing to do.
    "idle streams": Case({"num_streams": 4}, coded=True, depth=1, zeros=0.3),
    "idle PEs": Case(coded=True, plane=(1, 2)),
    "least": Case(
        {"num_streams": 4, "weight_depth": 2, "scatter_depth": 1, "run_bits": 1}, plane=(5, 3)
    ),
    # Steps of one output, and of two; neighbours' parts belong to some lanes only.
    "one bank": Case({"banks": 1, "bank_entries": 64}),
    "four lanes": Case({"mult_i": 4, "banks": 8, "bank_entries": 8}, plane=(5, 13)),
    "row": Case({"pes_x": 3, "pes_y": 1, "num_streams": 1, "num_biases": 2}, plane=(4, 6)),
    # The last channel's weights still come when the sums have been drained long ago.
    "late weights": Case(
        {"pes_x": 1, "pes_y": 1, "num_streams": 1, "mult_f": 1, "weight_depth": 40},
        plane=(1, 1),
        zeros=0,
        kc=4,
    ),
}


@pytest.mark.parametrize(
    "name",
    cases(CASES, CASES.keys() - {"plain", "row"}, "simulates an array in Python"),
)
def test_layers(name: str) -> None:
    """Words, cycles and counters are the models', and nothing is read that is not used."""
    case, rng = CASES[name], np.random.default_rng(7)
    p, layer = params(**case.sizes), case.draw_layer(rng)
    plan = plan_layer(layer, p)
    plan = replace(plan, mapping=replace(plan.mapping, kc=case.kc or plan.mapping.kc))
    runs = layer_runs(layer, plan, p)
    assert all(len(run.program) == 1 for run in runs)
    shape = 2, 3, *case.plane
    inputs = rng.integers(-128, 128, shape) * (rng.random(shape) < 0.5)
    inputs[0, 2] = 0
    bench = Bench(p)

    async def host(ctx: Any) -> None:
        for x in inputs[: 2 if name == "codes" else 1]:
            await bench.check(ctx, layer, runs, x)

    simulate(bench.dut, host, monitors=[bench.watch, bench.record, bench.feed])
    if name == "idle streams":
        assert bench.reads["beats"]
        assert not any(bench.reads[memory] for memory in ("beats_1", "bias_1"))
