"""Load: beats from memory become words of an engine's memories, and rows of its activations."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import ADDR_BITS
from zeroskip.hw.common.queue import Queue
from zeroskip.hw.system.formats import ROW_BITS, Error, Op, read_request_layout
from zeroskip.hw.system.jobs import Engine, failure_layout, job_layout
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.read_dma import read_beat_layout
from zeroskip.hw.system.sequence import LOADS

__all__ = ["LOAD_TAG", "Load", "rows_in_layout"]

LOAD_TAG = 1
"""Of the requests for data."""


def rows_in_layout(p: SystemParams, engine: Engine) -> data.StructLayout:
    """Lay out which rows the engine is to expect: from ``base`` up, ``rows`` of them.

    An engine that asks for them itself gets ``addr`` instead of ``base``, where they are in memory.
    """
    where = ("addr", p.addr_bits) if engine.asks else ("base", ADDR_BITS)
    return data.StructLayout({where[0]: unsigned(where[1]), "rows": unsigned(ROW_BITS)})


class Load(wiring.Component):
    """Does one LOAD or INPUT after the other, and requests the beats of those that wait.

    A job goes into a queue in the cycle of ``go``, and its request is at ``request`` from the next
    cycle on; ``ready`` is low until that is taken. It begins a cycle after it has come to the head
    of the queue: in the cycle after ``go``, or in the one after ``done`` of the job before; an
    INPUT waits there for ``hold`` and ``in_busy``. From the next cycle on it takes beats.

    Items (words, rows) are given from the cycle after their last beat on, one a cycle while beats
    come: an item that takes one beat or more is given while the first beat of the next is taken,
    and so is the last word of a beat of several. ``done`` is in the cycle that the last item is
    taken.

    For an engine that asks for its beats itself, an INPUT requests nothing, its beats go to
    ``rows`` as they come, and it is done in the first cycle without ``in_busy``. Nothing is taken
    behind it until then, as beats come in the order in which they were asked for.

    Members
    -------
    go, job : In, begin ``job``; only while ``ready``.
    ready : Out, there is room for a job.
    level : Out, jobs that are not done.
    words, unbegun : Out, there is a LOAD among them; an INPUT that has not begun.
    done, failure : Out, a job is done, and how.
    hold : In, no INPUT may begin.
    request : ``Out(stream(read_request_layout))``.
    i : ``In(stream(read_beat_layout))``.
    cmd : ``Out(stream)``, writes to the engine's host port.
    in_start, in_rows : Out, the engine is to expect rows.
    in_busy : In, it still does; from the cycle after ``in_start``.
    in_lost : In, it has no room for what came.
    rows : ``Out(stream)``, rows of all lanes.
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
    cmd: stream.Interface
    in_start: Signal
    in_rows: Any
    in_busy: Signal
    in_lost: Signal
    rows: stream.Interface

    def __init__(self, params: SystemParams, engine: Engine) -> None:
        self._p, self._engine = params, engine
        super().__init__({
            "go": In(1),
            "job": In(job_layout(params)),
            "ready": Out(1),
            "level": Out(range(LOADS + 1)),
            "words": Out(1),
            "unbegun": Out(1),
            "done": Out(1),
            "failure": Out(failure_layout()),
            "hold": In(1),
            "request": Out(stream.Signature(read_request_layout(params))),
            "i": In(stream.Signature(read_beat_layout(params))),
            "cmd": Out(stream.Signature(engine.command)),
            "in_start": Out(1),
            "in_rows": Out(rows_in_layout(params, engine)),
            "in_busy": In(1),
            "in_lost": In(1),
            "rows": Out(stream.Signature(engine.row_bits)),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        shape, asks = job_layout(p), self._engine.asks
        kept = data.StructLayout({
            "is_row": unsigned(1),
            **{name: shape[name].shape for name in ("space", "pe", "count", "failure")},
            "row": unsigned(ADDR_BITS),
            **({"addr": unsigned(p.addr_bits)} if asks else {}),
        })
        m.submodules.queue = queue = Queue(kept, LOADS - 1)
        job, item = self.job, queue.i.payload
        at_work = Signal()
        now: Any = Signal(kept)
        failed = Signal()
        # Jobs of each kind, whether they wait or are at work.
        words, rows = Signal(range(LOADS + 1)), Signal(range(LOADS + 1))
        request = self.request
        m.d.comb += [
            queue.i.valid.eq(self.go),
            item.is_row.eq(job.op == Op.INPUT),
            item.space.eq(job.space),
            item.pe.eq(job.pe),
            item.row.eq(job.row),
            item.count.eq(job.count),
            item.failure.eq(job.failure),
            self.ready.eq(queue.i.ready & ~request.valid & ~(asks & (rows != 0))),
            request.payload.tag.eq(LOAD_TAG),
            self.level.eq(words + rows),
            self.words.eq(words != 0),
            self.unbegun.eq(rows != (at_work & now.is_row)),
        ]
        if asks:
            m.d.comb += item.addr.eq(job.addr)
        with m.If(self.go & ~(asks & item.is_row)):
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
        ]

        head = queue.o.payload
        begins = Signal()
        m.d.comb += [
            begins.eq(queue.o.valid & ~at_work & ~(head.is_row & (self.hold | self.in_busy))),
            queue.o.ready.eq(begins),
            self.in_start.eq(begins & head.is_row),
            self.in_rows.addr.eq(head.addr) if asks else self.in_rows.base.eq(head.row),
            self.in_rows.rows.eq(head.count),
        ]
        with m.If(begins):
            m.d.sync += [now.eq(head), at_work.eq(1), failed.eq(0)]
        self._pack(m, at_work, now)
        wrong = self.i.valid & self.i.ready & self.i.payload.error
        with m.If(wrong):
            m.d.sync += failed.eq(1)
        with m.If(self.done):
            m.d.sync += at_work.eq(0)
        m.d.comb += [
            self.failure.eq(now.failure),
            self.failure.error.eq(
                Mux(failed, Error.READ, Mux(now.is_row & self.in_lost, Error.LOST, Error.NONE))
            ),
        ]
        return m

    def _pack(self, m: Module, at_work: Signal, now: Any) -> None:
        """Gather beats to items, or cut them, and give the items."""
        p, engine = self._p, self._engine
        shifts = engine.word_shifts()
        beat_bits = p.data_bits
        largest = max(p.beat_bytes * engine.row_beats(p), *(1 << s for s in shifts.values()))
        buffer = Signal(8 * largest)
        longest = max(engine.row_beats(p), 8 * largest // beat_bits)
        part = Signal(range(longest + 1))
        # Beats that the first item needs; items in the buffer; items of a beat.
        needed = Signal(range(longest + 1))
        items = Signal(range(p.beat_bytes + 1))
        of_beat = Signal(range(p.beat_bytes + 1))
        with m.If(now.is_row):
            m.d.comb += [needed.eq(engine.row_beats(p)), of_beat.eq(1)]
        with m.Else(), m.Switch(now.space):
            for space, shift in shifts.items():
                with m.Case(space):
                    m.d.comb += [
                        needed.eq(max(1, (1 << shift) // p.beat_bytes)),
                        of_beat.eq(max(1, p.beat_bytes >> shift)),
                    ]
        command: Any = self.cmd.payload
        given = Signal()
        valid = items != 0
        if engine.asks:
            m.d.comb += [
                self.rows.payload.eq(self.i.payload.data),
                self.rows.valid.eq(self.i.valid & at_work & now.is_row),
            ]
        else:
            m.d.comb += [self.rows.payload.eq(buffer), self.rows.valid.eq(valid & now.is_row)]
        m.d.comb += [
            self.cmd.valid.eq(valid & ~now.is_row),
            command.pe.eq(now.pe),
            command.command.write.eq(1),
            command.command.space.eq(now.space),
            command.command.addr.eq(now.row),
            command.command.data.eq(buffer),
            given.eq(valid & Mux(now.is_row, self.rows.ready, self.cmd.ready)),
            self.i.ready.eq(at_work & (~valid | ((items == 1) & given & ~self.done))),
            self.done.eq(given & (now.count == 1)),
        ]
        if engine.asks:
            with m.If(now.is_row):
                m.d.comb += [
                    self.i.ready.eq(at_work & self.rows.ready),
                    self.done.eq(at_work & ~self.in_busy),
                ]
        with m.If(given):
            m.d.sync += [items.eq(items - 1), now.row.eq(now.row + 1), now.count.eq(now.count - 1)]
            with m.Switch(now.space):
                for space, shift in shifts.items():
                    if 1 << shift < p.beat_bytes:
                        with m.Case(space):
                            m.d.sync += buffer[:beat_bits].eq(buffer[:beat_bits] >> (8 << shift))
        with m.If(self.i.valid & self.i.ready & ~(engine.asks & now.is_row)):
            for k in range(len(buffer) // beat_bits):
                with m.If(part == k):
                    m.d.sync += buffer.word_select(k, beat_bits).eq(self.i.payload.data)
            with m.If(part == needed - 1):
                m.d.sync += [part.eq(0), items.eq(of_beat)]
            with m.Else():
                m.d.sync += part.eq(part + 1)
        with m.If(self.done):
            m.d.sync += items.eq(0)
