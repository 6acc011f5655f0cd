"""Registers on their own: a processor on the bus, and what the hardware says, in Python."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from tests.support.axi_lite import AxiLiteMaster
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.registers import Registers
from zeroskip.sim.bench.pysim import simulate

__all__ = ["Cpu", "on_registers"]


class Cpu(AxiLiteMaster):
    """Reads and writes registers, and drives what the system drives."""

    def __init__(self, dut: Registers, ctx: Any) -> None:
        super().__init__(dut.axi, ctx)
        self.dut = dut

    def hardware(self, **values: Any) -> None:
        """Drive what the system drives."""
        for name, value in values.items():
            self.ctx.set(getattr(self.dut, name), value)


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
