"""Names of enumerations' members, from the Verilog that Amaranth leaves them in as attributes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Modules", "read_modules"]

_NAME = r"\\?([^\s;(]+)"
_MEMBER = re.compile(r'  \(\* enum_value_([01]+) = "(\w+)" \*\)')
_DECLARED = re.compile(rf"  (?:input|output|wire|reg) (?:\[[^]]*\] )?{_NAME}")
_INSTANCE = re.compile(rf"  {_NAME} +{_NAME} \($")  # behind an escaped name, two spaces


@dataclass(frozen=True)
class _Module:
    enums: dict[str, dict[int, str]] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Modules:
    """Modules of a design, by name: their instances, and their signals that are enumerations."""

    by_name: Mapping[str, _Module]

    def module(self, scopes: tuple[str, ...], top: str) -> str | None:
        """Return the module of the instance at ``scopes``, which begin with ``top`` itself."""
        if scopes[:1] != (top,):
            return None
        name: str | None = top
        for instance in scopes[1:]:
            module = self.by_name.get(name or "")
            name = module.instances.get(instance) if module else None
        return name

    def members(self, path: tuple[str, ...], top: str) -> Mapping[int, str]:
        """Return the members' names of the signal at ``path``; none if it is no enumeration."""
        module = self.by_name.get(self.module(path[:-1], top) or "")
        return module.enums.get(path[-1], {}) if module else {}


def read_modules(files: Iterable[Path]) -> Modules:
    """Read the Verilog of a design."""
    modules: dict[str, _Module] = {}
    for file in files:
        module, members = _Module(), dict[int, str]()
        for line in file.read_text().splitlines():
            if begun := re.match(rf"module {_NAME}", line):
                module = modules[begun[1]] = _Module()
            elif member := _MEMBER.match(line):
                members[int(member[1], 2)] = member[2]
            elif declared := _DECLARED.match(line):
                if members:
                    module.enums[declared[1]], members = members, {}
            elif instance := _INSTANCE.match(line):
                module.instances[instance[2]] = instance[1]
    return Modules(modules)
