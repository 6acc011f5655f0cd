from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from zeroskip.hw.system.fetch import CHUNK, FETCH_TAG, Fetch
from zeroskip.hw.system.formats import COMMAND_BYTES, Base, Error, Op
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate

BASE, END = 0x1000, 0x3000


@dataclass
class List:
    """A list in memory, and which of its beats is answered with an error."""

    addr: int
    size: int
    commands: list[int] = field(default_factory=list)
    input: int = 0
    output: int = 0
    bad: int | None = None


@st.composite
def lists(draw: st.DrawFn, p: SystemParams, place: int, kinds: list[str]) -> List:
    rng = Random(draw(st.integers(0, 999)))
    count = draw(st.integers(0, 3 * CHUNK))
    ops = [op.value for op in Op if op != Op.END]
    commands = [rng.getrandbits(120) << 8 | rng.choice([*ops, 0, 77]) for _ in range(count)]
    if draw(st.integers(0, 3)):
        commands.append(rng.getrandbits(120) << 8 | Op.END.value)
    # Commands behind END are never read; some lists have some.
    behind = draw(st.integers(0, 5))
    commands += [rng.getrandbits(128) for _ in range(behind)]
    size = len(commands) * COMMAND_BYTES - draw(st.sampled_from([0, 0, 0, 1, 15]))
    addr = place + p.beat_bytes * draw(st.integers(0, 9))
    kind = draw(st.sampled_from(kinds))
    if kind == "misaligned":
        addr += draw(st.integers(1, p.beat_bytes - 1))
    elif kind == "low":
        addr = BASE - p.beat_bytes
    elif kind == "high":
        addr = END - p.beat_bytes * draw(st.integers(0, 2))
    elif kind == "far":
        addr |= 1 << 40
    beats = -(-len(commands) * COMMAND_BYTES // p.beat_bytes)
    bad = draw(st.integers(0, beats)) if draw(st.booleans()) else None
    bases = [rng.choice([0, 0x1000, 0xFF_FFFF_F000, 1 << 40]) for _ in range(2)]
    return List(addr, max(0, size), commands, *bases, bad=bad)


def resolved(command: int, what: List) -> int:
    """Return a command with the address that it has in memory."""
    base = command >> 26 & 3
    if base not in (Base.INPUT, Base.OUTPUT):
        return command
    addr = (command >> 64 & (1 << 40) - 1) + (what.input if base == Base.INPUT else what.output)
    if addr >> 40:
        return command
    return command & ~(3 << 26 | (1 << 40) - 1 << 64) | addr << 64


def expected(p: SystemParams, what: List) -> tuple[list[int], Error]:
    """Return the commands that are given, and what comes behind them."""
    size = -(-what.size // p.beat_bytes) * p.beat_bytes
    if what.addr % p.beat_bytes:
        return [], Error.MISALIGNED
    if what.addr < BASE or what.addr + size > END:
        return [], Error.WINDOW
    given: list[int] = []
    for number, command in enumerate(what.commands[: what.size // COMMAND_BYTES]):
        last = ((number + 1) * COMMAND_BYTES - 1) // p.beat_bytes
        first = number * COMMAND_BYTES // p.beat_bytes
        if what.bad is not None and first <= what.bad <= last:
            return given, Error.FETCH
        given.append(resolved(command, what))
        if command & 255 == Op.END.value:
            return given, Error.NONE
    return given, Error.CUT


@simulated(40)
@given(
    st.data(),
    st.sampled_from([64, 128, 256]),
    st.sampled_from([0, 5]),
    st.sampled_from([0, 40]),
    st.integers(0, 99),
)
def test_lists(data: Any, data_bits: int, gap: int, slow: int, seed: int) -> None:
    """Lists come in their order up to END, however both sides stall; a fault ends them all."""
    p = SystemParams(data_bits=data_bits, addr_bits=40)
    number = data.draw(st.integers(0, 2))
    drawn = [data.draw(lists(p, BASE + 0x400 * k, ["good"])) for k in range(number)]
    kinds = ["good", "good", "misaligned", "low", "high", "far"]
    drawn.append(data.draw(lists(p, BASE + 0x1000, kinds)))
    dut = Fetch(p)
    wanted: list[tuple[int, int]] = []
    fault = Error.NONE
    read: list[List] = []
    for one in drawn:
        given, fault = expected(p, one)
        wanted += [(command, 0) for command in given]
        read.append(one)
        if fault != Error.NONE:
            break
    if fault != Error.NONE:
        wanted.append((fault.value, 1))
    got: list[tuple[int, int]] = []

    async def start(ctx: Any) -> None:
        ctx.set(dut.window, {"base": BASE, "end": END})
        starts = [
            {"addr": one.addr, "bytes": one.size, "input": one.input, "output": one.output}
            for one in read
        ]
        await put(ctx, dut.start, starts, random_gaps(seed, gap))

    async def memory(ctx: Any) -> None:
        gaps = random_gaps(seed + 1, gap)
        while True:
            (request,) = await get(ctx, dut.request, 1, gaps)
            assert request.tag == FETCH_TAG
            assert request.addr % p.beat_bytes == 0
            assert 1 <= request.beats <= CHUNK * COMMAND_BYTES // p.beat_bytes
            for addr in range(
                request.addr, request.addr + request.beats * p.beat_bytes, p.beat_bytes
            ):
                inside = [one for one in read if one.addr >= BASE]
                (of,) = [one for one in inside if 0 <= addr - one.addr < one.size]
                offset = addr - of.addr
                text = b"".join(
                    command.to_bytes(COMMAND_BYTES, "little") for command in of.commands
                )
                beat = {
                    "data": int.from_bytes(text[offset : offset + p.beat_bytes], "little"),
                    "tag": FETCH_TAG,
                    "error": offset // p.beat_bytes == of.bad,
                }
                await put(ctx, dut.i, [beat], gaps)

    async def take(ctx: Any) -> None:
        items = await get(ctx, dut.o, len(wanted), random_gaps(seed + 2, slow))
        got.extend((item.command.as_bits(), item.failed) for item in items)

    simulate(dut, start, take, monitors=[memory])
    assert got == wanted
