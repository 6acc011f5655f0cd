"""The DMA that writes, the memory that it writes to, and what watches both."""

from collections.abc import Callable

from amaranth.hdl import Const, Module, Mux, Signal, Value

from tests.support.prove import any_of, unstable
from tests.unit.hw.system.watched_dma import Line, Stage, WatchedDma, around, ring
from zeroskip.hw.system import write_dma
from zeroskip.hw.system.axi import Response
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.write_dma import WriteDma


class WatchedWrite(WatchedDma):
    """Writes: the memory takes addresses and beats, and answers, whenever it likes.

    It answers to bursts in their order, once it has their address and all their beats. Beats have
    gone when the memory has taken them; the burst that the marked beat ends is followed up to its
    answer.

    Parameters
    ----------
    p : of the DMA.
    addr_bits, beats_bits : of requests; the other bits are 0.
    patience : cycles that may pass up to a beat while nobody else stalls.
    """

    give: Signal
    aw_ready: Signal
    w_ready: Signal
    answer: Signal
    refuse: Signal

    def __init__(self, p: SystemParams, addr_bits: int, beats_bits: int, patience: int = 3) -> None:
        self._patience = patience
        self._lengths = [f"dut.lengths.entries[{row}]" for row in range(write_dma.AHEAD)]
        self._finals = [f"dut.answers.entries[{row}]" for row in range(write_dma.UNANSWERED)]
        super().__init__(
            *(p, addr_bits, beats_bits),
            ["give", "aw_ready", "w_ready", "answer", "refuse"],
            {
                "dut.number": 8,
                "dut.failed": 1,
                "dut.lengths.level": range(write_dma.AHEAD + 1),
                **dict.fromkeys(["dut.lengths.first", "dut.lengths.free"], range(write_dma.AHEAD)),
                "dut.answers.level": range(write_dma.UNANSWERED + 1),
                **dict.fromkeys(
                    ["dut.answers.first", "dut.answers.free"], range(write_dma.UNANSWERED)
                ),
                **dict.fromkeys(self._lengths, 8),
                **dict.fromkeys(self._finals, 1),
            },
        )

    def elaborate(self, platform: object) -> Module:
        p, see = self._p, self.see
        m = Module()
        m.submodules.dut = dut = WriteDma(p)
        # Of a burst more than the DMA has lengths of, the last beat may be at `axi.w`.
        m.submodules.line = line = Line(self.line_shape, write_dma.AHEAD + 1)
        aw, w, b = dut.axi.aw, dut.axi.w, dut.axi.b
        # The memory knows of a burst a cycle after it was offered: that cycle, it is fresh.
        fresh, known, sent, goes, ended = (Signal() for _ in range(5))
        number = Signal(8)
        has_addr, has_beats = (
            Signal(range(write_dma.UNANSWERED + 1)),
            Signal(range(write_dma.UNANSWERED + 1)),
        )
        m.d.sync += known.eq(aw.valid & ~aw.ready)
        m.d.comb += [
            fresh.eq(aw.valid & ~known),
            sent.eq(aw.valid & aw.ready),
            aw.ready.eq(self.aw_ready),
            w.ready.eq(self.w_ready),
            line.i.valid.eq(fresh),
            line.i.payload.addr.eq(aw.payload.addr >> p.beat_shift),
            line.i.payload.len.eq(aw.payload.len),
            goes.eq(w.valid & w.ready),
            ended.eq(goes & w.payload.last),
            line.o.ready.eq(ended),
            dut.i.valid.eq(self.give),
            dut.i.payload.eq(Mux(self.live & (self.before == w.valid), self.value, self.other)),
            b.valid.eq((has_addr != 0) & (has_beats != 0) & self.answer),
            b.payload.eq(Mux(self.refuse, Response.SLVERR, Response.OKAY)),
        ]
        m.d.sync += [
            has_addr.eq(has_addr + sent - b.valid),
            has_beats.eq(has_beats + ended - b.valid),
        ]
        with m.If(goes):
            m.d.sync += number.eq(Mux(w.payload.last, 0, number + 1))

        wrong = self.follow(m, dut.request, goes)
        stages = self._stages(m, dut, line, number, fresh, has_beats)
        in_order = self.chain(m, stages)
        level, lengths, answers = line.level, see("dut.lengths.level"), see("dut.answers.level")
        head = line.items[0]
        full = w.valid & w.payload.last  # of the oldest burst, no beat is to be taken any more
        rows = [see(name) for name in self._lengths]
        for turn in range(write_dma.AHEAD + 1):
            # The same burst in the line, or fresh, and in the DMA.
            here = Mux(level > turn, line.items[turn].len, aw.payload.len)
            row = ring(m, rows, see("dut.lengths.first"), turn - full)
            counted = (turn >= full) & (level + fresh > turn)
            wrong.append(counted & (row != here))
        wrong += [
            *in_order,
            # Queues hold what is on its way.
            lengths + full != level + fresh,
            answers != has_addr + aw.valid,
            answers != has_beats + level + fresh,
            *(
                see(f"dut.{name}.free")
                != around(size, see(f"dut.{name}.first"), see(f"dut.{name}.level"))
                for name, size in (
                    ("lengths", write_dma.AHEAD),
                    ("answers", write_dma.UNANSWERED),
                )
            ),
            lengths > write_dma.AHEAD,
            answers > write_dma.UNANSWERED,
            see("dut.number") != Mux(full, 0, number + w.valid),
            Mux(line.o.valid, number > head.len, number != 0),
            *((level > k) & (one.len >= p.burst_beats) for k, one in enumerate(line.items)),
            known & ~aw.valid,
            full & fresh & (level == 0),
            # What is promised.
            w.valid & (level == 0),
            w.valid & (w.payload.last != (number == head.len)),
            w.valid & ~w.payload.strb.all(),
            w.valid & (self.owed == 0),
            self.live & w.valid & (self.before == 0) & (w.payload.data[0] != self.value),
            aw.valid & (aw.payload.len >= p.burst_beats),
            ~b.ready,
            dut.i.valid & dut.i.ready & (self.owed == w.valid),
            dut.idle != ((self.owed == 0) & (has_beats == 0)),
            unstable(m, aw, aw.payload.as_value()),
            unstable(m, w, w.payload.as_value()),
            *self._answered(m, dut, goes & self.live & (self.before == 0), has_beats),
            self._hangs(m, dut, goes),
        ]
        m.d.comb += self.bad.eq(any_of(wrong))
        return m

    def _final(self, m: Module, number: Value) -> Value:
        """Return whether the DMA takes a burst, by its number among unanswered ones, for final."""
        return ring(
            m, [self.see(name) for name in self._finals], self.see("dut.answers.first"), number
        )

    def _stages(
        self,
        m: Module,
        dut: WriteDma,
        line: Line,
        number: Signal,
        fresh: Signal,
        has_beats: Signal,
    ) -> list[Stage]:
        """Return where beats are, by their bursts: in the memory, fresh, to be cut."""
        p, aw = self._p, dut.axi.aw

        def burst(addr: Value, length: Value, turn: Value) -> Callable[[Value], Value]:
            final = self._final(m, has_beats + turn)
            return lambda at: (
                self.is_at(addr, at) & Mux(at == length, final == self.last, ~self.last)
            )

        def first_burst(at: Value) -> Value:
            return burst(line.items[0].addr, line.items[0].len, Const(0))(at + number)

        stages: list[Stage] = [(Mux(line.o.valid, line.items[0].len + 1 - number, 0), first_burst)]
        for turn, item in enumerate(line.items[1:], 1):
            count = Mux(line.level > turn, item.len + 1, 0)
            stages.append((count, burst(item.addr, item.len, Const(turn))))
        waiting = burst(aw.payload.addr >> p.beat_shift, aw.payload.len, line.level)
        return [*stages, (Mux(fresh, aw.payload.len + 1, 0), waiting), self.in_bursts()]

    def _answered(self, m: Module, dut: WriteDma, gone: Value, has_beats: Signal) -> list[Value]:
        """Return what is wrong with ``done`` and ``error``."""
        b, w = dut.axi.b, dut.axi.w
        due, was_due, answered, refused, failed = (Signal() for _ in range(5))
        number = Signal(range(write_dma.UNANSWERED))
        with m.If(gone & w.payload.last):
            m.d.sync += [due.eq(1), number.eq(has_beats - b.valid)]
        with m.Elif(due & b.valid):
            m.d.sync += [due.eq(number != 0), number.eq(number - 1)]
        bad = failed | refused
        m.d.sync += [
            was_due.eq(due & b.valid & (number == 0)),
            answered.eq(b.valid),
            refused.eq(b.valid & self.refuse),
            failed.eq(bad & ~dut.done),
        ]
        return [
            due & (self.live | ~self.used),
            due & ((number >= has_beats) | (self._final(m, number) != self.last)),
            was_due & (dut.done != self.last),
            dut.done & ~answered,
            dut.error != (dut.done & bad),
            self.see("dut.failed") != (bad & ~dut.done),
        ]

    def _hangs(self, m: Module, dut: WriteDma, goes: Value) -> Value:
        """Return whether nothing goes for too long, though nobody else stalls."""
        waited = Signal(range(self._patience + 2))
        stalls = ~(self.give & self.aw_ready & self.w_ready & self.answer)
        m.d.sync += waited.eq(Mux(stalls | goes | (self.owed == 0), 0, waited + 1))
        full = self.see("dut.answers.level") == write_dma.UNANSWERED
        to_send = Mux(self.see("dut.bursts.o__valid"), 2 + full, 0)
        steps = Mux(dut.axi.w.valid, 0, Mux(self.see("dut.lengths.level") != 0, 1, to_send))
        return waited + steps > self._patience
