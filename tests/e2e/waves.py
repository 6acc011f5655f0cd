"""Checks of waves and of what lies beside them, which the tests of both engines make."""

import enum
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

__all__ = ["check_waves", "declared"]


def declared(waves: Path) -> set[tuple[str, str]]:
    """Return the signals of a VCD file: path, and bits as in ``[7:0]`` or nothing."""
    header = waves.read_text().partition("$enddefinitions")[0]
    scopes: list[str] = []
    found = set[tuple[str, str]]()
    for kind, rest in re.findall(r"\$(scope|upscope|var) (.*?) ?\$end", header):
        words = rest.split()
        if kind == "scope":
            scopes.append(words[1])
        elif kind == "upscope":
            scopes.pop()
        else:
            found.add((".".join([*scopes, words[3]]), "".join(words[4:])))
    assert not scopes
    return found


def check_waves(waves: Path, told: str, enums: Mapping[str, Iterable[enum.Enum]]) -> None:
    """Check a file of waves, its announced size, and the files that open it in viewers.

    Parameters
    ----------
    waves : a VCD file, ``NAME.vcd``.
    told : what the command said on stderr.
    enums : the enumerations that are to be named, by the signal that has them.
    """
    announced = re.search(r"record waves of 1 input, about ([0-9.]+) MB", told)
    assert announced is not None, told
    size = waves.stat().st_size / 1e6
    assert size / 2 < float(announced[1]) < 2 * size

    signals = declared(waves)
    lines = waves.with_suffix(".gtkw").read_text().splitlines()
    assert lines[0] == f'[dumpfile] "{waves}"'
    shown = [line for line in lines if line[0] not in "[@-^"]
    assert shown
    assert set(shown) <= {path + bits for path, bits in signals}
    filters = {
        signal.partition("[")[0]: Path(line.partition(" ")[2])
        for line, signal in pairwise(lines)
        if line.startswith("^")
    }
    commands = [
        line.split(maxsplit=1) for line in waves.with_suffix(".sucl").read_text().split("\n")
    ]
    assert commands[0] == ["load_file", str(waves)]
    added = [command[1] for command in commands if command[:1] == ["variable_add"]]
    assert added == [line.partition("[")[0] for line in shown]
    formats = {
        variable[1]: command[1]
        for variable, command in pairwise(commands)
        if command[:1] == ["item_set_format"]
    }
    assert set(filters) == set(formats) == set(enums)
    for signal, members in enums.items():
        rows = [f"{member.value} {member.name}" for member in members]
        assert filters[signal].read_text().splitlines() == rows
        mapping = waves.parent / ".surfer" / "mappings" / filters[signal].name
        name, bits, *mapped = mapping.read_text().splitlines()
        (high,) = (bits.strip("[]").split(":")[0] for path, bits in signals if path == signal)
        assert (name, bits) == (f"Name = {formats[signal]}", f"Bits = {int(high) + 1}")
        assert mapped == rows
