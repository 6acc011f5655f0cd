"""SCNN from command lists: planes in memory become planes in memory, and nobody acts in between."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.support.assembly import assemble
from tests.support.images import scnn_image
from tests.support.systems import golden_chip, put_input, read_output
from tests.unit.hw.scnn import scnn_model
from tests.unit.hw.scnn.scnn_model import P
from tests.unit.hw.system.system_bench import Dram, Processor
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.system.build import build_system
from zeroskip.hw.scnn.array import ARRAY_MODULE, PE_MODULE, ScnnArray
from zeroskip.hw.scnn.formats import plane_load_layout
from zeroskip.hw.scnn.pe import ScnnPe
from zeroskip.hw.scnn.planes import plane_in_layout
from zeroskip.hw.scnn.system import ScnnUnit
from zeroskip.hw.system.chip import SystemChip
from zeroskip.hw.system.formats import COMMAND_BYTES, Error, Op, command_layout
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import Register, State
from zeroskip.sim.bench.pysim import simulate

COUNT = command_layout()["count"].offset // 8


def run(
    seed: int,
    p: SystemParams,
    busy: float,
    latency: int,
    *,
    more: dict[Op, int] | None = None,
    unread: str = "",
    lost: bool = False,
    units: int = 1,
) -> None:
    """Start a setup and an inference with each pair of buffers.

    Parameters
    ----------
    seed, p, busy, latency : of the memory.
    more : rows that a command has more than the plane, or fewer.
    unread : block whose last beat the memory answers with an error, until that was told.
    lost : inputs go on behind those before, for which there is no room the second time.
    units : that move planes at a time.
    """
    array = replace(P, pes_x=max(P.pes_x, units), plane_units=units)
    rng = np.random.default_rng(seed)
    network = scnn_model.draw_network(rng, 2 if lost else int(rng.integers(1, 3)))
    layer = network.layer
    graph = network.graph(np.asarray(layer.codebook), np.asarray(layer.bias))
    system = build_system(scnn_image("net", graph, array, build(graph, array)), p)
    chip = golden_chip(system, [array])
    contents, lists = chip.memory, system.map.lists
    for pair, one in enumerate(lists[1:]):
        x = rng.integers(1, 40, layer.in_shape) * (lost | (rng.random(layer.in_shape) < 0.7))
        put_input(system, contents, pair, x.reshape(-1))
        for at in range(one.address, one.address + one.bytes, COMMAND_BYTES):
            rows = (more or {}).get(Op(int(contents[at])), 0)
            contents[at + COUNT] = int(contents[at + COUNT]) + rows
    if lost:
        layout = plane_in_layout(P)
        address = system.map.block("run_0/plane_in_0").address
        word = slice(address, address + -(-layout.size // 8))
        bits = int.from_bytes(contents[word].tobytes(), "little")
        # All that the RAM has is theirs.
        for name, value in {"append": 1, "limit": P.act_words}.items():
            field = plane_load_layout(P)[name]
            place = layout["plane"].offset + field.offset
            bits = bits & ~((1 << field.width) - 1 << place) | value << place
        contents[word] = np.frombuffer(bits.to_bytes(word.stop - word.start, "little"), np.uint8)
    memory = Dram(p, seed, busy=busy, latency=latency, whole=False)
    for at in range(0, len(contents), p.beat_bytes):
        memory.data[at] = int.from_bytes(contents[at : at + p.beat_bytes].tobytes(), "little")
    if unread:
        block = system.map.block(unread)
        memory.bad = frozenset([block.address + block.bytes - p.beat_bytes])
    for one in lists:
        chip.start(one.address, one.bytes)
    # Two inputs that are not compressed fill the RAM; the third finds nothing.
    lists = [lists[0], *[lists[1]] * (2 * lost), *lists[1:]]
    expected = {1: Error.READ} if unread else {3: Error.LOST, 4: Error.LOST} if lost else {}
    dut = SystemChip(p, {"scnn": partial(ScnnUnit, p, array)})
    whole, _ = assemble(
        dut, {ARRAY_MODULE: lambda: ScnnArray(array), PE_MODULE: lambda: ScnnPe(array)}
    )

    async def bench(ctx: Any) -> None:
        system_dut: Any = dut
        cpu = Processor(system_dut, ctx)
        await cpu.window(0, system.map.bytes)
        for number, one in enumerate(lists):
            await cpu.start(one.address, one.bytes)
            while await cpu.read(Register.CONTROL) & State.AP_START:
                pass
            error = await cpu.read(Register.ERROR)
            assert error & 15 == expected.get(number, Error.NONE).value
            # Weights are asked for before the input.
            assert error >> 8 == (number in expected and not unread.endswith("weights"))
            if error:
                memory.bad = frozenset()

    async def reads(ctx: Any) -> None:
        await memory.serve_reads(ctx, dut.read)

    async def writes(ctx: Any) -> None:
        await memory.serve_writes(ctx, dut.write)

    simulate(whole, bench, monitors=[reads, writes])
    found = b"".join(
        memory.row(at).to_bytes(p.beat_bytes, "little")
        for at in range(0, len(contents), p.beat_bytes)
    )
    for pair in range(2):
        if not (lost or pair + 1 in expected):
            got = read_output(system, np.frombuffer(found, np.uint8), pair)
            assert np.array_equal(got, read_output(system, contents, pair))


@pytest.mark.parametrize(
    ("seed", "data_bits", "busy", "latency", "units"),
    [
        (0, 64, 0.5, 20, 2),
        pytest.param(1, 128, 0.0, 3, 1, marks=pytest.mark.long("another port")),
        pytest.param(2, 64, 0.3, 0, 4, marks=pytest.mark.long("more units")),
    ],
)
def test_planes_in_planes_out(
    seed: int, data_bits: int, busy: float, latency: int, units: int
) -> None:
    port = SystemParams(data_bits=data_bits, burst_beats=4, outstanding=3)
    run(seed, port, busy, latency, units=units)


@pytest.mark.parametrize("rows", [1, -1])
def test_other_numbers_of_rows_than_a_plane_has(rows: int) -> None:
    """Nothing hangs: missing values are 0, and what has no place is thrown away."""
    more = {Op.INPUT: rows, Op.OUTPUT: rows}
    run(5, SystemParams(data_bits=64, burst_beats=4, outstanding=3), 0.3, 5, more=more)


@pytest.mark.parametrize("block", ["input_0", "run_0/weights"])
def test_runs_behind_what_could_not_be_read(block: str) -> None:
    """The array may wait for weights already, of which the last do not come."""
    run(6, SystemParams(data_bits=64, burst_beats=4, outstanding=3), 0.3, 5, unread=block)


def test_says_that_an_input_has_no_room() -> None:
    run(1, SystemParams(data_bits=64, burst_beats=4, outstanding=3), 0.3, 5, lost=True)
