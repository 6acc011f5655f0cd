"""A layer from memory to memory, and on a dense machine behind the same port."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.engine import Preset
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.system.inferences import count_inferences

__all__ = ["PORT", "DenseTotal", "Total", "bench_total", "dense_total"]

PORT = SystemParams()
"""The port to memory; the memory gives and takes a beat a cycle."""

_POINTERS = 1 << 15
"""Column pointers of a PE: VGG-6 has more than the paper's 16,384."""


@dataclass(frozen=True)
class Total:
    """An inference from its input in memory to its output in memory; weights are on the chip.

    Parameters
    ----------
    port_bits : width of the port.
    compute_cycles : of the array's program, on an array that takes its input while it computes.
    latency_cycles : of a single inference, from START to its end.
    interval_cycles : from the end of an inference to that of the next, which is queued.
    total_cycles : ``interval_cycles``: what an inference takes where one follows another.
    dram_bytes : that an inference reads and writes.
    setup_cycles : to load what stays, once.
    """

    port_bits: int
    compute_cycles: int
    latency_cycles: int
    interval_cycles: int
    total_cycles: int
    dram_bytes: int
    setup_cycles: int


@dataclass(frozen=True)
class DenseTotal:
    """A dense machine of as many multipliers, behind the same port.

    Weights and activations have 16 bits. The chip that holds a pruned layer has no room for the
    dense one, so its weights come from memory, overlapped perfectly.

    Parameters
    ----------
    compute_cycles : products over multipliers.
    total_cycles : those, or what the port takes, whichever is more.
    dram_bytes : weights, inputs and outputs.
    """

    compute_cycles: int
    total_cycles: int
    dram_bytes: int


def bench_total(
    network: QuantGraph[QuantLinear], x: NDArray[np.float64], preset: Preset[EieParams], name: str
) -> Total:
    """Count the cycles of one inference, and of one queued behind it.

    Parameters
    ----------
    network : of one layer.
    x : (1, inputs) whole numbers.
    preset : the array, which gets room for all pointers.
    name : of the layer.
    """
    params = replace(preset.params, num_pointers=_POINTERS)
    image = compile_quantized(network, {"eie": params}, options=preset.options, name=name)
    planes = np.repeat(x.astype(np.int64), 2, axis=0)[:, :, None, None]
    single = count_inferences(image, planes[:1], PORT)
    run = count_inferences(image, planes, PORT)
    (group,) = run.inferences
    traffic = run.system.map.traffic("infer_0")
    interval = group.done[1] - group.done[0]
    return Total(
        port_bits=PORT.data_bits,
        compute_cycles=sum(run.cycles for run in single.inferences[0].runs),
        latency_cycles=single.inferences[0].cycles[0],
        interval_cycles=interval,
        total_cycles=interval,
        dram_bytes=traffic["read"] + traffic["written"],
        setup_cycles=run.setup.cycles[0],
    )


def dense_total(rows: int, columns: int, multipliers: int) -> DenseTotal:
    """Count what a dense machine takes for a layer."""
    compute = -(-rows * columns // multipliers)
    size = 2 * (rows * columns + rows + columns)
    return DenseTotal(compute, max(compute, -(-size // PORT.beat_bytes)), size)
