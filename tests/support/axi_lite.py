"""AXI4-Lite master in Amaranth's simulator: one access after the other."""

from dataclasses import dataclass
from typing import Any

__all__ = ["AxiLiteMaster"]


@dataclass
class AxiLiteMaster:
    """Reads and writes at an AXI4-Lite slave.

    Parameters
    ----------
    axi : the slave's port.
    ctx : of the simulator.
    """

    axi: Any
    ctx: Any

    async def write(self, address: int, value: int, strb: int = 15) -> None:
        """Write the bytes of a word of 32 bits that ``strb`` has a bit for."""
        axi, ctx = self.axi, self.ctx
        ctx.set(axi.aw.payload, address)
        ctx.set(axi.w.payload, {"data": value, "strb": strb})
        ctx.set(axi.aw.valid, 1)
        ctx.set(axi.w.valid, 1)
        ctx.set(axi.b.ready, 1)
        await ctx.tick().until(axi.w.ready)
        ctx.set(axi.aw.valid, 0)
        ctx.set(axi.w.valid, 0)

    async def read(self, address: int) -> int:
        """Read a word of 32 bits."""
        axi, ctx = self.axi, self.ctx
        ctx.set(axi.ar.payload, address)
        ctx.set(axi.ar.valid, 1)
        ctx.set(axi.r.ready, 1)
        await ctx.tick().until(axi.ar.ready)
        ctx.set(axi.ar.valid, 0)
        (answer,) = await ctx.tick().sample(axi.r.payload.data).until(axi.r.valid)
        return answer
