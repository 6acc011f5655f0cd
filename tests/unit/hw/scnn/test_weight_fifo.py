from collections import deque
from random import Random
from typing import Any

import pytest

from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.weight_fifo import WeightFifo
from zeroskip.sim.bench.pysim import simulate

SIZES: list[dict[str, Any]] = [
    {"weight_depth": 2, "block_depth": 2},
    {"weight_depth": 5, "block_depth": 2},
    {"weight_depth": 8, "block_depth": 3},
    {"weight_depth": 50, "block_depth": 8},
]


def draw_items(p: ScnnParams, blocks: int, rng: Random) -> list[dict[str, Any]]:
    """Draw blocks of weights of all lengths, and groups without any."""
    items: list[dict[str, Any]] = []
    for _ in range(blocks):
        empty = rng.random() < 0.1
        count = 1 if empty else rng.choice([1, 1, 2, 3, p.weight_depth])
        count = min(count, p.weight_depth)
        head = {
            "channel": rng.randrange(p.num_channels),
            "count": rng.randrange(4) if empty else count,
            "last": int(empty or rng.random() < 0.2),
            "empty": int(empty),
        }
        items += [
            {
                "weights": [
                    {"value": rng.randrange(-99, 99), "offset": rng.randrange(p.accs)}
                    for _ in range(p.mult_f)
                ],
                "first": int(index == 0),
                **head,
            }
            for index in range(count)
        ]
    return items


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("offer_rate", [1.0, 0.5])
@pytest.mark.parametrize("take_rate", [1.0, 0.3])
def test_against_lists(sizes: dict[str, Any], offer_rate: float, take_rate: float) -> None:
    """Headers come out in order, their vectors are where they say, and room is what is stored.

    Blocks are kept for some cycles, or dropped at once, often before their vectors have come: these
    are not written.
    """
    p = ScnnParams(mult_f=2, **sizes)
    dut = WeightFifo(p)
    rng = Random(f"{sizes} {offer_rate} {take_rate}")
    items = draw_items(p, 80, rng)
    blocks = [item for item in items if item["first"]]

    async def bench(ctx: Any) -> None:
        left = deque(items)
        headers: deque[Any] = deque()
        stored: list[Any] = []  # all vectors since the beginning
        taken: list[Any] = []
        needed, begin, modulus = 0, 0, 1 << len(dut.coming)
        rows: dict[int, Any] = {}  # what was written to each, of blocks that were not dropped
        for cycle in range(60 * len(items)):
            if not left and len(taken) == len(blocks):
                break
            offer = bool(left) and rng.random() < offer_rate
            ctx.set(dut.i.valid, offer)
            if left:
                ctx.set(dut.i.payload, left[0])
            ctx.set(dut.needed, needed % modulus)
            take = rng.random() < take_rate
            ctx.set(dut.header.ready, take)
            room = len(headers) < p.block_depth and len(stored) - needed < p.weight_depth
            assert ctx.get(dut.i.ready) == room
            assert ctx.get(dut.coming) == len(stored) % modulus
            assert ctx.get(dut.next_block) == begin % modulus
            assert ctx.get(dut.header.valid) == bool(headers)
            if take and headers:
                block = headers.popleft()
                got = ctx.get(dut.header.payload)
                count = 0 if block["empty"] else block["count"]
                assert (got.channel, got.place.count, got.place.last) == (
                    block["channel"],
                    count,
                    block["last"],
                )
                assert got.place.number == begin % modulus
                taken.append((begin, got.place.row, count))
                begin += count
            # A block that is needed and here can be read in any order.
            for number, row, count in taken[-3:]:
                for index in range(count):
                    if needed <= number + index < len(stored):
                        ctx.set(dut.row, (row + index) % p.weight_depth)
                        weights = ctx.get(dut.weights)
                        got = [(weight.value, weight.offset) for weight in weights]
                        assert got == [
                            (weight["value"], weight["offset"])
                            for weight in stored[number + index]["weights"]
                        ]
            if (row := cycle % p.weight_depth) in rows:
                ctx.set(dut.row, row)
                got = [weight.value for weight in ctx.get(dut.weights)]
                assert got == [weight["value"] for weight in rows[row]["weights"]]
            if offer and room:
                item = left.popleft()
                if item["first"]:
                    headers.append(item)
                if not item["empty"]:
                    if len(stored) >= needed:
                        rows[len(stored) % p.weight_depth] = item
                    stored.append(item)
            # Give up all but the last two blocks, sometimes those, too.
            for number, _, _ in taken[-2:]:
                needed = max(needed, number)
            if rng.random() < 0.5 or not taken:
                needed = begin
            await ctx.tick()
        assert not left
        assert len(taken) == len(blocks)

    simulate(dut, bench)
