"""The delta unit, walked by a scan that stalls, against golden."""

from typing import Any

import numpy as np
import pytest

from zeroskip.compiler.ir.changes import changes
from zeroskip.hw.eie.delta import Delta
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.pysim import random_gaps, simulate

STEPS, ROWS = 12, 5


@pytest.mark.parametrize(
    ("act_bits", "threshold"), [(2, 0), (2, 1), (11, 0), (11, 200), (16, 3), (16, 32766)]
)
def test_changes(act_bits: int, threshold: int) -> None:
    p = EieParams(cells=True, delta=True, act_bits=act_bits, num_references=ROWS + 1)
    rng = np.random.default_rng(act_bits + threshold)
    # From one end to the other in a step: the difference of two activations takes a bit more.
    values = rng.integers(p.min_act, p.max_act + 1, (2, STEPS, ROWS))
    values = np.where(rng.random(values.shape) < 0.3, p.min_act, values)
    values = np.where(rng.random(values.shape) < 0.3, p.max_act, values)
    # And rows that hardly change.
    values[:, 1::2, :2] = np.clip(values[:, 0::2, :2] + 1, p.min_act, p.max_act)
    expected = changes(values, threshold)
    assert expected.any()
    assert (np.abs(expected).max() > p.max_act) or act_bits > 11
    assert threshold == 0 or ((expected == 0) & (np.diff(values, axis=1, prepend=0) != 0)).any()
    dut = Delta(p)

    async def bench(ctx: Any) -> None:
        gaps = random_gaps(1, 3)
        ctx.set(dut.threshold, threshold)
        # The second sequence finds the references that the first has left.
        for sequence in range(2):
            for step in range(STEPS):
                ctx.set(dut.begin, step == 0)
                ctx.set(dut.enable, 1)
                found: list[int] = []
                # As in a scan, a row is read in the cycle in which that before it is taken.
                for row in range(ROWS + 1):
                    ctx.set(dut.read, row < ROWS)
                    ctx.set(dut.read_row, row)
                    ctx.set(dut.take, row > 0)
                    ctx.set(dut.take_row, row - 1 if row else 0)
                    if row:
                        found.append(ctx.get(dut.change))
                    await ctx.tick()
                    ctx.set(dut.read, 0)
                    ctx.set(dut.take, 0)
                    if row < ROWS:
                        ctx.set(dut.now, int(values[sequence, step, row]))
                    await ctx.tick().repeat(1 + next(gaps))
                assert found == expected[sequence, step].tolist()
                # A pass that does not scan changes leaves all as it is.
                ctx.set(dut.enable, 0)
                ctx.set(dut.read, 1)
                ctx.set(dut.take, 1)
                await ctx.tick()
                assert ctx.get(dut.change) == values[sequence, step, -1]
                ctx.set(dut.read, 0)
                ctx.set(dut.take, 0)

    simulate(dut, bench)
