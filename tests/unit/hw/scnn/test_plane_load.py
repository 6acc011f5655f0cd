from typing import Any

import numpy as np
import pytest

from tests.unit.hw.scnn.plane_host import PARAMS, Shape, draw
from zeroskip.compiler.scnn.run import ActLoad, Channels
from zeroskip.hw.scnn.formats import Space, plane_load_layout
from zeroskip.hw.scnn.plane_load import PlaneLoad
from zeroskip.sim.bench.pysim import put, random_gaps, simulate
from zeroskip.sim.scnn.loads import loaded_rams

BASE = 4
SHAPES = [
    Shape(2, 1, 3, 2, 5, 5, 2),
    Shape(2, 1, 2, 2, 4, 2, 0),  # PEs with nothing have zeros, and directory entries
    Shape(0, 0, 3, 4, 3, 4, 1),
    Shape(0, 1, 2, 5, 3, 4, 3, dense=True),
    Shape(2, 1, 1, 1, 1, 1, 0),
    Shape(2, 1, 4, 4, 7, 9, 1, sy=2, sx=2),
    Shape(2, 1, 3, 4, 6, 11, 2, sy=3, sx=2, dense=True),
    Shape(1, 0, 4, 6, 4, 10, 0, sy=1, sx=3),
    # The last PE of a block has more than a tile.
    Shape(1, 1, 2, 2, 5, 5, 2),
    Shape(1, 1, 3, 2, 8, 7, 4, sy=3, sx=2, dense=True),
    Shape(1, 0, 2, 4, 2, 11, 3, sy=1, sx=4),
]


class _Memory:
    """What an array's host port wrote, and how its ``ready`` was drawn."""

    def __init__(self, dut: PlaneLoad, seed: int) -> None:
        self.words: dict[tuple[str, int], dict[int, int]] = {}
        self.writes = 0
        self._dut, self._random = dut, np.random.default_rng(seed)

    async def monitor(self, ctx: Any) -> None:
        port = self._dut.cmd
        offered = None
        while True:
            ctx.set(port.ready, int(self._random.random() < 0.6))
            _, _, valid, ready, payload = await ctx.tick().sample(
                port.valid, port.ready, port.payload
            )
            if offered is not None:
                assert valid, "valid fell before the transfer"
                assert payload == offered, "the payload changed before the transfer"
            offered = payload if valid and not ready else None
            if valid and ready:
                command = payload.command
                assert command.write
                self.writes += 1
                name = {Space.ACT: "act", Space.DIRECTORY: "directory"}[command.space]
                self.words.setdefault((name, payload.pe), {})[command.addr] = command.data


async def _load(
    ctx: Any, dut: PlaneLoad, shape: Shape, values: Any, seed: int, rows: range = range(256)
) -> None:
    fields = {"dense": shape.dense, "word": rows.start, "limit": rows.stop}
    fields |= shape.fields(BASE, len(values))
    ctx.set(dut.plane, dut.plane.shape().const(fields))
    ctx.set(dut.spread.as_value(), -1)
    ctx.set(dut.go, 1)
    await ctx.tick()
    ctx.set(dut.go, 0)
    groups = shape.groups(values, PARAMS.mult_i, seed)
    await put(ctx, dut.i, groups, random_gaps(seed, 3))
    await ctx.tick().until(~dut.busy)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_writes_what_the_host_would(shape: Shape, density: float) -> None:
    values = draw(shape, density)
    load = ActLoad(
        channels=(Channels(tensor="x", start=0, stop=len(values)),),
        base=BASE,
        word=0,
        limit=PARAMS.act_words,
        dealt=False,
        layout=shape.layout,
    )
    expected = {
        (name, pe): {
            row: sum(int(limb) << 64 * at for at, limb in enumerate(limbs))
            for row, limbs in enumerate(ram.words)
            if name == "act" or row >= BASE
        }
        for (pe, name), ram in loaded_rams(PARAMS, [load], {"x": values}).items()
    }
    dut = PlaneLoad(PARAMS)
    memory = _Memory(dut, 3)

    async def bench(ctx: Any) -> None:
        for run in range(2):  # again: nothing is left of the first time
            memory.words.clear()
            memory.writes = 0
            await _load(ctx, dut, shape, values, run)
            written = {key: dict(sorted(rows.items())) for key, rows in memory.words.items()}
            assert written == {key: rows for key, rows in expected.items() if rows}
            assert memory.writes == sum(map(len, expected.values())), "a row was written twice"
            assert not ctx.get(dut.lost)

    simulate(dut, bench, monitors=(memory.monitor,))


def test_says_that_values_found_no_room() -> None:
    shape = Shape(2, 1, 3, 2, 5, 5, 0)
    dut = PlaneLoad(PARAMS)
    memory = _Memory(dut, 4)
    rows = range(3, 11)

    async def bench(ctx: Any) -> None:
        values = np.ones((3, 5, 5), np.int64)  # 6 values, so 3 words, of 3 channels
        for full in (values, values[:2], values):
            memory.words.clear()
            await _load(ctx, dut, shape, full, 5, rows)
            assert ctx.get(dut.lost) == (len(full) == 3)
            for pe in range(2):
                assert sorted(memory.words["act", pe]) == [*rows][: 3 * len(full)]

    simulate(dut, bench, monitors=(memory.monitor,))


def test_takes_a_group_a_cycle() -> None:
    shape = Shape(0, 0, 3, 4, 3, 4, 0)
    values = draw(shape, 1.0)
    dut = PlaneLoad(PARAMS)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.cmd.ready, 1)
        fields: Any = {"limit": PARAMS.act_words, **shape.fields(BASE, len(values))}
        ctx.set(dut.plane, plane_load_layout(PARAMS).const(fields))
        ctx.set(dut.i.payload, {"values": [1, 1], "count": 2})
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.spread.as_value(), -1)
        ctx.set(dut.go, 1)
        await ctx.tick()
        ctx.set(dut.go, 0)
        cycles = 0
        while ctx.get(dut.busy):
            await ctx.tick()
            cycles += 1
        # A directory entry is written behind the word that it comes with; a PE takes 5 more.
        assert cycles == PARAMS.num_pes * (values.size // 2 + len(values) + 5)

    simulate(dut, bench)
