"""The table of tanh and sigmoid against its golden."""

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from numpy.typing import NDArray

from zeroskip.compiler.ir.activations import sigmoid, tanh
from zeroskip.hw.common.table import TABLE_STAGES, Table
from zeroskip.hw.common.tanh import Function

EXPECTED = {Function.TANH: tanh, Function.SIGMOID: sigmoid, Function.IDENTITY: np.asarray}


def evaluate(arguments: NDArray[np.int64], functions: list[Function]) -> list[int]:
    """Put an argument in every cycle; return what comes out of each."""
    dut, values = Table(), []
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def bench(ctx: Any) -> None:
        for argument, function in zip(arguments.tolist(), functions, strict=True):
            ctx.set(dut.argument, argument)
            ctx.set(dut.function, function)
            await ctx.tick()
            values.append(ctx.get(dut.value))
        for _ in range(TABLE_STAGES - 1):
            await ctx.tick()
            values.append(ctx.get(dut.value))

    simulator.add_testbench(bench)
    simulator.run()
    return values[TABLE_STAGES - 1 :]


def expected(arguments: NDArray[np.int64], functions: list[Function]) -> list[int]:
    chosen = np.array(functions)
    found = np.zeros(len(arguments), np.int64)
    for function, table in EXPECTED.items():
        here = chosen == function
        found[here] = table(arguments[here])
    return found.tolist()


def test_functions_in_any_order() -> None:
    random = np.random.default_rng(0)
    ends = [-(1 << 15), 1 - (1 << 15), -1, 0, 1, (1 << 15) - 1]
    arguments = np.concatenate([np.repeat(ends, 3), random.integers(-(1 << 15), 1 << 15, 2000)])
    functions = [*Function] * len(ends) + [Function(n) for n in random.integers(0, 3, 2000)]
    assert evaluate(arguments, functions) == expected(arguments, functions)


@pytest.mark.long("every third argument: 21,846 cycles in Amaranth's simulator")
def test_every_third_argument() -> None:
    arguments = np.arange(-(1 << 15), 1 << 15, 3)
    # Segments are the same on both sides, so each place of each is asked for with both functions.
    functions = [Function((argument ^ (argument < 0)) & 1) for argument in arguments.tolist()]
    assert evaluate(arguments, functions) == expected(arguments, functions)
