"""A whole network on the RTL: from a picture in memory to the last tensor there, one START."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.fixed import concatenate, layer_results
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.system.memory import MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.scnn.benchmark.layers import ConvLayer
from zeroskip.sim.scnn.benchmark.settle import settle
from zeroskip.sim.scnn.benchmark.total import PORT, compile_network
from zeroskip.sim.scnn.benchmark.wiring import wire
from zeroskip.sim.system.inferences import Inferences
from zeroskip.sim.system.verify import verify_inferences

__all__ = ["NetworkRtl", "run_network"]


@dataclass(frozen=True)
class NetworkRtl:
    """What the RTL made of a network.

    Parameters
    ----------
    name : of the network.
    cycles : of the inference, from START to its end.
    runs, reruns : of the array, and inferences that were begun again for want of room.
    words : outputs of layers that were compared with golden as the array wrote them, places
        outside the plane included.
    memory_bytes : compared: lists, inputs, outputs, and what lies between runs.
    times : compared with the cycle model: cycles of inferences, and of their ends.
    differ : words, bytes and times that differ, and outputs that golden read from the network's
        words and that are not what its layers compute.
    cycles_per_second : of simulation, wall-clock.
    problems : sentences about what differs, or is wrong.
    """

    name: str
    cycles: int
    runs: int
    reruns: int
    words: int
    memory_bytes: int
    times: int
    differ: int
    cycles_per_second: float
    problems: tuple[str, ...]


def run_network(
    name: str,
    layers: Sequence[ConvLayer],
    params: ScnnParams,
    port: SystemParams = PORT,
    progress: Progress | None = None,
) -> NetworkRtl:
    """Compute a network that computes tensors of its published densities, see :func:`.settle`.

    Raises
    ------
    CompileError
        If the array is too small.
    ToolError, SimulationError
        As :func:`.verify_inferences` does.
    """
    report = progress or silent
    report(f"compute {name} on golden", 0, 1)
    network = settle(wire(layers))
    part = compile_network(network, params)
    image = Image(name, part.graph, (part,))
    x = network.draw()[INPUT][None]
    found = Inferences(image, x, port)
    results = layer_results(part.graph, x, params.acc_bits, params.act_bits)
    made = {
        result.layer.name: result.output
        for result in results
        if result.layer.name in part.graph.outputs
    }
    outputs = concatenate(made, part.graph.outputs)
    encoded = np.count_nonzero(found.outputs.reshape(outputs.shape) != outputs)
    report(f"compute {name} on golden", 1, 1)
    verified = verify_inferences(found, port, MemorySettings(), progress)
    (counted,), (_, rtl) = verified.run.inferences, verified.rtl
    return NetworkRtl(
        name=name,
        cycles=rtl.cycles[0] if rtl.cycles else 0,
        runs=len(part.runs),
        reruns=sum(counted.reruns),
        words=verified.rows * params.num_pes,
        memory_bytes=verified.bytes,
        times=verified.times,
        differ=verified.rows_differ + verified.bytes_differ + verified.times_differ + int(encoded),
        cycles_per_second=(rtl.done[-1] if rtl.done else 0) / rtl.seconds,
        problems=verified.problems,
    )
