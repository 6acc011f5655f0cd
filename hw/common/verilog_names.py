r"""Plain names in generated Verilog: no ``\name$3`` that other tools stumble over."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from zeroskip.hw.common.sram import SRAM_MODULES
from zeroskip.hw.common.verilog_keywords import KEYWORDS

__all__ = ["plain_names"]

# Yosys puts a declaration, an assignment and a connection on a line of its own.
_MODULE = re.compile(r"^module (\\\S+ |\w+) ?\(.*?^endmodule\n", re.DOTALL | re.MULTILINE)
_INSTANCE = re.compile(
    r"^  (\\\S+ |[A-Za-z_]\w*) (?:#\([^;]*?\n  \) )?(\\\S+ |[A-Za-z_]\w*) \(\n(.*?)^  \);$",
    re.DOTALL | re.MULTILINE,
)
_CONNECTION = re.compile(r"^    \.(\\\S+ |\w+)\((.*)\),?$", re.MULTILINE)
_ASSIGN = re.compile(r"^  assign (\\\S+ |\w+) = (.*);$", re.MULTILINE)
_SLICE = re.compile(
    r"^  assign (\\\S+ ) = \\?([A-Za-z_][^\s\[]*) ?\[\d+(?::\d+)?\];$", re.MULTILINE
)
_ESCAPED = re.compile(r"\\(\S+) ")
_WHOLE = re.compile(r"\\(\S+) *|([A-Za-z_]\w*)")


def plain_names(text: str, outside: str = "") -> str:
    r"""Replace every name that Verilog would have to escape.

    Fields get two underscores for their dot, keywords a number. A port or wire that has no name of
    its own is called after the vector that it is an element of, or after what it is connected to,
    within the module or around it; of two signals of one name, that of an instance is called
    after instance and port; intermediate results are numbers between underscores.

    Parameters
    ----------
    text : modules as Yosys writes them, the top among them.
    outside : what names of modules begin with that are instances in the text and not defined in
        it; SRAMs keep theirs.

    Raises
    ------
    ValueError
        If a port of the top module would get another name.
    """
    modules = {_bare(found[1]): _Module(found.group()) for found in _MODULE.finditer(text)}
    names: dict[str, str] = {}
    for name in modules:
        names[name] = _unused(_plain(name), {*names.values()})
    inner = {type_ for one in modules.values() for type_, _, _ in one.instances}
    for top in [name for name in modules if name not in inner]:
        _name_below(top, modules, {})
        for port in modules[top].ports:
            if port in modules[top].names:
                raise ValueError(f"a port of {top} cannot be called {port} in Verilog")

    def named(module: str) -> str:
        """Return the new name of a module."""
        return names.get(module) or (module if module in SRAM_MODULES else outside + module)

    return _MODULE.sub(
        lambda found: modules[_bare(found[1])].write(
            named, {name: one.names for name, one in modules.items()}
        ),
        text,
    )


@dataclass
class _Module:
    """A module's text, and the names that it gets."""

    text: str
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.instances = [
            (
                _bare(found[1]),
                _bare(found[2]),
                {_bare(port): actual.strip() for port, actual in _CONNECTION.findall(found[3])},
            )
            for found in _INSTANCE.finditer(self.text)
        ]
        self.ports = [_bare(one) for one in re.findall(r"\\\S+ |\w+", self._head())[2:]]
        # What is written without a backslash keeps its name.
        self.used = {*KEYWORDS, *re.findall(r"(?<![\\\w$.])[A-Za-z_]\w*", self.text)}
        self._elements = _elements(self.text)
        self._same = _same(self.text)
        self._slices = {
            _bare(target): _plain(source.split("$")[0])
            for target, source in _SLICE.findall(self.text)
        }

    def _head(self) -> str:
        return "module " + self.text.removeprefix("module ").split(";", 1)[0]

    def give_names(self, around: Mapping[str, str]) -> None:
        """Name everything; ``around`` are the names outside of what ports are connected to."""
        modules = {type_ for type_, _, _ in self.instances} | {_bare(self.text.split(" ", 1)[1])}
        escaped = dict.fromkeys(_ESCAPED.findall(_without_ports(self.text)))
        # First what has a name, then ports, then what may be called after them.
        for rank in (_has_name, lambda name: name in self.ports, lambda _: True):
            for name in escaped:
                if name not in self.names and name not in modules and rank(name):
                    self._give(name, self._candidate(name, around))

    def _give(self, name: str, wanted: str) -> None:
        self.names[name] = _unused(wanted, self.used)
        self.used.add(self.names[name])

    def _candidate(self, name: str, around: Mapping[str, str]) -> str:
        """Say what a signal, instance or memory should be called."""
        if _has_name(name):
            return _plain(name)
        base = _plain(name.split("$", 1)[0])
        if base and base != "port":
            found = self._instance_port(name)
            return found if found and found.endswith(base) else base
        if name in self.ports or base:
            found = self._element(name) or around.get(name) or self._instance_port(name)
            return found or self._slices.get(name) or "anonymous"
        if name.startswith("$auto$"):
            return "at_start"
        return f"_{name.strip('$').replace('$', '_')}_"

    def _element(self, name: str) -> str | None:
        """Find the vector that a signal is an element of."""
        for alias in (name, *self._same.get(name, ())):
            if alias in self._elements:
                return self._elements[alias]
        return None

    def _instance_port(self, name: str) -> str | None:
        """Find the instance that a signal is connected to as a whole."""
        for _, instance, connected in self.instances:
            for port, actual in connected.items():
                if actual == f"\\{name}" and _has_name(port):
                    return _plain(f"{instance}_{port}")
        return None

    def write(self, module: Callable[[str], str], ports: Mapping[str, Mapping[str, str]]) -> str:
        """Return the text with new names; ``ports`` are those of the modules in it."""

        def connect(found: re.Match[str]) -> str:
            type_ = _bare(found[1])
            known = ports.get(type_, {})
            text = found.group().removeprefix(f"  {found[1]}")
            text = _CONNECTION.sub(
                lambda one: one.group().replace(
                    f".{one[1]}(", f".{known.get(_bare(one[1]), _bare(one[1]))}(", 1
                ),
                text,
            )
            return f"  {module(type_)}{text}"

        name = self._head().split("(")[0].removeprefix("module ")
        text = self.text.replace(f"module {name}", f"module {module(_bare(name))} ", 1)
        text = _INSTANCE.sub(connect, text)
        return _ESCAPED.sub(lambda found: self.names[found[1]], text)


def _name_below(top: str, modules: Mapping[str, _Module], around: Mapping[str, str]) -> None:
    """Name the signals of a module and of those in it, from the top down."""
    outer = modules[top]
    outer.give_names(around)
    for type_, _, connected in outer.instances:
        if type_ in modules:
            outside = {}
            for port, actual in connected.items():
                found = re.match(r"\\(\S+)|(\w+)", actual)
                if found:
                    name = found[2] or outer.names[found[1]]
                    if re.match(r"[A-Za-z]", name):
                        outside[port] = name
            _name_below(type_, modules, outside)


def _elements(text: str) -> dict[str, str]:
    """Name signals that named vectors are put together from by the vector and their number."""
    found: dict[str, tuple[int, str]] = {}
    for target, value in _ASSIGN.findall(text):
        vector = _plain(_bare(target).split("$")[0])
        if vector in ("", "port") or not value.startswith("{"):
            continue
        parts = value.strip("{} ").split(",")
        for number, part in enumerate(reversed(parts)):
            if whole := _WHOLE.fullmatch(part.strip()):
                name = whole[1] or whole[2]
                # Of a vector and a part of it, the vector.
                if len(parts) > found.get(name, (0, ""))[0]:
                    found[name] = len(parts), f"{vector}_{number}"
    return {name: new for name, (_, new) in found.items()}


def _same(text: str) -> dict[str, list[str]]:
    """Find pairs of signals that are one."""
    found: dict[str, list[str]] = {}
    for target, value in _ASSIGN.findall(text):
        if whole := _WHOLE.fullmatch(value):
            one, other = _bare(target), whole[1] or whole[2]
            found.setdefault(one, []).append(other)
            found.setdefault(other, []).append(one)
    return found


def _without_ports(text: str) -> str:
    """Leave out the names of the ports that instances are connected at."""
    return _CONNECTION.sub(lambda found: f"({found[2]})", text)


def _bare(name: str) -> str:
    """Return a name without what escapes it."""
    found = re.match(r"\\?([^\s(]+)", name)
    assert found is not None
    return found[1]


def _has_name(name: str) -> bool:
    return "$" not in name


def _plain(name: str) -> str:
    """Return a name of letters, digits and underscores."""
    return re.sub(r"\W+", "_", name.replace(".", "__")).strip("_")


def _unused(name: str, used: set[str]) -> str:
    """Return ``name``, with a number if it is already used."""
    numbers: Iterator[int] = iter(range(2, len(used) + 3))
    new = name
    while new in used:
        new = f"{name}_{next(numbers)}"
    return new
