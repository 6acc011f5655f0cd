"""Networks in memory, and chips that run their command lists."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.system.build import SystemImage
from zeroskip.compiler.system.bytes import tensor_bytes
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.machine import machine
from zeroskip.sim.system.golden import GoldenSystem

__all__ = ["golden_chip", "put_input", "read_output"]


def golden_chip(system: SystemImage, params: Sequence[Any]) -> GoldenSystem:
    """Make a chip of these arrays after a reset, with the memory image in its memory."""
    memory = np.zeros(system.map.bytes, np.uint8)
    memory[: len(system.memory)] = np.frombuffer(system.memory, np.uint8)
    port = SystemParams(**system.map.port)
    arrays = [
        machine(name).lists.state(array, port)
        for name, array in zip(system.map.engines, params, strict=True)
    ]
    return GoldenSystem(arrays, port, memory, system.map.base)


def put_input(
    system: SystemImage, memory: NDArray[np.uint8], pair: int, values: NDArray[np.int64]
) -> None:
    """Write one input, (elements,) in fixed point, to its block."""
    port = SystemParams(**system.map.port)
    block = system.map.block(f"input_{pair}")
    rows = tensor_bytes(system.moves.tensors[0], values[None], port)
    begin = block.address - system.map.base
    memory[begin : begin + block.bytes] = rows.reshape(-1)


def read_output(system: SystemImage, memory: NDArray[np.uint8], pair: int) -> NDArray[np.int64]:
    """Read one output, (elements,), bit by bit as the map says."""
    entry, block = system.map.output, system.map.block(f"output_{pair}")
    positions = entry.positions or tuple(range(entry.elements))
    found: list[int] = []
    for position in positions:
        row, lane = divmod(position, entry.lanes)
        begin = block.address - system.map.base + row * entry.row_bytes
        whole = int.from_bytes(memory[begin : begin + entry.row_bytes].tobytes(), "little")
        word = whole >> lane * entry.lane_bits & ((1 << entry.lane_bits) - 1)
        found.append(word - (word >> (entry.lane_bits - 1) << entry.lane_bits))
    return np.array(found)
