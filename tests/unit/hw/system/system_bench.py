"""A system at work: memory, a processor that writes registers, and an engine, in Python."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.support.axi_lite import AxiLiteMaster
from tests.unit.hw.system.axi_model import Memory, chances
from zeroskip.hw.common import formats as common
from zeroskip.hw.common.control import Command, Control
from zeroskip.hw.eie import host as eie
from zeroskip.hw.system import jobs
from zeroskip.hw.system.formats import COMMAND_BYTES, command_layout
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import Event, Register, State
from zeroskip.hw.system.system import System
from zeroskip.sim.bench.pysim import simulate

ROWS = 16
ROW_BITS = 144
FILES = 3
# Of the same kinds as EIE's: narrower than a byte, than a beat, and wider.
MEMORIES = {
    1: jobs.Memory(1, 12, 64),
    2: jobs.Memory(1, 40, 5),
    3: jobs.Memory(3, 9, 80),
    4: jobs.Memory(3, 20, 20),
    5: jobs.Memory(2, 7, 300),
}
HOST_BITS = 300
ENGINE = jobs.Engine(
    common.command_layout(common.host_layout(HOST_BITS, eie.Space)), MEMORIES, ROWS, ROW_BITS
)
BAD_LIST = 1 << 30
Bench = Callable[[Any], Coroutine[Any, Any, None]]


def run_row(row: int) -> int:
    """Compute what a run makes of a row."""
    return (row * 5 + 3) % (1 << ROW_BITS)


@dataclass
class Files:
    """Activation files, as the order of commands has it.

    Attributes
    ----------
    rows : of each file.
    source, free : numbers of the source, and of the one that rows are loaded into.
    """

    rows: list[list[int]] = field(default_factory=lambda: [[0] * ROWS for _ in range(FILES)])
    source: int = 0
    free: int = 2

    @property
    def destination(self) -> int:
        return FILES - self.source - self.free

    def begin(self, command: int) -> None:
        """Turn the files as a command says."""
        if command & Command.CLEAR:
            self.source, self.free = 0, 2
        if command & Command.START and command & Command.NEXT:
            self.source, self.free = self.free, self.source

    def run(self) -> None:
        """Compute, and swap."""
        self.rows[self.destination] = [run_row(row) for row in self.rows[self.source]]
        self.source = self.destination


@dataclass
class EngineModel:
    """An engine that takes its time.

    Attributes
    ----------
    endless : runs from now on do not end by themselves.
    spoiled : numbers of the runs, of all from 0, that end without having found room.
    words : what was written, by space, PE and row.
    log : what it was told, and when.
    """

    seed: int
    busy: float = 0.0
    shortest: int = 2
    longest: int = 40
    endless: bool = False
    spoiled: frozenset[int] = frozenset()
    words: dict[tuple[int, int, int], int] = field(default_factory=dict)
    files: Files = field(default_factory=Files)
    log: list[tuple[int, str]] = field(default_factory=list)

    async def serve(self, ctx: Any, dut: Any) -> None:
        """Be the engine at port ``dut`` of a system."""
        rng = Random(self.seed)
        rows_ready, rows_valid, host_ready = (chances(self.seed + k, self.busy) for k in (1, 2, 3))
        now = 0
        command, running, in_run = None, 5, False  # cleared at first
        loading: tuple[int, int, int] | None = None  # file, next row, rows
        giving: tuple[int, int, int] | None = None
        offered = False
        runs = 0
        while True:
            if command is not None:
                start = command & Command.START
                if start or command & Command.CLEAR:
                    assert giving is None or not command & Command.CLEAR
                    running = rng.randint(self.shortest, self.longest)
                    in_run = bool(start) and not command & Command.CLEAR
                    self.files.begin(command)
                    ctx.set(dut.lost, in_run and runs in self.spoiled)
                    runs += in_run
                    if giving is not None and in_run:
                        assert giving[0] != self.files.destination
                    self.log.append((now, "run" if in_run else "clear"))
                command = None
            ctx.set(dut.running, running > 0)
            ctx.set(dut.in_busy, loading is not None)
            ctx.set(dut.rows_in.ready, loading is not None and next(rows_ready))
            offered = offered or (giving is not None and next(rows_valid))
            ctx.set(dut.rows_out.valid, offered)
            if giving is not None:
                ctx.set(dut.rows_out.payload, self.files.rows[giving[0]][giving[1]])
            host = dut.cmd.payload
            of_control = ctx.get(host.command.space) == eie.Space.CONTROL
            ctx.set(dut.cmd.ready, of_control or (running == 0 and next(host_ready)))
            told = dut.cmd.valid, dut.cmd.ready, dut.cmd.payload
            _, _, *seen = await ctx.tick().sample(
                *told,
                *(dut.in_start, dut.in_rows, dut.rows_in.valid, dut.rows_in.ready),
                *(dut.rows_in.payload, dut.out_start, dut.out_rows, dut.rows_out.ready),
            )
            valid, ready, told, in_start, in_rows, in_valid, in_ready, in_row, *seen = seen
            out_start, out_rows, out_ready = seen
            now += 1
            if offered and out_ready and giving:
                offered = False
                file, row, left = giving
                giving = (file, row + 1, left - 1) if left > 1 else None
            if in_valid and in_ready and loading:
                file, row, left = loading
                self.files.rows[file][row] = in_row
                loading = (file, row + 1, left - 1) if left > 1 else None
            if in_start:
                assert loading is None
                assert giving is None or giving[0] != self.files.free
                loading = (self.files.free, in_rows.base, in_rows.rows)
                self.log.append((now, "input"))
            if out_start:
                assert giving is None
                file = self.files.destination if out_rows.dest else self.files.source
                giving = (file, out_rows.base, out_rows.rows)
                self.log.append((now, "output"))
            waits = in_run and loading is not None and loading[0] == self.files.source
            if running and not waits and not (self.endless and in_run):
                running -= 1
                if not running and in_run:
                    self.files.run()
            if valid and ready:
                told_command = told.command
                assert told_command.write
                if told_command.space == eie.Space.CONTROL:
                    assert told_command.addr == Control.COMMAND
                    command = told_command.data
                    assert running == 0 or command & Command.CLEAR
                else:
                    space = int(told_command.space)
                    mask = (1 << MEMORIES[space].bits) - 1
                    place = space, told.pe, told_command.addr
                    self.words[place] = told_command.data & mask


class Processor(AxiLiteMaster):
    """Reads and writes registers of a system."""

    def __init__(self, dut: System, ctx: Any) -> None:
        super().__init__(dut.registers, ctx)
        self.dut = dut

    async def window(self, base: int, size: int) -> None:
        await self.write(Register.WINDOW, base)
        await self.write(Register.WINDOW_BYTES, size)
        await self.write(Register.IER, Event.DONE | Event.ERROR)
        await self.write(Register.GIE, 1)

    async def start(self, addr: int, size: int) -> None:
        await self.write(Register.LIST, addr & 0xFFFFFFFF)
        await self.write(Register.LIST + 4, addr >> 32)
        await self.write(Register.LIST_BYTES, size)
        await self.write(Register.CONTROL, State.AP_START)

    async def interrupted(self) -> int:
        """Wait for the interrupt; return its events, and take them away."""
        if not self.ctx.get(self.dut.interrupt):
            await self.ctx.tick().until(self.dut.interrupt)
        events = await self.read(Register.ISR)
        await self.write(Register.ISR, events)
        return events


def encode(**fields: int) -> int:
    """Make a command's 16 bytes, as a number."""
    return common.pack(command_layout(), **fields)


def place(memory: Memory, addr: int, chunks: Sequence[int], size: int) -> None:
    """Put ``chunks`` of ``size`` bytes into memory from ``addr`` up."""
    data = b"".join(chunk.to_bytes(size, "little") for chunk in chunks)
    beat = memory.p.beat_bytes
    data += bytes(-len(data) % beat)
    for k in range(0, len(data), beat):
        memory.data[addr + k] = int.from_bytes(data[k : k + beat], "little")


def place_list(memory: Memory, addr: int, commands: Sequence[int]) -> int:
    """Put a command list into memory; return its bytes."""
    place(memory, addr, commands, COMMAND_BYTES)
    return len(commands) * COMMAND_BYTES


class Dram(Memory):
    """Memory that gives back what was written."""

    def row(self, addr: int) -> int:
        for at, word in reversed(self.written):
            if at == addr:
                return word
        return super().row(addr)


def run_system(
    p: SystemParams, memory: Memory, engine: EngineModel, bench: Callable[[Processor], Any]
) -> None:
    """Simulate a system until ``bench`` has ended."""
    dut = System(p, [ENGINE])

    async def main(ctx: Any) -> None:
        await bench(Processor(dut, ctx))

    async def reads(ctx: Any) -> None:
        await memory.serve_reads(ctx, dut.read)

    async def writes(ctx: Any) -> None:
        await memory.serve_writes(ctx, dut.write)

    async def serve(ctx: Any) -> None:
        await engine.serve(ctx, dut.port(0))

    simulate(dut, main, monitors=[reads, writes, serve])
