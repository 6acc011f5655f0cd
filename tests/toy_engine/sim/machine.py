"""The dense engine, as simulation sees it; its RTL runs in Amaranth's own simulator."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.toy_engine.hw.dense import Dense
from tests.toy_engine.hw.params import Space, StallClass
from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.image.words import signed_field
from zeroskip.compiler.layer_engine import LayerPart
from zeroskip.sim.contents import different_numbers
from zeroskip.sim.machine import Counts, Tensors
from zeroskip.sim.python_machine import PythonMachine, layer_input

__all__ = ["MACHINE"]


class _Dense(PythonMachine):
    engine = "dense"
    classes = StallClass

    def count(
        self, part: LayerPart, tensors: Tensors, report: Callable[[int, int], None]
    ) -> Counts:
        x, (rows, columns) = layer_input(part, tensors), part.layer.shape
        useful = (x != 0) @ np.count_nonzero(part.layer.codes.toarray(), axis=0)
        overhead = np.full(len(x), 1 + rows)
        counters = np.stack([useful, rows * columns - useful, overhead], axis=1)
        report(1, 1)
        cycles = counters.sum(axis=1)[:, None]
        return Counts(cycles, counters[:, None, None], np.zeros(len(x), np.int64))

    def design(self, params: Any) -> Dense:
        return Dense(params)

    async def load(self, ctx: Any, dut: Any, part: LayerPart) -> None:
        await _write(ctx, dut, Space.WEIGHTS, _numbers(part.srams["weights"]))
        await _write(ctx, dut, Space.BIASES, _numbers(part.srams["biases"]))
        for port, value in zip((dut.rows, dut.columns), part.layer.shape, strict=True):
            ctx.set(port, value)
        ctx.set(dut.shift, part.layer.shift)
        ctx.set(dut.activation, int(part.layer.relu))

    async def give(self, ctx: Any, dut: Any, values: NDArray[np.int64]) -> None:
        await _write(ctx, dut, Space.ACTS, values)

    async def read(self, ctx: Any, dut: Any, part: LayerPart) -> NDArray[np.int64]:
        found: list[int] = []
        for row in range(part.layer.shape[0]):
            ctx.set(dut.addr, row)
            await ctx.tick()
            found.append(ctx.get(dut.result))
        return np.array(found)

    def problems(self, part: LayerPart, folder: str, image: Image, most: int) -> Sequence[str]:
        del folder, image
        layer = part.layer
        weights, biases = (_numbers(part.srams[name]) for name in ("weights", "biases"))
        pairs = {
            "weights": (weights.reshape(layer.shape), layer.codebook[layer.codes.toarray()]),
            "biases": (biases - ((1 << layer.shift) >> 1), layer.bias),
        }
        return different_numbers(layer.name, pairs)[:most]


async def _write(ctx: Any, dut: Any, space: Space, values: NDArray[np.int64]) -> None:
    ctx.set(dut.space, space)
    ctx.set(dut.write, 1)
    for addr, value in enumerate(values.tolist()):
        ctx.set(dut.addr, addr)
        ctx.set(dut.data, value)
        await ctx.tick()
    ctx.set(dut.write, 0)


def _numbers(sram: SramData) -> NDArray[np.int64]:
    return signed_field(sram.words[:, 0], 0, sram.width)


MACHINE = _Dense()
"""What the entry point names."""
