"""Tables of recurrent layers, from what ``generate.renew`` stored."""

from itertools import groupby
from typing import Any

from generate.evaluations import made_by
from generate.renew import stored

__all__ = ["lstm_cells", "lstm_changes", "made_by"]

_ABOUT = {
    "ESE": "ESE, 153 inputs, 1,024 units with peepholes, projection to 512, 11.2 %",
    "NT-LSTM": "NT-LSTM, 600 inputs, 600 units, 10 %",
}


def _result(run: str) -> Any:
    return stored("lstm")["runs"][run]["result"]


def lstm_changes(task: str) -> str:
    """Return cycles and accuracy, or perplexity, of a task by threshold of changes."""
    found = _result(task)
    percent = found["measure"] == "accuracy"
    header = [f"{task}, threshold", "useful MACs a step", "cycles a step", "over none"]
    header += [found["measure"], "change"]
    lines = [f"| {' | '.join(header)} |", "|---|---|---|---|---|---|"]
    for one in found["thresholds"]:
        none = one["delta"] is None
        change = f"{one['change']:+.2f}".replace("+0.00", "0.00").replace("-0.00", "0.00")
        cells = [
            "none" if none else f"{one['delta']:g}",
            f"{one['useful_macs']:,.0f}",
            f"{one['cycles']:,.1f}",
            f"{one['speedup']:.2f} x",
            f"{one['score']:.2f} %" if percent else f"{one['score']:.3f}",
            "" if none else change + ("" if percent else " %"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def lstm_cells() -> str:
    """Return what a step of published cells takes, beside what was published."""
    lines = [
        "| cell | PEs | pruning | rows | cycles | over the bound | over dense |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, group in groupby(_result("cells")["cells"], lambda one: one["name"]):
        ways = list(group)
        first = ways[0]
        # Of what was published, over the same bound and the same products.
        dense = first["speedup"] * first["cycles"] / first["published"]
        over = first["published"] * first["over_bound"] / first["cycles"]
        lines.append(
            f"| {_ABOUT[name]} | {first['num_pes']} | as published | | {first['published']:,} "
            f"| {over:.3f} x | {dense:.1f} x |"
        )
        for one in ways:
            rows = {"interleave": "interleaved", "schedule": "placed"}[one["placement"]]
            lines.append(
                f"| | | {one['pruning']} | {rows} | {one['cycles']:,} "
                f"| {one['over_bound']:.3f} x | {one['speedup']:.2f} x |"
            )
    return "\n".join(lines)
