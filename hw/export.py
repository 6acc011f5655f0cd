"""Export the modules of an engine, or of the chip that has both, as Verilog."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.lib import wiring

from zeroskip.hw.chip.formats import Engine, Go, Register
from zeroskip.hw.chip.top import CHIP_MODULE, Chip
from zeroskip.hw.common.bundle import Port, bundle, constants, ports
from zeroskip.hw.common.control import Command, Control, StatusBit
from zeroskip.hw.eie import array as eie
from zeroskip.hw.eie import host as eie_host
from zeroskip.hw.eie.pe import Pe
from zeroskip.hw.scnn import array as scnn
from zeroskip.hw.scnn import formats as scnn_formats
from zeroskip.hw.scnn.pe import ScnnPe

__all__ = ["ENGINES", "Export", "export"]

ENGINES = ("eie", "scnn", "chip")
"""What can be exported."""

_HOST_ENUMS = (Control, Command, StatusBit)
_CHIP_ENUMS = (Engine, Register, Go, StatusBit)


@dataclass(frozen=True)
class Export:
    """Exported Verilog by file name, and the ports of the modules that a user instantiates."""

    files: Mapping[str, str]
    ports: Mapping[str, tuple[Port, ...]]


def export(engine: str, arrays: Mapping[str, Any], version: str, prefix: str = "") -> Export:
    """Write an engine, or the chip, as Verilog that needs nothing else.

    Parameters
    ----------
    engine : one of ``ENGINES``.
    arrays : parameters by engine, at least of those that are exported.
    version : of this program.
    prefix : what the names of all modules begin with; the SRAM is the same module in every file.
        In the chip, names of the engines' modules begin with the chip's, too.
    """
    outside = prefix + (f"{CHIP_MODULE}_" if engine == "chip" else "")
    parts: list[tuple[str, wiring.Component]] = []
    params: list[Any] = []
    header = ""
    if engine != "scnn":
        array = eie.EieArray(arrays["eie"])
        parts += [(outside + eie.PE_MODULE, Pe(arrays["eie"])), (outside + eie.ARRAY_MODULE, array)]
        params.append(arrays["eie"])
        header += _macros(f"{outside}eie", array, eie_host, inner=engine == "chip")
    if engine != "eie":
        grid = scnn.ScnnArray(arrays["scnn"])
        parts += [
            (outside + scnn.PE_MODULE, ScnnPe(arrays["scnn"])),
            (outside + scnn.ARRAY_MODULE, grid),
        ]
        params.append(arrays["scnn"])
        header += _macros(f"{outside}scnn", grid, scnn_formats, inner=engine == "chip")
    if engine == "chip":
        chip = Chip(arrays["scnn"], arrays["eie"])
        parts.append((prefix + CHIP_MODULE, chip))
        header += constants((prefix + CHIP_MODULE).upper(), ports(chip), _CHIP_ENUMS)
    # Of an engine its PE by itself, too.
    exported = [parts] if engine == "chip" else [parts[:1], parts]
    files = {
        f"{modules[-1][0]}.sv": bundle(modules, params, version, outside=outside)
        for modules in exported
    }
    return Export(
        {**files, f"{parts[-1][0]}.vh": header},
        {modules[-1][0]: ports(modules[-1][1]) for modules in exported},
    )


def _macros(name: str, array: wiring.Component, numbers: Any, *, inner: bool) -> str:
    """Write the macros of an array; of one that is ``inner``, only of the commands to it."""
    listed = [port for port in ports(array) if not inner or port.name == "cmd__payload"]
    enums = (numbers.Space, *_HOST_ENUMS, numbers.StallClass)
    return constants(name.upper(), listed, enums)
