"""Compare what SCNN's SRAMs say with the network, whatever the inputs are."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.sim.contents import Loads, different_numbers, sram_problems
from zeroskip.sim.scnn.decode import decode
from zeroskip.sim.scnn.decoded import as_decoded

__all__ = ["scnn_problems"]


def scnn_problems(
    part: ScnnPart, folder: str, report: Mapping[str, Any], most: int = 10
) -> tuple[str, ...]:
    """Say where streams, headers, taps, codebooks, biases and descriptors are not the network's.

    Parameters are those of :meth:`.Machine.problems`; ``report`` is the image's.
    """

    def read() -> Mapping[int, Sequence[str]]:
        graph, found = part.graph, dict[int, list[str]]()
        for runs in filter(None, (part.runs, part.bounded)):
            decoded = decode(runs, graph, part.params)
            for number, (made, layer) in enumerate(zip(decoded, graph.layers, strict=True)):
                expected = as_decoded(layer, graph)
                pairs = {
                    field.name: (getattr(made, field.name), getattr(expected, field.name))
                    for field in fields(made)
                }
                found.setdefault(number, []).extend(different_numbers(layer.name, pairs))
            for number in _wrong_codebooks(part, runs):
                name = graph.layers[number].name
                found[number].append(f"layer {name}: its codebook is not the network's")
        return found

    def encode() -> Loads:
        # What runs for expected inputs were made from is not in an image.
        if part.bounded:
            return []
        return [run.srams for run in build(part.graph, part.params, _densities(report))]

    return sram_problems(part, folder, read, encode, [run.passes for run in part.runs], most)


def _wrong_codebooks(part: ScnnPart, runs: Sequence[ScnnRun]) -> list[int]:
    """Find layers with another codebook, those of its weights included that no code names."""
    p, codebooks, found = part.params, np.empty((0, 1), np.uint64), dict[int, None]()
    for run in runs:
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
