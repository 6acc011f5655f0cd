"""Find a unit of an engine by its name, as Verilog."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zeroskip.base.errors import ParameterError
from zeroskip.flow.flow import FLOWS, Flow, flow
from zeroskip.hw.common.emit import emit_verilog

__all__ = ["WHOLE", "UnitName", "find_unit", "unit_name"]

WHOLE = "pe"
"""What the unit is called that has all others in it: of an array, its PE."""

_MODULE = re.compile(r"^module (\S+) \(.*?^endmodule$", re.MULTILINE | re.DOTALL)
_INSTANCE = re.compile(r"^  (\w+) (\w+) \(\n", re.MULTILINE)


@dataclass(frozen=True)
class UnitName:
    """A unit: its engine, and the names of the instances that lead to it, none of the PE.

    It is in the PE, or around the PEs.
    """

    engine: str
    path: tuple[str, ...]

    @property
    def name(self) -> str:
        """What to call it in files."""
        return "_".join([self.engine, *(self.path or (WHOLE,))])

    @property
    def whole(self) -> bool:
        """It is the PE, with all that is in it."""
        return not self.path


def unit_name(text: str, default: str) -> UnitName:
    """Read ``[ENGINE-]UNIT``, where a unit in another has the other's name and a dot before it.

    Parameters
    ----------
    text : for instance ``act_queue``.
    default : the engine unless one is named.
    """
    engine, dash, rest = text.partition("-")
    if not dash:
        engine, rest = default, text
    if engine not in FLOWS.names():
        raise ParameterError.of_names("the engine of the unit", engine, FLOWS.names())
    return UnitName(engine, () if rest == WHOLE else tuple(rest.split(".")))


def find_unit(unit: UnitName, params: Any) -> tuple[str, str, list[str]]:
    """Return Verilog, the name of the unit's module in it, and the names of units in that.

    Units of the PE come before those around the PEs.

    Raises
    ------
    ParameterError
        If there is no such unit.
    """
    design: Flow[Any] = flow(unit.engine)
    known: list[str] = []
    for module, make in design.modules(params).items():
        name = module
        text = emit_verilog(make(), module)
        bodies = {found[1]: found[0] for found in _MODULE.finditer(text)}
        for place, step in enumerate(unit.path):
            inside = _instances(bodies, name)
            if step not in inside:
                where = ".".join(unit.path[:place])
                known += [f"{where}.{other}" if where else other for other in inside]
                known += [where] * (where != "" and not inside)
                break
            name = inside[step]
        else:
            return text, name, list(_instances(bodies, name))
    raise ParameterError.of_names("the unit", ".".join(unit.path), [*known, WHOLE])


def _instances(bodies: Mapping[str, str], name: str) -> dict[str, str]:
    """Return the modules in a module by the names of their instances."""
    found = _INSTANCE.findall(bodies[name])
    return {instance: kind for kind, instance in found if kind in bodies}
