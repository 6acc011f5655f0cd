"""Count reads and writes of every SRAM in waves of a run, as the RTL has made them."""

import re
from collections import Counter
from pathlib import Path

__all__ = ["sram_accesses"]

_ENABLES = {"rd_en": "read", "wr_en": "write"}


def sram_accesses(waves: Path, *, idle: bool = False) -> Counter[tuple[str, str]]:
    """Count the cycles of runs in which SRAMs are read or written.

    Parameters
    ----------
    waves : a VCD file of an array.
    idle : count while no run is under way, too.

    Returns
    -------
    By path of the SRAM in the array, without its top, and ``read`` or ``write``: the clock's rising
    edges in a phase that is not 0, which is IDLE.
    """
    header, _, changes = waves.read_text().partition("$enddefinitions $end")
    scopes: list[str] = []
    names: dict[str, list[tuple[str, str]]] = {}
    tops: dict[str, str] = {}
    for kind, rest in re.findall(r"\$(scope|upscope|var) (.*?) ?\$end", header):
        words = rest.split()
        if kind == "scope":
            scopes.append(words[1])
        elif kind == "upscope":
            scopes.pop()
        elif words[3] in _ENABLES:
            names.setdefault(words[2], []).append((".".join(scopes), _ENABLES[words[3]]))
        elif words[3] in ("clk", "control__phase"):
            tops.setdefault(words[3], words[2])
    found: Counter[tuple[str, str]] = Counter()
    values: dict[str, str] = {}
    after: dict[str, str] = {}
    for block in re.split(r"^#\d+\n", changes, flags=re.MULTILINE):
        after = {}
        for line in block.splitlines():
            if line[:1] in ("0", "1"):
                after[line[1:]] = line[0]
            elif line[:1] == "b":
                value, _, name = line[1:].partition(" ")
                after[name] = value
        rises = after.get(tops["clk"]) == "1" and values.get(tops["clk"]) == "0"
        # What was there before the edge is what the edge takes.
        if rises and (idle or int(values.get(tops["control__phase"], "0"), 2)):
            for name, paths in names.items():
                if values.get(name) == "1":
                    found.update(paths)
        values |= after
    return found
