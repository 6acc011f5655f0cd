"""Queue: first in, first out, for work whose sides go at their own pace."""

from amaranth.hdl import Const, Module, Mux, Shape, ShapeLike, Signal, Value
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
    head : the oldest entry stands in registers, not in a memory, where it is first to be found: for
        who has much to do with it in the cycle. Not together with ``late``.

    Members
    -------
    i : ``In(stream)``, new work; ``ready`` while an entry is free.
    o : ``Out(stream)``, the oldest work.
    level : Out, entries in use.
    spare : Out, of a ``late`` queue: an entry is free besides the one that may come now.
    """

    i: stream.Interface
    o: stream.Interface
    level: Signal
    spare: Signal

    def __init__(
        self, shape: ShapeLike, depth: int, *, late: bool = False, head: bool = False
    ) -> None:
        if late and head:
            raise ValueError("a queue cannot be late and have a head: what comes may be the head")
        self._shape = shape
        self._depth = depth
        self._late = late
        # The memory of a queue of one entry has no address, and is as fast as registers.
        self._head = head and depth > 1
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "level": Out(range(depth + 1)),
            **({"spare": Out(1)} if late else {}),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows = self._depth - self._head
        m.submodules.entries = entries = NamedMemory(self._shape, rows, "entries")
        # Flip-flops rather than an SRAM: the head must be there in the cycle it is taken.
        head, tail = entries.read_port(domain="comb"), entries.write_port()
        # A queue of one entry still gets an address bit: no signal may be 0 bits wide.
        first = Signal(range(max(2, rows)))
        free = Signal(range(max(2, rows)))
        push, pop = Signal(), Signal()
        # In this cycle, the memory is written; its oldest entry is taken from it.
        stores, leaves = push, pop

        def after(index: Signal) -> Value:
            return Mux(index == rows - 1, 0, index + 1)

        if self._head:
            # An entry that finds the queue empty, or about to be, becomes the head at once.
            oldest = Signal(Shape.cast(self._shape), reset_less=True)
            several = Signal()
            stores, leaves = Signal(), Signal()
            m.d.comb += [
                several.eq(self.level > 1),
                stores.eq(push & self.o.valid & ~(pop & ~several)),
                leaves.eq(pop & several),
                self.o.payload.eq(oldest),
            ]
            with m.If(pop | ~self.o.valid):
                m.d.sync += oldest.eq(Mux(several, Value.cast(head.data), self.i.payload))
        else:
            m.d.comb += self.o.payload.eq(head.data)

        m.d.comb += [
            head.addr.eq(first),
            tail.addr.eq(free),
            tail.data.eq(self.i.payload),
            tail.en.eq(self.i.ready if self._late else stores),
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
            self._count_late(m, pushed, pop)
        else:
            m.d.comb += [
                self.i.ready.eq(self.level != self._depth),
                self.o.valid.eq(self.level != 0),
            ]
            kept = Signal.like(self.level)
            grown = Signal.like(self.level)
            m.d.comb += [
                kept.eq(self.level - pop),
                grown.eq(Mux(pop, self.level, self.level + 1)),
            ]
            m.d.sync += self.level.eq(Mux(push, grown, kept))
            with m.If(stores):
                m.d.sync += free.eq(after(free))
        with m.If(leaves):
            m.d.sync += first.eq(after(first))
        return m

    def _count_late(self, m: Module, pushed: Signal, pop: Signal) -> None:
        """Tell from registers whether entries are free and in use.

        Others wait for what this says far away, and ``pop`` comes late: numbers are compared for
        both of its values before it is known.
        """
        depth, some = self._depth, Signal()
        below = [Signal(init=depth > less, name=f"below_{less}") for less in range(3)]

        def at_most(number: int) -> Value:
            # A comparison that is the same for every level is none: linters refuse it.
            return self.level <= number if 0 <= number < depth else Const(number >= depth, 1)

        m.d.sync += some.eq(Mux(pop, ~at_most(1), ~at_most(0)))
        for less, flag in enumerate(below):
            m.d.sync += flag.eq(Mux(pop, at_most(depth - less), at_most(depth - less - 1)))
        m.d.comb += [
            self.o.valid.eq(some | pushed),
            self.i.ready.eq(Mux(pushed, below[1], below[0])),
            self.spare.eq(Mux(pushed, below[2], below[1])),
        ]
