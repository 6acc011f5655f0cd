"""Find the registers, SRAMs and ports at which paths begin and end."""

import re
from collections.abc import Mapping
from typing import Any

from zeroskip.hw.common.sram import SRAM_MODULES

__all__ = ["Ends"]


class Ends:
    """The flattened design, as ``write_json`` describes it, before its gates were mapped.

    Parameters
    ----------
    module : of the JSON document.
    """

    def __init__(self, module: Mapping[str, Any]) -> None:
        # Yosys keeps a backslash in the midst of names that it made; reports have none.
        self._netnames: Mapping[str, Any] = {
            name.replace("\\", ""): net for name, net in module["netnames"].items()
        }
        self._ports: Mapping[str, Any] = module["ports"]
        self._cells: Mapping[str, Any] = module["cells"]
        self._names: dict[int, str] = {}
        for name, net in self._netnames.items():
            for place, bit in enumerate(net["bits"]):
                label = f"{name}[{place + net.get('offset', 0)}]" if len(net["bits"]) > 1 else name
                old = self._names.get(bit)
                # Names of our own rather than of Amaranth's or Yosys's making, then short ones.
                if old is None or (_made(label), len(label)) < (_made(old), len(old)):
                    self._names[bit] = label

    def start(self, signal: str) -> str:
        """Say what drives a signal: a register, an SRAM or a port."""
        return self._describe(signal, "output", "input")

    def end(self, signal: str) -> str:
        """Say what a signal goes into: a register, an SRAM or a port."""
        return self._describe(signal, "input", "output")

    def _describe(self, signal: str, direction: str, of_port: str) -> str:
        bit = self._bit(signal)
        if bit is None:
            return signal
        for name, cell in self._cells.items():
            for port, bits in cell["connections"].items():
                if bit not in bits or cell["port_directions"].get(port) != direction:
                    continue
                if not cell["type"].startswith("$"):
                    kind = "SRAM" if cell["type"] in SRAM_MODULES else cell["type"]
                    return f"{kind} {name} {port}[{bits.index(bit)}]"
                if stored := _held(cell):
                    return f"register {self._names[stored]}"
        for name, port in self._ports.items():
            if bit in port["bits"] and port["direction"] == of_port:
                return f"port {self._names[bit] if direction == 'output' else name}"
        return self._names.get(bit, signal)

    def _bit(self, signal: str) -> int | None:
        # Mapping renames what has no name of its own.
        signal = re.sub(r"^\$abc\$\d+(?=\$)", "", signal)
        if signal in self._netnames:
            return self._netnames[signal]["bits"][0]
        found = re.fullmatch(r"(.*)\[(\d+)\]", signal)
        net = self._netnames.get(found[1]) if found else None
        if net is None or found is None:
            return None
        return net["bits"][int(found[2]) - net.get("offset", 0)]


def _made(name: str) -> bool:
    return name.rsplit(".", 1)[-1].startswith("$")


def _held(cell: Mapping[str, Any]) -> int | None:
    """Return the bit that a flip-flop holds; None if the cell is none."""
    (bit,) = cell["connections"]["Q"] if "DFF" in cell["type"] else (None,)
    return bit
