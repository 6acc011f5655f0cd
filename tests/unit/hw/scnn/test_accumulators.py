from random import Random
from typing import Any

import pytest

from zeroskip.hw.scnn.accumulators import Accumulators
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.pysim import simulate

SIZES = [(1, 2), (2, 4), (8, 2), (4, 16)]


def params(banks: int, entries: int) -> ScnnParams:
    return ScnnParams(
        banks=banks, bank_entries=entries, weight_bits=8, act_bits=8, field_bits=8, acc_bits=12
    )


def wrap(value: int, bits: int) -> int:
    return (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


async def wipe(ctx: Any, dut: Accumulators, entries: int) -> None:
    for entry in range(entries):
        ctx.set(dut.wipe, 1)
        ctx.set(dut.wipe_entry, entry)
        await ctx.tick()
    ctx.set(dut.wipe, 0)
    await ctx.tick()  # the entry is written


@pytest.mark.parametrize("maximum", [False, True])
@pytest.mark.parametrize(("banks", "entries"), SIZES)
def test_adds_to_one_set_while_the_other_is_read(
    banks: int, entries: int, *, maximum: bool
) -> None:
    """A product a cycle in most banks, often for the entry of the cycle before; sets take turns."""
    p = params(banks, entries)
    dut = Accumulators(p)
    rng = Random(banks + maximum)
    initial = p.min_acc if maximum else 0
    sums = [[initial] * p.accs for _ in range(2)]
    steps = 3 * p.accs
    changed = 0

    async def bench(ctx: Any) -> None:
        nonlocal changed
        ctx.set(dut.maximum, maximum)
        ctx.set(dut.init_min, maximum)
        await wipe(ctx, dut, entries)
        for turn in range(6):
            adding = turn & 1
            order = rng.sample(range(p.accs), p.accs)
            expected: dict[int, list[int]] = {}
            resetting: set[int] = set()
            ctx.set(dut.read_set, 1 - adding)
            for step in range(steps + 1):
                first, stride = order[step % p.accs], rng.randint(1, 7)
                pairs = banks > 1 and rng.random() < 0.4
                if pairs:
                    stride = 2
                lanes = rng.randrange(1 << p.drain_lanes(stride)) if step < steps else 0
                read = [
                    [(first + lane * stride + at) % p.accs for at in range(1 + pairs)]
                    for lane in range(p.mult_i)
                ]
                for lane, accs in enumerate(read):  # What is being reset cannot be read yet.
                    lanes &= ~((not resetting.isdisjoint(accs)) << lane)
                ctx.set(dut.read, lanes)
                ctx.set(dut.read_pairs, pairs)
                ctx.set(dut.read_addr, first)
                ctx.set(dut.read_step, stride)
                for bank, head in enumerate(dut.heads):
                    valid = rng.random() < 0.8 and step < steps - 1
                    entry, value = rng.randrange(min(entries, 3)), rng.randrange(-32768, 32768)
                    value = wrap(value, 12) if maximum else wrap(value, len(head.addend.value))
                    ctx.set(head.valid, valid)
                    ctx.set(head.set, adding if valid else rng.randrange(2))
                    ctx.set(head.addend, {"entry": entry, "value": value})
                    if valid:
                        acc = entry * banks + bank
                        old = sums[adding][acc]
                        new = max(old, value) if maximum else wrap(old + value, p.acc_bits)
                        sums[adding][acc] = new
                for lane, values in expected.items():
                    got = (dut.read_data if len(values) == 1 else dut.greater)[lane]
                    assert ctx.get(got) == max(values)
                    changed += max(values) != initial
                expected, resetting = {}, set()
                for lane, accs in enumerate(read):
                    if lanes >> lane & 1:
                        resetting.update(accs)
                        expected[lane] = [sums[1 - adding][acc] for acc in accs]
                        for acc in accs:
                            sums[1 - adding][acc] = initial
                await ctx.tick()
            await ctx.tick()

    simulate(dut, bench)
    assert changed > banks


def test_tells_which_sets_products_are_for() -> None:
    dut = Accumulators(params(4, 4))

    async def bench(ctx: Any) -> None:
        for sets in [(0, None), (None, 1), (1, 0), (None, None), (1, 1)]:
            for head, number in zip(dut.heads, sets, strict=False):
                ctx.set(head.valid, number is not None)
                ctx.set(head.set, number or 0)
            await ctx.tick()
            assert ctx.get(dut.waiting) == sum(1 << n for n in {0, 1} if n in sets)

    simulate(dut, bench)


@pytest.mark.parametrize("minimum", [False, True])
def test_wipe_reaches_both_sets(*, minimum: bool) -> None:
    p = params(4, 8)
    dut = Accumulators(p)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.init_min, minimum)
        await wipe(ctx, dut, 8)
        for number in range(2):
            ctx.set(dut.read_set, number)
            for addr in range(p.accs):
                ctx.set(dut.read, 1)
                ctx.set(dut.read_addr, addr)
                await ctx.tick()
                assert ctx.get(dut.read_data[0]) == (p.min_acc if minimum else 0)

    simulate(dut, bench)
