"""What ``run`` and ``verify`` print as JSON of images that are for both engines."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from zeroskip.cli.cnn_tables import print_cnn_metrics
from zeroskip.cli.eie_run import pe_cycles, print_clipped, print_moves, verify_document
from zeroskip.cli.output import print_line
from zeroskip.compiler.scnn.image import CnnImage
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.sim.scnn.metrics import CnnMetrics
from zeroskip.sim.scnn.result import CnnResult
from zeroskip.sim.scnn.verify import CnnVerifyResult

__all__ = ["cnn_run_fields", "cnn_verdict", "cnn_verify_document", "print_cnn_verification"]


def cnn_run_fields(image: CnnImage, result: CnnResult) -> dict[str, Any]:
    """Return what a run's document has beside its outputs."""
    saturated = None
    if result.saturated is not None:
        saturated = [int(part.sum()) for part in result.saturated]
    scnn: dict[str, Any] | None = None
    if result.run_cycles is not None:
        scnn = {
            "cycles": result.run_cycles.sum(axis=1).tolist(),
            "run_cycles": result.run_cycles.tolist(),
            "multiplier_cycles": _multiplier_cycles(image, result),
        }
    eie: dict[str, Any] | None = None
    if image.tail is not None and result.tail is not None and result.tail.cycles is not None:
        eie = {
            "cycles": result.tail.cycles.tolist(),
            "pe_cycles": pe_cycles(image.tail, result.tail),
        }
    cycles, latency = result.cycles, result.latency
    return {
        "saturated": saturated,
        "cycles": None if cycles is None else cycles.tolist(),
        "reload_cycles": None if result.reload_cycles is None else result.reload_cycles.tolist(),
        "latency": None if latency is None else latency.tolist(),
        "scnn": scnn,
        "eie": eie,
    }


def _multiplier_cycles(image: CnnImage, result: CnnResult) -> dict[str, dict[str, int]] | None:
    """Sum up each layer's stall classes over inputs and PEs."""
    if result.counters is None:
        return None
    sums = result.counters.sum(axis=(0, 2))
    return {
        layer.name: {c.name.lower(): int(sums[at, c]) for c in StallClass}
        for at, layer in enumerate(image.network.graph.layers)
    }


def print_cnn_verification(image: CnnImage, result: CnnVerifyResult, metrics: CnnMetrics) -> None:
    """Print all tables, and last what the comparison says."""
    print_cnn_metrics(metrics)
    latency = result.rtl.latency
    if latency is not None and image.tail is not None:
        assert result.rtl.cycles is not None
        carried = float((latency - result.rtl.cycles).mean())
        print_line(
            f"on one chip, from start to classes: {latency.mean():.1f} cycles (mean), of which "
            f"{carried:.1f} hand SCNN's outputs to EIE"
        )
    print_moves(result.rtl)
    print_clipped(result.model)
    for line in cnn_verdict(result, metrics):
        print_line(line)


def cnn_verdict(result: CnnVerifyResult, metrics: CnnMetrics) -> list[str]:
    """Return the first differences and contradictions, and last what the comparison says."""
    lines = [str(one) for one in result.differences]
    if result.differ > len(result.differences):
        lines.append(f"... and {result.differ - len(result.differences)} differences more")
    lines += [str(one) for one in result.cycle_differences]
    lines += [*result.problems, *metrics.problems[:10]]
    lines.append(
        f"cycle models: {result.counters} counters compared, {result.cycles_differ} differ"
    )
    exact = "NOT bit-exact" if result.differ or result.problems else "bit-exact"
    return [*lines, f"{exact}: {result.words} words compared, {result.differ} differ"]


def cnn_verify_document(
    image: Path, compiled: CnnImage, result: CnnVerifyResult, metrics: CnnMetrics
) -> dict[str, Any]:
    """Return the document of a verification; ``scnn`` and ``eie`` have each engine's part."""
    scnn, rtl = result.scnn, result.rtl
    assert rtl.run_cycles is not None
    assert rtl.cycles is not None
    multipliers = compiled.params.num_pes * compiled.params.mults
    layers = None
    if rtl.counters is not None:
        # All PEs count the same cycles, which `measure_cnn` checks.
        sums = rtl.counters.sum(axis=(0, 2, 3)) // multipliers
        names = [layer.name for layer in compiled.network.graph.layers]
        layers = {
            name: int(cycles)
            for name, cycles in zip(names, sums, strict=True)
            if name in result.layers
        }
    eie = None
    if result.tail is not None:
        assert metrics.tail is not None
        eie = verify_document(image / "eie", result.tail, metrics.tail)
    clipped = result.model.clipped
    return {
        "image": str(image),
        "exact": result.ok and not metrics.problems,
        "inputs": metrics.inputs,
        "clipped_inputs": None if clipped is None else clipped.to_dict(),
        "words": result.words,
        "differ": result.differ,
        "counters": result.counters,
        "cycles_differ": result.cycles_differ,
        "on_chip": rtl.latency is not None,
        "latency": None if rtl.latency is None else rtl.latency.tolist(),
        "cycles": {"total": int(rtl.cycles.sum()), "per_input": rtl.cycles.tolist()},
        "reload_cycles": None if rtl.reload_cycles is None else rtl.reload_cycles.tolist(),
        "scnn": {
            "words": scnn.words,
            "differ": scnn.differ,
            "differences": [asdict(one) for one in scnn.differences],
            "counters": scnn.counters,
            "cycles_differ": scnn.cycles_differ,
            "cycle_differences": [asdict(one) for one in scnn.cycle_differences],
            "problems": [*result.problems, *metrics.problems],
            "cycles": {
                "total": int(rtl.run_cycles.sum()),
                "per_input": rtl.run_cycles.sum(axis=1).tolist(),
                "per_layer": layers,
            },
        },
        "eie": eie,
        "metrics": metrics.to_dict(),
    }
