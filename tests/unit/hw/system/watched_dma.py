"""What the proofs of both DMAs share: requests, bursts on their way, and a marked beat."""

from collections.abc import Callable, Sequence
from typing import Any

from amaranth.hdl import Array, Const, Module, Mux, ShapeLike, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tests.support.prove import Watched, any_of
from zeroskip.hw.system.bursts import Bursts
from zeroskip.hw.system.formats import ROW_BITS
from zeroskip.hw.system.params import SystemParams

PAGE = 4096

Stage = tuple[Value, Callable[[Value], Value]]
"""Number of beats in it, and whether the marked beat, the one of that number, is right there."""


class Line(wiring.Component):
    """Bursts that a memory has been told of, the oldest first; all of them can be seen."""

    i: stream.Interface
    o: stream.Interface
    level: Signal
    items: Any

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        self._depth = depth
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "level": Out(range(depth + 1)),
            "items": Out(shape).array(depth),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pop, push, kept = Signal(), Signal(), Signal.like(self.level)
        m.d.comb += [
            self.i.ready.eq(self.level != self._depth),
            self.o.valid.eq(self.level != 0),
            self.o.payload.eq(self.items[0]),
            pop.eq(self.o.valid & self.o.ready),
            push.eq(self.i.valid & self.i.ready),
            kept.eq(self.level - pop),
        ]
        m.d.sync += self.level.eq(kept + push)
        for number, item in enumerate(self.items):
            if number + 1 < self._depth:
                with m.If(pop):
                    m.d.sync += item.eq(self.items[number + 1])
            with m.If(push & (kept == number)):
                m.d.sync += item.eq(self.i.payload)
        return m


class WatchedBursts(Watched):
    """Bursts, and what counts the beats that a request still has to get."""

    valid: Signal
    addr: Signal
    beats: Signal
    ready: Signal

    def __init__(self, p: SystemParams) -> None:
        self._p = p
        super().__init__(
            {"valid": 1, "addr": p.addr_bits - p.beat_shift, "beats": ROW_BITS, "ready": 1},
            {"dut.left": ROW_BITS},
        )

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        m.submodules.dut = dut = Bursts(p)
        valid, burst, final = dut.o.valid, dut.o.payload.burst, dut.o.payload.final
        m.d.comb += [
            dut.i.valid.eq(self.valid & (self.beats != 0)),
            dut.i.payload.addr.eq(self.addr << p.beat_shift),
            dut.i.payload.beats.eq(self.beats),
            dut.o.ready.eq(self.ready),
        ]
        addr, left, beats = Signal(p.addr_bits), Signal(ROW_BITS), Signal(9)
        m.d.comb += beats.eq(burst.len + 1)
        with m.If(valid & self.ready):
            m.d.sync += [addr.eq(addr + (beats << p.beat_shift)), left.eq(left - beats)]
        with m.If(dut.i.valid & dut.i.ready):
            m.d.sync += [addr.eq(dut.i.payload.addr), left.eq(self.beats)]
        wrong = [
            burst.addr != addr,
            beats > left,
            final != (beats == left),
            beats > p.burst_beats,
            (burst.addr % PAGE) + (beats << p.beat_shift) > PAGE,
            left != self.see("dut.left"),
        ]
        m.d.comb += self.bad.eq((valid != (left != 0)) | (valid & any_of(wrong)))
        return m


class WatchedDma(Watched):
    """A DMA, and a beat that is marked when its request is taken.

    Attributes
    ----------
    used : a beat has been marked; there is no other.
    live : the marked beat is still to go.
    before : beats that go before it.
    owed : beats of all requests that are still to go.
    addr, tag, last, value : of the marked beat; the address in beats; of the data, one bit is
        followed, as all are treated alike.
    """

    valid: Signal
    request_addr: Signal
    request_beats: Signal
    request_tag: Signal
    mark: Signal
    which: Signal
    marked_value: Signal
    other: Signal

    def __init__(
        self,
        p: SystemParams,
        addr_bits: int,
        beats_bits: int,
        inputs: Sequence[str],
        inside: dict[str, ShapeLike],
    ) -> None:
        self._p, self._beats_bits = p, beats_bits
        # Beats in a DMA, and those of the request that is being cut to bursts.
        self._most = p.outstanding * p.burst_beats + 8 * p.burst_beats + (1 << beats_bits)
        self.place = unsigned(p.addr_bits - p.beat_shift)
        super().__init__(
            {
                **{"valid": 1, "request_addr": addr_bits, "request_beats": beats_bits},
                **{"request_tag": 2, "mark": 1, "which": beats_bits},
                **dict.fromkeys(["marked_value", "other", *inputs], 1),
            },
            {
                "dut.bursts.left": ROW_BITS,
                "dut.bursts.o__valid": 1,
                "dut.bursts.beat": self.place,
                **inside,
            },
        )
        self.used, self.live, self.last, self.value = (Signal() for _ in range(4))
        self.before, self.owed = Signal(range(self._most)), Signal(range(self._most))
        self.addr, self.tag = Signal(self.place), Signal(2)

    @property
    def line_shape(self) -> data.StructLayout:
        """A burst: address in beats, and beats less 1."""
        return data.StructLayout({"addr": self.place, "len": unsigned(8)})

    def follow(self, m: Module, request: Any, goes: Value) -> list[Value]:
        """Offer requests, mark a beat, and count what is owed; return what is wrong with that."""
        accept = Signal()
        m.d.comb += [
            request.valid.eq(self.valid & (self.request_beats != 0)),
            request.payload.addr.eq(self.request_addr << self._p.beat_shift),
            request.payload.beats.eq(self.request_beats),
            accept.eq(request.valid & request.ready),
        ]
        m.d.sync += self.owed.eq(self.owed + Mux(accept, self.request_beats, 0) - goes)
        with m.If(accept & self.mark & ~self.used & (self.which < self.request_beats)):
            m.d.sync += [
                *(self.used.eq(1), self.live.eq(1)),
                self.before.eq(self.owed - goes + self.which),
                self.addr.eq(self.request_addr + self.which),
                self.tag.eq(self.request_tag),
                self.last.eq(self.which == self.request_beats - 1),
                self.value.eq(self.marked_value),
            ]
        with m.If(goes & self.live):
            m.d.sync += [self.before.eq(self.before - 1), self.live.eq(self.before != 0)]
        return [self.live & ((self.before >= self.owed) | ~self.used)]

    def is_at(self, addr: Value, offset: Value) -> Value:
        """Return whether a beat is the marked one, by its address."""
        return (addr + offset)[: self.place.width] == self.addr

    def in_bursts(self) -> Stage:
        """Return the request that is being cut to bursts, the last stage."""
        left, beat = self.see("dut.bursts.left"), self.see("dut.bursts.beat")
        count = Mux(self.see("dut.bursts.o__valid"), left, 0)
        return count, lambda at: self.is_at(beat, at) & ((at == left - 1) == self.last)

    def chain(self, m: Module, stages: Sequence[Stage]) -> list[Value]:
        """Return what is wrong with the marked beat where it is, and with the number of beats."""
        valid, left = self.see("dut.bursts.o__valid"), self.see("dut.bursts.left")
        wrong: list[Value] = [valid & ((left == 0) | (left >= 1 << self._beats_bits))]
        total: Value = Const(0, 1)
        for number, (count, right) in enumerate(stages):
            begin, end, offset = (
                Signal(range(2 * self._most), name=f"{name}_{number}")
                for name in ("begin", "end", "offset")
            )
            m.d.comb += [begin.eq(total), end.eq(total + count), offset.eq(self.before - begin)]
            here = self.live & (self.before >= begin) & (self.before < end)
            wrong.append(here & ~right(offset))
            total = end
        return [*wrong, self.owed != total]


def around(size: int, first: Value, number: Value) -> Value:
    """Return a place in a ring, counted from the first."""
    end = first + number
    return Mux(end >= size, end - size, end)


def ring(m: Module, rows: Sequence[Value], first: Value, number: Value) -> Value:
    """Return a row of a ring, counted from the first."""
    place = Signal(range(max(2, len(rows))))
    m.d.comb += place.eq(around(len(rows), first, number))
    return Array(rows)[place]
