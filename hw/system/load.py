"""Load: beats from memory become words of an engine's memories, and rows of its activations."""

from collections.abc import Iterator, Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import ADDR_BITS
from zeroskip.hw.common.queue import Queue
from zeroskip.hw.system.formats import (
    ENGINE_BITS,
    PACKED,
    Error,
    Op,
    read_request_layout,
    row_bytes,
)
from zeroskip.hw.system.jobs import Engine, failure_layout, job_layout
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.port import rows_in_layout
from zeroskip.hw.system.read_dma import read_beat_layout
from zeroskip.hw.system.sequence import LOADS

__all__ = ["LOAD_TAG", "Load", "word_layout"]

LOAD_TAG = 1
"""Of the requests for data."""


def word_layout(engines: Sequence[Engine]) -> data.StructLayout:
    """Lay out a word for row ``addr`` of a memory of an engine's PE, which has its own width."""
    widths = [memory.bits for engine in engines for memory in engine.memories.values()]
    return data.StructLayout({
        "pe": unsigned(8),
        "space": unsigned(4),
        "addr": unsigned(ADDR_BITS),
        "data": unsigned(max(widths)),
    })


class Load(wiring.Component):
    """Does one LOAD or INPUT after the other, and requests the beats of those that wait.

    A job goes into a queue in the cycle of ``go``, and its request is at ``request`` from the next
    cycle on; ``ready`` is low until that is taken. It begins a cycle after it has come to the head
    of the queue: in the cycle after ``go``, or in the one after ``done`` of the job before; an
    INPUT waits there for ``hold`` and ``in_busy``. From the next cycle on it takes beats.

    Items (words, rows) are given from the cycle after their last beat on, one a cycle while beats
    come: an item that takes one beat or more is given while the first beat of the next is taken,
    and so is the last of a beat of several. ``done`` is in the cycle that the last item is taken.

    For an engine that asks for its beats itself, an INPUT requests nothing, its beats go to
    ``beats`` as they come, and it is done in the first cycle without ``in_busy``. Nothing is taken
    behind it until then, as beats come in the order in which they were asked for.

    Parameters
    ----------
    params : of the port to memory.
    engines : by their number; signals of one bit for each have engine 0's lowest.

    Members
    -------
    go, job : In, begin ``job``; only while ``ready``.
    ready : Out, there is room for a job.
    level : Out, jobs that are not done.
    words, unbegun : Out, there is a LOAD among them; an INPUT that has not begun.
    done, failure : Out, a job is done, and how.
    hold : In, by engine: no INPUT may begin.
    request : ``Out(stream(read_request_layout))``.
    i : ``In(stream(read_beat_layout))``.
    engine : Out, whose words and rows are given.
    words_out : ``Out(stream(word_layout))``, writes to its host port.
    in_start : Out, by engine: it is to expect rows.
    in_rows : Out, which.
    in_busy : In, by engine: it still does; from the cycle after ``in_start``.
    in_lost : In, by engine: it has no room for what came.
    rows : ``Out(stream)``, rows of all lanes.
    beats : ``Out(stream)``, beats of an engine that asks for them; apart, as what keeps an engine
        from taking rows keeps the job from being done.
    """

    go: Signal
    job: Any
    ready: Signal
    level: Signal
    words: Signal
    unbegun: Signal
    done: Signal
    failure: Any
    hold: Signal
    request: stream.Interface
    i: stream.Interface
    engine: Signal
    words_out: stream.Interface
    in_start: Signal
    in_rows: Any
    in_busy: Signal
    in_lost: Signal
    rows: stream.Interface
    beats: stream.Interface

    def __init__(self, params: SystemParams, engines: Sequence[Engine]) -> None:
        self._p, self._engines, count = params, engines, len(engines)
        super().__init__({
            "go": In(1),
            "job": In(job_layout(params)),
            "ready": Out(1),
            "level": Out(range(LOADS + 1)),
            "words": Out(1),
            "unbegun": Out(1),
            "done": Out(1),
            "failure": Out(failure_layout()),
            "hold": In(count),
            "request": Out(stream.Signature(read_request_layout(params))),
            "i": In(stream.Signature(read_beat_layout(params))),
            "engine": Out(ENGINE_BITS),
            "words_out": Out(stream.Signature(word_layout(engines))),
            "in_start": Out(count),
            "in_rows": Out(rows_in_layout(params)),
            "in_busy": In(count),
            "in_lost": In(count),
            "rows": Out(stream.Signature(max(engine.row_bits for engine in engines))),
            "beats": Out(stream.Signature(params.data_bits)),
        })

    def elaborate(self, platform: object) -> Module:
        """Make the unit: longer than other functions, as its registers are used all over it."""
        p = self._p
        m = Module()
        shape = job_layout(p)
        asks = Const(sum(one.asks << n for n, one in enumerate(self._engines)), len(self._engines))
        kept = data.StructLayout({
            "is_row": unsigned(1),
            "asks": unsigned(1),
            **{name: shape[name].shape for name in ("engine", "space", "pe", "count", "failure")},
            "row": unsigned(ADDR_BITS),
            **({"addr": unsigned(p.addr_bits)} if asks.value else {}),
        })
        m.submodules.queue = queue = Queue(kept, LOADS - 1, head=True)
        job, item = self.job, queue.i.payload
        at_work = Signal()
        now: Any = Signal(kept)
        failed = Signal()
        # Jobs of each kind, whether they wait or are at work; and INPUT of engines that ask.
        words, rows, asked = (Signal(range(LOADS + 1)) for _ in range(3))
        request = self.request
        m.d.comb += [
            queue.i.valid.eq(self.go),
            item.is_row.eq(job.op == Op.INPUT),
            item.asks.eq(item.is_row & asks.bit_select(job.engine, 1)),
            item.engine.eq(job.engine),
            item.space.eq(job.space),
            item.pe.eq(job.pe),
            item.row.eq(job.row),
            item.count.eq(job.count),
            item.failure.eq(job.failure),
            self.ready.eq(queue.i.ready & ~request.valid & (asked == 0)),
            request.payload.tag.eq(LOAD_TAG),
            self.level.eq(words + rows),
            self.words.eq(words != 0),
            self.unbegun.eq(rows != (at_work & now.is_row)),
        ]
        if asks.value:
            m.d.comb += item.addr.eq(job.addr)
        with m.If(self.go & ~item.asks):
            m.d.sync += [
                request.valid.eq(1),
                request.payload.addr.eq(job.addr),
                request.payload.beats.eq(job.beats),
            ]
        with m.Elif(request.ready):
            m.d.sync += request.valid.eq(0)
        m.d.sync += [
            words.eq(words + (self.go & ~item.is_row) - (self.done & ~now.is_row)),
            rows.eq(rows + (self.go & item.is_row) - (self.done & now.is_row)),
            asked.eq(asked + (self.go & item.asks) - (self.done & now.asks)),
        ]

        head = queue.o.payload
        begins = Signal()
        kept_back = (self.hold | self.in_busy).bit_select(head.engine, 1)
        m.d.comb += [
            begins.eq(queue.o.valid & ~at_work & ~(head.is_row & kept_back)),
            queue.o.ready.eq(begins),
            self.in_start.eq((begins & head.is_row) << head.engine),
            self.in_rows.base.eq(head.row),
            self.in_rows.rows.eq(head.count),
        ]
        if asks.value:
            m.d.comb += self.in_rows.addr.eq(head.addr)
        with m.If(begins):
            m.d.sync += [now.eq(head), at_work.eq(1), failed.eq(0)]
        gathers = self._pack(m, at_work, now)
        # If an engine asks for beats by itself, every beat that comes is of its INPUT: an error in
        # one counts even before it is taken.
        with m.If(self.i.payload.error & (gathers | self.beats.valid)):
            m.d.sync += failed.eq(1)
        with m.If(self.done):
            m.d.sync += at_work.eq(0)
        lost = self.in_lost.bit_select(now.engine, 1)
        m.d.comb += [
            self.failure.eq(now.failure),
            self.failure.error.eq(
                Mux(failed, Error.READ, Mux(now.is_row & lost, Error.LOST, Error.NONE))
            ),
        ]
        return m

    def _items(self) -> Iterator[tuple[str, int]]:
        """Give the bytes of each kind of item by a pattern: engine, whether it is a row, space."""
        for number, engine in enumerate(self._engines):
            for packed in (False, True):
                size = row_bytes(engine.row_bits, self._p, packed=packed)
                yield f"{number:0{ENGINE_BITS}b}1{PACKED * packed:04b}", size
            for space, shift in engine.word_shifts().items():
                yield f"{number:0{ENGINE_BITS}b}0{space:04b}", 1 << shift

    def _pack(self, m: Module, at_work: Signal, now: Any) -> Signal:
        """Gather beats into items that are larger than a beat, or cut beats into smaller items.

        Returns a bit: a beat is gathered in this cycle.
        """
        p = self._p
        beat_bits = p.data_bits
        largest = max(p.beat_bytes, *(size for _, size in self._items()))
        buffer = Signal(8 * largest)
        longest = largest // p.beat_bytes
        part = Signal(range(longest + 1))
        # Beats that the first item needs; items in the buffer; items of a beat.
        needed = Signal(range(longest + 1))
        items = Signal(range(p.beat_bytes + 1))
        of_beat = Signal(range(p.beat_bytes + 1))
        given, room, gathers = Signal(), Signal(), Signal()
        with m.Switch(Cat(now.space, now.is_row, now.engine)):
            for pattern, size in self._items():
                with m.Case(pattern):
                    m.d.comb += [
                        needed.eq(max(1, size // p.beat_bytes)),
                        of_beat.eq(max(1, p.beat_bytes // size)),
                    ]
                    if size < p.beat_bytes:
                        with m.If(given):
                            m.d.sync += buffer[:beat_bits].eq(buffer[:beat_bits] >> 8 * size)
        word: Any = self.words_out.payload
        valid = items != 0
        takes = Mux(now.is_row, self.rows.ready, self.words_out.ready)
        last = valid & (now.count == 1)
        busy: Value = self.in_busy.bit_select(now.engine, 1)
        m.d.comb += [
            self.engine.eq(now.engine),
            self.rows.payload.eq(buffer),
            self.rows.valid.eq(valid & now.is_row),
            self.words_out.valid.eq(valid & ~now.is_row),
            word.pe.eq(now.pe),
            word.space.eq(now.space),
            word.addr.eq(now.row),
            word.data.eq(buffer),
            given.eq(valid & takes),
            room.eq(at_work & (~valid | ((items == 1) & takes & ~last))),
            # Without beats that an engine asks for: its `ready` comes late in the cycle.
            gathers.eq(self.i.valid & room & ~now.asks),
            self.i.ready.eq(room),
            self.done.eq(last & takes),
            self.beats.payload.eq(self.i.payload.data),
            self.beats.valid.eq(self.i.valid & at_work & now.asks),
        ]
        with m.If(now.asks):
            m.d.comb += [
                self.i.ready.eq(at_work & self.beats.ready),
                self.done.eq(at_work & ~busy),
            ]
        with m.If(given):
            m.d.sync += [items.eq(items - 1), now.row.eq(now.row + 1), now.count.eq(now.count - 1)]
        with m.If(gathers):
            for k in range(len(buffer) // beat_bits):
                with m.If(part == k):
                    m.d.sync += buffer.word_select(k, beat_bits).eq(self.i.payload.data)
            with m.If(part == needed - 1):
                m.d.sync += [part.eq(0), items.eq(of_beat)]
            with m.Else():
                m.d.sync += part.eq(part + 1)
        with m.If(self.done):
            m.d.sync += items.eq(0)
        return gathers
