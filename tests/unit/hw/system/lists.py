"""Command lists that tests draw, and what they do, one command after the other."""

from dataclasses import dataclass, field
from random import Random

from hypothesis import strategies as st

from tests.unit.hw.system.axi_model import Memory
from tests.unit.hw.system.system_bench import (
    ENGINE,
    MEMORIES,
    ROW_BITS,
    ROWS,
    Files,
    encode,
)
from zeroskip.hw.common.control import Command
from zeroskip.hw.system.check import DESTINATION
from zeroskip.hw.system.formats import Op, Wait, row_bytes, word_bytes
from zeroskip.hw.system.params import SystemParams

DATA = 0x4000
SIZE = 0x8000
AREA = 0x400
Fields = dict[str, int]


def load(space: int, pe: int, row: int, count: int, addr: int) -> Fields:
    return {
        "op": Op.LOAD.value, "space": space, "pe": pe, "row": row, "count": count, "addr": addr
    }  # fmt: skip


def rows_in(row: int, count: int, addr: int, wait: int = 0) -> Fields:
    return {"op": Op.INPUT.value, "row": row, "count": count, "addr": addr, "wait": wait}


def rows_out(row: int, count: int, addr: int, dest: bool = False) -> Fields:
    return {
        "op": Op.OUTPUT.value, "row": row | dest << DESTINATION, "count": count, "addr": addr,
        "wait": Wait.ENGINE,
    }  # fmt: skip


def control(command: int, wait: int = 0) -> Fields:
    return {"op": Op.CONTROL.value, "row": command, "wait": wait}


END: Fields = {"op": Op.END.value}
RUN = Command.START | Command.NEXT


def encoded(commands: list[Fields]) -> list[int]:
    return [encode(**fields) for fields in commands]


def read_chunks(memory: Memory, addr: int, count: int, size: int) -> list[int]:
    """Read ``count`` numbers of ``size`` bytes as they lie in memory."""
    p = memory.p
    beats = -(-count * size // p.beat_bytes)
    data = b"".join(
        memory.row(addr + k * p.beat_bytes).to_bytes(p.beat_bytes, "little") for k in range(beats)
    )
    return [int.from_bytes(data[k * size : (k + 1) * size], "little") for k in range(count)]


@dataclass
class Expected:
    """What lists do, command by command."""

    memory: Memory
    words: dict[tuple[int, int, int], int] = field(default_factory=dict)
    files: Files = field(default_factory=Files)

    def run(self, commands: list[Fields]) -> None:
        p = self.memory.p
        for fields in commands:
            op, row, count = Op(fields["op"]), fields.get("row", 0), fields.get("count", 0)
            if op == Op.LOAD:
                space, pe = fields["space"], fields["pe"]
                bits = MEMORIES[space].bits
                chunks = read_chunks(self.memory, fields["addr"], count, word_bytes(bits))
                for k, chunk in enumerate(chunks):
                    self.words[space, pe, row + k] = chunk & (1 << bits) - 1
            elif op == Op.INPUT:
                chunks = read_chunks(self.memory, fields["addr"], count, row_bytes(ROW_BITS, p))
                for k, chunk in enumerate(chunks):
                    self.files.rows[self.files.free][row + k] = chunk & (1 << ROW_BITS) - 1
            elif op == Op.CONTROL:
                self.files.begin(row)
                if row & Command.START:
                    self.files.run()
            elif op == Op.OUTPUT:
                files = self.files
                file = files.destination if row >> DESTINATION else files.source
                first = row & (1 << DESTINATION) - 1
                size = row_bytes(ROW_BITS, p)
                for k in range(count):
                    self._write(fields["addr"] + k * size, files.rows[file][first + k], size)

    def _write(self, addr: int, value: int, size: int) -> None:
        beat = self.memory.p.beat_bytes
        for k in range(size // beat):
            part = value >> 8 * beat * k & (1 << 8 * beat) - 1
            self.memory.written.append((addr + beat * k, part))


@st.composite
def loads(draw: st.DrawFn) -> Fields:
    space = draw(st.sampled_from(sorted(MEMORIES)))
    memory = MEMORIES[space]
    row = draw(st.integers(0, memory.rows - 1))
    count = draw(st.integers(1, memory.rows - row))
    pe = draw(st.integers(0, memory.pes - 1))
    return load(space, pe, row, count, DATA + 64 * draw(st.integers(0, 8)))


def draw_list(rng: Random, shares: bool) -> list[Fields]:
    """Draw a list; see :func:`draw_inferences`."""

    def move(first_area: int) -> tuple[int, int, int]:
        row = rng.randrange(ROWS)
        return row, rng.randint(1, ROWS - row), DATA + AREA * (first_area + rng.randrange(3))

    commands: list[Fields] = []
    for _ in range(rng.randint(0, 9)):
        kind = rng.choice(["load", "in", "run", "run", "keep", "out", "out", "clear"])
        if kind == "load":
            space = rng.choice(sorted(MEMORIES))
            memory = MEMORIES[space]
            row = rng.randrange(memory.rows)
            count, pe = rng.randint(1, memory.rows - row), rng.randrange(memory.pes)
            commands.append(load(space, pe, row, count, DATA + 64 * rng.randrange(9)))
        elif kind == "in":
            commands.append(rows_in(*move(2), wait=Wait.OUTPUTS if shares else 0))
        elif kind == "out":
            wait = Wait.ENGINE | (Wait.LOADS if shares else 0)
            place = move(2 if shares else 5)
            commands.append(rows_out(*place, dest=rng.random() < 0.4) | {"wait": wait})
        else:
            command = {
                "run": RUN, "keep": Command.START | Command.KEEP, "clear": Command.CLEAR_COUNTERS
            }[kind]  # fmt: skip
            commands.append(control(command, rng.choice([0, 0, 0, 1, 2, 4, 7])))
    return [*commands, END]


def draw_inferences(seed: int) -> list[list[Fields]]:
    """Draw up to three lists that give the same result, however their commands overlap.

    What is read from memory is, in some, what was written before, and waits for that.
    """
    rng = Random(seed)
    shares = rng.random() < 0.4
    return [draw_list(rng, shares) for _ in range(rng.randint(1, 3))]


def fresh_memory(p: SystemParams, memory: Memory) -> Memory:
    """Make a memory of the same contents, for what is expected."""
    return type(memory)(p, memory.seed, data=dict(memory.data))


def some_rows(seed: int, count: int) -> list[int]:
    rng = Random(seed)
    return [rng.getrandbits(ENGINE.row_bits) for _ in range(count)]
