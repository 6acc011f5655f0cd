"""Command lists that fail on the RTL of a whole chip, at any place, and good ones behind them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.cosim.test_system import DrawNetwork, draw
from zeroskip.compiler.image.image import Image
from zeroskip.hw.common.formats import pack
from zeroskip.hw.system.formats import COMMAND_BYTES, Error, Op, command_layout
from zeroskip.hw.system.memory import MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.golden.words import unpack
from zeroskip.sim.machine import machine
from zeroskip.sim.run import quantize
from zeroskip.sim.system.golden import GoldenSystem, ListError
from zeroskip.sim.system.inferences import Inferences, memory_size
from zeroskip.sim.system.rtl import Phase, build_chip, run_phases

pytestmark = pytest.mark.cosim

PORT = SystemParams()
# In the first megabyte, behind every image: the list, and what the memory does not answer for.
LIST, SPOILED = 0xE0000, 0xF0000
KINDS = {
    "unknown": {"op": 7}, "zeros": {"op": 0}, "engine": {"engine": 1}, "zero": {"zero": 1},
    "pe": {"op": Op.LOAD.value, "pe": 200}, "space": {"op": Op.LOAD.value, "space": 9},
    "count": {"op": Op.INPUT.value, "count": 0}, "row": {"op": Op.OUTPUT.value, "row": 1 << 20},
    "misaligned": {"op": Op.INPUT.value, "row": 0, "count": 1, "addr": LIST + 4},
    "window": {"op": Op.OUTPUT.value, "row": 0, "count": 1, "addr": 1 << 33},
}  # fmt: skip
FAULTS = {
    "read": (Op.INPUT, {"addr": SPOILED, "count": 1, "row": 0}, Error.READ),
    "write": (Op.OUTPUT, {"addr": SPOILED, "count": 1, "row": 0}, Error.WRITE),
}

ALL = [*KINDS, *FAULTS, "fetch", "cut"]


def spoil(commands: list[dict[str, int]], kind: str, rng: Any) -> tuple[list[dict[str, int]], int]:
    """Put what is wrong before one of the commands, or cut the list there; return which."""
    number = int(rng.integers(len(commands)))
    if kind == "cut":
        return commands[:number], number
    op, fields, _ = FAULTS.get(kind, (None, KINDS.get(kind, {}), None))
    wrong = {"op": op.value} if op else {}
    return [*commands[:number], {**wrong, **fields}, *commands[number:]], number


def check(image: Image, x: np.ndarray, settings: MemorySettings, kind: str, seed: int) -> None:
    found = Inferences(image, quantize(image, x)[0][:1], PORT)
    entry = found.system.map
    size = max(1 << 20, memory_size(entry.bytes))
    setup, good = (group.lists for group in found.groups)
    assert entry.bytes <= LIST
    memory = np.zeros(size, np.uint8)
    memory[: len(found.system.memory)] = np.frombuffer(found.system.memory, np.uint8)
    ((address, length),) = good
    raw = memory[address : address + length].tobytes()
    chunks = [raw[k : k + COMMAND_BYTES] for k in range(0, length, COMMAND_BYTES)]
    commands = [unpack(int.from_bytes(one, "little"), command_layout()) for one in chunks]
    bad, number = spoil(commands, kind, np.random.default_rng(seed))
    text = b"".join(pack(command_layout(), **one).to_bytes(COMMAND_BYTES, "little") for one in bad)
    place = SPOILED - number * COMMAND_BYTES if kind == "fetch" else LIST
    memory[place : place + len(text)] = np.frombuffer(text, np.uint8)
    if kind in FAULTS or kind == "fetch":
        error = FAULTS[kind][2] if kind in FAULTS else Error.FETCH
    else:
        arrays = [machine(name).lists.state(params, PORT) for name, params in found.arrays.items()]
        golden = GoldenSystem(arrays, PORT, memory.copy())
        golden.start(*setup[0])
        with pytest.raises(ListError) as told:
            golden.start(place, len(text))
        assert told.value.number == number
        error = told.value.error

    ((at, rows),) = found.groups[1].inputs
    beat = PORT.beat_bytes
    inputs = [(at // beat, rows.reshape(-1, beat))]
    output = entry.block("output_0")
    read = [(output.address // beat, output.bytes // beat)]
    program, clearing = build_chip(found.arrays, PORT, size)
    results = run_phases(
        program,
        clearing,
        memory.tobytes(),
        PORT,
        size,
        replace(settings, error_first=SPOILED, error_bytes=64),
        (0, size),
        list(found.arrays),
        [
            Phase([], setup, [], 200_000),
            # One that is good before it, and one behind it, which is dropped.
            Phase(inputs, [good[0], (place, len(text)), good[0]], read, 200_000),
            Phase(inputs, good, read, 200_000),
        ],
    )
    loaded, failed, last = results
    assert not any(one.broken for one in results)
    assert loaded.error == 0
    assert failed.error == error.value | number << 8
    assert len(failed.starts) == 1
    assert last.error == 0
    assert len(last.starts) == 1
    wanted = found.groups[1].after[output.address : output.address + output.bytes]
    for one in (failed, last) if kind != "write" else (last,):
        assert np.array_equal(one.rows[0].reshape(-1), wanted)


def draw_failure(draw_network: DrawNetwork, kind: str, number: int) -> None:
    seed = 3 * ALL.index(kind) + number
    image, x, settings = draw(draw_network, seed)
    check(image, x, settings, kind, seed)


@pytest.mark.parametrize("kind", ALL)
def test_failure(draw_network: DrawNetwork, kind: str) -> None:
    draw_failure(draw_network, kind, 0)


@pytest.mark.long("each kind in two more networks")
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("kind", ALL)
def test_failure_elsewhere(draw_network: DrawNetwork, kind: str, number: int) -> None:
    draw_failure(draw_network, kind, number)
