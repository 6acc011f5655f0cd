from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.scan import Scan
from zeroskip.sim.bench.pysim import simulate

P = EieParams(num_pes=4, num_acts=16, num_pointers=256, act_bits=8)

Broadcast = tuple[int, int]
"""Value, column."""


@dataclass
class Files:
    """The source files of all PEs, their candidates, and the tree."""

    rows: list[list[int]]
    read: list[int] = field(default_factory=list)
    candidates: list[int] = field(default_factory=list)
    """Activations of the row that was taken; those that are done are 0."""

    def show(self, ctx: Any, dut: Scan) -> None:
        waiting = [pe for pe, value in enumerate(self.candidates) if value]
        ctx.set(dut.pending, bool(waiting))
        ctx.set(dut.last, len(waiting) == 1)
        if waiting:
            ctx.set(dut.pe, waiting[0])
            ctx.set(dut.value, self.candidates[waiting[0]])

    def update(self, ctx: Any, dut: Scan) -> None:
        """Do what ``dut`` asks for in this cycle, before the clock edge."""
        if ctx.get(dut.grant):
            first = next(pe for pe, value in enumerate(self.candidates) if value)
            self.candidates[first] = 0
        if ctx.get(dut.take):
            assert not any(self.candidates), "a candidate is lost"
            self.candidates = list(self.read)
        if ctx.get(dut.read):
            self.read = self.rows[ctx.get(dut.row)]


def draw_rows(seed: int, density: float) -> list[list[int]]:
    rng = Random(seed)
    return [
        [rng.choice([-128, -1, 1, 127]) if rng.random() < density else 0 for _ in range(P.num_pes)]
        for _ in range(P.num_acts)
    ]


async def scan(
    ctx: Any,
    dut: Scan,
    files: Files,
    *,
    first: int,
    count: int,
    ptr_base: int,
    room: Random | None = None,
    flush_at: int | None = None,
) -> tuple[list[Broadcast], list[int], int]:
    """Scan; return the broadcasts, their cycles after ``start``, and the cycle of ``done``."""
    sent: list[Broadcast] = []
    cycles: list[int] = []
    held: Broadcast | None = None
    ctx.set(dut.src_base, first)
    ctx.set(dut.src_rows, count)
    ctx.set(dut.ptr_base, ptr_base)
    ctx.set(dut.start, 1)
    for cycle in range(400):
        files.show(ctx, dut)
        ctx.set(dut.room, room is None or room.random() < 0.4)
        offer = (ctx.get(dut.broadcast.value), ctx.get(dut.broadcast.column))
        if held is not None:
            assert offer == held, "a blocked broadcast changed"
        offered, en = ctx.get(dut.offered), ctx.get(dut.broadcast_en)
        assert offered or not en
        blocked = offered and not en
        assert held is None or blocked or en, "a blocked broadcast was lost"
        if en:
            assert ctx.get(dut.room)
            sent.append(offer)
            cycles.append(cycle)
        held = offer if blocked else None
        if cycle and ctx.get(dut.done):
            assert not offered
            return sent, cycles, cycle
        if cycle == flush_at:
            ctx.set(dut.flush, 1)
        files.update(ctx, dut)
        await ctx.tick()
        ctx.set(dut.start, 0)
        if cycle == flush_at:
            ctx.set(dut.flush, 0)
            files.candidates = []
            held = None
    raise AssertionError("the scan has no end")


def expected(rows: list[list[int]], first: int, count: int, ptr_base: int) -> list[Broadcast]:
    return [
        (value, ptr_base + number * P.num_pes + pe)
        for number, row in enumerate(rows[first : first + count])
        for pe, value in enumerate(row)
        if value
    ]


def expected_cycles(rows: list[list[int]], first: int, count: int) -> list[int]:
    """Row by row, a cycle per non-zero and one for a row without; the first one's is cycle 4."""
    cycles, at = [], 4
    for row in rows[first : first + count]:
        non_zero = sum(value != 0 for value in row)
        cycles += range(at, at + non_zero)
        at += max(1, non_zero)
    return cycles


@pytest.mark.parametrize(("first", "count"), [(0, 1), (0, 16), (3, 7), (15, 1)])
@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 1.0])
def test_order_and_speed(density: float, first: int, count: int) -> None:
    rows = draw_rows(count, density)
    dut = Scan(P)

    async def bench(ctx: Any) -> None:
        sent, cycles, done = await scan(
            ctx, dut, Files(rows), first=first, count=count, ptr_base=100
        )
        assert sent == expected(rows, first, count, 100)
        assert cycles == expected_cycles(rows, first, count)
        non_zeros = [sum(value != 0 for value in row) for row in rows[first : first + count]]
        # Zeros at the end take no time, once they are the candidates.
        last_taken = 3 + sum(max(1, n) for n in non_zeros[:-1])
        assert done == max([last_taken, *(cycle + 1 for cycle in cycles[-1:])])

    simulate(dut, bench)


@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
def test_without_room(density: float) -> None:
    rows = draw_rows(9, density)
    dut = Scan(P)

    async def bench(ctx: Any) -> None:
        sent, _, _ = await scan(
            ctx, dut, Files(rows), first=0, count=16, ptr_base=7, room=Random(3)
        )
        assert sent == expected(rows, 0, 16, 7)

    simulate(dut, bench)


def test_one_scan_after_the_other() -> None:
    rows = draw_rows(1, 0.4)
    dut = Scan(P)

    async def bench(ctx: Any) -> None:
        files = Files(rows)
        for first, count, ptr_base in ((0, 5, 0), (5, 3, 200), (1, 1, 9), (0, 16, 50)):
            sent, _, _ = await scan(
                ctx, dut, files, first=first, count=count, ptr_base=ptr_base, room=Random(1)
            )
            assert sent == expected(rows, first, count, ptr_base)
            for _ in range(first):
                await ctx.tick()
                assert ctx.get(dut.done)

    simulate(dut, bench)


def test_flush_at_any_time() -> None:
    rows = draw_rows(2, 0.4)
    dut = Scan(P)

    async def bench(ctx: Any) -> None:
        for flush_at in range(1, 40):
            files = Files(rows)
            _, cycles, done = await scan(
                ctx, dut, files, first=0, count=16, ptr_base=3, room=Random(2), flush_at=flush_at
            )
            assert done <= flush_at + 1
            assert all(cycle <= flush_at for cycle in cycles)
            sent, _, _ = await scan(ctx, dut, files, first=2, count=4, ptr_base=80)
            assert sent == expected(rows, 2, 4, 80)

    simulate(dut, bench)


@pytest.mark.parametrize("num_pes", [1, 5])
def test_columns_of_other_numbers_of_pes(num_pes: int) -> None:
    p = EieParams(num_pes=num_pes, num_acts=4, num_pointers=64, act_bits=8)
    rows = [[row * num_pes + pe + 1 for pe in range(num_pes)] for row in range(4)]
    dut = Scan(p)

    async def bench(ctx: Any) -> None:
        sent, cycles, _ = await scan(ctx, dut, Files(rows), first=0, count=4, ptr_base=20)
        assert sent == [(k + 1, 20 + k) for k in range(4 * num_pes)]
        assert cycles == list(range(4, 4 + 4 * num_pes))

    simulate(dut, bench)
