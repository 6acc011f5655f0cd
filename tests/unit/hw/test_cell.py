"""A PE's cell, walked by the cell drain, against golden."""

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.compiler.ir.cells import CellStep, step_cell
from zeroskip.hw.common.formats import CellKind
from zeroskip.hw.eie.cell import Cell
from zeroskip.hw.eie.cell_drain import CELL_STAGES, CellDrain
from zeroskip.hw.eie.control import SLOTS
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.pysim import simulate

UNITS, SHIFT, BIAS_BASE, DST_BASE, STATE_BASE = 7, 5, 11, 3, 2


class Harness(wiring.Component):
    """Drain and cell, between which sums come as late as accumulators and biases give them."""

    begin: Signal
    mismatch: Signal

    def __init__(self, p: EieParams, totals: list[int], kind: CellKind) -> None:
        self.p, self.kind = p, kind
        self.drain, self.cell = CellDrain(p), Cell(p)
        self.totals = totals
        super().__init__({"begin": In(1), "mismatch": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.drain, m.submodules.cell = drain, cell = self.drain, self.cell
        row, read = Signal.like(drain.acc_row), Signal(signed(self.p.acc_bits))
        m.d.sync += row.eq(drain.acc_row)
        with m.Switch(row):
            for number, total in enumerate(self.totals):
                with m.Case(number):
                    m.d.comb += read.eq(total)
        m.d.sync += cell.total.eq(read)
        m.d.comb += [
            cell.cells.eq(drain.cells),
            cell.cells.begin.eq(self.begin),
            cell.shift.eq(SHIFT),
            drain.kind.eq(self.kind),
            drain.units.eq(UNITS),
            drain.bias_base.eq(BIAS_BASE),
            drain.dst_base.eq(DST_BASE),
            drain.state_base.eq(STATE_BASE),
            self.mismatch.eq(drain.acc_read & (drain.bias_row != drain.acc_row + BIAS_BASE)),
        ]
        return m


def draw_totals(seed: int, p: EieParams) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Draw sums; those of forget gates and candidates are often so large that states saturate."""
    rng = np.random.default_rng(seed)
    scale = rng.choice([1 << 12, 1 << 16, 1 << 19], (1, 4, UNITS))
    totals = rng.integers(-scale, scale)
    totals[:, 2] += 1 << 18
    return np.clip(totals, -(1 << p.acc_bits - 1), (1 << p.acc_bits - 1) - 1)


@pytest.mark.parametrize("kind", [CellKind.LSTM, CellKind.GRU])
@pytest.mark.parametrize(("act_bits", "acc_bits"), [(16, 32), (9, 21)])
def test_steps(kind: CellKind, act_bits: int, acc_bits: int) -> None:
    p = EieParams(
        cells=True, act_bits=act_bits, acc_bits=acc_bits, num_states=16, num_accs=64, num_acts=16
    )
    totals = draw_totals(1, p)
    # The first unit's state grows until it no longer can.
    totals[:, :, 0] = (1 << acc_bits - 1) - 1
    dut, state = Harness(p, totals.reshape(-1).tolist(), kind), np.zeros((1, UNITS), np.int64)
    expected: list[CellStep] = []
    for number in range(12):
        state = np.zeros_like(state) if number == 0 else state
        expected.append(step_cell(kind, totals, state, SHIFT, act_bits))
        state = expected[-1].state

    async def bench(ctx: Any) -> None:
        # The second sequence begins with the states that the first has left.
        for number, step in enumerate([*expected, *expected[:2]]):
            ctx.set(dut.begin, number in (0, len(expected)))
            written, counted = [], 0
            ctx.set(dut.drain.start, 1)
            await ctx.tick()
            ctx.set(dut.drain.start, 0)
            for cycle in range(SLOTS * UNITS + CELL_STAGES - SLOTS + 1):
                assert ctx.get(dut.drain.done) == (cycle == SLOTS * UNITS + CELL_STAGES - SLOTS)
                assert not ctx.get(dut.mismatch)
                counted += ctx.get(dut.cell.saturated)
                if ctx.get(dut.drain.write):
                    written.append((ctx.get(dut.drain.write_row), ctx.get(dut.cell.output)))
                await ctx.tick()
            assert written == list(enumerate(step.output[0].tolist(), DST_BASE))
            assert counted == step.saturated.sum()

    simulate(dut, bench)
    saturations = sum(int(step.saturated.sum()) for step in expected)
    assert (saturations > 0) == (kind == CellKind.LSTM)
