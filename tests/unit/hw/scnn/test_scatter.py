from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.scatter import Scatter
from zeroskip.sim.bench.pysim import simulate

Product = tuple[int, int]  # address, value
Pair = list[list[Product | None]]  # [f][i]; None: not used


def params(**sizes: Any) -> ScnnParams:
    small: dict[str, Any] = {
        "mult_f": 2,
        "mult_i": 2,
        "banks": 4,
        "bank_entries": 4,
        "scatter_depth": 2,
        "field_bits": 4,
        "code_bits": 4,
        "weight_bits": 4,
        "act_bits": 4,
        "acc_bits": 8,
    }
    return ScnnParams(**(small | sizes))


@dataclass
class Model:
    """What the unit must do in each cycle, from its description."""

    p: ScnnParams
    held: dict[tuple[int, int], Product] = field(default_factory=dict)
    held_set: int = 0
    queues: list[deque[tuple[Product, int]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.queues = [deque() for _ in range(self.p.banks)]

    def cycle(self, offered: tuple[Pair, int] | None) -> bool:
        """Go on by a cycle; returns whether a pair is taken."""
        p = self.p
        for bank, queue in enumerate(self.queues):
            room = p.scatter_depth - len(queue) + (len(queue) > 0)
            if queue:
                queue.popleft()
            for f in range(p.mult_f):
                here = [i for i in range(p.mult_i) if self.bank((f, i)) == bank]
                if here and room:
                    queue.append((self.held.pop((f, here[0])), self.held_set))
                    room -= 1
        ready = not self.held
        if ready and offered:
            pair, self.held_set = offered
            for f, row in enumerate(pair):
                self.held |= {(f, i): product for i, product in enumerate(row) if product}
        return ready

    def bank(self, place: tuple[int, int]) -> int | None:
        return self.held[place][0] % self.p.banks if place in self.held else None

    def waiting(self) -> list[bool]:
        heads = [queue[0][1] for queue in self.queues if queue]
        return [(bool(self.held) and self.held_set == s) or s in heads for s in range(2)]


def draw(p: ScnnParams, rng: Random, *, used: float, spread: int) -> Pair:
    """Draw a pair of products for banks up to, not with, ``spread``."""
    return [
        [
            (
                rng.randrange(p.bank_entries) * p.banks + rng.randrange(spread),
                rng.randrange(-99, 99),
            )
            if rng.random() < used
            else None
            for _ in range(p.mult_i)
        ]
        for _ in range(p.mult_f)
    ]


def run(p: ScnnParams, offers: Sequence[tuple[Pair, int] | None]) -> int:
    """Offer pairs, or none in a cycle, and compare each cycle with the model's.

    Checks that each product leaves exactly once. Returns the cycles until the last pair is taken.
    """
    dut = Scatter(p)
    model = Model(p)
    sent: Counter[Any] = Counter()
    got: Counter[Any] = Counter()
    cycles = 0

    def offer_pair(ctx: Any, offer: tuple[Pair, int]) -> None:
        ctx.set(dut.set, offer[1])
        for f, row in enumerate(offer[0]):
            for i, product in enumerate(row):
                port = dut.products[f][i]
                ctx.set(port.used, product is not None)
                if product:
                    ctx.set(port.addr, product[0])
                    ctx.set(port.value, product[1])

    def check_heads(ctx: Any) -> None:
        for bank, (head, queue) in enumerate(zip(dut.heads, model.queues, strict=True)):
            assert ctx.get(head.valid) == bool(queue)
            if queue:
                addend = ctx.get(head.addend)
                product = (addend.entry * p.banks + bank, addend.value), ctx.get(head.set)
                got[product] += 1
                assert product == queue[0]

    async def bench(ctx: Any) -> None:
        nonlocal cycles
        left = deque(offers)
        while left or any(model.queues) or model.held:
            offer = left[0] if left else None
            ctx.set(dut.valid, offer is not None)
            if offer:
                offer_pair(ctx, offer)
            check_heads(ctx)
            assert [bool(ctx.get(dut.waiting[number])) for number in range(2)] == model.waiting()
            ready = model.cycle(offer)
            assert ctx.get(dut.ready) == ready
            if ready and offer:
                sent.update((product, offer[1]) for row in offer[0] for product in row if product)
            cycles += bool(left)
            if left and (ready or not offer):
                left.popleft()
            await ctx.tick()

    simulate(dut, bench)
    assert got == sent
    return cycles


SIZES: list[dict[str, Any]] = [
    {},
    {"scatter_depth": 1},
    {"scatter_depth": 3, "mult_f": 4},
    {"scatter_depth": 5, "mult_i": 4, "mult_f": 3, "banks": 8},
    {"banks": 1, "scatter_depth": 4},
    {"banks": 2, "mult_f": 1, "mult_i": 4},
    {"mult_i": 1, "mult_f": 4, "scatter_depth": 8},
    {"mult_f": 4, "mult_i": 4, "banks": 32, "bank_entries": 32, "scatter_depth": 8},
]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("spread", [1, 2, None])
def test_any_traffic(sizes: dict[str, Any], spread: int | None) -> None:
    """Pairs and gaps, some for few banks only, in changing sets."""
    p = params(**sizes)
    rng = Random(str(sizes))
    offers: list[tuple[Pair, int] | None] = []
    for number in range(60):
        used = rng.choice([0, 0.3, 0.7, 1])
        pair = draw(p, rng, used=used, spread=min(spread or p.banks, p.banks))
        offers += [(pair, number // 20 & 1)] + [None] * rng.choice([0, 0, 0, 1, 3])
    run(p, offers)


@simulated(40)
@given(st.sampled_from(SIZES[:-1]), st.data())
def test_each_product_leaves_exactly_once(sizes: dict[str, Any], data: st.DataObject) -> None:
    p = params(**sizes)
    address = st.integers(0, p.accs - 1)
    product = st.none() | st.tuples(address, st.integers(-128, 127))
    row = st.lists(product, min_size=p.mult_i, max_size=p.mult_i)
    pair = st.lists(row, min_size=p.mult_f, max_size=p.mult_f)
    offer = st.none() | st.tuples(pair, st.just(0))
    run(p, data.draw(st.lists(offer, max_size=12)))


def test_no_bubble_without_conflicts() -> None:
    p = params(banks=16, mult_f=4, mult_i=4)
    pair: Pair = [[(4 * f + i, f - i) for i in range(4)] for f in range(4)]
    assert run(p, [(pair, 0)] * 50) == 50


def test_one_bank_takes_one_product_a_cycle() -> None:
    p = params(scatter_depth=3)
    pair: Pair = [[(0, 1), (4, 2)], [(8, 3), (12, 4)]]
    # The queue hides three products of the last pair, and the register all of its four.
    assert run(p, [(pair, 0)] * 20) == pytest.approx(4 * 19, abs=4)


def test_rate_of_products_at_the_default_size() -> None:
    """Random weights at random activations, a quarter of them there: pairs per cycle.

    As in a convolution, activations of a vector lie close to each other, and so in different
    banks; nothing keeps the weights apart.
    """
    p = ScnnParams(bank_entries=4)
    rng = Random(0)
    pairs = []
    for _ in range(150):
        positions = sorted(rng.sample(range(4 * p.mult_i), p.mult_i))
        offsets = [rng.randrange(p.accs - 4 * p.mult_i) for _ in range(p.mult_f)]
        pairs.append(([[(offset + x, 1) for x in positions] for offset in offsets], 0))
    rate = len(pairs) / run(p, pairs)
    print(f"{rate:.3f} pairs per cycle")
    assert rate > 0.97
