"""What a report says of a compiled network, as data: the page shows it, and JSON has the same."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.base.errors import InputError
from zeroskip.base.progress import Progress
from zeroskip.base.tables import Table, percent
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.image.tables import image_report
from zeroskip.compiler.ir.graph import FloatGraph, QuantConv, QuantLinear
from zeroskip.compiler.system.build import find_system
from zeroskip.sim.energy.measure import energy
from zeroskip.sim.energy.report import energy_report
from zeroskip.sim.info import describe_arrays
from zeroskip.sim.machine import machine
from zeroskip.sim.metrics import PartMetrics, measure_run
from zeroskip.sim.page.accuracy import accuracies, difference
from zeroskip.sim.result import Result
from zeroskip.sim.run import run
from zeroskip.sim.system.report import bound_line, map_tables

__all__ = ["image_contents"]

_DRAWN = 4
_BINS = 41
"""Bars of a histogram of weights; odd, so that one is around 0."""


def image_contents(
    image: Image,
    x: ArrayLike | None = None,
    labels: NDArray[Any] | None = None,
    progress: Progress | None = None,
    *,
    label: str | None = None,
    model: FloatGraph | None = None,
) -> dict[str, Any]:
    """Run a network on the cycle model, and gather what there is to say of it.

    Parameters
    ----------
    image : the compiled network.
    x : (n, *sample_shape) inputs; a few are drawn unless given.
    labels : (n,) the class of each input.
    progress : see :data:`.Progress`.
    label : to tell two images apart; unless given, its name.
    model : the network before it was compiled, for its accuracy in float; without labels, for the
        difference of outputs from float.

    Raises
    ------
    InputError
        If inputs or labels are unusable, or the model is of another network.
    """
    source = "given"
    if x is None:
        if labels is not None:
            raise InputError("labels go with inputs: give these, too")
        source = "drawn from the normal distribution"
        x = np.random.default_rng(0).standard_normal((_DRAWN, *image.sample_shape))
    result = run(image, x, "cycles", progress=progress)
    metrics = measure_run(result)
    system = find_system(image)
    cycles, moves = _mean(result.cycles), _mean(result.reload_cycles)
    tables = [entry for entry in image_report(image) if isinstance(entry, Table)]
    lines = [entry for entry in image_report(image) if isinstance(entry, str)]
    if model is not None and labels is None:
        lines.append(
            f"outputs of {result.inputs} inputs differ from the float network's by at most "
            f"{percent(difference(result, x, model))} of its largest; what that does to the "
            "accuracy is not known without labels"
        )
    return {
        "name": image.name,
        "label": label or image.name,
        "arrays": describe_arrays(image),
        "source": source,
        "inputs": result.inputs,
        "summary": _summary(image, metrics.parts, cycles, moves),
        "accuracy": None
        if labels is None
        else accuracies(image, result, x, np.asarray(labels), model),
        "parts": [
            _part(image, result, number, measured) for number, measured in enumerate(metrics.parts)
        ],
        "timeline": _timeline(metrics.parts),
        "fixed_point": [_table(table) for table in tables],
        "notes": [*lines, *_sentences(image)],
        "memory": [] if system is None else [_table(table) for table in map_tables(system)],
        "memory_map": []
        if system is None
        else [
            {"name": block.name, "address": block.address, "bytes": block.bytes}
            for block in system.map.blocks
        ],
        "bound": None if system is None else bound_line(system),
        **_energy(image, x, progress),
        "weights": [
            _histogram(layer)
            for layer in image.graph.layers
            if isinstance(layer, QuantConv | QuantLinear) and layer.kind in ("conv", "linear")
            if layer.nonzeros
        ],
    }


def _mean(values: NDArray[np.int64] | None) -> float:
    assert values is not None
    return float(values.mean())


def _table(table: Table) -> dict[str, Any]:
    rows = [[str(cell) for cell in row] for row in table.rows]
    return {"title": table.title, "header": list(table.header), "rows": rows}


def _summary(
    image: Image, parts: Sequence[PartMetrics], cycles: float, moves: float
) -> dict[str, Any]:
    totals = [part.total for part in parts]
    weights = sum(total.weights for total in totals)
    nnz = sum(total.nnz for total in totals)
    dense = sum(total.dense_macs for total in totals)
    multipliers = [machine(part.engine).multipliers(part.params) for part in image.parts]
    at_dense = sum(
        total.dense_macs / count for total, count in zip(totals, multipliers, strict=True)
    )
    stored = sum(
        len(sram.words) * sram.width for part in image.parts for sram in part.loads[0].values()
    )
    return {
        "layers": len(image.graph.layers),
        "weights": weights,
        "non-zero": nnz,
        "density": nnz / max(1, weights),
        "dense MACs": dense,
        "useful MACs": sum(total.useful_macs for total in totals),
        "cycles": cycles,
        "host's moves between runs": moves,
        "speed-up": at_dense / cycles if cycles else None,
        "loaded bits": stored,
        "runs": sum(len(part.loads) for part in image.parts),
    }


def _part(image: Image, result: Result, number: int, measured: PartMetrics) -> dict[str, Any]:
    part, found = image.parts[number], result.parts[number]
    assert found.counters is not None
    array = machine(part.engine)
    counters = found.counters.sum(axis=0)
    classes = [stall.name.lower() for stall in array.classes][: counters.shape[-1]]
    about = array.describe(part)
    # Of each PE, the share of its multiplier-cycles that make useful products.
    useful = counters[..., 0] / np.maximum(counters.sum(axis=-1), 1)
    return {
        "engine": part.engine,
        "array": about.array,
        "classes": classes,
        "layers": [asdict(layer) for layer in measured.layers],
        "total": asdict(measured.total),
        "heat": [[round(float(share), 4) for share in row] for row in useful],
        "tables": [_table(table) for table in about.tables],
        "lines": list(about.lines),
        "memories": list(about.document.get("memories", ())),
    }


def _timeline(parts: Sequence[PartMetrics]) -> list[dict[str, Any]]:
    """Return when each layer begins and ends, if all follow each other: of the mean input."""
    begin, found = 0.0, list[dict[str, Any]]()
    for part in parts:
        for layer in part.layers:
            end = begin + (layer.cycles or 0.0)
            found.append({
                "layer": layer.name, "engine": part.engine, "begin": begin, "end": end,
            })  # fmt: skip
            begin = end
    return found


def _energy(image: Image, x: ArrayLike, progress: Progress | None) -> dict[str, list[Any]]:
    try:
        found = [*energy_report(energy(image, x, progress=progress))]
    except InputError as error:
        found = [str(error)]
    return {
        "energy": [_table(entry) for entry in found if isinstance(entry, Table)],
        "energy_notes": [entry for entry in found if isinstance(entry, str)],
    }


def _sentences(image: Image) -> list[str]:
    kinds = ("chosen", "notes", "many_runs")
    return [str(sentence) for kind in kinds for sentence in image.report.get(kind, ())]


def _histogram(layer: QuantConv | QuantLinear) -> dict[str, Any]:
    """Count weights by value, zeros apart; and how often each value of the codebook is used."""
    if isinstance(layer, QuantLinear):
        weights = layer.codebook[np.asarray(layer.codes.data, np.int64)]
        shared = layer.codebook
    else:
        weights = layer.weight[layer.weight != 0]
        shared = layer.codebook
    scale = 2.0**-layer.weight_frac
    values, counts = np.unique(weights, return_counts=True)
    most = int(np.abs(values).max())
    bins, edges = np.histogram(weights, bins=_BINS, range=(-most, most))
    return {
        "layer": layer.name,
        "non_zero": int(weights.size),
        "values": len(values),
        "edge": most * scale,
        "bins": bins.tolist(),
        "edges": (edges * scale).tolist(),
        "codebook": None
        if shared is None
        else [
            {"value": float(value * scale), "weights": int(count)}
            for value, count in zip(values, counts, strict=True)
        ],
    }
