"""Leading non-zero detection: a tree that picks the first PE with an activation to broadcast."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.eie.params import EieParams

__all__ = ["FAN_IN", "LnzdNode", "LnzdTree"]

FAN_IN = 4
"""Children of a node; with 64 PEs the tree has 16 + 4 + 1 nodes (EIE, section IV)."""


class LnzdNode(wiring.Component):
    """Pick the first of four candidates. Combinational.

    Members
    -------
    pending, many, value, index : In, per child: a candidate is there, more than one, the first
        one's activation and its index below the child.
    grant : Out, per child: its candidate is taken.
    o_pending, o_many, o_value, o_index : Out, the same for the node; the child's number becomes
        the upper two bits of the index.
    o_grant : In, the picked candidate is taken.
    """

    pending: Signal
    many: Signal
    value: Signal
    index: Signal
    grant: Signal
    o_pending: Signal
    o_many: Signal
    o_value: Signal
    o_index: Signal
    o_grant: Signal

    def __init__(self, value_bits: int, index_bits: int) -> None:
        self._value_bits = value_bits
        self._index_bits = index_bits
        ports = {
            "pending": In(FAN_IN),
            "many": In(FAN_IN),
            "value": In(FAN_IN * value_bits),
            "grant": Out(FAN_IN),
            "o_pending": Out(1),
            "o_many": Out(1),
            "o_value": Out(signed(value_bits)),
            "o_index": Out(index_bits + 2),
            "o_grant": In(1),
        }
        if index_bits:  # below a leaf node there is no index, and no port may be 0 bits wide
            ports["index"] = In(FAN_IN * index_bits)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        above_one = self.pending & (self.pending - 1)[:FAN_IN]
        m.d.comb += [
            self.o_pending.eq(self.pending.any()),
            self.o_many.eq(above_one.any() | self.many.any()),
        ]
        for child in reversed(range(FAN_IN)):
            with m.If(self.pending[child]):
                m.d.comb += [
                    self.o_value.eq(self.value.word_select(child, self._value_bits)),
                    self.o_index[self._index_bits :].eq(child),
                    self.grant.eq(self.o_grant << child),
                ]
                if self._index_bits:
                    below = self.index.word_select(child, self._index_bits)
                    m.d.comb += self.o_index[: self._index_bits].eq(below)
        return m


class LnzdTree(wiring.Component):
    """A quadtree of :class:`LnzdNode` over all PEs, lowest PE first. Combinational.

    Members
    -------
    pending, value : In, per PE: a candidate is there, its activation.
    grant : Out, per PE: its candidate is taken.
    o_pending, o_value, o_pe : Out, a candidate, its activation and its PE.
    o_last : Out, no other candidate is pending.
    o_grant : In, take the candidate.
    """

    pending: Signal
    value: Signal
    grant: Signal
    o_pending: Signal
    o_last: Signal
    o_value: Signal
    o_pe: Signal
    o_grant: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        super().__init__({
            "pending": In(params.num_pes),
            "value": In(params.num_pes * params.value_bits),
            "grant": Out(params.num_pes),
            "o_pending": Out(1),
            "o_last": Out(1),
            "o_value": Out(signed(params.value_bits)),
            "o_pe": Out(params.pe_bits),
            "o_grant": In(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        value_bits = self._p.value_bits
        # The first level's children are the PEs; later ones' are the nodes of the level before.
        nodes: list[LnzdNode] = []
        count, height = self._p.num_pes, 0
        while count > 1 or not nodes:
            below = nodes
            nodes = [LnzdNode(value_bits, 2 * height) for _ in range(0, count, FAN_IN)]
            for number, node in enumerate(nodes):
                m.submodules[f"node_{height}_{number}"] = node
                first = number * FAN_IN
                last = min(first + FAN_IN, count)
                if not below:
                    m.d.comb += [
                        node.pending.eq(self.pending[first:last]),
                        node.value.eq(self.value[first * value_bits : last * value_bits]),
                        self.grant[first:last].eq(node.grant),
                    ]
                    continue
                kids = below[first:last]
                m.d.comb += [
                    node.pending.eq(Cat(kid.o_pending for kid in kids)),
                    node.many.eq(Cat(kid.o_many for kid in kids)),
                    node.value.eq(Cat(kid.o_value for kid in kids)),
                    node.index.eq(Cat(kid.o_index for kid in kids)),
                ]
                m.d.comb += [kid.o_grant.eq(node.grant[k]) for k, kid in enumerate(kids)]
            count, height = len(nodes), height + 1
        (root,) = nodes
        m.d.comb += [
            self.o_pending.eq(root.o_pending),
            self.o_last.eq(~root.o_many),
            self.o_value.eq(root.o_value),
            self.o_pe.eq(root.o_index),
            root.o_grant.eq(self.o_grant),
        ]
        return m
