"""Proof, for all inputs and any number of cycles, that scatter delivers each product exactly once.

A product is marked; which one and when is left open, as is everything else that is offered, and
resets. The prover (PDR, in the ABC that comes with Yosys) shows that no state can be reached in
which a mark leaves twice, at the wrong accumulator, before it has come, or not within a bounded
time.
"""

from pathlib import Path

import pytest
from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.support.prove import prove
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.scatter import Scatter

pytest.importorskip("pyosys")


class MarkedScatter(wiring.Component):
    """Scatter, and what watches a marked product.

    Members
    -------
    valid, used, addr : In, pairs; the products' values are 0 but for the mark.
    mark, which : In, if nothing has been marked yet, mark this product.
    bad : Out, the mark has left twice, at a wrong place or unasked, or ``latest`` cycles after it
        came it has not left.
    """

    valid: Signal
    used: Signal
    addr: Signal
    mark: Signal
    which: Signal
    bad: Signal

    def __init__(self, params: ScnnParams, latest: int) -> None:
        self._p = params
        self._latest = latest
        super().__init__({
            "valid": In(1),
            "used": In(params.mults),
            "addr": In(params.mults * params.acc_addr_bits),
            "mark": In(1),
            "which": In(range(params.mults)),
            "bad": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        m.submodules.scatter = scatter = Scatter(p)
        sent, left = Signal(), Signal()
        addr, age = Signal(p.acc_addr_bits), Signal(range(self._latest + 2))
        products = [product for row in scatter.products for product in row]
        m.d.comb += scatter.valid.eq(self.valid)
        for k, product in enumerate(products):
            here = self.addr.word_select(k, p.acc_addr_bits)
            marked = self.mark & ~sent & (self.which == k)
            m.d.comb += [
                product.used.eq(self.used[k]),
                product.addr.eq(here),
                product.value.eq(marked),
            ]
            with m.If(self.valid & scatter.ready & self.used[k] & marked):
                m.d.sync += [sent.eq(1), addr.eq(here)]

        leaves, right = [], []
        for bank, head in enumerate(scatter.heads):
            leaves.append(head.valid & head.addend.value[0])
            place = Cat(Const(bank, p.bank_bits), head.addend.entry)
            right.append(leaves[-1] & (place == addr))
        number = sum(leaves, Const(0, 1))
        with m.If(number != 0):
            m.d.sync += left.eq(1)
        with m.If(sent & ~left):
            m.d.sync += age.eq(age + 1)
        wrong = (number != 0) & (left | ~sent | ~Cat(right).any())
        m.d.comb += self.bad.eq((number > 1) | wrong | (age > self._latest))
        return m


def params(f: int, i: int, banks: int, depth: int) -> ScnnParams:
    return ScnnParams(
        mult_f=f,
        mult_i=i,
        banks=banks,
        bank_entries=2,
        scatter_depth=depth,
        field_bits=2,
        code_bits=2,
        weight_bits=2,
        act_bits=2,
        acc_bits=8,
    )


# A product waits for the others of its pair, one a cycle at worst, and behind a full queue.
@pytest.mark.parametrize(
    ("f", "i", "banks", "depth"), [(2, 2, 2, 1), (2, 2, 2, 2), (1, 3, 2, 2), (3, 1, 2, 1)]
)
def test_each_product_leaves_exactly_once(
    f: int, i: int, banks: int, depth: int, tmp_path: Path
) -> None:
    answer = prove(MarkedScatter(params(f, i, banks, depth), f * i + depth), tmp_path)
    assert "Property proved." in answer, answer[-2000:]


def test_the_proof_can_fail(tmp_path: Path) -> None:
    """The longest time that a product can take is known to a cycle."""
    answer = prove(MarkedScatter(params(2, 2, 2, 1), 4), tmp_path)
    assert "was asserted in frame" in answer, answer[-2000:]
