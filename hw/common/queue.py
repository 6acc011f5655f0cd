"""Queue: first in, first out, for work whose sides go at their own pace."""

from amaranth.hdl import Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.memory import NamedMemory

__all__ = ["Queue"]


class Queue(wiring.Component):
    """Keep work in its order; as EIE's activation queue it evens out load between PEs.

    All ``depth`` entries can be used. A transfer at ``i`` is visible at ``o`` in the next cycle.

    Parameters
    ----------
    shape : of an entry.
    depth : entries, at least 1.
    late : ``i.valid`` is known late in the cycle: the next free entry is written in every cycle,
        and a register keeps whether it counts.

    Members
    -------
    i : ``In(stream)``, new work; ``ready`` while an entry is free.
    o : ``Out(stream)``, the oldest work.
    level : Out, entries in use.
    """

    i: stream.Interface
    o: stream.Interface
    level: Signal

    def __init__(self, shape: ShapeLike, depth: int, *, late: bool = False) -> None:
        self._shape = shape
        self._depth = depth
        self._late = late
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "level": Out(range(depth + 1)),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.entries = entries = NamedMemory(self._shape, self._depth, "entries")
        # Flip-flops rather than an SRAM: the head must be there in the cycle it is taken.
        head, tail = entries.read_port(domain="comb"), entries.write_port()
        # A queue of one entry still gets an address bit: no signal may be 0 bits wide.
        first = Signal(range(max(2, self._depth)))
        free = Signal(range(max(2, self._depth)))
        push = Signal()
        pop = Signal()

        def after(index: Signal) -> Value:
            return Mux(index == self._depth - 1, 0, index + 1)

        m.d.comb += [
            self.i.ready.eq(self.level != self._depth),
            self.o.valid.eq(self.level != 0),
            self.o.payload.eq(head.data),
            head.addr.eq(first),
            tail.addr.eq(free),
            tail.data.eq(self.i.payload),
            tail.en.eq(self.i.ready if self._late else push),
            push.eq(self.i.valid & self.i.ready),
            pop.eq(self.o.valid & self.o.ready),
        ]
        if self._late:
            # `push` goes into a register, and counts from there.
            pushed = Signal()
            stored = Signal.like(self.level)
            begin = Signal.like(free)
            m.d.comb += [
                self.level.eq(stored + pushed),
                free.eq(Mux(pushed, after(begin), begin)),
            ]
            m.d.sync += [pushed.eq(push), stored.eq(self.level - pop), begin.eq(free)]
        else:
            kept = Signal.like(self.level)
            grown = Signal.like(self.level)
            m.d.comb += [
                kept.eq(self.level - pop),
                grown.eq(Mux(pop, self.level, self.level + 1)),
            ]
            m.d.sync += self.level.eq(Mux(push, grown, kept))
            with m.If(push):
                m.d.sync += free.eq(after(free))
        with m.If(pop):
            m.d.sync += first.eq(after(first))
        return m
