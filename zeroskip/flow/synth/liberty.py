"""Read what a report needs of a standard-cell library in liberty format."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from zeroskip.base.bounded import inflate
from zeroskip.base.errors import InputError
from zeroskip.flow.synth.function import evaluate

__all__ = [
    "OWN_LIBERTY", "OWN_MODELS", "UM2_PER_GE", "Cell", "Group", "Liberty", "parse_groups",
    "read_liberty",
]  # fmt: skip

_FOLDER = Path(__file__).parent

OWN_LIBERTY = _FOLDER / "zeroskip_ge.lib"
"""The library of gate equivalents, the metric unless another one is given."""

OWN_MODELS = _FOLDER / "zeroskip_ge.v"
"""Verilog of its cells."""

UM2_PER_GE = 0.798
"""Area of the smallest NAND2 of the usual open 45 nm library, in um2."""

# Strings first: they may hold anything. Groups are all that is nested.
_TOKENS = re.compile(r'/\*.*?\*/|"(?:[^"\\]|\\.)*"|[{}]', re.DOTALL)
_HEADER = re.compile(r"(\w+)\s*\(([^()]*)\)\s*$")
_SIZE_LIMIT = 1 << 30
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)

# What only cells have that nothing may be mapped to: those between power domains, and those that
# keep a state or stay on while others are off.
_AVOIDED = (
    "always_on", "dont_use", "is_isolation_cell", "is_level_shifter", "retention_cell",
    "switch_cell_type",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A cell: area in the library's unit, what it stores, its pins, and if it has delays.

    ``clock`` is the pin that a flip-flop's edges come to.
    """

    area: float
    sequential: bool = False
    inputs: tuple[str, ...] = ()
    functions: Mapping[str, str] = field(default_factory=dict)
    has_timing: bool = False
    clock: str | None = None


@dataclass(frozen=True)
class Liberty:
    """A library.

    Parameters
    ----------
    name : as the file says.
    text : of the file, without cells that nothing may be mapped to.
    cells : by name, without these; a name that is no word of Verilog is made one, in ``text``, too.
    nand2, ge : the smallest NAND2, and its area.
    buffer : the smallest buffer or, without one, inverter; drives inputs where delays count.
    has_timing : cells have delays.
    """

    name: str
    text: str
    cells: Mapping[str, Cell]
    nand2: str
    ge: float
    buffer: str
    has_timing: bool


@dataclass
class Group:
    """A group of a file: its kind and name, its own text, the groups in it, and where it stands."""

    kind: str
    name: str
    text: str = ""
    groups: list["Group"] = field(default_factory=list)
    begin: int = 0
    end: int = 0

    def value(self, name: str) -> str | None:
        """Return an attribute; None without it."""
        found = re.search(rf'(?<!\w){name}\s*:\s*("[^"]*"|[^;"\n]+)', self.text)
        return found[1].strip().strip('"').strip() if found else None


def read_liberty(path: Path) -> Liberty:
    """Read ``path``, a ``.lib`` file or one packed by gzip.

    Raises
    ------
    InputError
        If it cannot be read, is no library, or lacks a NAND2, an inverter or a flip-flop.
    """
    text = _read(path)
    library = parse_groups(text, path)
    groups = [group for group in library.groups if group.kind == "cell"]
    if any(not _WORD.fullmatch(group.name) for group in groups):
        text = _with_plain_names(text, groups)
        library = parse_groups(text, path)
        groups = [group for group in library.groups if group.kind == "cell"]
    cells = {group.name: _cell(group, path) for group in groups if not _is_avoided(group)}
    for group in reversed(groups):
        if group.name not in cells:
            text = text[: group.begin] + text[group.end :]
    if not groups:
        raise InputError(f"liberty file {path} has no cells; name a standard-cell library")
    nand2 = [
        (cell.area, name)
        for name, cell in cells.items()
        if _is(cell, 2, lambda a, b: not (a and b))
    ]
    drivers = [
        (count, cell.area, name)
        for name, cell in cells.items()
        for count, same in ((0, lambda a: a), (1, lambda a: not a))
        if _is(cell, 1, same)
    ]
    for what, found in (
        ("NAND2", nand2),
        ("inverter or buffer", drivers),
        (
            "flip-flop",
            [c for c in groups if c.name in cells and any(g.kind == "ff" for g in c.groups)],
        ),
    ):
        if not found:
            raise InputError(
                f"liberty file {path} has no {what}, without which nothing can be mapped to it; "
                "name a complete standard-cell library"
            )
    return Liberty(
        library.name,
        text,
        cells,
        min(nand2)[1],
        min(nand2)[0],
        min(drivers)[2],
        any(cell.has_timing for cell in cells.values()),
    )


def _with_plain_names(text: str, cells: list[Group]) -> str:
    """Rename cells so that each name is a word of Verilog, which all programs take."""
    taken = {cell.name for cell in cells}
    for cell in reversed(cells):
        if not _WORD.fullmatch(cell.name):
            name = "c_" + re.sub(r"\W", "_", cell.name, flags=re.ASCII)
            while name in taken:
                name += "_"
            taken.add(name)
            end = text.index("{", cell.begin)
            text = f"{text[: cell.begin]}cell ({name}) {text[end:]}"
    return text


def _read(path: Path) -> str:
    if not path.is_file():
        reason = "is a folder" if path.is_dir() else "is no file" if path.exists() else ""
        raise InputError(
            f"liberty file {path} {reason or 'does not exist'}; name a .lib or .lib.gz file"
        )
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = inflate(content, _SIZE_LIMIT)
    except (OSError, ValueError) as error:
        raise InputError(f"liberty file {path} cannot be read: {error}") from error
    # Yosys takes neither the mark that some editors begin a file with nor their ends of lines.
    return content.decode("utf-8-sig", "replace").replace("\r\n", "\n")


def parse_groups(text: str, path: Path) -> Group:
    """Read the groups of the file; return the library's."""
    root = Group("", "")
    stack, begin = [root], 0
    for token in _TOKENS.finditer(text):
        mark = token[0]
        if mark[0] in '"/':
            if mark[0] == "/":
                stack[-1].text += text[begin : token.start()]
                begin = token.end()
            continue
        between = text[begin : token.start()]
        begin = token.end()
        if mark == "}":
            stack[-1].text += between
            stack.pop().end = token.end()
            if not stack:
                break
            continue
        header = _HEADER.search(stack[-1].text[-200:] + between)
        if header is None:
            line = text.count("\n", 0, token.start()) + 1
            raise InputError(f"liberty file {path} does not parse: line {line} opens no group")
        stack[-1].text += between
        group = Group(header[1], header[2].strip().strip('"'))
        opened = _HEADER.search(text, max(0, token.start() - 500), token.start())
        group.begin = token.start() if opened is None else opened.start()
        stack[-1].groups.append(group)
        stack.append(group)
    if len(stack) != 1:
        raise InputError(
            f"liberty file {path} does not parse: braces do not match, as if it were cut off"
        )
    libraries = [group for group in root.groups if group.kind == "library"]
    if len(libraries) != 1:
        count = len(libraries) or "no"
        raise InputError(
            f"liberty file {path} does not parse: it has {count} groups 'library' instead of one"
        )
    return libraries[0]


def _is_avoided(cell: Group) -> bool:
    """Tell if nothing may be mapped to a cell, by what its attributes say of it.

    Cells between power domains compute what plain gates do, but must stand where domains meet.
    Where a cell with outputs has area 0, a netlist of it would look too small.
    """
    if any(cell.value(name) not in (None, "false") for name in _AVOIDED):
        return True
    does = any(
        group.kind == "pin" and group.value("direction") == "output" for group in cell.groups
    )
    try:
        return does and float(cell.value("area") or 1) == 0
    except ValueError:
        return False


def _cell(group: Group, path: Path) -> Cell:
    pins = [pin for pin in group.groups if pin.kind == "pin"]
    outputs = [pin for pin in pins if pin.value("direction") == "output"]
    clocks = [inner.value("clocked_on") for inner in group.groups if inner.kind == "ff"]
    return Cell(
        _area(group, path, needed=bool(outputs)),
        any(inner.kind in ("ff", "latch") for inner in group.groups),
        tuple(pin.name for pin in pins if pin.value("direction") == "input"),
        {pin.name: pin.value("function") or "" for pin in outputs},
        any(inner.kind == "timing" for pin in outputs for inner in pin.groups),
        next((re.sub(r"\W", "", text) for text in clocks if text), None),
    )


def _area(group: Group, path: Path, *, needed: bool) -> float:
    """Read a cell's area; a cell with outputs must have one, or a netlist's would be too small."""
    text = group.value("area")
    try:
        area = float(text or 0)
    except ValueError:
        area = math.nan
    if not 0 <= area < math.inf or (needed and not area):
        has = "no area" if text is None else f"area {text!r}"
        raise InputError(
            f"liberty file {path} does not parse: cell {group.name} has {has}, where a number "
            "above 0 is needed"
        )
    return area


def _is(cell: Cell, count: int, wanted: object) -> bool:
    """Tell if a cell without state has ``count`` inputs, one output, and the wanted function."""
    if cell.sequential or len(cell.inputs) != count or len(cell.functions) != 1:
        return False
    (function,) = cell.functions.values()
    assert callable(wanted)
    try:
        return all(
            evaluate(function, dict(zip(cell.inputs, bits, strict=True))) == bool(wanted(*bits))
            for bits in product((False, True), repeat=count)
        )
    except ValueError:
        return False
