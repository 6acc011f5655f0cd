"""Compare what SCNN's SRAMs say with the network, whatever the inputs are."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from zeroskip.base.errors import ZeroskipError
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.program import build
from zeroskip.sim.contents import compare_files, different_numbers
from zeroskip.sim.scnn.decode import decode
from zeroskip.sim.scnn.decoded import as_decoded

__all__ = ["scnn_problems"]


def scnn_problems(
    part: ScnnPart, folder: str, report: Mapping[str, Any], most: int = 10
) -> tuple[str, ...]:
    """Say where the SRAMs of a part say something else than its layers.

    Streams of weights, headers, taps, codebooks, biases and descriptors are read back.

    Parameters
    ----------
    part : of a compiled network.
    folder : of the part, in the image.
    report : of the image.
    most : words that are listed.
    """
    graph = part.graph
    found: list[str] = []
    wrong: set[int] = set()
    try:
        decoded = decode(part.runs, graph, part.params)
    except (ValueError, IndexError, KeyError) as error:
        found.append(f"the SRAMs hold no program of the network: {error}")
    else:
        for number, (made, layer) in enumerate(zip(decoded, graph.layers, strict=True)):
            expected = as_decoded(layer, graph)
            pairs = {
                field.name: (getattr(made, field.name), getattr(expected, field.name))
                for field in fields(made)
            }
            if differ := different_numbers(layer.name, pairs):
                found += differ
                wrong.add(number)
        for number in _wrong_codebooks(part):
            found.append(f"layer {graph.layers[number].name}: its codebook is not the network's")
            wrong.add(number)
    if not found:
        return ()
    try:
        runs = build(graph, part.params, _densities(report))
    except ZeroskipError:
        return tuple(found)
    again = [run.srams for run in runs]
    passes = [run.passes for run in part.runs]
    names = [layer.name for layer in part.layers]
    return (*found, *compare_files(folder, part.loads, again, passes, names, wrong, most))


def _wrong_codebooks(part: ScnnPart) -> list[int]:
    """Find layers with another codebook, those of its weights included that no code names."""
    p, codebooks, found = part.params, np.empty((0, 1), np.uint64), dict[int, None]()
    for run in part.runs:
        codebooks = run.srams["codebook"].words if "codebook" in run.srams else codebooks
        for layer, descriptor in zip(run.passes, run.program, strict=True):
            conv = part.layers[layer]
            # Areas have a codebook each, whose only weight all their codes name.
            if conv.codebook is None or conv.areas:
                continue
            words = codebooks[descriptor.codebook * p.num_codes :, 0][: len(conv.codebook)]
            mask = np.uint64((1 << p.weight_bits) - 1)
            if not np.array_equal(words, conv.codebook.astype(np.int64).view(np.uint64) & mask):
                found[layer] = None
    return list(found)


def _densities(report: Mapping[str, Any]) -> dict[str, float]:
    """Return what the compiler took for the densities of tensors, as the image's report says."""
    numbers = report.get("quantization")
    if not isinstance(numbers, dict):
        return {}
    known = {INPUT: numbers.get("input_density")}
    known |= {
        str(layer.get("name")): layer.get("out_density")
        for layer in numbers.get("layers") or []
        if isinstance(layer, dict)
    }
    return {name: float(value) for name, value in known.items() if isinstance(value, float | int)}
