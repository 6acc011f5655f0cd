"""Networks that were trained here, and what a report says of each, which ``make zoo`` stores.

The page and the reports that it links to are rendered from ``docs/data/zoo``.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from generate.renew import DATA, commit
from zeroskip.base.tables import percent
from zeroskip.cli.compile import compile_for
from zeroskip.cli.demo_network import NETWORKS, DemoNetwork, load_task, train
from zeroskip.cli.output import Steps
from zeroskip.compiler.frontend.networks import import_file
from zeroskip.sim.page.accuracy import accuracies
from zeroskip.sim.page.contents import image_contents
from zeroskip.sim.page.page import page
from zeroskip.sim.run import run

__all__ = ["reports", "zoo_list", "zoo_table"]

_ZOO = DATA / "zoo"
_COUNTED = 16
"""Test samples whose cycles are counted; accuracy is of all."""

_NETWORKS: Mapping[str, DemoNetwork] = NETWORKS | {
    "vowels": DemoNetwork(
        "vowels",
        ("small",),
        ("placement=balance", "cells=yes"),
        ("JapaneseVowels: 270 utterances to train with, 370 to test; LSTM of 128, Linear of 9",),
    )
}


def _document(name: str) -> dict[str, Any]:
    """Train, compress and compile a network, and gather what there is to say of it."""
    network = _NETWORKS[name]
    with Steps() as steps, TemporaryDirectory() as folder:
        task, data = load_task(network.task, steps)
        made = train(task, steps)
        model = Path(folder) / f"{name}.pt2"
        made.save(model)
        x, y = data.test_x.numpy(), data.test_y.numpy()
        image = compile_for(network.arrays, model, data.train_x.numpy(), name=name, progress=steps)
        graph = import_file(model)
        found = image_contents(image, x[:_COUNTED], y[:_COUNTED], steps, model=graph)
        shares = accuracies(image, run(image, x, progress=steps), x, y, graph)
    scores = list(made.result.scores.values())
    return {
        "about": " ".join(network.about),
        "commit": commit(),
        "trained": scores[0].accuracy,
        "tested": len(y),
        "report": _rounded({**found, "accuracy": shares}),
    }


def _rounded(value: Any) -> Any:
    """Round what JSON would write with 17 digits."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: _rounded(entry) for key, entry in value.items()}
    return [_rounded(entry) for entry in value] if isinstance(value, list | tuple) else value


def _stored() -> dict[str, dict[str, Any]]:
    return {
        name: json.loads((_ZOO / f"{name}.json").read_text())
        for name in _NETWORKS
        if (_ZOO / f"{name}.json").exists()
    }


def zoo_table() -> str:
    """Return a row for each network, with a link to its report."""
    head = ["report of", "weights", "density", "trained", "compressed", "fixed point", "cycles",
            "speed-up"]  # fmt: skip
    lines = [head, ["---"] + ["---:"] * 7]
    for name, document in _stored().items():
        summary, accuracy = document["report"]["summary"], document["report"]["accuracy"]
        shares = document["trained"], accuracy["float"], accuracy["fixed"]
        lines.append([
            f'<a href="reports/{name}.html">{name}</a>',
            f"{summary['weights']:,}",
            percent(summary["density"]),
            *map(percent, shares),
            f"{summary['cycles']:,.0f}",
            f"{summary['speed-up']:.2f} x",
        ])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def zoo_list() -> str:
    """Return what each network is, the array that it was compiled for, and when."""
    return "\n".join(
        f"- `{name}`: {document['about']}; on {document['report']['arrays']}; commit "
        f"{document['commit']}"
        for name, document in _stored().items()
    )


def reports() -> dict[str, str]:
    """Return the report of each network, and of the first two side by side, by name."""
    found = {name: document["report"] for name, document in _stored().items()}
    pages = {name: page([report]) for name, report in found.items()}
    return pages | {"two": page([*found.values()][:2])}


if __name__ == "__main__":
    _ZOO.mkdir(exist_ok=True)
    for wanted in sys.argv[1:] or _NETWORKS:
        print(f"docs/data/zoo/{wanted}.json", flush=True)
        (_ZOO / f"{wanted}.json").write_text(json.dumps(_document(wanted)) + "\n")
