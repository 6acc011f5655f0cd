"""The system around engines: registers, command list, loader, store, and the memory port."""

from collections.abc import Sequence as Several
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.common.control import CONTROL_SPACE, Control
from zeroskip.hw.system.axi import AxiLite, AxiRead, AxiWrite
from zeroskip.hw.system.check import Check
from zeroskip.hw.system.feed import FEED_TAG, WEIGHTS_BESIDE, Feed
from zeroskip.hw.system.fetch import FETCH_TAG, Fetch
from zeroskip.hw.system.gearbox import Gearbox
from zeroskip.hw.system.jobs import Engine
from zeroskip.hw.system.load import LOAD_TAG, Load
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.port import EnginePort
from zeroskip.hw.system.read_dma import ReadDma
from zeroskip.hw.system.register_map import REGISTER_BITS
from zeroskip.hw.system.registers import Registers
from zeroskip.hw.system.sequence import Sequence
from zeroskip.hw.system.starts import Starts
from zeroskip.hw.system.store import Store, StoreAsked
from zeroskip.hw.system.write_dma import WriteDma

__all__ = ["System"]


class System(wiring.Component):
    """All that lies between a processor, a memory and engines, whichever they are.

    Requests for commands go before those for data; each spends a cycle in a register before the
    DMA. The DMA gives beats in the order of requests, so one for data is made only once whoever
    takes the beats can always do so, and commands behind them always come.

    Parameters
    ----------
    params : of the port to memory.
    engines : by the number that commands have for them. One at most asks for its beats itself,
        and one at most takes weights while it is at work.

    Members
    -------
    read, write : ``Out(AxiRead)``, ``Out(AxiWrite)``, the memory.
    registers : ``In(AxiLite)``.
    interrupt : Out.
    busy : Out, an inference is queued or under way.
    engine_<n> : ``Out(EnginePort)`` of each engine.
    """

    read: Any
    write: Any
    registers: Any
    interrupt: Signal
    busy: Signal

    def __init__(self, params: SystemParams, engines: Several[Engine]) -> None:
        self._p, self._engines = params, tuple(engines)
        for what, count in (
            ("asks for its beats itself", sum(engine.asks for engine in engines)),
            ("takes weights", sum(engine.stream_bits > 0 for engine in engines)),
        ):
            if count > 1:
                raise ValueError(f"one engine at most {what}, not {count}")
        super().__init__({
            "read": Out(AxiRead(params)),
            "write": Out(AxiWrite(params)),
            "registers": In(AxiLite(REGISTER_BITS)),
            "interrupt": Out(1),
            "busy": Out(1),
            **{
                f"engine_{number}": Out(EnginePort(params, engine))
                for number, engine in enumerate(engines)
            },
        })

    def port(self, number: int) -> Any:
        """Return the port of an engine."""
        return getattr(self, f"engine_{number}")

    def elaborate(self, platform: object) -> Module:
        """Make the parts and connect them: longer than other functions, but a list of wires."""
        p, engines = self._p, self._engines
        m = Module()
        ports = [self.port(number) for number in range(len(engines))]
        sizes = {name: size for engine in engines for name, size in engine.sizes.items()}
        m.submodules.host = host = Registers(p, sizes)
        m.submodules.starts = starts = Starts(p)
        m.submodules.fetch = fetch = Fetch(p)
        m.submodules.check = check = Check(p, engines)
        m.submodules.sequence = sequence = Sequence(p, engines)
        m.submodules.load = load = Load(p, engines)
        m.submodules.reads = reads = ReadDma(p)
        m.submodules.writes = writes = WriteDma(p)
        connect(m, flipped(self.registers), host.axi)
        connect(m, flipped(self.read), reads.axi)
        connect(m, flipped(self.write), writes.axi)
        connect(m, starts.o, fetch.start)
        connect(m, fetch.o, check.i)
        connect(m, check.o, sequence.i)
        m.d.comb += [
            self.interrupt.eq(host.interrupt),
            self.busy.eq(starts.left),
            starts.start.eq(host.start),
            starts.what.eq(host.listed),
            starts.done.eq(sequence.done),
            starts.again.eq(sequence.again),
            starts.instead.eq(sequence.instead),
            starts.stop.eq(sequence.stop & ~sequence.recovers),
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
            sequence.running.eq(Cat(port.running for port in ports)),
            sequence.lost.eq(Cat(port.lost for port in ports)),
            sequence.pass_drains.eq(Cat(port.pass_drains for port in ports)),
            *(
                number.eq(port.pass_number)
                for number, port in zip(sequence.pass_number, ports, strict=True)
            ),
            sequence.load_ready.eq(load.ready),
            sequence.load_level.eq(load.level),
            sequence.load_words.eq(load.words),
            sequence.load_unbegun.eq(load.unbegun),
            sequence.load_done.eq(load.done),
            sequence.load_failure.eq(load.failure),
            load.go.eq(sequence.load_go),
            load.job.eq(check.o.payload),
            load.hold.eq(sequence.load_hold),
            load.in_busy.eq(Cat(port.in_busy for port in ports)),
            load.in_lost.eq(Cat(port.in_lost for port in ports)),
        ]
        # Nobody waits for the count, and what an engine says comes late in the cycle.
        m.d.sync += host.rerun.eq(sequence.again)
        self._add_stores(m, ports, sequence, writes)
        streaming = [
            port for port, engine in zip(ports, engines, strict=True) if engine.stream_bits
        ]
        feed = self._add_feed(m, streaming[0], check, sequence) if streaming else None
        asking = [port for port, engine in zip(ports, engines, strict=True) if engine.asks]
        told = Cat(one.valid for one in sequence.control).any()
        self._join_reads(m, fetch, load, feed, asking[0] if asking else None, told, reads)
        for number, port in enumerate(ports):
            self._join_load(m, number, port, load)
            self._join_commands(m, number, port, sequence, load)
        return m

    def _add_stores(self, m: Module, ports: Several[Any], sequence: Any, writes: Any) -> None:
        """Add what stores the outputs of each engine; one of them is at work at a time."""
        p, stores = self._p, list[Any]()
        for number, (port, engine) in enumerate(zip(ports, self._engines, strict=True)):
            kind = StoreAsked if engine.asks else Store
            m.submodules[f"store_{number}"] = store = kind(p, engine)
            stores.append(store)
            connect(m, flipped(port.rows_out), store.rows)
            at_work = sequence.store_engine == number
            m.d.comb += [
                store.go.eq(sequence.store_go & (sequence.output.engine == number)),
                store.job.eq(sequence.output),
                store.written.eq(writes.done & at_work),
                store.error.eq(writes.error),
                store.request.ready.eq(writes.request.ready & at_work),
                store.o.ready.eq(writes.i.ready & at_work),
                port.out_start.eq(store.out_start),
                port.out_rows.eq(store.out_rows),
                sequence.store_reading[number].eq(store.reading),
            ]
            with m.If(at_work):
                m.d.comb += [
                    sequence.store_done.eq(store.done),
                    sequence.store_failure.eq(store.failure),
                    writes.request.valid.eq(store.request.valid),
                    writes.request.payload.eq(store.request.payload),
                    writes.i.valid.eq(store.o.valid),
                    writes.i.payload.eq(store.o.payload),
                ]
            if isinstance(store, StoreAsked):
                connect(m, flipped(port.out_request), store.asked)
                m.d.comb += store.out_busy.eq(port.out_busy)
                with m.If(at_work):
                    m.d.comb += writes.mask.eq(port.out_mask)
            else:
                m.d.comb += store.fill.eq(sequence.fill)
        m.d.comb += sequence.store_idle.eq(Cat(store.idle for store in stores).all())

    def _join_reads(
        self,
        m: Module,
        fetch: Fetch,
        load: Load,
        feed: Feed | None,
        asking: Any,
        told: Value,
        reads: ReadDma,
    ) -> None:
        """Put requests in a line, and give beats to whoever asked for them.

        ``asking``: the port of the engine that asks for its beats itself; ``told``: an engine gets
        a command.
        """
        request, asked = reads.request, None if asking is None else asking.in_request
        free = ~request.valid | request.ready
        # Bursts of weights would have an INPUT wait, which runs wait for. What a run needs that
        # begins with it comes nevertheless.
        may_feed, weights = Signal(), Signal()
        if feed is not None:
            granted = Signal(range(WEIGHTS_BESIDE + self._p.burst_beats))
            beside = granted < WEIGHTS_BESIDE
            m.d.comb += [
                may_feed.eq(beside | (Const(1, 1) if asking is None else ~asking.in_busy)),
                weights.eq(feed.request.valid & may_feed),
            ]
            with m.If(told):
                m.d.sync += granted.eq(0)
            with m.Elif(feed.request.valid & feed.request.ready & beside):
                m.d.sync += granted.eq(granted + feed.request.payload.beats)
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
            if asked is not None:
                # Those of an INPUT, while nothing is behind it.
                with m.If(~fetch.request.valid & ~load.request.valid):
                    m.d.sync += [
                        request.valid.eq(asked.valid),
                        request.payload.addr.eq(asked.payload.addr),
                        request.payload.beats.eq(asked.payload.beats),
                        request.payload.tag.eq(LOAD_TAG),
                    ]
        if asked is not None:
            others = fetch.request.valid | load.request.valid | weights
            m.d.comb += asked.ready.eq(free & ~others)
        for_feed: Value = Const(0, 1)
        if feed is not None:
            others = fetch.request.valid | load.request.valid
            with m.If(free & weights & ~others):
                m.d.sync += [request.valid.eq(1), request.payload.eq(feed.request.payload)]
            for_feed = reads.o.payload.tag == FEED_TAG
            m.d.comb += [
                feed.request.ready.eq(free & may_feed & ~others),
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

    def _add_feed(self, m: Module, port: Any, check: Check, sequence: Sequence) -> Feed:
        """Add what gives an engine weights while it is at work."""
        m.submodules.feed = feed = Feed(self._p)
        width = len(Value.cast(port.weights.payload))
        m.submodules.gearbox = gearbox = ResetInserter(sequence.feed_stop)(
            Gearbox(self._p.data_bits, width)
        )
        connect(m, feed.o, gearbox.i)
        connect(m, gearbox.o, flipped(port.weights))
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

    def _join_load(self, m: Module, number: int, port: Any, load: Load) -> None:
        """Let an engine expect rows, and give it those that are its own."""
        m.d.comb += [
            port.in_start.eq(load.in_start[number]),
            port.in_rows.eq(load.in_rows),
        ]
        if self._engines[number].asks:
            connect(m, load.beats, flipped(port.rows_in))
            return
        m.d.comb += port.rows_in.payload.eq(load.rows.payload)
        with m.If(load.engine == number):
            m.d.comb += [
                port.rows_in.valid.eq(load.rows.valid),
                load.rows.ready.eq(port.rows_in.ready),
            ]

    def _join_commands(
        self, m: Module, number: int, port: Any, sequence: Sequence, load: Load
    ) -> None:
        """Send an engine words and commands, which never come at once."""
        command: Any = port.cmd.payload.command
        control, word = sequence.control[number], load.words_out.payload
        with m.If(control.valid):
            m.d.comb += [
                port.cmd.valid.eq(1),
                command.write.eq(1),
                command.space.eq(CONTROL_SPACE),
                command.addr.eq(Control.COMMAND),
                command.data.eq(control.payload),
                control.ready.eq(port.cmd.ready),
            ]
        with m.Elif(load.engine == number):
            m.d.comb += [
                port.cmd.valid.eq(load.words_out.valid),
                port.cmd.payload.pe.eq(word.pe),
                command.write.eq(1),
                command.space.eq(word.space),
                command.addr.eq(word.addr),
                command.data.eq(word.data),
                load.words_out.ready.eq(port.cmd.ready),
            ]
