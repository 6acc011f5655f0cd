from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from amaranth.sim import Simulator

from zeroskip.hw.eie.lnzd import LnzdTree
from zeroskip.hw.eie.params import EieParams


def check(num_pes: int, patterns: Iterable[int]) -> None:
    """Try ``patterns`` of pending candidates, granted and not."""
    p = EieParams(num_pes=num_pes, act_bits=6)
    dut = LnzdTree(p)
    rng = Random(num_pes)

    async def bench(ctx: Any) -> None:
        for pattern in patterns:
            values = [rng.randrange(p.min_act, p.max_act + 1) for _ in range(num_pes)]
            packed = sum((value & 63) << 6 * pe for pe, value in enumerate(values))
            ctx.set(dut.pending, pattern)
            ctx.set(dut.value, packed)
            waiting = [pe for pe in range(num_pes) if pattern >> pe & 1]
            assert ctx.get(dut.o_pending) == bool(waiting)
            ctx.set(dut.o_grant, 0)
            assert ctx.get(dut.grant) == 0
            if not waiting:
                continue
            assert ctx.get(dut.o_pe) == waiting[0]
            assert ctx.get(dut.o_value) == values[waiting[0]]
            assert ctx.get(dut.o_last) == (len(waiting) == 1)
            ctx.set(dut.o_grant, 1)
            assert ctx.get(dut.grant) == 1 << waiting[0]

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("num_pes", [1, 2, 3, 4, 5, 8])
def test_every_pattern(num_pes: int) -> None:
    check(num_pes, range(1 << num_pes))


@pytest.mark.parametrize("num_pes", [9, 16, 17, 64, 65])
def test_one_or_two_pending(num_pes: int) -> None:
    singles = [1 << pe for pe in range(num_pes)]
    rng = Random(num_pes)
    pairs = [one | rng.choice(singles) for one in singles]
    check(num_pes, [0, *singles, *pairs, (1 << num_pes) - 1])


@pytest.mark.parametrize("num_pes", [16, 17, 64])
def test_random_patterns(num_pes: int) -> None:
    rng = Random(num_pes)
    patterns = [rng.getrandbits(num_pes) for _ in range(60)]
    sparse = [
        rng.getrandbits(num_pes) & rng.getrandbits(num_pes) & rng.getrandbits(num_pes)
        for _ in range(60)
    ]
    check(num_pes, patterns + sparse)
