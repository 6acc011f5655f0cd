"""Export the modules of an array, or of another design, as Verilog."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zeroskip.flow.flow import Flow
from zeroskip.hw.common.bundle import Port, bundle, ports

__all__ = ["Export", "export"]


@dataclass(frozen=True)
class Export:
    """Exported Verilog by file name, and the ports of the modules that a user instantiates."""

    files: Mapping[str, str]
    ports: Mapping[str, tuple[Port, ...]]


def export(design: Flow[Any], arrays: Mapping[str, Any], version: str, prefix: str = "") -> Export:
    """Write a design as Verilog that needs nothing else.

    Parameters
    ----------
    design : of an engine, or another.
    arrays : parameters by engine, at least of those that are in the design.
    version : of this program.
    prefix : what the names of all modules begin with; the SRAM is the same module in every file.
    """
    modules = {name: make() for name, make in design.modules(design.params(arrays)).items()}
    top = list(modules)[-1]
    outside = prefix + design.inside
    names = {module: (prefix if module == top else outside) + module for module in modules}
    files: dict[str, str] = {}
    found: dict[str, tuple[Port, ...]] = {}
    for group in design.exported(list(modules)):
        named = [(names[module], modules[module]) for module in group]
        params = [arrays[engine] for engine in design.arrays]
        files[f"{named[-1][0]}.sv"] = bundle(named, params, version, outside=outside)
        found[named[-1][0]] = ports(named[-1][1])
    return Export({**files, f"{names[top]}.vh": design.macros(prefix, modules)}, found)
