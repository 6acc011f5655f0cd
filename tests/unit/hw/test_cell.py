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
from zeroskip.hw.eie.cell_drain import CellDrain
from zeroskip.hw.eie.control import CELL_STAGES, SLOTS
from zeroskip.hw.eie.formats import PEEPHOLE_BIASES
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.pysim import simulate

UNITS, SHIFT, BIAS_BASE, DST_BASE, STATE_BASE = 7, 5, 11, 3, 2


class Harness(wiring.Component):
    """Drain and cell, between which sums come as late as accumulators and biases give them."""

    begin: Signal
    mismatch: Signal

    def __init__(self, p: EieParams, totals: list[int], kind: CellKind, weights: list[int]) -> None:
        self.p, self.kind = p, kind
        self.drain, self.cell = CellDrain(p), Cell(p)
        self.totals, self.weights = totals, weights
        super().__init__({"begin": In(1), "mismatch": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.drain, m.submodules.cell = drain, cell = self.drain, self.cell
        row, read = Signal.like(drain.acc_row), Signal(signed(self.p.acc_bits))
        bias = Signal.like(drain.bias_row)
        m.d.sync += [row.eq(drain.acc_row), bias.eq(drain.bias_row)]
        with m.Switch(row):
            for number, total in enumerate(self.totals):
                with m.Case(number):
                    m.d.comb += read.eq(total)
        if self.p.peepholes:
            with m.If(drain.cells.weight), m.Switch(bias):
                for number, weight in enumerate(self.weights):
                    block, unit = divmod(number, UNITS)
                    at = PEEPHOLE_BIASES["weights"][block] * UNITS + unit
                    with m.Case(BIAS_BASE + at):
                        m.d.comb += read.eq(weight)
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
        ]
        m.d.comb += self.mismatch.eq(drain.acc_read & (drain.bias_row != self.bias_of_sum(m)))
        return m

    def bias_of_sum(self, m: Module) -> Signal:
        """Return where the bias of the sum that is read must be."""
        expected = Signal.like(self.drain.bias_row)
        m.d.comb += expected.eq(self.drain.acc_row + BIAS_BASE)
        if self.kind == CellKind.PEEPHOLE:
            with m.Switch(self.drain.acc_row):
                for block, place in enumerate(PEEPHOLE_BIASES["sums"]):
                    for unit in range(UNITS):
                        with m.Case(block * UNITS + unit):
                            m.d.comb += expected.eq(BIAS_BASE + place * UNITS + unit)
        return expected


def draw_totals(seed: int, p: EieParams) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Draw sums; those of forget gates and candidates are often so large that states saturate."""
    rng = np.random.default_rng(seed)
    scale = rng.choice([1 << 12, 1 << 16, 1 << 19], (1, 4, UNITS))
    totals = rng.integers(-scale, scale)
    totals[:, 2] += 1 << 18
    return np.clip(totals, -(1 << p.acc_bits - 1), (1 << p.acc_bits - 1) - 1)


@pytest.mark.parametrize(
    ("kind", "act_bits", "acc_bits", "peepholes"),
    [
        (CellKind.LSTM, 16, 32, False),
        (CellKind.LSTM, 9, 21, True),
        (CellKind.GRU, 16, 32, False),
        (CellKind.GRU, 9, 21, True),
        (CellKind.PEEPHOLE, 16, 32, True),
        (CellKind.PEEPHOLE, 9, 17, True),
    ],
)
def test_steps(kind: CellKind, act_bits: int, acc_bits: int, *, peepholes: bool) -> None:
    p = EieParams(
        cells=True, act_bits=act_bits, acc_bits=acc_bits, num_states=16, num_accs=64, num_acts=16,
        peepholes=peepholes,
    )  # fmt: skip
    totals = draw_totals(1, p)
    # The first unit's state grows until it no longer can.
    totals[:, :, 0] = (1 << acc_bits - 1) - 1
    seen = np.random.default_rng(2).integers(-(1 << 15), 1 << 15, (3, UNITS))
    seen[:, 0], seen[:, 1] = (1 << 15) - 1, -(1 << 15)
    weights = seen if kind == CellKind.PEEPHOLE else None
    dut = Harness(p, totals.reshape(-1).tolist(), kind, seen.ravel().tolist())
    state = np.zeros((1, UNITS), np.int64)
    expected: list[CellStep] = []
    for number in range(12):
        state = np.zeros_like(state) if number == 0 else state
        expected.append(step_cell(kind, totals, state, SHIFT, act_bits, weights))
        state = expected[-1].state

    async def bench(ctx: Any) -> None:
        # The second sequence begins with the states that the first has left.
        for number, step in enumerate([*expected, *expected[:2]]):
            ctx.set(dut.begin, number in (0, len(expected)))
            written, counted = [], 0
            ctx.set(dut.drain.start, 1)
            await ctx.tick()
            ctx.set(dut.drain.start, 0)
            spent = SLOTS[kind] * (UNITS - 1) + CELL_STAGES[kind]
            for cycle in range(spent + 1):
                assert ctx.get(dut.drain.done) == (cycle == spent)
                assert not ctx.get(dut.mismatch)
                counted += ctx.get(dut.cell.saturated)
                if ctx.get(dut.drain.write):
                    written.append((ctx.get(dut.drain.write_row), ctx.get(dut.cell.output)))
                await ctx.tick()
            assert written == list(enumerate(step.output[0].tolist(), DST_BASE))
            assert counted == step.saturated.sum()

    simulate(dut, bench)
    saturations = sum(int(step.saturated.sum()) for step in expected)
    # Of 17 bits, sums are too small for it.
    assert (saturations > 0) == (kind != CellKind.GRU and acc_bits > 17)
