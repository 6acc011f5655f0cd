"""Machines whose RTL runs in Amaranth's own simulator: for small arrays, and to begin with."""

from abc import abstractmethod
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.sim import Simulator
from numpy.typing import NDArray

from zeroskip.base.errors import SimulationError
from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.ir.fixed import concatenate
from zeroskip.compiler.layer_engine import LayerPart
from zeroskip.sim.machine import Counts, Machine, Tensors
from zeroskip.sim.result import PartResult

__all__ = ["PythonMachine", "layer_input"]


def layer_input(part: LayerPart, tensors: Tensors) -> NDArray[np.int64]:
    """Return what the layer reads, (n, columns) int64; ``tensors`` are those of a machine."""
    joined = concatenate(tensors, part.layer.inputs)
    return joined.reshape(len(joined), -1)


class PythonMachine(Machine[LayerPart]):
    """A machine for an engine of the kind :class:`.LayerEngine`.

    Its design has, besides what loads and reads it, ``start`` and ``busy`` (one bit each) and
    ``counts``, the cycles of a run by stall class.
    """

    @abstractmethod
    def design(self, params: Any) -> Any:
        """Return the array."""

    @abstractmethod
    async def load(self, ctx: Any, dut: Any, part: LayerPart) -> None:
        """Load the SRAMs, and set what the layer is."""

    @abstractmethod
    async def give(self, ctx: Any, dut: Any, values: NDArray[np.int64]) -> None:
        """Write an input, (columns,)."""

    @abstractmethod
    async def read(self, ctx: Any, dut: Any, part: LayerPart) -> NDArray[np.int64]:
        """Read the outputs, in the order of (C, H, W)."""

    def simulate(
        self,
        part: LayerPart,
        tensors: Tensors,
        counts: Counts,
        *,
        waves: Path | None = None,
        program: Path | None = None,
        progress: Progress | None = None,
    ) -> PartResult:
        del program
        x, layer = layer_input(part, tensors), part.layer
        dut, report = self.design(part.params), progress or silent
        outputs: list[NDArray[np.int64]] = []
        cycles = np.zeros((len(x), 1), np.int64)
        counters = np.zeros((len(x), 1, 1, len(self.classes)), np.int64)

        async def host(ctx: Any) -> None:
            await self.load(ctx, dut, part)
            for sample, values in enumerate(x):
                await self.give(ctx, dut, values)
                ctx.set(dut.start, 1)
                await ctx.tick()
                ctx.set(dut.start, 0)
                while ctx.get(dut.busy):
                    cycles[sample] += 1
                    if cycles[sample, 0] > 2 * counts.run_cycles[sample, 0]:
                        raise SimulationError(f"input {sample}: layer {layer.name!r} does not end")
                    await ctx.tick()
                counters[sample, 0, 0] = [ctx.get(dut.counts[kind]) for kind in self.classes]
                outputs.append((await self.read(ctx, dut, part)).reshape(layer.out_shape))
                report(f"run {self.engine} on RTL", sample + 1, len(x))

        simulator = Simulator(dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(host)
        with nullcontext() if waves is None else simulator.write_vcd(str(waves)):
            simulator.run()
        made = {layer.name: np.array(outputs)}
        return PartResult(
            engine=self.engine,
            layers=(layer.name,),
            tensors=made,
            read=made,
            run_cycles=cycles,
            counters=counters,
            reload_cycles=np.zeros(len(x), np.int64),
        )
