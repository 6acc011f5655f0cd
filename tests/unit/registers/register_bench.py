"""Registers on their own: a processor on the bus, and what the hardware says, in Python."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.registers import Registers
from zeroskip.sim.bench.pysim import simulate

__all__ = ["Cpu", "on_registers"]


@dataclass
class Cpu:
    """Reads and writes registers, one access after the other."""

    dut: Registers
    ctx: Any

    def hardware(self, **values: Any) -> None:
        """Drive what the system drives."""
        for name, value in values.items():
            self.ctx.set(getattr(self.dut, name), value)

    async def write(self, address: int, value: int, strb: int = 15) -> None:
        axi, ctx = self.dut.axi, self.ctx
        ctx.set(axi.aw.payload, address)
        ctx.set(axi.w.payload, {"data": value, "strb": strb})
        ctx.set(axi.aw.valid, 1)
        ctx.set(axi.w.valid, 1)
        ctx.set(axi.b.ready, 1)
        await ctx.tick().until(axi.w.ready)
        ctx.set(axi.aw.valid, 0)
        ctx.set(axi.w.valid, 0)

    async def read(self, address: int) -> int:
        axi, ctx = self.dut.axi, self.ctx
        ctx.set(axi.ar.payload, address)
        ctx.set(axi.ar.valid, 1)
        ctx.set(axi.r.ready, 1)
        await ctx.tick().until(axi.ar.ready)
        ctx.set(axi.ar.valid, 0)
        (answer,) = await ctx.tick().sample(axi.r.payload.data).until(axi.r.valid)
        return answer


def on_registers(
    params: SystemParams,
    sizes: Mapping[str, int],
    bench: Callable[[Cpu], Coroutine[Any, Any, None]],
) -> None:
    """Run a bench on the registers of a system that is not there."""
    dut = Registers(params, sizes)

    async def main(ctx: Any) -> None:
        await bench(Cpu(dut, ctx))

    simulate(dut, main)
