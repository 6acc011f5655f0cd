"""The whole array, PEs and all, and what golden and the cycle model say of its runs."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.assembly import ArrayBench
from tests.support.images import eie_image
from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.eie.place import place
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.hw.common.control import Command, Control, StatusBit
from zeroskip.hw.eie.array import PE_MODULE, EieArray
from zeroskip.hw.eie.host import Space, StallClass, counter_row
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.pe import Pe
from zeroskip.sim.eie.cycles.image import image_segments, scanner
from zeroskip.sim.eie.cycles.program import run_program
from zeroskip.sim.golden.network import run_golden

__all__ = ["Bench", "DrawNetwork", "Run", "make_run", "params"]

DrawNetwork = Callable[..., QuantGraph[QuantLinear]]


def params(**sizes: Any) -> EieParams:
    small: dict[str, Any] = {
        "num_pes": 3,
        "queue_depth": 2,
        "code_bits": 3,
        "act_bits": 8,
        "weight_bits": 8,
        "acc_bits": 24,
        "word_bits": 32,
        "spmat_words": 64,
        "num_pointers": 64,
        "num_acts": 16,
        "num_accs": 8,
        "num_biases": 32,
        "num_descriptors": 8,
    }
    return EieParams(**(small | sizes))


SPACES = {
    "program": Space.PROGRAM,
    "codebook": Space.CODEBOOK,
    "spmat": Space.SPMAT,
    "bias": Space.BIAS,
}


class Run:
    """A part in one segment, its inputs, and what the models say about them."""

    def __init__(
        self, part: EiePart, inputs: NDArray[np.int64], outputs: Sequence[NDArray[np.int64]]
    ) -> None:
        self.part, self.inputs, p = part, inputs, part.params
        (self.segment,) = part.segments
        self.vectors = [inputs, *outputs]
        ((self.passes, scans),) = image_segments(part)
        nonzero = scanner(part, self.vectors[:-1])
        self.scanned = [[nonzero(n, scan) for scan in scans] for n in range(2)]
        self.cycles, self.counters = zip(
            *(run_program(self.passes, one, p) for one in self.scanned), strict=True
        )

    def rows(self, vector: int, sample: int) -> NDArray[np.int64]:
        """Give a vector as an activation file has it, (rows, num_pes)."""
        positions, num_pes = self.part.placement[vector], self.part.params.num_pes
        placed = np.zeros((int(positions.max()) // num_pes + 1) * num_pes, np.int64)
        placed[positions] = self.vectors[vector][sample]
        return placed.reshape(-1, num_pes)

    def written(self, sample: int) -> list[tuple[int, int, list[int]]]:
        """Give pass, row and outputs of every row that is drained."""
        found = []
        for number, (one, layer) in enumerate(
            zip(self.segment.program, self.segment.passes, strict=True)
        ):
            rows = self.rows(layer + 1, sample)
            drained = range(one.dst_base, one.dst_base + one.drain_rows) if one.drain else ()
            found += [(number, row, rows[row].tolist()) for row in drained]
        return found

    def reads(self, sample: int, last: dict[str, int]) -> Counter[str]:
        """Count the reads of every memory that there is something to read for.

        Parameters
        ----------
        sample : of the inputs.
        last : row that each memory has at its output, which is not read again; is brought up to
            date.
        """
        p, reads, file, held = self.part.params, Counter[str](), 0, -1
        for number, (one, model, scanned) in enumerate(
            zip(self.segment.program, self.passes, self.scanned[sample], strict=True)
        ):
            columns = np.flatnonzero(scanned)
            reads["descriptors"] += 2
            if one.codebook != held:
                held = one.codebook
                reads["codebooks"] += one.last_code
            useful = self.counters[sample][number, :, StallClass.USEFUL]
            for pe in range(p.num_pes):
                pointers = one.ptr_base + columns
                first, words = (kept[columns, pe] for kept in (model.work.first, model.work.words))
                spans = [range(*pair) for pair in zip(first, first + words, strict=True)]
                for name, rows in (
                    ("ptr_even", (pointers + 1 >> 1).tolist()),
                    ("ptr_odd", (pointers >> 1).tolist()),
                    ("spmat", [word for span in spans for word in span]),
                ):
                    for row in rows:
                        reads[f"pe_{pe}/{name}"] += last.get(f"pe_{pe}/{name}") != row
                        last[f"pe_{pe}/{name}"] = row
                reads[f"pe_{pe}/act_{file}"] += one.src_rows
                reads[f"pe_{pe}/bias"] += model.drain_rows
                reads[f"pe_{pe}/rows"] += int(useful[pe]) + model.drain_rows  # accumulators
                if p.counters:
                    reads[f"pe_{pe}/rows_1"] += int(self.counters[sample][number, pe].sum())
            file ^= one.swap
        return +reads


def make_run(draw_network: DrawNetwork, p: EieParams, seed: int) -> Run:
    network = draw_network(
        (13, 14, 9), seed=seed, code_bits=p.code_bits, weight_bits=p.weight_bits, bias_bits=9,
        density=0.4,
    )  # fmt: skip
    # Columns that are empty in all PEs, and a PE without any weights.
    for layer in network.layers:
        for column in (0, 4, 5):
            layer.codes.data[layer.codes.indptr[column] : layer.codes.indptr[column + 1]] = 0
        if p.num_pes > 1:
            layer.codes.data[layer.codes.indices % p.num_pes == 1] = 0
        # Of one layer, not all codes.
        if layer is network.layers[-1]:
            layer.codes.data[layer.codes.data > 3] = 3
        layer.codes.eliminate_zeros()
    placement = place(network, p, "interleave")
    image = eie_image("drawn", network, p, placement)
    rng = np.random.default_rng(seed)
    inputs = rng.integers(-128, 128, (2, 13)) * (rng.random((2, 13)) < 0.6)
    golden = run_golden(image, inputs[:, :, None, None])
    return Run(image.part("eie"), inputs, golden.layer_outputs)


class Bench(ArrayBench):
    """Loads and runs images, and compares everything that the array does."""

    def __init__(self, p: EieParams) -> None:
        self.p, self.array = p, EieArray(p)
        super().__init__(self.array, {PE_MODULE: lambda: Pe(p)})
        self.written: list[tuple[int, int, list[int]]] = []
        self.counted = np.zeros(0, np.int64)

    async def record(self, ctx: Any) -> None:
        array, bits = self.array, self.p.act_bits
        ports = array.out_valid, array.out_pass, array.out_row, array.out_data
        while True:
            _, _, valid, number, row, word = await ctx.tick().sample(*ports)
            if valid:
                fields = (word >> bits * pe & (1 << bits) - 1 for pe in range(self.p.num_pes))
                outputs = [field - (field >> bits - 1 << bits) for field in fields]
                self.written.append((number, row, outputs))

    async def load(self, ctx: Any, one: Run) -> None:
        """Write all SRAMs."""
        for path, sram in one.segment.srams.items():
            *pe, name = path.split("/")
            number = int(pe[0].removeprefix("pe_")) if pe else 0
            for row, word in enumerate(sram.words[:, 0].tolist()):
                if name in SPACES:
                    await self.write(ctx, SPACES[name], row, word, number)
                else:
                    addr = 2 * row + (name == "ptr_odd")
                    await self.write(ctx, Space.POINTER, addr, word, number)

    async def load_acts(self, ctx: Any, rows: NDArray[np.int64]) -> None:
        for (row, pe), act in np.ndenumerate(rows):
            await self.write(ctx, Space.ACT, row, int(act) & 0xFF, pe)

    async def check(self, ctx: Any, one: Run, sample: int, *, clear: bool = True) -> None:
        """Run a sample; all outputs, counters and reads are those of the models.

        Without a clearing, counters go on from the run before, the last sample's of ``one``.
        """
        p = self.p
        await self.load_acts(ctx, one.rows(0, sample))
        if clear:
            await self.command(ctx, Space.CONTROL, Command.CLEAR)
            self.last: dict[str, int] = {}
            self.counted = np.zeros_like(one.counters[sample])
        self.counted = self.counted + one.counters[sample]
        await ctx.tick()
        self.reads.clear()
        self.written.clear()
        await self.command(ctx, Space.CONTROL, Command.START)
        assert self.written == one.written(sample)
        await ctx.tick().repeat(20)  # Idle, nothing is read.
        assert +self.reads == one.reads(sample, self.last)

        assert await self.read(ctx, Space.CONTROL, Control.CYCLES) == one.cycles[sample]
        for number, pe, stall in np.ndindex(self.counted.shape if p.counters else (0, 0, 0)):
            row = counter_row(p, number, stall)
            got = await self.read(ctx, Space.COUNTER, row, pe)
            assert got == self.counted[number, pe, stall]
        file = StatusBit(await self.read(ctx, Space.CONTROL, Control.STATUS)).source
        for (row, pe), act in np.ndenumerate(one.rows(-1, sample)):
            addr = file << p.act_addr_bits | row
            got = await self.read(ctx, Space.ACT, addr, pe)
            assert got & 0xFF == int(act) & 0xFF
