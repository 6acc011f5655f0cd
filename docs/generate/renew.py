"""Measure again what the evaluation pages show: ``make evaluations``, or one of them by name.

Each file of ``docs/data`` has the commands that made it, the commit they ran on, and what they
printed with ``--json``. Pages are rendered from these files alone.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

__all__ = ["COMMANDS", "DATA", "SWEPT", "commit", "measure", "stored"]

DATA = Path(__file__).parents[1] / "data"

SWEPT = ("layer", "cycles", "bound_no_padding_cycles", "nonzeros", "entry_bits_per_nonzero")
"""What is kept of the rows of a sweep."""

_FIVE = "--preset paper --set run_bits=5"
_FIRST = f"{_FIVE} --set pointers_first=yes"

COMMANDS: dict[str, dict[str, str]] = {
    "eie": {"all": "bench --engine eie"},
    "eie-rtl": {"all": "bench --engine eie --on rtl"},
    # One idea after the other, from the paper's array to the best one, and what does not pay.
    "eie-steps": {
        title: f"sweep {options} -o TABLE.csv"
        for title, options in {
            "`paper` preset": "--preset paper",
            "run lengths of 5 bits": _FIVE,
            "rows balanced over PEs": f"{_FIVE} --set placement=balance",
            "pointers read before the queue, so that empty columns take no entry": (
                f"{_FIRST} --set placement=balance"
            ),
            "queues of 16": f"{_FIRST} --set placement=balance --set queue_depth=16",
            "padding taken together with the entry after it": (
                f"{_FIRST} --set placement=balance --set queue_depth=16 --set skip_padding=yes"
            ),
            "columns in an order that keeps the PEs abreast: the `best` preset": "--preset best",
            "`best` with run lengths of 4 bits": "--preset best --set run_bits=4",
            "`best` with run lengths of 6 bits: a little faster, too many bits": (
                "--preset best --set run_bits=6"
            ),
            "`best` with the queue before the pointers": "--preset best --set pointers_first=no",
            "`best` with queues of 256: what queues can still buy": (
                "--preset best --set queue_depth=256"
            ),
        }.items()
    },
    # The second needs the package aeon.
    "lstm": {"cells": "bench lstm", "vowels": "bench lstm --task vowels"},
    "scnn": {"all": "bench --engine scnn"},
    "scnn-rtl": {
        "all": "bench --engine scnn --alone --on rtl "
        "--layers googlenet/3a/5x5_reduce,googlenet/5b/5x5,alexnet/conv3"
    },
}


def measure(command: str) -> Any:
    """Run a command of Zeroskip in a folder of its own and return its JSON document.

    Of a sweep, that is the rows, with the columns of ``SWEPT``.
    """
    words = [sys.executable, "-m", "zeroskip", *command.split(), "--json"]
    with TemporaryDirectory() as folder:
        done = subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    document = json.loads(done.stdout)
    if command.startswith("sweep"):
        return [{key: row[key] for key in SWEPT} for row in document["rows"]]
    return document


def stored(name: str) -> dict[str, Any]:
    """Return what ``docs/data/NAME.json`` has."""
    return json.loads((DATA / f"{name}.json").read_text())


def commit() -> str:
    """Return the commit that is checked out."""
    words = ["git", "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def _renew(name: str) -> None:
    document = {
        "commit": commit(),
        "runs": {
            title: {"command": f"zeroskip {command} --json", "result": measure(command)}
            for title, command in COMMANDS[name].items()
        },
    }
    (DATA / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or COMMANDS:
        print(f"docs/data/{wanted}.json", flush=True)
        _renew(wanted)
