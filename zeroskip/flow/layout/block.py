"""The netlist that is laid out: one for area, wires and time, without hierarchy."""

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from zeroskip.base.errors import ToolError
from zeroskip.base.progress import Progress, silent
from zeroskip.flow.synth.liberty import Liberty
from zeroskip.flow.synth.netlist import SRAM_PORTS, Sram, sram_of
from zeroskip.flow.synth.path import fast_mapping
from zeroskip.flow.synth.yosys import run_yosys
from zeroskip.hw.common.sram import SRAM_MODULES

__all__ = ["Block", "Instance", "map_block"]


@dataclass(frozen=True)
class Instance:
    """A cell of a block: its kind, and the net at each of its pins."""

    kind: str
    nets: Mapping[str, str]


@dataclass(frozen=True)
class Block:
    """A netlist of a library's cells.

    Each pin is named as the net it belongs to. SRAMs stand outside: what they are connected to are
    pins of the block.

    Parameters
    ----------
    name : of the block.
    inputs, outputs : its pins.
    sram_pins : those of them at which an SRAM is.
    srams : that stand outside.
    instances : cells by name; a flip-flop is named after the register it is a bit of.
    constant : outputs that never change, and have no pin.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    sram_pins: frozenset[str]
    srams: tuple[Sram, ...]
    instances: Mapping[str, Instance]
    constant: int

    @cached_property
    def nets(self) -> dict[str, list[tuple[str, str]]]:
        """Cells and their pins by net."""
        found: dict[str, list[tuple[str, str]]] = {}
        for name, instance in self.instances.items():
            for pin, net in instance.nets.items():
                found.setdefault(net, []).append((name, pin))
        return found

    @property
    def pins(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.inputs, *self.outputs)

    def verilog(self) -> str:
        """Write it."""
        lines = [f"module {self.name} ({', '.join(self.pins)});"]
        lines += [f"  input {pin};" for pin in self.inputs]
        lines += [f"  output {pin};" for pin in self.outputs]
        for name, instance in self.instances.items():
            nets = ", ".join(f".{pin}({net})" for pin, net in instance.nets.items())
            lines.append(f"  {instance.kind} {name} ({nets});")
        return "\n".join([*lines, "endmodule", ""])


def map_block(
    verilog: str,
    top: str,
    name: str,
    liberty: Liberty,
    clock_ps: int,
    progress: Progress | None = None,
) -> Block:
    """Map a module to the cells of a library, for speed, and dissolve all modules in it.

    Parameters
    ----------
    verilog, top : text, and the name of the module.
    name : what to call the block.
    liberty : the library.
    clock_ps : delay to aim at.
    progress : see :data:`.Progress`.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    report = progress or silent
    with tempfile.TemporaryDirectory(prefix="zeroskip-layout-") as made:
        folder = Path(made)
        (folder / "cells.lib").write_text(liberty.text)
        (folder / "sram.v").write_text(SRAM_PORTS.read_text())
        (folder / "design.v").write_text(verilog)
        commands = [
            "read_verilog sram.v design.v",
            f"hierarchy -check -top {top}",
            "proc",
            # Gates wake up in any state. A reset must do without what simulators start with.
            "setattr -unset init w:*",
            f"synth -flatten -top {top} -booth",
            "flatten",
            "opt",
            "dfflibmap -liberty cells.lib",
            fast_mapping(folder, liberty, clock_ps),
            "setundef -zero",
            "opt_clean -purge",
            "read_liberty -ignore_miss_func -lib cells.lib",
            "check -assert -mapped",
            "write_json design.json",
        ]
        run_yosys(commands, folder, lambda done: report(f"map {name}", done, len(commands)))
        document = json.loads((folder / "design.json").read_text())
    return _block(document["modules"][top], name, liberty)


def _block(module: Mapping[str, Any], name: str, liberty: Liberty) -> Block:
    """Take the netlist out of what ``write_json`` says."""
    names = _names(module)
    directions: dict[str, str] = {}
    driven: dict[int, str] = {}
    sram_bits: set[int] = set()
    srams: list[Sram] = []
    constant = 0
    for key, cell in module["cells"].items():
        box = cell["type"] in SRAM_MODULES
        if box:
            srams.append(sram_of(key, cell))
        for pin, bits in cell["connections"].items():
            if box:
                sram_bits.update(bit for bit in bits if isinstance(bit, int))
            elif cell["port_directions"][pin] == "output":
                driven[bits[0]] = pin
    bits = [bit for port in module["ports"].values() for bit in port["bits"]]
    for bit in [*bits, *sorted(sram_bits)]:
        if isinstance(bit, int):
            directions[names[bit]] = "output" if bit in driven else "input"
        else:
            constant += 1
    registers = {
        key: names[cell["connections"]["Q"][0]]
        for key, cell in module["cells"].items()
        if cell["type"] in liberty.cells and liberty.cells[cell["type"]].sequential
    }
    instances: dict[str, Instance] = {}
    for number, (key, cell) in enumerate(module["cells"].items()):
        if cell["type"] in SRAM_MODULES:
            continue
        nets = {}
        for pin, (bit,) in cell["connections"].items():
            if not isinstance(bit, int):
                raise ToolError(f"cell {key} of {name} has a constant at {pin}, and none has it")
            nets[pin] = names[bit]
        instances[f"r_{registers[key]}" if key in registers else f"g{number}"] = Instance(
            cell["type"], nets
        )
    used = {net for instance in instances.values() for net in instance.nets.values()}
    pins = {pin: way for pin, way in directions.items() if pin in used}
    return Block(
        name,
        tuple(pin for pin, way in pins.items() if way == "input"),
        tuple(pin for pin, way in pins.items() if way == "output"),
        frozenset(names[bit] for bit in sram_bits) & pins.keys(),
        tuple(srams),
        instances,
        constant,
    )


def _names(module: Mapping[str, Any]) -> dict[int, str]:
    """Name each bit with letters, digits and ``_`` only, which all programs take; ports first."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    ports = module["ports"]
    nets = sorted(
        module["netnames"].items(),
        key=lambda net: (net[0] not in ports, "$" in net[0], len(net[0])),
    )
    for raw, net in nets:
        # Names that Yosys made say nothing, and are long.
        plain = "n" if "$" in raw else re.sub(r"\W", "_", raw)
        for place, bit in enumerate(net["bits"]):
            if bit in names or not isinstance(bit, int):
                continue
            label = f"{plain}_{place}" if len(net["bits"]) > 1 else plain
            label = f"n{bit}" if plain == "n" else label
            while label in taken:
                label += "_"
            taken.add(label)
            names[bit] = label
    return names
