"""Find what engines have of one kind: in their folders, or installed apart."""

import importlib
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path
from typing import Generic, TypeVar

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """What engines have of one kind, by the engine's name.

    Parameters
    ----------
    package : whose folders are engines, such as ``zeroskip.sim``.
    module : of such a folder; it has the object under its own name in capitals.
    group : entry points that name the objects of engines that are installed apart.
    """

    def __init__(self, package: str, module: str, group: str) -> None:
        self._package, self._module, self._group = package, module, group

    def names(self) -> tuple[str, ...]:
        """Return the names of engines, those of the source tree first."""
        apart = [point.name for point in _installed(self._group, *sys.path)]
        return tuple(dict.fromkeys([*_folders(self._package, self._module), *sorted(apart)]))

    def find(self, name: str) -> T | None:
        """Return the object of an engine; None if it has none."""
        if name in _folders(self._package, self._module):
            found = importlib.import_module(f"{self._package}.{name}.{self._module}")
            return getattr(found, self._module.upper())
        for point in _installed(self._group, *sys.path):
            if point.name == name:
                return point.load()
        return None

    def all(self) -> Mapping[str, T]:
        """Return the objects of all engines by name."""
        found = {name: self.find(name) for name in self.names()}
        return {name: entry for name, entry in found.items() if entry is not None}


@cache
def _folders(package: str, module: str) -> tuple[str, ...]:
    """Return the folders of a package that have a module."""
    (top,) = importlib.import_module(package).__path__
    return tuple(sorted(path.parent.name for path in Path(top).glob(f"*/{module}.py")))


@cache
def _installed(group: str, *_path: str) -> EntryPoints:
    """Return the entry points of a group on a path, whose folders are all read for it."""
    return entry_points(group=group)
