"""The dense engine, as simulation sees it; its RTL runs in Amaranth's own simulator."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.sim import Simulator
from numpy.typing import NDArray

from tests.toy_engine.compiler.engine import DensePart
from tests.toy_engine.hw.dense import Dense
from tests.toy_engine.hw.params import Space, StallClass
from zeroskip.base.errors import SimulationError
from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.fixed import concatenate
from zeroskip.sim.contents import different_numbers
from zeroskip.sim.machine import Counts, Machine, Selection, Tensors
from zeroskip.sim.result import PartResult

__all__ = ["MACHINE"]


class _Dense(Machine[DensePart]):
    engine = "dense"
    classes = StallClass

    def multipliers(self, params: Any) -> int:
        del params
        return 1

    def count(
        self, part: DensePart, tensors: Tensors, report: Callable[[int, int], None]
    ) -> Counts:
        x, (rows, columns) = _inputs(part, tensors), part.layer.shape
        nonzeros = np.count_nonzero(part.layer.codes.toarray(), axis=0)
        useful = (x != 0) @ nonzeros
        zero = rows * columns - useful
        counters = np.stack([useful, zero, np.full(len(x), 1 + rows)], axis=1)
        report(1, 1)
        cycles = counters.sum(axis=1)[:, None]
        return Counts(cycles, counters[:, None, None], np.zeros(len(x), np.int64))

    def simulate(
        self,
        part: DensePart,
        tensors: Tensors,
        counts: Counts,
        *,
        waves: Path | None = None,
        progress: Progress | None = None,
    ) -> PartResult:
        x, layer, report = _inputs(part, tensors), part.layer, progress or silent
        outputs = np.zeros((len(x), *layer.out_shape), np.int64)
        cycles = np.zeros((len(x), 1), np.int64)
        counters = np.zeros((len(x), 1, 1, len(StallClass)), np.int64)
        dut: Any = Dense(part.params)

        async def write(ctx: Any, space: Space, values: NDArray[np.int64]) -> None:
            ctx.set(dut.space, space)
            ctx.set(dut.write, 1)
            for addr, value in enumerate(values.tolist()):
                ctx.set(dut.addr, addr)
                ctx.set(dut.data, value)
                await ctx.tick()
            ctx.set(dut.write, 0)

        async def host(ctx: Any) -> None:
            await write(ctx, Space.WEIGHTS, _signed(part.srams["weights"]))
            await write(ctx, Space.BIASES, _signed(part.srams["biases"]))
            for port, value in zip((dut.rows, dut.columns), layer.shape, strict=True):
                ctx.set(port, value)
            ctx.set(dut.shift, layer.shift)
            ctx.set(dut.activation, int(layer.relu))
            for sample, values in enumerate(x):
                await write(ctx, Space.ACTS, values)
                ctx.set(dut.start, 1)
                await ctx.tick()
                ctx.set(dut.start, 0)
                while ctx.get(dut.busy):
                    cycles[sample, 0] += 1
                    if cycles[sample, 0] > 2 * counts.run_cycles[sample, 0]:
                        raise SimulationError(f"input {sample}: layer {layer.name!r} does not end")
                    await ctx.tick()
                counters[sample, 0, 0] = [ctx.get(dut.counts[kind]) for kind in StallClass]
                for row in range(layer.shape[0]):
                    ctx.set(dut.addr, row)
                    await ctx.tick()
                    outputs[sample, row] = ctx.get(dut.result)
                report("run dense on RTL", sample + 1, len(x))

        simulator = Simulator(dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(host)
        with nullcontext() if waves is None else simulator.write_vcd(str(waves)):
            simulator.run()
        return PartResult(
            engine=self.engine,
            layers=(layer.name,),
            tensors={layer.name: outputs},
            read={layer.name: outputs},
            run_cycles=cycles,
            counters=counters,
            reload_cycles=np.zeros(len(x), np.int64),
        )

    def problems(self, part: DensePart, folder: str, image: Image, most: int) -> Sequence[str]:
        del folder, image
        layer = part.layer
        half = (1 << layer.shift) >> 1
        pairs = {
            "weights": (
                _signed(part.srams["weights"]).reshape(layer.shape),
                layer.codebook[layer.codes.toarray()],
            ),
            "biases": (_signed(part.srams["biases"]) - half, layer.bias),
        }
        return different_numbers(layer.name, pairs)[:most]

    def counter_problems(
        self, selection: Selection[DensePart], rtl: PartResult, useful: NDArray[np.int64]
    ) -> Sequence[str]:
        assert rtl.counters is not None
        assert rtl.cycles is not None
        counted, (name,) = rtl.counters[:, 0, 0], selection.layers
        wrong = (counted[:, StallClass.USEFUL] != useful[:, 0]) | (
            counted.sum(axis=1) != rtl.cycles
        )
        return [
            f"input {sample}, layer {name}: the counters {counted[sample].tolist()} are not "
            f"{useful[sample, 0]} useful products in {rtl.cycles[sample]} cycles"
            for sample in np.flatnonzero(wrong).tolist()
        ]

    def storage(self, part: DensePart) -> Mapping[str, Mapping[str, Any]]:
        return {part.layer.name: {"words": part.layer.num_weights}}


def _inputs(part: DensePart, tensors: Tensors) -> NDArray[np.int64]:
    """Return (n, columns) what the layer reads."""
    joined = concatenate(tensors, part.layer.inputs)
    return joined.reshape(len(joined), -1)


def _signed(sram: SramData) -> NDArray[np.int64]:
    """Read rows as two's complement."""
    left = 64 - sram.width
    return (sram.words[:, 0] << np.uint64(left)).view(np.int64) >> left


MACHINE = _Dense()
"""What the entry point names."""
