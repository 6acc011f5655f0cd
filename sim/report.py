"""Word what runs and comparisons gave: verdicts, tables and JSON documents."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.tables import Report, Table, percent
from zeroskip.sim.machine import machine
from zeroskip.sim.metrics import LayerMetrics, PartMetrics, RunMetrics
from zeroskip.sim.result import PartResult, Result
from zeroskip.sim.verify import Comparison, VerifyResult

__all__ = [
    "is_exact",
    "metric_tables",
    "outputs_table",
    "result_report",
    "run_document",
    "verdict",
    "verify_document",
    "verify_report",
]

_SHOWN = 10
"""Contradictions that are listed, inputs, and outputs of each."""


def is_exact(result: VerifyResult, metrics: RunMetrics) -> bool:
    """Say whether nothing differs, and no counters contradict each other."""
    return result.ok and not metrics.problems


def verdict(result: VerifyResult, metrics: RunMetrics) -> list[str]:
    """Return the first differences and contradictions, and last what the comparison says."""
    lines = [str(difference) for difference in result.differences]
    if result.differ > len(result.differences):
        lines.append(f"... and {result.differ - len(result.differences)} differences more")
    lines += [str(difference) for difference in result.cycle_differences]
    lines += [*result.problems, *metrics.problems[:_SHOWN]]
    lines.append(f"cycle model: {result.counters} counters compared, {result.cycles_differ} differ")
    exact = "NOT bit-exact" if result.differ or result.problems else "bit-exact"
    return [*lines, f"{exact}: {result.words} words compared, {result.differ} differ"]


def result_report(result: Result) -> Report:
    """Return outputs, and what the run took and could not hold."""
    return [
        *outputs_table(result.outputs, result.cycles),
        *_move_lines(result),
        *_room_lines(result),
        *_clipped_lines(result),
        *_saturated_lines(result),
    ]


def verify_report(result: VerifyResult, metrics: RunMetrics) -> Report:
    """Return work and speed of each layer, and last what the comparison says."""
    return [
        *metric_tables(metrics),
        *_move_lines(result.rtl),
        *_room_lines(result.golden),
        *_clipped_lines(result.golden),
        *verdict(result, metrics),
    ]


def outputs_table(
    outputs: NDArray[np.float64], cycles: NDArray[np.int64] | None
) -> Iterator[Table | str]:
    """Give the outputs of the first inputs.

    Parameters
    ----------
    outputs : (n, ...) of a run.
    cycles : (n,) that each input took; None if they were not counted.
    """
    rows: list[list[object]] = []
    for number, y in enumerate(outputs.reshape(len(outputs), -1)[:_SHOWN]):
        values = " ".join(f"{value:.4g}" for value in y[:_SHOWN])
        more = " ..." if len(y) > _SHOWN else ""
        spent = "-" if cycles is None else int(cycles[number])
        rows.append([number, spent, int(np.argmax(y)), values + more])
    yield Table("Outputs", ["input", "cycles", "largest", "outputs"], rows)
    if len(outputs) > _SHOWN:
        yield f"... and {len(outputs) - _SHOWN} inputs more; write all with -o Y.npy"


def _room_lines(result: Result) -> list[str]:
    """Say for which inputs there was no room."""
    if not (spoiled := result.spoiled):
        return []
    some = ", ".join(map(str, spoiled[:_SHOWN])) + (", ..." if len(spoiled) > _SHOWN else "")
    line = (
        f"no room for the activations of {len(spoiled)} of {len(result.planes)} inputs ({some}): "
    )
    return [line + "the host ran all of them with the bounded runs, whose cycles these are"]


def _move_lines(result: Result) -> list[str]:
    """Say what the host's moves between runs take, which no cycles of layers have in them."""
    moves = result.reload_cycles
    if moves is None:
        return []
    if not moves.any():
        return ["host's moves between runs: none"]
    return [
        (
            f"host's moves between runs, in addition: {moves.mean():.1f} cycles (mean; the first "
            f"input {moves[0]})"
        )
    ]


def _clipped_lines(result: Result) -> list[str]:
    """Say how many numbers of the inputs did not fit, and what to do about it."""
    return list(result.clipped.lines()) if result.clipped is not None else []


def _saturated_lines(result: Result) -> list[str]:
    if result.saturated is None:
        return []
    return [f"saturated outputs: {sum(int(part.sum()) for part in result.saturated)}"]


def run_document(result: Result) -> dict[str, Any]:
    """Return what a run gave, as JSON has it, without its outputs."""
    saturated = result.saturated
    return {
        "inputs": len(result.outputs),
        "shape": list(result.outputs.shape),
        "clipped_inputs": None if result.clipped is None else result.clipped.to_dict(),
        "saturated": None if saturated is None else [int(counts.sum()) for counts in saturated],
        "cycles": _listed(result.cycles),
        "reload_cycles": _listed(result.reload_cycles),
        "parts": [
            {
                "engine": part.engine,
                "cycles": _listed(_by_input(part.cycles, result.inputs)),
                "run_cycles": _listed(part.run_cycles),
                "stalls": _stalls(part),
            }
            for part in result.parts
        ],
    }


def _by_input(cycles: NDArray[np.int64] | None, inputs: int) -> NDArray[np.int64] | None:
    """Add up the steps of each input."""
    return None if cycles is None else cycles.reshape(inputs, -1).sum(axis=1)


def _listed(array: Any) -> Any:
    return None if array is None else array.tolist()


def _stalls(part: PartResult) -> dict[str, dict[str, int]] | None:
    """Sum up each layer's stall classes over inputs and PEs; None without counters."""
    if part.counters is None:
        return None
    sums = part.counters.sum(axis=(0, 2))
    classes = machine(part.engine).classes
    return {
        name: {
            stall.name.lower(): int(count)
            for stall, count in zip(classes, sums[number], strict=False)
        }
        for number, name in enumerate(part.layers)
    }


def verify_document(result: VerifyResult, metrics: RunMetrics) -> dict[str, Any]:
    """Return what a comparison found, as JSON has it; ``parts`` have each array's."""
    rtl, clipped = result.rtl, result.golden.clipped
    assert rtl.cycles is not None
    return {
        "exact": is_exact(result, metrics),
        "inputs": metrics.inputs,
        "clipped_inputs": None if clipped is None else clipped.to_dict(),
        "words": result.words,
        "differ": result.differ,
        "counters": result.counters,
        "cycles_differ": result.cycles_differ,
        "problems": [*result.problems, *metrics.problems],
        "cycles": {"total": int(rtl.cycles.sum()), "per_input": rtl.cycles.tolist()},
        "reload_cycles": _listed(rtl.reload_cycles),
        "parts": [
            _part_document(part, measured, metrics.inputs)
            for part, measured in zip(result.parts, metrics.parts, strict=True)
        ],
        "metrics": metrics.to_dict(),
    }


def _part_document(part: Comparison, measured: PartMetrics, inputs: int) -> dict[str, Any]:
    assert part.rtl.cycles is not None
    return {
        "engine": measured.engine,
        "words": part.words,
        "differ": part.differ,
        "differences": [asdict(difference) for difference in part.differences],
        "counters": part.counters,
        "cycles_differ": part.cycles_differ,
        "cycle_differences": [asdict(difference) for difference in part.cycle_differences],
        "cycles": {
            "total": int(part.rtl.cycles.sum()),
            "per_input": _listed(_by_input(part.rtl.cycles, inputs)),
            "per_layer": {
                layer.name: round(layer.cycles * inputs)
                for layer in measured.layers
                if layer.cycles is not None
            }
            or None,
        },
    }


def metric_tables(metrics: RunMetrics) -> list[Table]:
    """Return size, work and speed of each layer, and where the cycles went, array by array."""
    return [table for part in metrics.parts for table in _part_tables(part, metrics.inputs)]


def _part_tables(part: PartMetrics, inputs: int) -> list[Table]:
    every = (*part.layers, part.total)
    stored = list(part.total.stored)
    engine = part.engine.upper()
    tables = [
        Table(
            f"Work on {engine} (cycles and useful MACs: mean of {inputs} inputs)",
            [
                "layer", "kind", "input", "output", "density", "acts != 0", *stored, "cycles",
                "useful MACs", "dense MACs", "utilisation", "speed-up",
            ],
            [
                [
                    layer.name,
                    layer.kind,
                    _shape(layer.in_shape),
                    _shape(layer.out_shape),
                    percent(layer.density),
                    percent(layer.act_density),
                    *(layer.stored[name] for name in stored),
                    *_work_cells(layer),
                ]
                for layer in every
            ],
        )
    ]  # fmt: skip
    if names := next((list(layer.stalls) for layer in every if layer.stalls), None):
        tables.append(
            Table(
                f"Where the multiplier cycles of {engine} went (each line adds up to 100 %)",
                ["layer", *names],
                [
                    [
                        layer.name,
                        *(percent(layer.stalls[name]) if layer.stalls else "-" for name in names),
                    ]
                    for layer in every
                ],
            )
        )
    return tables


def _work_cells(layer: LayerMetrics) -> Sequence[object]:
    return [
        _or_dash(layer.cycles, "{:.1f}".format),
        f"{layer.useful_macs:.1f}",
        layer.dense_macs,
        _or_dash(layer.utilisation, percent),
        _or_dash(layer.speedup, "{:.2f} x".format),
    ]


def _or_dash(value: float | None, text: Callable[[float], str]) -> str:
    return "-" if value is None else text(value)


def _shape(shape: tuple[int, ...] | None) -> str:
    if shape is None:
        return ""
    return str(shape[0]) if shape[1:] == (1, 1) else " x ".join(map(str, shape))
