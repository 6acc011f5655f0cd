"""SCNN from command lists: planes in memory become planes in memory, and nobody acts in between."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.graphs import run_graph
from tests.unit.hw.scnn import scnn_model
from tests.unit.hw.scnn.scnn_model import Network, P
from tests.unit.hw.system.lists import END, Fields, control, encoded, load, rows_in, rows_out
from tests.unit.hw.system.system_bench import Dram, Processor, place, place_list
from zeroskip.compiler.scnn.run import TileLayout
from zeroskip.hw.common.control import Command
from zeroskip.hw.common.formats import pack
from zeroskip.hw.scnn import formats as scnn
from zeroskip.hw.scnn.array import ARRAY_MODULE, PE_MODULE, ScnnArray
from zeroskip.hw.scnn.pe import ScnnPe
from zeroskip.hw.scnn.system import PLANES, ScnnSystem, plane_words, scnn_engine, scnn_lanes
from zeroskip.hw.system.formats import Error, Wait, word_bytes
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.registers import Register, State
from zeroskip.sim.bench.assembly import assemble
from zeroskip.sim.bench.pysim import simulate
from zeroskip.sim.scnn.rtl_files import scnn_place

LISTS, DATA, PLANE_AREA, SIZE = 0x1000, 0x4000, 0x6000, 0x8000


def in_order(layout: TileLayout, values: NDArray[np.int64]) -> list[int]:
    """Order the values of a plane PE by PE, as the array has them."""
    out: list[int] = []
    for pe_y, pe_x in product(range(P.pes_y), range(P.pes_x)):
        top = pe_y % (1 << layout.block_y) * layout.tile_h
        left = pe_x % (1 << layout.block_x) * layout.tile_w
        tile = values[:, top : top + layout.tile_h, left : left + layout.tile_w]
        out += tile.ravel().tolist()
    return out


def packed(values: list[int], lanes: int) -> list[int]:
    mask = (1 << P.act_bits) - 1
    rows = [values[at : at + lanes] for at in range(0, len(values), lanes)]
    return [sum((v & mask) << P.act_bits * k for k, v in enumerate(row)) for row in rows]


def setup(memory: Dram, network: Network) -> list[Fields]:
    """Put all that stays into memory; return the list that loads it."""
    p, lists, addr = memory.p, list[Fields](), DATA
    engine = scnn_engine(p, P)

    def add(space: int, number: int, words: list[int]) -> None:
        nonlocal addr
        size = word_bytes(engine.memories[space].bits)
        place(memory, addr, words, size)
        lists.append(load(space, number, 0, len(words), addr))
        addr += -(-len(words) * size // 64) * 64

    for name, sram in network.run.srams.items():
        if name != "program":
            space, number, _, _ = scnn_place(name)
            words = [sum(limb << 64 * at for at, limb in enumerate(w)) for w in sram.words.tolist()]
            add(space, number, words)
    add(scnn.Space.PROGRAM, 0, [one.data or 0 for one in scnn_model.program_writes(network)])
    (descriptor,) = network.run.program
    layout = network.run.loads[0].layout
    fields: dict[str, int] = {
        "base": 0, "channels": network.channels, "wo": layout.tile_w, "ho": layout.tile_h,
        "y_stride": layout.y_stride, "full_x": descriptor.full_x, "rem_x": descriptor.rem_x,
        "full_y": descriptor.full_y, "rem_y": descriptor.rem_y,
        "block_x": layout.block_x, "block_y": layout.block_y,
    }  # fmt: skip
    load_words, read_words = plane_words(P)
    where = pack(scnn.plane_load_layout(P), **fields, sx=1, sy=1, dense=int(layout.dense))
    where |= pack(scnn.plane_layout(P), **fields | {"base": descriptor.dst_base}) << 64 * load_words
    mask = (1 << 64) - 1
    add(PLANES, 0, [where >> 64 * at & mask for at in range(load_words + read_words)])
    return [*lists, END]


def inference(number: int, given: int, taken: int) -> list[Fields]:
    area = PLANE_AREA + 0x400 * number
    return [
        rows_in(0, given, area, wait=Wait.ENGINE | Wait.OUTPUTS),
        control(Command.START),
        rows_out(0, taken, area + 0x200),
        END,
    ]


def run(
    seed: int,
    p: SystemParams,
    busy: float,
    latency: int,
    more_in: int = 0,
    more_out: int = 0,
    fails: int | None = None,
) -> None:
    """Start a setup and three inferences at once.

    Parameters
    ----------
    seed, p, busy, latency : of the memory.
    more_in, more_out : rows that planes do not have, or fewer.
    fails : memory answers the read of this inference's input with an error.
    """
    rng = np.random.default_rng(seed)
    channels = int(rng.integers(1, 3))
    network = scnn_model.draw_network(rng, channels)
    lanes = scnn_lanes(p, P)
    memory = Dram(p, seed, busy=busy, latency=latency)
    layout = network.run.loads[0].layout
    lists = [setup(memory, network)]
    if fails is not None:
        memory.bad = frozenset([PLANE_AREA + 0x400 * fails])
    expected: list[list[int]] = []
    for number in range(3):
        shape = network.layer.in_shape
        x = rng.integers(-40, 40, shape) * (rng.random(shape) < 0.7)
        values = in_order(layout, x)
        rows = packed(values, lanes)
        given, taken = len(rows) + more_in, len(rows) + more_out
        kept = np.array(values)
        kept[given * lanes :] = 0
        seen = np.zeros_like(x)
        places = in_order(layout, np.arange(x.size).reshape(x.shape))
        seen.ravel()[places] = kept
        place(memory, PLANE_AREA + 0x400 * number, rows + [5] * more_in, p.beat_bytes)
        lists.append(inference(number, given, taken))
        layer = network.layer
        graph = network.graph(np.asarray(layer.codebook), np.asarray(layer.bias))
        y = run_graph(graph, seen[None], P.acc_bits, P.act_bits)[layer.name][0]
        expected.append([*packed(in_order(layout, y), lanes), *[0] * more_out][:taken])
    dut = ScnnSystem(p, P)
    whole, _ = assemble(dut, {ARRAY_MODULE: lambda: ScnnArray(P), PE_MODULE: lambda: ScnnPe(P)})

    async def bench(ctx: Any) -> None:
        system: Any = dut
        cpu = Processor(system, ctx)
        await cpu.window(LISTS, SIZE)
        for number, commands in enumerate(lists):
            while not await cpu.read(Register.CONTROL) & State.READY:
                pass
            if number - 2 == fails:
                while await cpu.read(Register.CONTROL) & State.START:
                    pass
                failed = await cpu.read(Register.ERROR)
                assert failed & 15 == Error.READ.value
                assert failed >> 8 == 0  # its first command
            addr = LISTS + 0x200 * number
            await cpu.start(addr, place_list(memory, addr, encoded(commands)))
        while await cpu.read(Register.DONE) < len(lists) - (fails is not None):
            pass
        assert await cpu.read(Register.ERROR) == 0
        assert not ctx.get(dut.lost)

    async def reads(ctx: Any) -> None:
        await memory.serve_reads(ctx, dut.read)

    async def writes(ctx: Any) -> None:
        await memory.serve_writes(ctx, dut.write)

    simulate(whole, bench, monitors=[reads, writes])
    for number, rows in enumerate(expected):
        if number == fails:
            continue
        area = PLANE_AREA + 0x400 * number + 0x200
        assert [memory.row(area + p.beat_bytes * k) for k in range(len(rows))] == rows


@pytest.mark.parametrize(
    ("seed", "data_bits", "busy", "latency"), [(0, 64, 0.5, 20), (1, 128, 0.0, 3), (2, 64, 0.3, 0)]
)
def test_planes_in_planes_out(seed: int, data_bits: int, busy: float, latency: int) -> None:
    run(seed, SystemParams(data_bits=data_bits, burst_beats=4, outstanding=3), busy, latency)


@pytest.mark.parametrize(("more_in", "more_out"), [(-1, 2), (2, -1)])
def test_other_numbers_of_rows_than_a_plane_has(more_in: int, more_out: int) -> None:
    """Nothing hangs: missing values are 0, the rest is thrown away."""
    run(5, SystemParams(data_bits=64, burst_beats=4, outstanding=3), 0.3, 5, more_in, more_out)


def test_runs_behind_an_input_that_could_not_be_read() -> None:
    run(6, SystemParams(data_bits=64, burst_beats=4, outstanding=3), 0.3, 5, fails=1)
