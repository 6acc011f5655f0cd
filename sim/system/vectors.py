"""What the exported testbench reads: a network in memory, inputs, and what the models expect."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.image.image import Image
from zeroskip.compiler.image.readmem import to_hex
from zeroskip.compiler.system.build import SystemImage
from zeroskip.compiler.system.relative import relative_list
from zeroskip.flow.flow import image_sizes
from zeroskip.hw.system.memory import FULL_RATE, MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import array_id
from zeroskip.sim.system.inferences import Inferences, fast_starts

__all__ = ["bench_files"]


def bench_files(
    image: Image,
    planes: NDArray[np.int64],
    port: SystemParams,
    settings: MemorySettings,
    base: int,
) -> Mapping[str, bytes]:
    """Write files for ``$readmemh`` by name, which ``zeroskip/flow/bus/testbench.v`` reads.

    Inferences are started one after the other, each when the one before is done.

    Parameters
    ----------
    image, planes, port, base : see :class:`.Inferences`.
    settings : of the memory, whose latencies hold; it neither stalls nor is slower than the port.
    """
    latency = max(settings.read_latency, settings.write_latency)
    settings = replace(
        settings, read_latency=latency, write_latency=latency, stall=0, rate=FULL_RATE
    )
    found = Inferences(image, planes, port, queued=1, base=base)
    entry = found.system.map

    def beats(contents: NDArray[np.uint8]) -> NDArray[np.uint8]:
        padded = np.zeros(-(-contents.size // port.beat_bytes) * port.beat_bytes, np.uint8)
        padded[: contents.size] = contents.reshape(-1)
        return padded.reshape(-1, port.beat_bytes)

    memory = beats(np.frombuffer(found.system.memory, np.uint8))
    given, made = entry.block("input_0"), entry.block("output_0")
    setup, *groups = found.groups
    vectors: list[NDArray[np.uint8]] = []
    for group in groups:
        (cycles,) = found.count(group, settings, fast_starts(group)).cycles
        ((_, rows),) = group.inputs
        vectors += [
            beats(np.frombuffer(int(cycles).to_bytes(8, "little"), np.uint8)),
            beats(rows),
            beats(group.after[made.address - base :][: made.bytes]),
        ]
    (setup_cycles,) = found.count(setup, settings, fast_starts(setup)).cycles
    code = _stream_list(found.system)
    lists = [number for place in (*setup.lists, *groups[0].lists) for number in place]
    numbers = [
        array_id(port, image_sizes(image)),
        *(base, entry.bytes, len(memory)),
        *lists,
        *(given.address, -(-given.bytes // port.beat_bytes)),
        *(made.address, -(-made.bytes // port.beat_bytes)),
        *(len(groups), setup_cycles, latency),
        len(code),
    ]
    return {
        "run.hex": to_hex(np.array(numbers, np.uint64)[:, None], 64),
        "memory.hex": _hex(memory),
        "vectors.hex": _hex(np.concatenate(vectors)),
        **({"stream.hex": _hex(beats(np.frombuffer(code, np.uint8)))} if code else {}),
    }


def _stream_list(system: SystemImage) -> bytes:
    """Return ``infer_0`` for a chip whose input and output are streams; nothing if none can be."""
    entry = system.map
    if entry.bounded:
        return b""
    moved = entry.traffic("infer_0")
    once = [("reads", "input_0"), ("writes", "output_0")]
    if any(moved[way].get(name) != entry.block(name).bytes for way, name in once):
        return b""
    return relative_list(system)


def _hex(beats: NDArray[np.uint8]) -> bytes:
    """Write beats, lowest byte first, as lines."""
    words = np.ascontiguousarray(beats).view("<u8").astype(np.uint64)
    return to_hex(words, 8 * beats.shape[1])
