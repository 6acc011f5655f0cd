"""``zeroskip verify``: golden, cycle model and RTL, every word and every cycle."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from compiler import Image
from scripts.cli.files import read_npy
from scripts.cli.options import ImageArgument, InputOption, JsonOption
from scripts.cli.output import Steps, print_json, print_line
from scripts.cli.tables import print_metrics
from sim import VerifyResult, verify
from sim.metrics import RunMetrics, measure

__all__ = ["EXAMPLES", "verdict", "verify_image"]

EXAMPLES = """Examples:

zeroskip verify out/model --input x.npy

zeroskip verify out/model --input x.npy --json
"""


def verify_image(
    image: ImageArgument,
    inputs: InputOption,
    as_json: JsonOption = False,
) -> int:
    """Run inputs on golden, cycle model and RTL; compare every word and every cycle counter.

    Exits with 1 if a word or a counter differs, or the hardware does not come to an end.
    """
    compiled = Image.load(image)
    x = read_npy(inputs, "input")
    with Steps() as steps:
        result = verify(compiled, x, progress=steps)
    metrics = measure(compiled, x, result)
    if as_json:
        print_json(_document(image, result, metrics))
    else:
        print_metrics(metrics)
        for line in verdict(result, metrics):
            print_line(line)
    return int(not _exact(result, metrics))


def verdict(result: VerifyResult, metrics: RunMetrics) -> list[str]:
    """Return the first differences and contradictions, and last what the comparison says."""
    lines = [str(one) for one in result.differences]
    if result.differ > len(result.differences):
        lines.append(f"... and {result.differ - len(result.differences)} differences more")
    lines += [str(one) for one in result.cycle_differences]
    lines += metrics.problems[:10]
    lines.append(f"cycle model: {result.counters} counters compared, {result.cycles_differ} differ")
    exact = "bit-exact" if not result.differ else "NOT bit-exact"
    return [*lines, f"{exact}: {result.words} words compared, {result.differ} differ"]


def _exact(result: VerifyResult, metrics: RunMetrics) -> bool:
    return result.ok and not metrics.problems


def _document(image: Path, result: VerifyResult, metrics: RunMetrics) -> dict[str, Any]:
    cycles, counters = result.rtl.cycles, result.rtl.counters
    assert cycles is not None
    layers = None
    if counters is not None:
        # All PEs count the same cycles, which `measure` checks.
        per_layer = counters[:, :, 0].sum(axis=(0, 2))
        layers = {m.name: int(c) for m, c in zip(metrics.layers, per_layer, strict=True)}
    return {
        "image": str(image),
        "exact": _exact(result, metrics),
        "inputs": metrics.inputs,
        "words": result.words,
        "differ": result.differ,
        "differences": [asdict(one) for one in result.differences],
        "counters": result.counters,
        "cycles_differ": result.cycles_differ,
        "cycle_differences": [asdict(one) for one in result.cycle_differences],
        "problems": list(metrics.problems),
        "cycles": {
            "total": int(cycles.sum()),
            "per_input": cycles.tolist(),
            "per_layer": layers,
        },
        "metrics": metrics.to_dict(),
    }
