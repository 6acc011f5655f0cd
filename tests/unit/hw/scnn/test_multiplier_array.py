from collections import deque
from random import Random
from typing import Any

import pytest

from zeroskip.hw.scnn.multiplier_array import MultiplierArray
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.pysim import simulate

Vector = dict[str, Any]


def draw_vectors(p: ScnnParams, rng: Random, number: int) -> tuple[list[Vector], list[Any]]:
    """Draw vectors of activations, several a block, and the weights of all blocks in order."""
    vectors, weights = [], []
    modulus = 1 << p.weight_depth.bit_length() + 1
    while len(vectors) < number:
        count = 0 if rng.random() < 0.1 else rng.choice([1, 1, 2, 3, p.weight_depth])
        words = 1 if count == 0 else rng.choice([1, 1, 2, 3])
        last = int(count == 0 or rng.random() < 0.3)
        for word in range(words):
            acts = [
                {
                    "value": rng.randrange(p.min_act, p.max_act),
                    "position": rng.randrange(p.accs),
                    "used": rng.randrange(2),
                }
                for _ in range(p.mult_i)
            ]
            place = {
                "number": len(weights) % modulus,
                "row": len(weights) % p.weight_depth,
                "count": count,
                "last": int(last and word == words - 1),
            }
            vectors.append({"acts": acts, "place": place, "begin": len(weights)})
        weights += [
            [
                {"value": rng.choice([0, 5, -7, -128, 127]), "offset": rng.randrange(p.accs)}
                for _ in range(p.mult_f)
            ]
            for _ in range(count)
        ]
    return vectors, weights


def multiply(p: ScnnParams, weights: list[Any], acts: list[Any]) -> list[Any]:
    return [
        [
            ((w["offset"] + a["position"]) % p.accs, w["value"] * a["value"])
            if a["used"] and w["value"]
            else None
            for a in acts
        ]
        for w in weights
    ]


def run(p: ScnnParams, *, seed: int, rates: dict[str, float]) -> tuple[int, int]:
    """Compare pairs, in order, with products made here; returns pairs and cycles.

    ``rates`` say how often weights come, activations are there, products are taken, and the
    group is open.
    """
    dut = MultiplierArray(p)
    rng = Random(seed)
    vectors, weights = draw_vectors(p, rng, 40)
    expected, ends, firsts, held = [], [], [], []
    for vector in vectors:
        begin, place = vector["begin"], vector["place"]
        pairs = weights[begin : begin + place["count"]]
        expected += [multiply(p, pair, vector["acts"]) for pair in pairs]
        for pair in pairs:
            # Of activations that are all unused, the weights are those of the pair before.
            held = pair if any(act["used"] for act in vector["acts"]) else held
            position = vector["acts"][0]["position"]
            firsts.append([(weight["offset"] + position) % p.accs for weight in held])
        if place["last"]:
            ends.append(len(expected))
    got: list[Any] = []
    got_ends: list[int] = []
    issued = useful = cycles = 0

    def chance(name: str) -> bool:
        return rng.random() < rates.get(name, 1)

    async def bench(ctx: Any) -> None:
        nonlocal issued, useful, cycles
        left = deque(vectors)
        coming, offered = 0, False
        while left or len(got) < len(expected):
            cycles += 1
            begin = left[0]["begin"] if left else coming
            # The first vector of a block is always there: the header came with it.
            coming = max(coming, min(begin + 1, len(weights)))
            if coming < len(weights) and coming - begin < p.weight_depth and chance("weights"):
                coming += 1
            offered = bool(left) and (offered or chance("acts"))
            ctx.set(dut.acts.valid, offered)
            if left:
                ctx.set(dut.acts.payload, {name: left[0][name] for name in ("acts", "place")})
            ctx.set(dut.coming, coming % (1 << len(dut.coming)))
            ctx.set(dut.open, chance("open"))
            ctx.set(dut.set, len(got_ends) & 1)
            ctx.set(dut.ready, chance("ready"))
            row = ctx.get(dut.row)
            if offered and not any(act["used"] for act in left[0]["acts"]):
                assert row == left[0]["place"]["row"]
            here = [n for n in range(begin, coming) if n % p.weight_depth == row]
            if here:
                ctx.set(dut.weights, weights[here[-1]])
            before = len(got)
            if ctx.get(dut.valid) and ctx.get(dut.ready):
                products = [
                    [(ctx.get(q.addr), ctx.get(q.value)) if ctx.get(q.used) else None for q in row]
                    for row in dut.products
                ]
                assert products == expected[len(got)]
                if first := firsts[len(got)]:
                    assert [ctx.get(row[0].addr) for row in dut.products] == first
                assert ctx.get(dut.products_set) == sum(end <= len(got) for end in ends) & 1
                got.append(products)
            assert ctx.get(dut.blocked) == (issued - before == 2)
            assert ctx.get(dut.valid) == (issued > before)
            pairs = range(before, issued)
            sets = {sum(end <= number for end in ends) & 1 for number in pairs}
            assert ctx.get(dut.waiting) == sum(1 << number for number in sets)
            if ctx.get(dut.issued):
                pair = expected[issued]
                assert ctx.get(dut.useful) == sum(q is not None for row in pair for q in row)
                issued += 1
            if ctx.get(dut.ended):
                got_ends.append(issued)
            if offered and ctx.get(dut.acts.ready):
                left.popleft()
                offered = False
            await ctx.tick()

    simulate(dut, bench)
    assert got_ends == ends
    assert issued == len(expected)
    return len(expected), cycles


SIZES: list[dict[str, Any]] = [
    {"mult_f": 2, "mult_i": 2, "weight_depth": 5},
    {"mult_f": 1, "mult_i": 3, "weight_depth": 4},
    {"mult_f": 3, "mult_i": 1, "weight_depth": 50, "acc_bits": 16},
]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize(
    "rates",
    [
        {},
        {"weights": 0.4},
        {"acts": 0.4},
        {"ready": 0.5},
        {"open": 0.6},
        {"weights": 0.6, "acts": 0.6, "ready": 0.6, "open": 0.8},
    ],
    ids=str,
)
def test_all_pairs_in_order(sizes: dict[str, Any], rates: dict[str, float]) -> None:
    narrow: dict[str, Any] = {"field_bits": 8, "weight_bits": 8, "act_bits": 8}
    p = ScnnParams(**(narrow | sizes))
    run(p, seed=len(rates), rates=rates)


def test_a_pair_every_cycle() -> None:
    """Only vectors without pairs, and the two stages at the end, cost more."""
    p = ScnnParams(field_bits=8, weight_bits=8, act_bits=8, weight_depth=5)
    rng = Random(1)
    without = sum(v["place"]["count"] == 0 for v in draw_vectors(p, rng, 40)[0])
    pairs, cycles = run(p, seed=1, rates={})
    assert cycles == pairs + without + 1
