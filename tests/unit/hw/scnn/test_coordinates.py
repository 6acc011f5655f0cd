from random import Random
from typing import Any

import pytest
from amaranth.sim import Simulator

from zeroskip.hw.scnn.coordinates import Coordinates
from zeroskip.hw.scnn.params import ScnnParams


@pytest.mark.parametrize("lanes", [1, 2, 4, 8])
@pytest.mark.parametrize("run_bits", [1, 4])
def test_positions_of_a_channel(lanes: int, run_bits: int) -> None:
    p = ScnnParams(mult_i=lanes, run_bits=run_bits)
    dut = Coordinates(p)
    rng = Random(lanes)
    runs = [rng.randint(0, p.max_run) for _ in range(8 * lanes)]
    expected = [sum(runs[: i + 1]) + i for i in range(len(runs))]

    async def bench(ctx: Any) -> None:
        base, got = 0, []
        for start in range(0, len(runs), lanes):
            word = [{"value": 1, "run": run} for run in runs[start : start + lanes]]
            ctx.set(dut.word, word)
            ctx.set(dut.base, base)
            got += [ctx.get(dut.positions[lane]) for lane in range(lanes)]
            base = ctx.get(dut.after)
        assert got == [position % p.accs for position in expected]

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
