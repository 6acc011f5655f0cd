"""A PE against a model in plain Python: sums, outputs, candidates, and what its cycles were."""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import groupby
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Fragment

from tests.support.assembly import Watch, count_reads
from zeroskip.hw.common.formats import bias_word, pack
from zeroskip.hw.eie.control import Phase
from zeroskip.hw.eie.formats import entry_layout, pointer_layout
from zeroskip.hw.eie.host import Space, StallClass, stall_classes
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.pe import Pe
from zeroskip.sim.bench.pysim import simulate

ROWS, COLUMNS = 6, 9
CODEBOOK = [0, 3, -7, 100, -128, 1, 50, 127]
SHIFT = 3


def params(**sizes: Any) -> EieParams:
    small: dict[str, Any] = {
        "queue_depth": 3,
        "run_bits": 1,
        "code_bits": 3,
        "act_bits": 8,
        "weight_bits": 8,
        "acc_bits": 24,
        "word_bits": 16,
        "spmat_words": 32,
        "num_pointers": 16,
        "num_acts": 8,
        "num_accs": 8,
        "num_biases": 16,
        "num_descriptors": 4,
    }
    return EieParams(**(small | sizes))


SIZES: list[dict[str, Any]] = [
    {},
    {"pointers_first": True, "skip_padding": True},
    {"queue_depth": 1, "run_bits": 3, "word_bits": 32},
    {"counters": False, "queue_depth": 1, "pointers_first": True},
]


class Matrix:
    """Codes of a PE's rows, some columns of which are empty, and how they are stored."""

    def __init__(self, p: EieParams, rng: Random) -> None:
        self.codes = [
            [rng.choice([0, 0, rng.randrange(8)]) for _ in range(COLUMNS)] for _ in range(ROWS)
        ]
        for column in rng.sample(range(COLUMNS), 3):
            for row in self.codes:
                row[column] = 0
        self.biases = [rng.randrange(-500, 500) for _ in range(ROWS)]
        self.entries: list[tuple[int, int]] = []
        self.ends = [0]
        for column in range(COLUMNS):
            run = 0
            for row in self.codes:
                if row[column]:
                    self.entries.append((row[column], run))
                    run = 0
                elif run == p.max_run and any(later[column] for later in self._after(row)):
                    self.entries.append((0, run))
                    run = 0
                else:
                    run += 1
            self.ends.append(len(self.entries))

    def _after(self, row: list[int]) -> list[list[int]]:
        at = next(k for k, one in enumerate(self.codes) if one is row)
        return self.codes[at + 1 :]

    def issues(self, p: EieParams, column: int) -> tuple[int, int]:
        """Count the cycles of a column that issue a weight, and those that issue padding."""
        at, useful, padding = self.ends[column], 0, 0
        while at < self.ends[column + 1]:
            stop = min(self.ends[column + 1], (at // p.entries_per_word + 1) * p.entries_per_word)
            if p.skip_padding and not self.entries[at][0] and at + 1 < stop:
                at += 1
            useful += self.entries[at][0] != 0
            padding += self.entries[at][0] == 0
            at += 1
        return useful, padding

    def words(self, column: int, p: EieParams) -> Iterable[int]:
        """Give the words that have entries of a column."""
        first, end = self.ends[column], self.ends[column + 1]
        return range(first // p.entries_per_word, (end - 1) // p.entries_per_word + 1)


class Bench:
    """Loads a PE and is all that is around it."""

    def __init__(self, p: EieParams, rng: Random) -> None:
        self.p, self.rng, self.dut, watch = p, rng, Pe(p), Watch()
        self.whole, self.memories = Fragment.get(self.dut, watch), watch.memories
        self.matrix = Matrix(p, rng)
        self.reads: Counter[str] = Counter()
        self.counted = 0

    async def monitor(self, ctx: Any) -> None:
        await count_reads(ctx, self.memories, self.reads)

    async def watch_phase(self, ctx: Any) -> None:
        while True:
            _, _, phase = await ctx.tick().sample(self.dut.control.phase)
            self.counted += phase != Phase.IDLE

    async def command(self, ctx: Any, space: Space, addr: int, word: int | None = None) -> int:
        """Write, or read, as the host; a command for another PE changes nothing."""
        dut, write = self.dut, word is not None
        mask = (1 << 64) - 1
        command = {"space": space, "addr": addr, "data": (word or 0) & mask, "write": write}
        ctx.set(dut.host, command)
        ctx.set(dut.host_en, 1)
        await ctx.tick()
        ctx.set(dut.host_en, 0)
        answer = ctx.get(dut.host_data)
        if write:
            ctx.set(dut.host, {**command, "data": ~command["data"] & mask})
            await ctx.tick()
        return answer

    async def load(self, ctx: Any) -> None:
        p, matrix = self.p, self.matrix
        width = p.entry_bits
        for first in range(0, len(matrix.entries), p.entries_per_word):
            entries = matrix.entries[first : first + p.entries_per_word]
            word = sum(
                pack(entry_layout(p), code=code, run=run) << width * at
                for at, (code, run) in enumerate(entries)
            )
            await self.command(ctx, Space.SPMAT, first // p.entries_per_word, word)
        for number, end in enumerate(matrix.ends):
            word, slot = divmod(end, p.entries_per_word)
            await self.command(
                ctx, Space.POINTER, number, pack(pointer_layout(p), word=word, slot=slot)
            )
        for row, bias in enumerate(matrix.biases):
            await self.command(ctx, Space.BIAS, 2 + row, bias_word(bias, SHIFT))
        book = sum((weight & 0xFF) << 8 * code for code, weight in enumerate(CODEBOOK))
        ctx.set(self.dut.codebook, book)

    async def clear(self, ctx: Any) -> None:
        c = self.dut.control
        ctx.set(c.clear, 1)
        ctx.set(c.counter_clear, 1)
        for row in range(8 * self.p.num_descriptors):
            ctx.set(c.clear_row, row % 8)
            ctx.set(c.counter_row, row)
            await ctx.tick()
        ctx.set(c.clear, 0)
        ctx.set(c.counter_clear, 0)

    def draw_work(self, count: int) -> list[tuple[int, int]]:
        rng = self.rng
        return [(rng.choice([-128, 127, 5]), rng.randrange(COLUMNS)) for _ in range(count)]

    async def broadcast(self, ctx: Any, work: list[tuple[int, int]], gap: float) -> None:
        """Broadcast while there is room."""
        dut, waiting, cycle, offered = self.dut, list(work), 0, False
        ctx.set(dut.control.phase, Phase.COMPUTE)
        while waiting:
            send = ctx.get(dut.room) and self.rng.random() >= gap
            ctx.set(dut.broadcast_en, send)
            # What is offered stays until it is sent; else there may be anything.
            offered = offered or send or self.rng.random() < 0.5
            ctx.set(dut.offered, offered)
            value, column = waiting[0] if offered else (1, self.rng.randrange(COLUMNS))
            ctx.set(dut.broadcast, {"value": value, "column": column})
            offered = offered and not send
            del waiting[: int(send)]
            await ctx.tick()
            cycle += 1
        ctx.set(dut.broadcast_en, 0)
        ctx.set(dut.offered, 0)
        ctx.set(dut.scanned, 1)
        while ctx.get(dut.busy):
            await ctx.tick()
            cycle += 1
            assert cycle < 500
        ctx.set(dut.scanned, 0)

    async def drain(self, ctx: Any, relu: bool) -> list[int]:
        """Drain all rows along the three stages, to rows 1 and up of file 1."""
        dut, c, outputs = self.dut, self.dut.control, []
        ctx.set(c.phase, Phase.DRAIN)
        ctx.set(c.shift, SHIFT)
        ctx.set(c.activation, relu)
        for cycle in range(ROWS + 2):
            ctx.set(c.acc_read, cycle < ROWS)
            ctx.set(c.acc_row, cycle)
            ctx.set(c.bias_row, 2 + cycle)
            ctx.set(c.clear, 1 <= cycle <= ROWS)
            ctx.set(c.clear_row, cycle - 1 if cycle else 0)
            ctx.set(c.act_write, cycle >= 2)
            ctx.set(c.act_row, cycle - 1 if cycle >= 2 else 0)
            if cycle >= 2:
                outputs.append(ctx.get(dut.output_data))
            await ctx.tick()
        ctx.set(c.act_write, 0)
        ctx.set(c.phase, Phase.IDLE)
        return outputs


def expected_outputs(matrix: Matrix, work: list[tuple[int, int]], relu: bool) -> list[int]:
    outputs = []
    for codes, bias in zip(matrix.codes, matrix.biases, strict=True):
        total = bias + sum(CODEBOOK[codes[column]] * value for value, column in work)
        shifted = total + (1 << SHIFT - 1) >> SHIFT
        outputs.append(max(0 if relu else -128, min(127, shifted)))
    return outputs


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("gap", [0.0, 0.6])
def test_passes(sizes: dict[str, Any], gap: float) -> None:
    """Two passes of two descriptors; the second finds accumulators that the first has cleared."""
    p, rng = params(**sizes), Random(str(sizes))
    bench = Bench(p, rng)
    dut, matrix = bench.dut, bench.matrix
    assert any(code == 0 for code, _ in matrix.entries) == (p.run_bits == 1)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        await bench.clear(ctx)
        last: dict[str, list[int]] = {name: [] for name in ("ptr_even", "ptr_odd", "spmat")}
        for number in range(2):
            work, relu = bench.draw_work(25), number == 1
            await ctx.tick()
            bench.reads.clear()
            bench.counted = 0
            ctx.set(dut.control.descriptor, number)
            await bench.broadcast(ctx, work, gap)
            outputs = await bench.drain(ctx, relu)
            await ctx.tick().repeat(3)
            assert outputs == expected_outputs(matrix, work, relu)

            issues = [matrix.issues(p, column) for _, column in work]
            useful, padding = (sum(column) for column in zip(*issues, strict=True))
            rows = {
                "ptr_even": [(column + 1) // 2 for _, column in work],
                "ptr_odd": [column // 2 for _, column in work],
                "spmat": [
                    word
                    for _, column in work
                    if matrix.ends[column] < matrix.ends[column + 1]
                    for word in matrix.words(column, p)
                ],
            }
            expected = Counter({
                # What an SRAM has read last is there, and is not read again.
                **{
                    name: len(list(groupby([*last[name], *found]))) - len(last[name])
                    for name, found in rows.items()
                },
                "rows": useful + ROWS,  # accumulators
                "bias": ROWS,
                "rows_1": bench.counted if p.counters else 0,
            })
            assert +bench.reads == +expected
            last = {name: found[-1:] for name, found in rows.items()}
            for row in range(ROWS):
                answer = await bench.command(ctx, Space.ACT, 1 << p.act_addr_bits | 1 + row)
                assert answer & 0xFF == outputs[row] & 0xFF
            # To read a file is to read nothing else.
            await ctx.tick()
            assert +bench.reads == +(expected + Counter({"act_1": ROWS}))
            if p.counters:
                found = [
                    await bench.command(ctx, Space.COUNTER, 8 * number + stall)
                    for stall in stall_classes(p)
                ]
                assert found[StallClass.USEFUL] == useful
                assert found[StallClass.PADDING] == padding
                assert found[StallClass.SETUP] == 0
                assert found[StallClass.DRAIN] == ROWS + 2
                assert sum(found) == bench.counted

    simulate(bench.whole, run, monitors=[bench.monitor, bench.watch_phase])


@pytest.mark.parametrize("source", [0, 1])
def test_candidates(source: int) -> None:
    """The file that is the source is scanned, a row at a time; zeros are no candidates."""
    p, rng = params(), Random(1)
    bench = Bench(p, rng)
    dut = bench.dut
    files = [[rng.choice([0, rng.randrange(-128, 128)]) for _ in range(8)] for _ in range(2)]

    async def run(ctx: Any) -> None:
        for file, rows in enumerate(files):
            for row, act in enumerate(rows):
                await bench.command(ctx, Space.ACT, file << p.act_addr_bits | row, act)
        ctx.set(dut.control.source, source)
        for row in rng.sample(range(8), 8):
            ctx.set(dut.scan_read, 1)
            ctx.set(dut.scan_row, row)
            await ctx.tick()
            ctx.set(dut.scan_read, 0)
            ctx.set(dut.scan_row, rng.randrange(8))
            await ctx.tick().repeat(rng.randrange(1, 3))
            ctx.set(dut.scan_take, 1)
            await ctx.tick()
            ctx.set(dut.scan_take, 0)
            act = files[source][row]
            for _ in range(2):
                assert ctx.get(dut.pending) == (act != 0)
                assert ctx.get(dut.candidate) == act
                await ctx.tick()
            ctx.set(dut.grant, 1)
            await ctx.tick()
            ctx.set(dut.grant, 0)
            assert not ctx.get(dut.pending)

    simulate(bench.whole, run)


@pytest.mark.parametrize("sizes", SIZES[:2], ids=str)
def test_flush_in_every_cycle(sizes: dict[str, Any], flushed: Callable[[str], Any]) -> None:
    """Nothing is left of what a flush finds, whenever it comes."""
    p = params(**sizes)
    parts = flushed("zeroskip.hw.eie.pe")
    bench = Bench(p, Random(4))
    dut = bench.dut
    assert parts.kinds == ["Queue", "PtrRead", "SpmatRead", "Arithm", "ActRw"]

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        await bench.command(ctx, Space.ACT, 0, 5)
        work = bench.draw_work(40)
        for cycles in range(30):
            waiting = list(work)
            for cycle in range(cycles):
                send = ctx.get(dut.room)
                ctx.set(dut.broadcast_en, send)
                ctx.set(dut.offered, 1)
                ctx.set(dut.broadcast, {"value": waiting[0][0], "column": waiting[0][1]})
                del waiting[: int(send)]
                ctx.set(dut.scan_read, cycle == 0)
                ctx.set(dut.scan_take, cycle == 1)
                await ctx.tick()
            for port in (dut.broadcast_en, dut.offered, dut.scan_read, dut.scan_take):
                ctx.set(port, 0)
            await parts.flush(ctx, dut.control.flush)
            assert not ctx.get(dut.busy)
            assert not ctx.get(dut.pending)
            assert ctx.get(dut.room)

    simulate(bench.whole, run)
    told = {
        "Queue level", "Queue o.valid", "PtrRead full", "PtrRead o.valid",
        "SpmatRead issued", "Arithm busy", "ActRw pending",
    }  # fmt: skip
    assert told <= parts.seen
