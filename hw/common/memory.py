"""Memories whose signals have names in Verilog."""

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import MemoryData, ShapeLike
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.utils import ceil_log2

__all__ = ["NamedMemory"]


class NamedMemory(Memory):
    """A memory without contents at power-up, whose ports' signals are named after it.

    Parameters
    ----------
    shape, depth : of a row, and rows; of one row it has two, as no address may be 0 bits wide.
    name : of the memory; Amaranth itself calls the signals of all ports alike.
    attrs : as in ``Memory``.
    """

    def __init__(
        self, shape: ShapeLike, depth: int, name: str, *, attrs: dict[str, str] | None = None
    ) -> None:
        self._label = name
        super().__init__(MemoryData(shape=shape, depth=max(2, depth), init=[]), attrs=attrs)

    def read_port(
        self,
        *,
        domain: str = "sync",
        transparent_for: Iterable[Any] = (),
        src_loc_at: int = 0,
    ) -> Any:
        """Add a read port; of domain "comb", it reads in the same cycle."""
        shape: Any = self.shape
        return ReadPort(
            ReadPort.Signature(shape=shape, addr_width=ceil_log2(self.depth)),
            memory=self,
            domain=domain,
            transparent_for=transparent_for,
            path=self._path("read", len(self.read_ports)),
            src_loc_at=1 + src_loc_at,
        )

    def write_port(
        self, *, domain: str = "sync", granularity: int | None = None, src_loc_at: int = 0
    ) -> Any:
        """Add a write port."""
        shape: Any = self.shape
        return WritePort(
            WritePort.Signature(
                shape=shape, addr_width=ceil_log2(self.depth), granularity=granularity
            ),
            memory=self,
            domain=domain,
            path=self._path("write", len(self.write_ports)),
            src_loc_at=1 + src_loc_at,
        )

    def _path(self, kind: str, number: int) -> tuple[str, str]:
        return self._label, f"{kind}_{number}" if number else kind
