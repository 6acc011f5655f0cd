"""Host port of the EIE array, driven from cocotb."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.hw.eie.array import IDLE_ROWS
from zeroskip.hw.eie.formats import command_layout
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.host import HostPort

__all__ = ["EieHost"]


class EieHost(HostPort):
    """Commands to the EIE array."""

    def __init__(self, dut: Any, params: EieParams, constant: int = 0) -> None:
        super().__init__(dut, command_layout(params), constant)
        self._params = params
        for name in IDLE_ROWS:
            if hasattr(dut, name):
                getattr(dut, name).value = 0

    async def load_acts(self, rows: NDArray[np.int64], file: int = 0) -> None:
        """Write activations, (rows, num_pes), to an activation file, from row 0 up."""
        row, pe = np.indices(rows.shape).reshape(2, -1)
        commands = np.zeros((rows.size, 4), np.uint64)
        commands[:, 0] = Space.ACT.value
        commands[:, 1] = pe
        commands[:, 2] = (file << self._params.act_addr_bits) + row
        commands[:, 3] = rows.astype(np.int64).view(np.uint64).ravel()
        await self.write_all(commands)

    async def read_acts(self, rows: int, file: int) -> list[list[int]]:
        """Read ``rows`` rows of an activation file, ``[row][pe]``."""
        p = self._params
        base = file << p.act_addr_bits
        return [
            [
                await self.read_signed(Space.ACT, base + row, p.act_bits, pe)
                for pe in range(p.num_pes)
            ]
            for row in range(rows)
        ]
