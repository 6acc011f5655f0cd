"""What ``run`` and ``verify`` print as JSON of images for EIE alone."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from zeroskip.cli.output import print_line
from zeroskip.compiler import Image
from zeroskip.hw.eie.formats import StallClass
from zeroskip.sim import RunResult, VerifyResult
from zeroskip.sim.eie.metrics import RunMetrics
from zeroskip.sim.scnn.result import CnnResult

__all__ = ["is_exact", "pe_cycles", "print_clipped", "print_moves", "verify_document"]


def pe_cycles(image: Image, result: RunResult) -> dict[str, dict[str, int]] | None:
    """Sum up each layer's stall classes over inputs and PEs; None without counters."""
    if result.counters is None:
        return None
    # Every PE's classes add up to the cycles of the layer, so the sum over PEs does to N times.
    sums = result.counters.sum(axis=(0, 2))
    return {
        layer.name: {c.name.lower(): int(sums[i, c]) for c in StallClass}
        for i, layer in enumerate(image.network.layers)
    }


def print_moves(result: RunResult | CnnResult) -> None:
    """Print what the host's moves between runs take, which no cycles of layers have in them."""
    moves = result.reload_cycles
    if moves is None:
        return
    if not moves.any():
        print_line("host's moves between runs: none")
        return
    print_line(
        f"host's moves between runs, in addition: {moves.mean():.1f} cycles (mean; the first input "
        f"{moves[0]})"
    )


def print_clipped(result: RunResult | CnnResult) -> None:
    """Print how many numbers of the inputs did not fit, and what to do about it."""
    for line in result.clipped.lines() if result.clipped is not None else ():
        print_line(line)


def is_exact(result: VerifyResult, metrics: RunMetrics) -> bool:
    """Whether nothing differs, and no counters contradict each other."""
    return result.ok and not metrics.problems


def verify_document(image: Path, result: VerifyResult, metrics: RunMetrics) -> dict[str, Any]:
    """Return the document of a verification."""
    cycles, counters = result.rtl.cycles, result.rtl.counters
    assert cycles is not None
    layers = None
    if counters is not None:
        # All PEs count the same cycles, which `measure` checks.
        per_layer = counters[:, :, 0].sum(axis=(0, 2))
        layers = {m.name: int(c) for m, c in zip(metrics.layers, per_layer, strict=True)}
    clipped = result.model.clipped
    return {
        "image": str(image),
        "exact": is_exact(result, metrics),
        "inputs": metrics.inputs,
        "clipped_inputs": None if clipped is None else clipped.to_dict(),
        "words": result.words,
        "differ": result.differ,
        "differences": [asdict(one) for one in result.differences],
        "counters": result.counters,
        "cycles_differ": result.cycles_differ,
        "cycle_differences": [asdict(one) for one in result.cycle_differences],
        "problems": [*result.problems, *metrics.problems],
        "cycles": {
            "total": int(cycles.sum()),
            "per_input": cycles.tolist(),
            "per_layer": layers,
        },
        "reload_cycles": None
        if result.rtl.reload_cycles is None
        else result.rtl.reload_cycles.tolist(),
        "metrics": metrics.to_dict(),
    }
