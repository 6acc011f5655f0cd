"""Proof, for all inputs and any number of cycles, that Fetch gives what a list says exactly once.

Lists of any length up to 63 commands come at any time, in the window or not, and may be stopped;
the memory answers requests when it likes, and with errors. An item that goes into the queue, which
is a command or a fault, is marked; which one is left open. It must be the one that leaves when as
many have left as were before it.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from tests.support.prove import FAILS, PROVED, Watched, any_of, prove, unstable
from zeroskip.hw.system.fetch import CHUNK, DEPTH, Fetch
from zeroskip.hw.system.formats import COMMAND_BYTES, Error, Op, command_layout
from zeroskip.hw.system.jobs import ADDRESS_BITS, fetched_layout
from zeroskip.hw.system.params import SystemParams

pytest.importorskip("pyosys")

BYTES_BITS = 10
FREE = {"op": 4, "row": 1, "count": 1}
"""Bits of a command's fields that are left open; what Fetch does with others is alike."""
IDLE, CHECK, ASK, REQUEST, BEATS, FAULT, HALT = range(7)


class WatchedFetch(Watched):
    """Fetch, its memory, and what follows the list that is read.

    Parameters
    ----------
    p : of the port.
    late : say that so many more items leave before the marked one.

    Attributes
    ----------
    size, listed : bytes of the list at work, and its commands.
    asked, came : commands that were asked for, and that came.
    owed : beats that were asked for and have not come.
    ended, failed : END was among the commands, or an error, and what came behind does not count.
    half : of two beats of a command, or of two commands of a beat, one has come.
    """

    def __init__(self, p: SystemParams, *, late: int = 0) -> None:
        self._p, self._late = p, late
        self._rows = [f"dut.queue.entries[{row}]" for row in range(DEPTH)]
        inputs = ("go", "misaligned", "closed", "ask", "give", "error", "take", "stop", "mark")
        commands = {f"{name}_{k}": bits for k in (0, 1) for name, bits in FREE.items()}
        whole = p.beat_bytes == COMMAND_BYTES
        super().__init__(
            {**dict.fromkeys(inputs, 1), "bytes": BYTES_BITS, **commands},
            {
                **{"dut.state": 3, "dut.left": 28, "dut.wanted": 3, "dut.size": 32, "dut.fault": 4},
                "dut.beats": range(CHUNK * COMMAND_BYTES // p.beat_bytes + 1),
                "dut.addr": ADDRESS_BITS,
                **dict.fromkeys(["dut.ended", "dut.bad", *([] if whole else ["dut.second"])], 1),
                **({"dut.low": 64} if p.beat_bytes < COMMAND_BYTES else {}),
                "dut.queue.level": range(DEPTH + 1),
                **dict.fromkeys(["dut.queue.first", "dut.queue.free"], range(DEPTH)),
                **dict.fromkeys(self._rows, fetched_layout().size),
            },
        )
        self.size = Signal(BYTES_BITS)
        self.listed = self.size[4:]
        self.asked, self.came = Signal(BYTES_BITS - 3), Signal(BYTES_BITS - 3)
        self.owed = Signal(range(2 * CHUNK + 1))
        self.ended, self.failed, self.half = Signal(), Signal(), Signal()
        self.chunk = Signal(range(CHUNK + 1))

    def elaborate(self, platform: object) -> Module:
        me: Any = self
        m = Module()
        m.submodules.dut = dut = Fetch(self._p)
        state, level = self.see("dut.state"), self.see("dut.queue.level")
        closed, misaligned, stopping = Signal(), Signal(), Signal()
        rest = self.listed - self.asked
        m.d.comb += [
            self.chunk.eq(Mux(rest > CHUNK, CHUNK, rest)),
            dut.start.valid.eq(me.go),
            dut.start.payload.addr.eq(me.misaligned),
            dut.start.payload.bytes.eq(me.bytes),
            dut.window.end.eq(Mux(closed, 0, 1 << BYTES_BITS + 1)),
            dut.request.ready.eq(me.ask),
            dut.o.ready.eq(me.take),
            dut.stop.eq(me.stop | stopping),
        ]
        m.d.sync += stopping.eq(dut.stop & ~dut.idle)
        starts, asks = dut.start.valid & dut.start.ready & ~dut.stop, dut.request.valid & me.ask
        comes, command = self._memory(m, dut)
        beats = self._beats(self.chunk)
        m.d.sync += self.owed.eq(self.owed + Mux(asks, beats, 0) - (dut.i.valid & dut.i.ready))
        wanted = self.asked != self.came
        error = dut.i.valid & dut.i.payload.error & wanted
        read = comes & wanted & ~self.ended & ~self.failed & ~error
        with m.If(asks):
            m.d.sync += self.asked.eq(self.asked + self.chunk)
        with m.If(comes & wanted):
            m.d.sync += self.came.eq(self.came + 1)
        with m.If(error & ~self.ended):
            m.d.sync += self.failed.eq(1)
        with m.If(read & (command.op == Op.END.value)):
            m.d.sync += self.ended.eq(1)
        # Whether there has been a list; of the last one, whether it was stopped, or had its fault.
        known, stopped, over = Signal(), Signal(), Signal()
        fault = (state == FAULT) & (level != DEPTH) & ~dut.stop
        m.d.sync += [stopped.eq(stopped | dut.stop), over.eq(over | fault)]
        with m.If(starts):
            m.d.sync += [known.eq(1), stopped.eq(0), over.eq(0), self.ended.eq(0)]
            m.d.sync += [self.size.eq(me.bytes), closed.eq(me.closed)]
            m.d.sync += [misaligned.eq(me.misaligned), self.asked.eq(0), self.came.eq(0)]
            m.d.sync += self.failed.eq(0)

        outside = closed & (self.size != 0)
        reason = Signal(4)
        m.d.comb += reason.eq(Mux(self.failed, Error.FETCH.value, Error.CUT.value))
        with m.If(misaligned):
            m.d.comb += reason.eq(Error.MISALIGNED.value)
        with m.Elif(outside):
            m.d.comb += reason.eq(Error.WINDOW.value)
        due, item = Signal(), Signal(fetched_layout())
        m.d.comb += [
            due.eq((read & ~dut.stop) | fault),
            item.as_value().eq(Mux(fault, Cat(reason, Const(0, 124), 1), command.as_value())),
        ]
        request = dut.request.payload
        reads = (state == ASK) | (state == REQUEST) | (state == BEATS)
        m.d.comb += self.bad.eq(any_of([
            unstable(m, dut.o, dut.o.payload.as_value()),
            unstable(m, dut.request, request.as_value()),
            # Chunks follow one another, once the one before has come, and none behind the end.
            dut.request.valid & (request.addr != self.asked * COMMAND_BYTES),
            dut.request.valid & (request.beats != beats),
            dut.request.valid & ((self.owed != 0) | self.ended | self.failed | (self.chunk == 0)),
            # Beats do not wait, but one of two commands, for a cycle.
            dut.i.valid & ~dut.i.ready & (1 if self._p.data_bits < 256 else self.half),
            # A list ends with its END, or with a fault.
            dut.idle & known & ~self.ended & ~stopped,
            (state == HALT) & ~over & ~stopped,
            (state == FAULT) & (self.ended | (self.came != self.asked) | (self.owed != 0)),
            (state == FAULT) & (reason == Error.CUT.value) & (self.asked != self.listed),
            *self._items(m, dut, due, item),
            # The rest says what registers of Fetch hold.
            (state == FAULT) & (self.see("dut.fault") != reason),
            (state == CHECK) & (self.see("dut.addr") != misaligned),
            (state == CHECK) & ((self.see("dut.size") != self.size) | (self.asked != 0)),
            reads & (misaligned | outside | (self.listed == 0)),
            *([self.half & (self.see("dut.low") != command.as_value()[:64])]
              if self._p.data_bits == 64 else []),
            *self._registers(),
        ]))  # fmt: skip
        return m

    def _beats(self, commands: Value) -> Value:
        """Count the beats of commands."""
        return {64: commands << 1, 128: commands, 256: (commands + 1) >> 1}[self._p.data_bits]

    def _memory(self, m: Module, dut: Any) -> tuple[Value, Any]:
        """Offer beats that are owed; return whether a command comes, and it."""
        me: Any = self
        bits = self._p.data_bits
        stalled, fresh, error = Signal(), Signal(), Signal()
        # What is open stays until all of a beat, and of a command, has come.
        names = [(name, k) for k in (0, 1) for name in FREE]
        free = Cat(*(getattr(me, f"{name}_{k}") for name, k in names))
        offered, kept = Signal(len(free)), Signal(len(free))
        commands: list[Any] = [Signal(command_layout(), name=f"command_{k}") for k in (0, 1)]
        fields = (getattr(commands[k], name)[: FREE[name]] for name, k in names)
        m.d.comb += [
            fresh.eq(~stalled & ~(self.half if bits == 64 else 0)),
            offered.eq(Mux(fresh, free, kept)),
            Cat(*fields).eq(offered),
            dut.i.payload.error.eq(Mux(stalled, error, me.error)),
            dut.i.valid.eq((me.give | stalled) & (self.owed != 0)),
        ]
        m.d.sync += [stalled.eq(dut.i.valid & ~dut.i.ready), error.eq(dut.i.payload.error)]
        m.d.sync += kept.eq(offered)
        first, second = (command.as_value() for command in commands)
        if bits == 128:
            m.d.comb += dut.i.payload.data.eq(first)
            return dut.i.valid, commands[0]
        with m.If(dut.i.valid):
            m.d.sync += self.half.eq(~self.half)
        if bits == 64:
            m.d.comb += dut.i.payload.data.eq(Mux(self.half, first[64:], first[:64]))
            return dut.i.valid & self.half, commands[0]
        coming: Any = Signal(command_layout())
        m.d.comb += [
            dut.i.payload.data.eq(Cat(first, second)),
            coming.eq(Mux(self.half, second, first)),
        ]
        return dut.i.valid, coming

    def _items(self, m: Module, dut: Any, due: Value, item: Any) -> list[Value]:
        """Mark an item that is due to go into the queue; return what is wrong with it there."""
        me: Any = self
        kept, ahead = Signal(range(DEPTH + 1)), Signal(range(DEPTH + 1))
        used, live, marked = Signal(), Signal(), Signal(fetched_layout())
        gives = dut.o.valid & me.take
        m.d.sync += kept.eq(kept + due - gives)
        with m.If(due & me.mark & ~used):
            m.d.sync += [used.eq(1), live.eq(1), marked.eq(item)]
            m.d.sync += ahead.eq(kept - gives + self._late)
        with m.If(gives & live):
            m.d.sync += [live.eq(ahead != 0), ahead.eq(ahead - 1)]
        level, first = self.see("dut.queue.level"), self.see("dut.queue.first")
        bits = (DEPTH - 1).bit_length()
        place = (first + ahead)[:bits]
        return [
            dut.o.valid != (kept != 0),
            live & (ahead == 0) & (dut.o.payload.as_value() != marked.as_value()),
            level != kept,
            level > DEPTH,
            self.see("dut.queue.free") != (first + level)[:bits],
            live & (~used | (ahead >= level)),
            *(
                live & (place == row) & (self.see(path) != marked.as_value())
                for row, path in enumerate(self._rows)
            ),
        ]

    def _registers(self) -> list[Value]:
        """Return what is wrong with Fetch's registers, by what was asked for and has come."""
        see, owed = self.see, self.owed
        state, wanted, level = see("dut.state"), see("dut.wanted"), see("dut.queue.level")
        rest, coming = self.listed - self.asked, self.asked - self.came
        asks = (state == ASK) | (state == REQUEST)
        reads, requests, checks = state == BEATS, state == REQUEST, state == CHECK
        ends = self.ended | self.failed
        due = {
            64: 2 * coming - self.half, 128: coming, 256: (coming + self.half + 1) >> 1
        }[self._p.data_bits]  # fmt: skip
        place = self.asked * COMMAND_BYTES
        return [
            state > HALT,
            self.ended & self.failed,
            self.came > self.asked,
            self.asked > self.listed,
            ~reads & ((owed != 0) | (coming != 0) | self.half),
            *([see("dut.second") != self.half] if self._p.data_bits != 128 else []),
            checks & ((see("dut.left") != self.listed) | ends),
            (checks | asks) & (ends | see("dut.ended") | see("dut.bad")),
            asks & ((see("dut.left") != rest) | (see("dut.addr") != place) | (rest == 0)),
            requests & ((wanted != self.chunk) | (see("dut.beats") != self._beats(self.chunk))),
            requests & (level > DEPTH - CHUNK),
            reads & ((owed == 0) | (owed != see("dut.beats")) | (owed != due) | (wanted != coming)),
            reads & ((coming > CHUNK) | (level > DEPTH - coming) | (self.asked == 0)),
            reads & ((see("dut.ended") != self.ended) | (see("dut.bad") != self.failed)),
            reads & ((see("dut.left") != rest) | ((rest != 0) & (see("dut.addr") != place))),
        ]


@pytest.mark.long("proofs of two seconds")
@pytest.mark.parametrize("data_bits", [64, 128, 256])
def test_each_command_comes_once(data_bits: int, tmp_path: Path) -> None:
    answer = prove(WatchedFetch(SystemParams(data_bits=data_bits)), tmp_path)
    assert re.search(PROVED, answer), answer[-2000:]


@pytest.mark.long("a proof of two seconds")
def test_the_proof_can_fail(tmp_path: Path) -> None:
    answer = prove(WatchedFetch(SystemParams(data_bits=64), late=1), tmp_path)
    assert re.search(FAILS, answer), answer[-2000:]
