"""The system around an engine: registers, command list, loader, store, and the memory port."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.common.control import CONTROL_SPACE, Control
from zeroskip.hw.system.axi import AxiLite, AxiRead, AxiWrite
from zeroskip.hw.system.check import Check
from zeroskip.hw.system.feed import FEED_TAG, Feed
from zeroskip.hw.system.fetch import FETCH_TAG, Fetch
from zeroskip.hw.system.formats import write_request_layout
from zeroskip.hw.system.gearbox import Gearbox
from zeroskip.hw.system.jobs import Engine
from zeroskip.hw.system.load import LOAD_TAG, Load, rows_in_layout
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.read_dma import ReadDma
from zeroskip.hw.system.register_map import REGISTER_BITS
from zeroskip.hw.system.registers import Registers
from zeroskip.hw.system.sequence import PASS_BITS, Sequence
from zeroskip.hw.system.starts import Starts
from zeroskip.hw.system.store import Store, StoreAsked, rows_out_layout
from zeroskip.hw.system.write_dma import WriteDma

__all__ = ["System"]


class System(wiring.Component):
    """All that lies between a processor, a memory and an engine, whichever it is.

    Requests for commands go before those for data; each spends a cycle in a register before the
    DMA. The DMA gives beats in the order of requests, so one for data is made only once whoever
    takes the beats can always do so, and commands behind them always come.

    Members
    -------
    read, write : ``Out(AxiRead)``, ``Out(AxiWrite)``, the memory.
    registers : ``In(AxiLite)``.
    interrupt : Out.
    cmd : ``Out(stream)``, commands to the engine's host port.
    running : In, the engine is at work; from the cycle after a command that begins it.
    lost : In, it had no room for outputs of its last run.
    in_start, in_rows, in_busy, in_lost, rows_in : see :class:`.Load`.
    out_start, out_rows, rows_out : see :class:`.Store`.
    in_request, out_request : ``In(stream(write_request_layout))``, of an engine that asks itself:
        beats that it wants to read, and to write.
    out_busy, out_mask : In, of such an engine, see :class:`.StoreAsked`.
    pass_number, pass_drains : In, see :class:`.Sequence`.
    weights : ``Out(stream(stream_bits))``, of an engine that takes weights while it is at work.
    """

    read: Any
    write: Any
    registers: Any
    interrupt: Signal
    cmd: stream.Interface
    running: Signal
    in_start: Signal
    in_rows: Any
    lost: Signal
    in_busy: Signal
    in_lost: Signal
    rows_in: stream.Interface
    out_start: Signal
    out_rows: Any
    rows_out: stream.Interface
    in_request: stream.Interface
    out_request: stream.Interface
    out_busy: Signal
    out_mask: Signal
    pass_number: Signal
    pass_drains: Signal
    weights: stream.Interface

    def __init__(self, params: SystemParams, engine: Engine) -> None:
        self._p, self._engine = params, engine
        rows = stream.Signature(engine.row_bits)
        request = In(stream.Signature(write_request_layout(params)))
        asked = {
            "in_request": request,
            "out_request": request,
            "out_busy": In(1),
            "out_mask": In(params.beat_bytes),
        }
        weights = {"weights": Out(stream.Signature(engine.stream_bits))}
        super().__init__({
            "read": Out(AxiRead(params)),
            "write": Out(AxiWrite(params)),
            "registers": In(AxiLite(REGISTER_BITS)),
            "interrupt": Out(1),
            "cmd": Out(stream.Signature(engine.command)),
            "running": In(1),
            "lost": In(1),
            "in_start": Out(1),
            "in_rows": Out(rows_in_layout(params, engine)),
            "in_busy": In(1),
            "in_lost": In(1),
            "rows_in": Out(rows),
            "out_start": Out(1),
            "out_rows": Out(rows_out_layout(params, engine)),
            "rows_out": In(rows),
            **(asked if engine.asks else {}),
            "pass_number": In(PASS_BITS),
            "pass_drains": In(1),
            **(weights if engine.stream_bits else {}),
        })

    def elaborate(self, platform: object) -> Module:
        p, engine = self._p, self._engine
        m = Module()
        m.submodules.host = host = Registers(p, engine.sizes)
        m.submodules.starts = starts = Starts(p)
        m.submodules.fetch = fetch = Fetch(p)
        m.submodules.check = check = Check(p, engine)
        m.submodules.sequence = sequence = Sequence(p)
        m.submodules.load = load = Load(p, engine)
        m.submodules.store = store = (StoreAsked if engine.asks else Store)(p, engine)
        m.submodules.reads = reads = ReadDma(p)
        m.submodules.writes = writes = WriteDma(p)
        connect(m, flipped(self.registers), host.axi)
        connect(m, flipped(self.read), reads.axi)
        connect(m, flipped(self.write), writes.axi)
        connect(m, starts.o, fetch.start)
        connect(m, fetch.o, check.i)
        connect(m, check.o, sequence.i)
        connect(m, store.request, writes.request)
        connect(m, store.o, writes.i)
        connect(m, flipped(self.rows_out), store.rows)
        connect(m, load.rows, flipped(self.rows_in))
        m.d.comb += [
            self.interrupt.eq(host.interrupt),
            starts.start.eq(host.start),
            starts.what.eq(host.listed),
            starts.done.eq(sequence.done),
            starts.stop.eq(sequence.stop),
            starts.forget.eq(sequence.report),
            host.ready.eq(starts.ready),
            host.left.eq(starts.left),
            host.count.eq(starts.count),
            host.cycles.eq(starts.cycles),
            host.done.eq(sequence.done),
            host.failed.eq(sequence.report & ~starts.left),
            host.failure.eq(sequence.failure),
            host.beat_read.eq(self.read.r.valid & self.read.r.ready),
            host.beat_written.eq(self.write.w.valid & self.write.w.ready),
            fetch.window.eq(host.window),
            fetch.stop.eq(sequence.stop),
            check.window.eq(host.window),
            check.stop.eq(sequence.stop),
            sequence.halt.eq(host.halt),
            sequence.left.eq(starts.left),
            sequence.quiet.eq(fetch.idle),
            sequence.running.eq(self.running),
            sequence.lost.eq(self.lost),
            sequence.load_ready.eq(load.ready),
            sequence.load_level.eq(load.level),
            sequence.load_words.eq(load.words),
            sequence.load_unbegun.eq(load.unbegun),
            sequence.load_done.eq(load.done),
            sequence.load_failure.eq(load.failure),
            sequence.store_idle.eq(store.idle),
            sequence.store_reading.eq(store.reading),
            sequence.store_done.eq(store.done),
            sequence.store_failure.eq(store.failure),
            load.go.eq(sequence.load_go),
            load.job.eq(check.o.payload),
            load.hold.eq(sequence.load_hold),
            load.in_busy.eq(self.in_busy),
            load.in_lost.eq(self.in_lost),
            self.in_start.eq(load.in_start),
            self.in_rows.eq(load.in_rows),
            sequence.pass_number.eq(self.pass_number),
            sequence.pass_drains.eq(self.pass_drains),
            store.go.eq(sequence.store_go),
            store.job.eq(sequence.output),
            store.written.eq(writes.done),
            store.error.eq(writes.error),
            self.out_start.eq(store.out_start),
            self.out_rows.eq(store.out_rows),
        ]
        if isinstance(store, StoreAsked):
            connect(m, flipped(self.out_request), store.asked)
            m.d.comb += [store.out_busy.eq(self.out_busy), writes.mask.eq(self.out_mask)]
        else:
            m.d.comb += store.fill.eq(sequence.fill)
        feed = self._add_feed(m, check, sequence) if self._engine.stream_bits else None
        self._join_reads(m, fetch, load, feed, reads)
        self._join_commands(m, sequence, load)
        return m

    def _join_reads(
        self, m: Module, fetch: Fetch, load: Load, feed: Feed | None, reads: ReadDma
    ) -> None:
        """Put requests in a line, and give beats to whoever asked for them."""
        request = reads.request
        free = ~request.valid | request.ready
        m.d.comb += [
            fetch.request.ready.eq(free),
            load.request.ready.eq(free & ~fetch.request.valid),
        ]
        with m.If(free):
            m.d.sync += [
                request.valid.eq(fetch.request.valid | load.request.valid),
                request.payload.eq(
                    Mux(fetch.request.valid, fetch.request.payload.as_value(), load.request.payload)
                ),
            ]
            if self._engine.asks:
                # Those of an INPUT, while nothing is behind it.
                with m.If(~fetch.request.valid & ~load.request.valid):
                    m.d.sync += [
                        request.valid.eq(self.in_request.valid),
                        request.payload.addr.eq(self.in_request.payload.addr),
                        request.payload.beats.eq(self.in_request.payload.beats),
                        request.payload.tag.eq(LOAD_TAG),
                    ]
        if self._engine.asks:
            others = fetch.request.valid | load.request.valid
            m.d.comb += self.in_request.ready.eq(free & ~others)
        for_feed: Value = Const(0, 1)
        if feed is not None:
            others = fetch.request.valid | load.request.valid
            if self._engine.asks:
                others |= self.in_request.valid
            with m.If(free & feed.request.valid & ~others):
                m.d.sync += [request.valid.eq(1), request.payload.eq(feed.request.payload)]
            for_feed = reads.o.payload.tag == FEED_TAG
            m.d.comb += [
                feed.request.ready.eq(free & ~others),
                feed.i.payload.eq(reads.o.payload),
                feed.i.valid.eq(reads.o.valid & for_feed),
            ]
        for_fetch = reads.o.payload.tag == FETCH_TAG
        m.d.comb += [
            fetch.i.payload.eq(reads.o.payload),
            fetch.i.valid.eq(reads.o.valid & for_fetch),
            load.i.payload.eq(reads.o.payload),
            load.i.valid.eq(reads.o.valid & ~for_fetch & ~for_feed),
            reads.o.ready.eq(for_feed | Mux(for_fetch, fetch.i.ready, load.i.ready)),
        ]

    def _add_feed(self, m: Module, check: Check, sequence: Sequence) -> Feed:
        """Add what gives the engine weights while it is at work, if it takes any."""
        m.submodules.feed = feed = Feed(self._p)
        m.submodules.gearbox = gearbox = ResetInserter(sequence.feed_stop)(
            Gearbox(self._p.data_bits, self._engine.stream_bits)
        )
        connect(m, feed.o, gearbox.i)
        connect(m, gearbox.o, flipped(self.weights))
        m.d.comb += [
            feed.go.eq(sequence.feed_go),
            feed.job.eq(check.o.payload),
            feed.stop.eq(sequence.feed_stop),
            sequence.feed_ready.eq(feed.ready),
            sequence.feed_reading.eq(feed.reading),
            sequence.feed_failed.eq(feed.failed),
            sequence.feed_failure.eq(feed.failure),
        ]
        return feed

    def _join_commands(self, m: Module, sequence: Sequence, load: Load) -> None:
        """Send the engine words and commands, which never come at once."""
        control: Any = self.cmd.payload.command
        with m.If(sequence.control.valid):
            m.d.comb += [
                self.cmd.valid.eq(1),
                control.write.eq(1),
                control.space.eq(CONTROL_SPACE),
                control.addr.eq(Control.COMMAND),
                control.data.eq(sequence.control.payload),
                sequence.control.ready.eq(self.cmd.ready),
            ]
        with m.Else():
            connect(m, load.cmd, flipped(self.cmd))
