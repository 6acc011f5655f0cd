"""Track the two sets of accumulators: which computes, which is finished, when a group may begin."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Groups"]


class Groups(wiring.Component):
    """Two sets of accumulators take turns: one is drained while the other computes.

    Members
    -------
    start, groups : In, a pass of that many groups begins with the next cycle.
    swap : In, a group that ends leaves its set to the drain; else the set goes on (``drain`` 0).
    ended : In, the last pair of a group is issued in this cycle.
    drained : In, the finished set is free.
    waiting : In, for each set, products for it are on their way.
    open : Out, pairs may be issued, into ``set``.
    set : Out, the set that computes.
    done : Out, the pass has no more groups.
    finished_set : Out, the finished set, if there is one.
    group_ready : Out, there is one, and all its products have arrived.
    """

    start: Signal
    groups: Signal
    swap: Signal
    ended: Signal
    drained: Signal
    waiting: Signal
    open: Signal
    set: Signal
    done: Signal
    finished_set: Signal
    group_ready: Signal

    def __init__(self, params: ScnnParams) -> None:
        super().__init__({
            "start": In(1),
            "groups": In(12),
            "swap": In(1),
            "ended": In(1),
            "drained": In(1),
            "waiting": In(2),
            "open": Out(1),
            "set": Out(1),
            "done": Out(1),
            "finished_set": Out(1),
            "group_ready": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(12)
        # A group has ended while the other set was not free yet.
        held = Signal()
        finished = Signal()
        change = Signal()
        m.d.comb += [
            change.eq((held | self.ended) & (~finished | self.drained)),
            self.open.eq(~held),
            self.done.eq(left == 0),
            self.group_ready.eq(finished & ~self.waiting.bit_select(self.finished_set, 1)),
        ]
        with m.If(self.start):
            m.d.sync += left.eq(self.groups)
        with m.Elif(self.ended):
            m.d.sync += left.eq(left - 1)
        with m.If(change):
            m.d.sync += [
                finished.eq(1),
                self.finished_set.eq(self.set),
                self.set.eq(self.set ^ self.swap),
                held.eq(0),
            ]
        with m.Else():
            m.d.sync += [finished.eq(finished & ~self.drained), held.eq(held | self.ended)]
        return m
