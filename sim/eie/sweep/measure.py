"""One job of a sweep: the points that share an image, on the cycle model."""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError, ParameterError
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.passes.fixed_point import quantize_input
from zeroskip.hw.eie.host import StallClass
from zeroskip.sim.eie.cycles.accesses import program_accesses
from zeroskip.sim.eie.cycles.image import run_image
from zeroskip.sim.eie.machine import vectors
from zeroskip.sim.eie.storage import layer_storage, per_nonzero, pointer_bits
from zeroskip.sim.eie.sweep.grid import Point
from zeroskip.sim.eie.sweep.work import Work
from zeroskip.sim.golden.network import run_golden
from zeroskip.sim.result import by_layer
from zeroskip.sim.sweep.journal import Row

__all__ = ["measure_points"]

_SHOWN = (
    "num_pes", "queue_depth", "run_bits", "word_bits", "pointers_first", "skip_padding",
    "spmat_words", "num_pointers", "num_acts", "num_accs",
)  # fmt: skip
_ISSUED = [StallClass.USEFUL, StallClass.PADDING]


def measure_points(work: Work, points: Sequence[Point]) -> list[list[Row]]:
    """Measure points that share an image.

    Parameters
    ----------
    work : what to run.
    points : see :func:`.image_key`.

    Returns
    -------
    Per point, a row for each layer; where the network cannot be compiled, rows with the reason.
    """
    network, x = work.load()
    first, placement = points[0].params, points[0].placement
    try:
        image = compile_quantized(
            network, {"eie": first}, options={"placement": placement}, name=work.name
        )
    except (CompileError, ParameterError) as error:
        return [
            [_settings(name, point, len(x)) | _impossible(error) for name in work.layers]
            for point in points
        ]
    part: EiePart = image.part("eie")
    planes = quantize_input(x, image.in_frac, first.act_bits)
    planes = planes.reshape(len(x), *network.input_shape)
    golden = run_golden(image, planes).parts[0].tensors
    inputs = vectors(part, {INPUT: planes, **golden})
    stored = _stored(part, inputs)
    rows = []
    for point in points:
        # What the SRAMs hold does not depend on what these points differ in.
        started = time.perf_counter()
        _, counters = run_image(dataclasses.replace(part, params=point.params), inputs)
        seconds = time.perf_counter() - started
        per_layer = by_layer(part.passes, len(part.layers), counters).sum(axis=0)
        rows.append([
            _settings(name, point, len(x))
            | {"possible": True, "reason": None}
            | _spent(per_layer[number], len(x))
            | stored[number]
            | {"model_seconds": seconds}
            for number, name in enumerate(work.layers)
        ])
    return rows


def _settings(layer: str, point: Point, inputs: int) -> Row:
    shown = {name: getattr(point.params, name) for name in _SHOWN}
    return {"layer": layer, **shown, "placement": point.placement, "inputs": inputs}


def _impossible(error: Exception) -> Row:
    return {"possible": False, "reason": str(error)}


def _spent(counters: NDArray[np.int64], inputs: int) -> Row:
    """Say what the cycles of a layer, (num_pes, stall classes), went to."""
    issued = counters[:, _ISSUED].sum(axis=1)
    # What an array does not count, it does not have.
    classes = {
        f"{stall.name.lower()}_pe_cycles": int(counters[:, stall : stall + 1].sum())
        for stall in StallClass
    }
    useful = classes["useful_pe_cycles"]
    return {
        # All PEs count the same cycles.
        "cycles": int(counters[0].sum()),
        "bound_no_padding_cycles": useful / len(counters),
        "max_pe_cycles": int(issued.max()),
        "mean_pe_cycles": float(issued.mean()),
        "balance": float(issued.mean() / issued.max()) if issued.any() else 1.0,
        "load_balance": float(issued.sum() / counters.sum()),
        **classes,
    }


def _stored(part: EiePart, inputs: Sequence[NDArray[np.int64]]) -> list[Row]:
    """Count what each layer keeps in the SRAMs, and what is read of it."""
    p = part.params
    read = [round(found.words) for found in program_accesses(part, inputs)]
    rows = []
    for storage, words in zip(layer_storage(part), read, strict=True):
        entries = int(storage.entries.sum())
        bits = {
            "entries": entries * p.word_bits // p.entries_per_word,
            "pointers": pointer_bits(part, len(rows)),
            "codebooks": p.codebook_bits,
        }
        stored = per_nonzero(bits, storage.nnz) if storage.nnz else dict.fromkeys([*bits, "sum"])
        rows.append({
            "nonzeros": storage.nnz,
            "entries": entries,
            "padding_entries": int(storage.padding.sum()),
            "spmat_words_read": words,
            "entry_bits_per_nonzero": stored["entries"],
            "pointer_bits_per_nonzero": stored["pointers"],
            "stored_bits_per_nonzero": stored["sum"],
            "segments": len(part.segments),
            "passes": part.passes.count(len(rows)),
        })
    return rows
