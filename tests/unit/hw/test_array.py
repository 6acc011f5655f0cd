"""The whole array, PEs and all, against golden and the cycle model: outputs, cycles, reads."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.tiers import cases
from tests.unit.hw.array_bench import Bench, DrawNetwork, make_run, params
from zeroskip.sim.bench.pysim import simulate

SIZES: list[dict[str, Any]] = [
    {},
    {"pointers_first": True, "skip_padding": True, "run_bits": 1},
    {"num_pes": 5, "num_accs": 2, "queue_depth": 1},
    {"act_files": 3},
    {"num_pes": 1, "num_pointers": 128, "num_accs": 16, "num_acts": 16, "spmat_words": 128},
]


@pytest.mark.parametrize("sizes", cases(SIZES, [SIZES[2]], "simulates 5 PEs in Python"), ids=str)
def test_networks(sizes: dict[str, Any], draw_network: DrawNetwork) -> None:
    """Two networks, one after the other; the second runs again, and nothing has been cleared."""
    p = params(**sizes)
    runs = [make_run(draw_network, p, seed) for seed in (1, 2)]
    bench = Bench(p)

    async def host(ctx: Any) -> None:
        await bench.load(ctx, runs[0])
        await bench.check(ctx, runs[0], 0)
        await bench.load(ctx, runs[1])
        await bench.check(ctx, runs[1], 0)
        await bench.check(ctx, runs[1], 1, clear=False)

    simulate(bench.dut, host, monitors=[bench.watch, bench.record])


def test_without_counters(draw_network: DrawNetwork) -> None:
    p = replace(params(), counters=False)
    one = make_run(draw_network, p, 3)
    bench = Bench(p)

    async def host(ctx: Any) -> None:
        await bench.load(ctx, one)
        await bench.check(ctx, one, 0)

    simulate(bench.dut, host, monitors=[bench.watch, bench.record])
