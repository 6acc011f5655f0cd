from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from tests.unit.hw.system.lists import Fields
from tests.unit.hw.system.system_bench import ENGINE, MEMORIES, ROWS, encode
from zeroskip.hw.common.control import Command
from zeroskip.hw.system.check import Check
from zeroskip.hw.system.formats import COMMAND_BYTES, PACKED, Error, Op, row_bytes, word_bytes
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate

STREAM_BITS = 128
ENGINES = (replace(ENGINE, stream_bits=STREAM_BITS), replace(ENGINE, row_bits=24))
"""One that takes weights, and one of whose rows several lie in a beat."""
# The last beat of a page does not fit.
BASE, END = 0x1000, 0x2FFF


def draw(rng: Random, p: SystemParams) -> Fields:
    """Draw a command that is just right, or in one field just wrong."""
    wrong = rng.choice([
        "",
        "",
        "op",
        "engine",
        "base",
        "zero",
        "pe",
        "row",
        "count",
        "place",
        "beat",
    ])
    op = rng.choice([op.value for op in Op]) if wrong != "op" else rng.choice([0, 7, 16])
    load = op == Op.LOAD.value
    space = rng.choice(sorted(MEMORIES)) if load and rng.random() < 0.9 else rng.randrange(16)
    if op == Op.INPUT.value and rng.random() < 0.9:
        space = rng.choice([0, PACKED])
    engine = rng.randrange(len(ENGINES))
    memory = MEMORIES.get(space)
    rows = memory.rows if load and memory else ROWS
    pes = memory.pes if memory else 1
    count = rng.choice([1, rows, rng.randint(1, rows)])
    row = rng.choice([0, rows - count])
    if wrong == "count":
        count = rng.choice([0, count + 1, (1 << 24) - 1])
    if wrong == "row":
        row = rng.choice([rows - count + 1, rows, row | 1 << 31, (1 << 31) - 1])
    row_size = COMMAND_BYTES if op == Op.ELSE.value else _row_bytes(p, op, engine, space)
    size = count * (word_bytes(memory.bits) if load and memory else row_size)
    beat = p.beat_bytes
    last = max(BASE, (END // beat - -(-size // beat)) * beat)
    place = rng.choice([BASE, last])
    if wrong == "place":
        place = rng.choice([BASE - beat, last + beat, 1 << 39, place | 1 << 36])
    if op == Op.CONTROL.value:
        row = rng.choice([0, 1, sum(Command), sum(Command) + 1, 1 << 31])
    return {
        "op": op,
        "space": space,
        "wait": rng.randrange(8),
        "pe": rng.choice([0, pes - 1]) if wrong != "pe" else rng.choice([pes, 255]),
        "engine": rng.choice([2, 3]) if wrong == "engine" else engine,
        "base": rng.choice([1, 2, 3]) if wrong == "base" else 0,
        "zero": rng.choice([1, 8]) if wrong == "zero" else 0,
        "row": row | (rng.random() < 0.5) << 31 if op == Op.OUTPUT.value else row,
        "addr": place + (rng.choice([1, beat // 2, beat - 1]) if wrong == "beat" else 0),
        "count": count,
    }


def _row_bytes(p: SystemParams, op: int, engine: int, space: int) -> int:
    packed = op == Op.INPUT.value and space == PACKED
    return row_bytes(ENGINES[engine].row_bits, p, packed=packed)


def judged(p: SystemParams, f: Fields) -> tuple[Error, int | None]:
    """Return what is wrong, and the beats of what moves something and is right."""
    try:
        op = Op(f["op"])
    except ValueError:
        return Error.UNKNOWN, None
    if f["engine"] >= len(ENGINES) or f["base"] or f["zero"]:
        return Error.UNKNOWN, None
    if op == Op.END:
        return Error.NONE, None
    if op == Op.CONTROL:
        return (Error.NONE if f["row"] <= sum(Command) else Error.RANGE), None
    if f["addr"] % p.beat_bytes:
        return Error.MISALIGNED, None
    row, rows, each = f["row"], ROWS, _row_bytes(p, op.value, f["engine"], f["space"])
    if op == Op.INPUT and f["space"] not in (0, PACKED):
        return Error.RANGE, None
    if op == Op.OUTPUT:
        row &= (1 << 31) - 1
    if op == Op.LOAD:
        memory = MEMORIES.get(f["space"])
        if memory is None or f["pe"] >= memory.pes:
            return Error.RANGE, None
        rows, each = memory.rows, word_bytes(memory.bits)
    if op == Op.WEIGHTS:
        takes = ENGINES[f["engine"]].stream_bits > 0
        row, rows, each = 0, takes << 24, word_bytes(STREAM_BITS)
    if op == Op.ELSE:
        row, rows, each = 0, (1 << 23) - 1, COMMAND_BYTES
    if not f["count"] or row + f["count"] > rows:
        return Error.RANGE, None
    beats = -(-f["count"] * each // p.beat_bytes)
    if f["addr"] < BASE or f["addr"] + beats * p.beat_bytes > END:
        return Error.WINDOW, None
    return Error.NONE, beats


@simulated(40)
@given(st.sampled_from([64, 128, 256]), st.sampled_from([0, 4]), st.integers(0, 1 << 32))
def test_commands(data_bits: int, gap: int, seed: int) -> None:
    p = SystemParams(data_bits=data_bits, addr_bits=40)
    rng = Random(seed)
    told = [draw(rng, p) for _ in range(40)]
    dut = Check(p, ENGINES)
    layout = dut.i.payload.shape()
    items = [layout.from_bits(encode(**fields)) for fields in told]
    jobs: list[Any] = []

    async def give(ctx: Any) -> None:
        ctx.set(dut.window, {"base": BASE, "end": END})
        await put(ctx, dut.i, items, random_gaps(seed, gap))

    async def take(ctx: Any) -> None:
        jobs.extend(await get(ctx, dut.o, len(told), random_gaps(seed + 1, gap)))

    simulate(dut, give, take)
    number = parity = 0
    for fields, job in zip(told, jobs, strict=True):
        error, beats = judged(p, fields)
        assert job.failure.error == error, fields
        assert (job.failure.number, job.failure.parity) == (number, parity)
        if error == Error.NONE:
            assert job.op.value == fields["op"]
            for name in ("engine", "wait", "space", "pe", "row", "count"):
                assert job[name] == fields[name]
        if beats is not None:
            assert job.addr == fields["addr"]
            assert job.beats == beats
        number += 1
        if fields["op"] == Op.END.value:
            number, parity = 0, 1 - parity


def test_a_command_takes_three_cycles_and_a_fault_is_told() -> None:
    dut = Check(SystemParams(), [ENGINE])

    async def bench(ctx: Any) -> None:
        ctx.set(dut.i.payload, {"command": {"op": Error.CUT.value}, "failed": 1})
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.o.ready, 1)
        seen = []
        for _ in range(9):
            seen.append((ctx.get(dut.i.ready), ctx.get(dut.o.valid)))
            if ctx.get(dut.o.valid):
                assert ctx.get(dut.o.payload.failure.error) == Error.CUT
            await ctx.tick()
        assert seen == [(1, 0), (0, 0), (0, 0), (0, 1)] * 2 + [(1, 0)]

    simulate(dut, bench)
