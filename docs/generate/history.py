"""Figures of all commits, from git, which ``make history`` stores.

The page is rendered from ``docs/data/history.json``, so that it needs no git.
"""

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from generate.renew import DATA

__all__ = ["history_commit", "history_of", "history_tests"]

_ROOT = DATA.parents[1]
_STORED = DATA / "history.json"
_BOARD = re.compile(r"^\| ([^|]+?) \|(?:[^|]*\|){2} ([\d.]+) MHz \|", re.MULTILINE)


def _eie_cycles(text: str) -> dict[str, float]:
    layers = json.loads(text)["runs"]["all"]["result"]["layers"]
    return {
        f"preset {preset}": sum(layer[preset]["cycles"] for layer in layers)
        for preset in ("paper", "best")
    }


def _scnn_cycles(text: str) -> dict[str, float]:
    result = json.loads(text)["runs"]["all"]["result"]
    networks = result["networks"] | result.get("others", {})
    found = {name: network.get("total_cycles") for name, network in networks.items()}
    return {name: cycles for name, cycles in found.items() if cycles}


def _areas(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for design, facts in json.loads(text).items():
        whole = "array" if "array" in facts["units"] else "pe"
        found[f"{design}, {whole}"] = round(facts["units"][whole]["logic_ge"])
    return found


def _fmax(text: str) -> dict[str, float]:
    return {board: float(mhz) for board, mhz in _BOARD.findall(text)}


_SERIES: Mapping[str, tuple[Sequence[str], Callable[[str], dict[str, float]]]] = {
    "eie": (["docs/data/eie.json"], _eie_cycles),
    "scnn": (["docs/data/scnn.json"], _scnn_cycles),
    "area": (["zeroskip/flow/synth/area-baseline.json", "docs/area-baseline.json"], _areas),
    "fmax": (["docs/fpga.md", "README.md"], _fmax),
}
"""Where figures stand, today and formerly, and what reads them there."""


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=_ROOT, capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout


def _changes(paths: Sequence[str], read: Callable[[str], dict[str, float]]) -> list[dict[str, Any]]:
    """Return the commits at which figures changed, the oldest first."""
    found: list[dict[str, Any]] = []
    last: dict[str, float] = {}
    for line in _git(
        "log", "--reverse", "--format=%h %cs", "--abbrev=10", "--", *paths
    ).splitlines():
        commit, date = line.split()
        present = _git("ls-tree", "--name-only", commit, "--", *paths).splitlines()
        values: dict[str, float] = {}
        for path in (path for path in paths if path in present):
            try:
                values = read(_git("show", f"{commit}:{path}"))
            except (LookupError, TypeError, ValueError, AttributeError):
                continue  # written by a version of the tools that stored something else
            if values:
                break
        if values and values != last:
            found.append({"commit": commit, "date": date, "values": values})
            last = values
    return found


def _renew() -> None:
    before = json.loads(_STORED.read_text()) if _STORED.exists() else {}
    tests = before.get("tests", [])
    for run in sorted((_ROOT / "out/tests").glob("*.json")):
        record = json.loads(run.read_text())
        if record not in tests:
            tests.append(record)
    document = {
        "commit": _git("rev-parse", "--short=10", "HEAD").strip(),
        "series": {name: _changes(*how) for name, how in _SERIES.items()},
        "tests": tests,
    }
    _STORED.write_text(json.dumps(document, indent=1) + "\n")


def history_of(name: str) -> str:
    """Return a table of the commits at which figures of a series changed, the newest first."""
    changes = json.loads(_STORED.read_text())["series"][name]
    labels = list(dict.fromkeys(label for change in changes for label in change["values"]))
    rows: list[list[str]] = []
    last: dict[str, float] = {}
    for change in changes:
        known = {**last, **change["values"]}
        cells = [
            f"{known[label]:,}" if label in known and known[label] != last.get(label) else ""
            for label in labels
        ]
        rows.append([_date(change), f"`{change['commit']}`", *cells])
        last = known
    return _table(["date", "commit", *labels], rows[::-1])


def history_tests() -> str:
    """Return a table of whole runs of a tier of tests that were stored."""
    rows = [
        [_date(run), f"`{run['commit']}`", run["tier"], f"{run['tests']:,}", f"{run['seconds']:,}",
         f"{run['cpu_seconds']:,}", f"{run['cores']}"]
        for run in json.loads(_STORED.read_text())["tests"][::-1]
    ]  # fmt: skip
    head = ["date", "commit", "tier", "tests", "seconds", "seconds of CPU", "cores"]
    return _table(head, rows) if rows else "None is stored yet."


def _date(entry: Mapping[str, Any]) -> str:
    """Return a date that a narrow column does not break."""
    return entry["date"].replace("-", "\N{NON-BREAKING HYPHEN}")


def history_commit() -> str:
    """Return the commit up to which figures were read."""
    return json.loads(_STORED.read_text())["commit"]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * 2 + ["---:"] * (len(header) - 2), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    _renew()
