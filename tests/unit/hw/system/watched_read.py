"""The DMA that reads, the memory that it reads from, and what watches both."""

from collections.abc import Callable

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from tests.support.prove import any_of, unstable
from tests.unit.hw.system.watched_dma import Line, Stage, WatchedDma, around, ring
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.read_dma import ReadDma


class WatchedRead(WatchedDma):
    """Reads: the memory answers in the order of asking, whenever it likes.

    Parameters
    ----------
    p : of the DMA.
    addr_bits, beats_bits : of requests; the other bits are 0.
    patience : cycles that may pass up to a beat while nobody else stalls.
    """

    ar_ready: Signal
    give: Signal
    take: Signal

    def __init__(self, p: SystemParams, addr_bits: int, beats_bits: int, patience: int = 4) -> None:
        self._patience = patience
        self._rows = p.outstanding * p.burst_beats
        one_of, turn = range(max(2, self._rows)), range(max(2, p.outstanding))
        self._row_names = [f"dut.beats.beats.rows[{row}]" for row in one_of]
        self._entry_names = [f"dut.asked.entries[{row}]" for row in turn]
        super().__init__(
            *(p, addr_bits, beats_bits, ["ar_ready", "give", "take"]),
            {
                "dut.tag": 2,
                **dict.fromkeys(["dut.room", "dut.beats.level"], range(self._rows + 1)),
                **dict.fromkeys(["dut.beats.beats.rd_addr", "dut.beats.beats.wr_addr"], one_of),
                "dut.asked.level": range(p.outstanding + 1),
                **dict.fromkeys(["dut.asked.first", "dut.asked.free"], turn),
                **dict.fromkeys(self._row_names, p.data_bits + 4),
                **dict.fromkeys(self._entry_names, 3),
            },
        )

    def elaborate(self, platform: object) -> Module:
        p, see = self._p, self.see
        m = Module()
        m.submodules.dut = dut = ReadDma(p)
        m.submodules.line = line = Line(self.line_shape, p.outstanding)
        ar, r, o = dut.axi.ar, dut.axi.r, dut.o
        number, hit, goes = Signal(8), Signal(), Signal()
        m.d.comb += [
            dut.request.payload.tag.eq(self.request_tag),
            ar.ready.eq(self.ar_ready),
            line.i.valid.eq(ar.valid & ar.ready),
            line.i.payload.addr.eq(ar.payload.addr >> p.beat_shift),
            line.i.payload.len.eq(ar.payload.len),
            # Data, and whether it is an error, are of the marked beat those that were marked.
            r.valid.eq(line.o.valid & self.give),
            r.payload.last.eq(number == line.o.payload.len),
            hit.eq(self.is_at(line.o.payload.addr, number)),
            r.payload.data.eq(Mux(hit, self.value, self.other)),
            r.payload.resp.eq(Mux(hit, self.value, self.other) << 1),
            line.o.ready.eq(r.valid & r.payload.last),
            o.ready.eq(self.take),
            goes.eq(o.valid & o.ready),
        ]
        with m.If(r.valid):
            m.d.sync += number.eq(Mux(r.payload.last, 0, number + 1))

        wrong = self.follow(m, dut.request, goes)
        stages = self._stages(m, dut, line, number)
        in_order = self.chain(m, stages)
        asked = sum((count for count, _ in stages[1:-1]), Const(0, 1))
        asked_level, asked_first = see("dut.asked.level"), see("dut.asked.first")
        kept = o.payload.as_value()
        wrong += [
            *in_order,
            # Queues hold what is on its way, and their counts are those of the room.
            see("dut.room") + asked != self._rows,
            see("dut.beats.level") > self._rows,
            see("dut.beats.beats.rd_addr") >= self._rows,
            see("dut.beats.beats.wr_addr")
            != around(self._rows, see("dut.beats.beats.rd_addr"), see("dut.beats.level")),
            asked_level != line.level + ar.valid,
            asked_level > p.outstanding,
            asked_first >= p.outstanding,
            see("dut.asked.free") != around(p.outstanding, asked_first, asked_level),
            line.level > p.outstanding,
            Mux(line.o.valid, number > line.o.payload.len, number != 0),
            *((line.level > k) & (one.len >= p.burst_beats) for k, one in enumerate(line.items)),
            # What is promised.
            ar.valid & (ar.payload.len >= p.burst_beats),
            line.i.valid & ~line.i.ready,
            ~r.ready,
            o.valid & (self.owed == 0),
            dut.idle != (self.owed == 0),
            self.live & o.valid & (self.before == 0) & ~self._is_row(kept),
            unstable(m, ar, ar.payload.as_value()),
            unstable(m, o, Cat(kept[0], kept[p.data_bits :])),
            self._hangs(m, goes, stages),
        ]
        m.d.comb += self.bad.eq(any_of(wrong))
        return m

    def _is_row(self, row: Value) -> Value:
        bits = self._p.data_bits
        beat = Cat(row[0], row[bits : bits + 4])
        return beat == Cat(self.value, self.tag, self.last, self.value)

    def _stages(self, m: Module, dut: ReadDma, line: Line, number: Signal) -> list[Stage]:
        """Return where beats are: offered, in the SRAM, in the memory, asked for, to be cut."""
        p, see, ar = self._p, self.see, dut.axi.ar
        rows = [see(name) for name in self._row_names][: self._rows]
        entries = [see(name) for name in self._entry_names][: p.outstanding]

        def burst(addr: Value, length: Value, turn: Value) -> Callable[[Value], Value]:
            entry = ring(m, entries, see("dut.asked.first"), turn)
            return lambda at: (
                self.is_at(addr, at)
                & (entry[:2] == self.tag)
                & ((entry[2] & (at == length)) == self.last)
            )

        def first_burst(at: Value) -> Value:
            return burst(line.items[0].addr, line.items[0].len, Const(0, 1))(at + number)

        stages: list[Stage] = [
            (dut.o.valid, lambda _: self._is_row(dut.o.payload.as_value())),
            (
                see("dut.beats.level"),
                lambda at: self._is_row(ring(m, rows, see("dut.beats.beats.rd_addr"), at)),
            ),
            (Mux(line.o.valid, line.items[0].len + 1 - number, 0), first_burst),
        ]
        for turn, item in enumerate(line.items[1:], 1):
            count = Mux(line.level > turn, item.len + 1, 0)
            stages.append((count, burst(item.addr, item.len, Const(turn))))
        waiting = burst(ar.payload.addr >> p.beat_shift, ar.payload.len, line.level)
        stages.append((Mux(ar.valid, ar.payload.len + 1, 0), waiting))
        to_cut, right = self.in_bursts()
        return [*stages, (to_cut, lambda at: right(at) & (see("dut.tag") == self.tag))]

    def _hangs(self, m: Module, goes: Value, stages: list[Stage]) -> Value:
        """Return whether nothing goes for too long, though nobody else stalls."""
        waited, steps = Signal(range(self._patience + 2)), Signal(range(self._patience + 2))
        far: Value = Const(0)
        for distance, stage in reversed([*enumerate(stages[:3]), (3, stages[-2]), (4, stages[-1])]):
            far = Mux(stage[0] != 0, distance, far)
        m.d.comb += steps.eq(far)
        stalls = ~(self.ar_ready & self.give & self.take)
        m.d.sync += waited.eq(Mux(stalls | goes | (self.owed == 0), 0, waited + 1))
        return waited + steps > self._patience
