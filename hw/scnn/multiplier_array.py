"""Multiplier array: all products of a vector of weights and a vector of activations."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.act_read import acts_layout
from zeroskip.hw.scnn.formats import item_layout
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.products import product_signature
from zeroskip.hw.scnn.weight_fifo import place_layout, vector_number_bits

__all__ = ["MultiplierArray"]


def _count(bits: list[Value]) -> Value:
    """Add up bits."""
    return sum(bits[1:], bits[0])


class MultiplierArray(wiring.Component):
    """Multiply every vector of activations with all vectors of weights of its block.

    Issues a pair of vectors a cycle (SCNN, section III, PT-IS-CP-sparse: the activations stay
    while the weights pass); the pair is in the operand registers in the next cycle, where its F
    x I products and addresses are made. A second set of operand registers takes the pair that is
    issued while the first cannot go on, so that whether a pair may be issued does not depend on
    ``ready``. Weights that are still coming are waited for one by one.

    Pairs whose activations are all unused, as those of a channel of stored zeros, take their cycles
    and nothing else: the row stands still, and the weights before stay in the registers.

    Members
    -------
    acts : ``In(stream(acts_layout))``, vectors of activations, in order.
    open : In, pairs of the group that is next may be issued.
    set : In, the set of accumulators of that group.
    coming : In, number of the next vector of weights to come.
    row, weights : Out, In, the vector of weights in a row of the FIFO, in the same cycle.
    issued, useful : Out, a pair is issued, and how many multipliers have work in it.
    blocked : Out, both sets of operand registers are full.
    ended : Out, the last pair of a group is issued, or it has none left.
    waiting : Out, for each set of accumulators, a pair for it is in the operand registers.
    valid, ready, products, products_set : products of a pair, for :class:`Scatter`.
    """

    acts: stream.Interface
    open: Signal
    set: Signal
    coming: Signal
    row: Signal
    weights: data.View
    issued: Signal
    useful: Signal
    blocked: Signal
    ended: Signal
    waiting: Signal
    valid: Signal
    ready: Signal
    products: Any
    products_set: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = p = params
        layout = acts_layout(p)
        super().__init__({
            "acts": In(stream.Signature(layout)),
            "open": In(1),
            "set": In(1),
            "coming": In(vector_number_bits(p)),
            "row": Out(place_layout(p)["row"].shape),
            "weights": In(item_layout(p)["weights"].shape),
            "issued": Out(1),
            "useful": Out(range(p.mults + 1)),
            "blocked": Out(1),
            "ended": Out(1),
            "waiting": Out(2),
            "valid": Out(1),
            "ready": In(1),
            "products": Out(product_signature(p)).array(p.mult_f, p.mult_i),
            "products_set": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        """Make the pipeline, stage by stage: longer than others, to be read in this order."""
        p = self._p
        m = Module()
        place, acts = self.acts.payload.place, self.acts.payload.acts

        # Number of the vector in the block; its row is kept beside it, as the FIFO may wrap.
        index = Signal(p.weight_count_bits)
        next_row = Signal.like(self.row, reset_less=True)
        here = Signal(vector_number_bits(p))
        final = Signal()
        go = Signal()
        passed = Signal()
        works = Signal()
        m.d.comb += [
            works.eq(Cat(act.used for act in acts).any()),
            self.row.eq(Mux((index == 0) | ~works, place.row, next_row)),
            here.eq(self.coming - place.number),
            final.eq(index + 1 >= place.count),
            go.eq(self.acts.valid & self.open & (place.count != 0) & (here > index)),
            self.issued.eq(go & ~self.blocked),
            passed.eq((self.issued & final) | (self.open & (place.count == 0))),
            self.acts.ready.eq(passed),
            self.ended.eq(self.acts.valid & passed & place.last),
            self.useful.eq(
                _count([weight.value.any() for weight in self.weights])
                * _count([act.used for act in acts])
            ),
        ]
        with m.If(self.issued):
            m.d.sync += [
                index.eq(Mux(final, 0, index + 1)),
                next_row.eq(Mux(self.row == p.weight_depth - 1, 0, self.row + 1)),
            ]

        # m_: the operands. n_: those of the pair behind them, which has been issued meanwhile.
        m_valid, n_valid = Signal(), Signal()
        m_set, n_set = Signal(reset_less=True), Signal(reset_less=True)
        m_weights: Any = Signal(self.weights.shape(), reset_less=True)
        n_weights: Any = Signal(self.weights.shape(), reset_less=True)
        m_acts: Any = Signal(acts.shape(), reset_less=True)
        n_acts: Any = Signal(acts.shape(), reset_less=True)
        m.d.comb += [
            self.blocked.eq(n_valid),
            self.valid.eq(m_valid),
            self.products_set.eq(m_set),
            self.waiting[0].eq((m_valid & ~m_set) | (n_valid & ~n_set)),
            self.waiting[1].eq((m_valid & m_set) | (n_valid & n_set)),
        ]
        n_works = Cat(act.used for act in n_acts).any()
        with m.If(self.issued):
            m.d.sync += [n_set.eq(self.set), n_acts.eq(acts)]
            with m.If(works):
                m.d.sync += n_weights.eq(self.weights)
        with m.If(~m_valid | self.ready):
            m.d.sync += [
                m_valid.eq(n_valid | self.issued),
                m_set.eq(Mux(n_valid, n_set, self.set)),
                m_acts.eq(Mux(n_valid, n_acts, acts)),
                n_valid.eq(0),
            ]
            with m.If(Mux(n_valid, n_works, self.issued & works)):
                m.d.sync += m_weights.eq(Mux(n_valid, n_weights, self.weights))
        with m.Elif(self.issued):
            m.d.sync += n_valid.eq(1)
        for f, row in enumerate(self.products):
            for i, product in enumerate(row):
                weight, act = m_weights[f], m_acts[i]
                m.d.comb += [
                    product.used.eq(act.used & weight.value.any()),
                    product.addr.eq(weight.offset + act.position),
                    product.value.eq(weight.value * act.value),
                ]
        return m
