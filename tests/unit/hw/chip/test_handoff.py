import random
from itertools import product
from typing import Any

import numpy as np
import pytest

from zeroskip.compiler.scnn.run import TileLayout
from zeroskip.compiler.scnn.tiles import encode_tiles
from zeroskip.hw.chip.formats import handoff_layout
from zeroskip.hw.chip.handoff import Handoff
from zeroskip.hw.common.control import Control, StatusBit
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn import formats as scnn
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.pysim import random_gaps, simulate

S = ScnnParams(
    pes_x=3, pes_y=2, num_streams=6, mult_i=2, act_words=256, num_channels=32, run_bits=2
)
E = EieParams(num_pes=3, num_acts=256)


def flattened(values: np.ndarray, layout: TileLayout) -> list[int]:
    """Order positions as the handoff does, PE by PE; each block has all of ``values``."""
    out: list[int] = []
    for pe_y, pe_x in product(range(S.pes_y), range(S.pes_x)):
        top = (pe_y % (1 << layout.block_y)) * layout.tile_h
        left = (pe_x % (1 << layout.block_x)) * layout.tile_w
        tile = values[:, top : top + layout.tile_h, left : left + layout.tile_w]
        out += tile[:, : layout.height - top, : layout.width - left].ravel().tolist()
    return out


@pytest.mark.parametrize(
    ("block_x", "block_y", "tile_h", "tile_w", "height", "width", "extra"),
    [
        (2, 1, 3, 2, 5, 5, 2),  # one block of all PEs, ragged to both sides
        (2, 1, 2, 2, 4, 2, 0),  # columns of PEs with nothing
        (0, 0, 3, 4, 3, 4, 1),  # each PE a block
        (0, 1, 2, 5, 3, 4, 3),
        (2, 1, 1, 1, 1, 1, 0),
    ],
)
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("ram", "swapped"), [(0, 0), (0, 1), (1, 1)])
def test_copies_every_position_in_order(
    block_x: int,
    block_y: int,
    tile_h: int,
    tile_w: int,
    height: int,
    width: int,
    extra: int,
    density: float,
    ram: int,
    swapped: int,
) -> None:
    rng = np.random.default_rng(7)
    values = rng.integers(-99, 99, (3, height, width)) * (rng.random((3, height, width)) < density)
    layout = TileLayout(
        block_x=block_x,
        block_y=block_y,
        tile_h=tile_h,
        tile_w=tile_w,
        sy=1,
        sx=1,
        y_stride=tile_w + extra,
        y0=0,
        x0=0,
        height=height,
        width=width,
        dense=False,
    )
    base = 4
    tiles = encode_tiles(S, layout, values, 9)
    directory = tiles.directory(S)
    dut = Handoff(S, E)
    seed = block_x + 10 * tile_h + 100 * width + ram
    pauses, written = random_gaps(seed, 3), {}

    def read(space: Any, pe: int, addr: int) -> int:
        if space == scnn.Space.CONTROL:
            assert addr == Control.STATUS
            source = ram if swapped else 1 - ram
            return StatusBit.SOURCE if source else 0
        place = (pe // S.pes_x % (1 << block_y) << block_x) + pe % S.pes_x % (1 << block_x)
        bits = S.channel_bits if space == scnn.Space.DIRECTORY else S.act_addr_bits
        assert addr >> bits == ram
        row = addr & ((1 << bits) - 1)
        if space == scnn.Space.DIRECTORY:
            return int(directory[place, row - base])
        assert space == scnn.Space.ACT
        return sum(int(limb) << 64 * i for i, limb in enumerate(tiles.words[place][row - 9]))

    async def engine(ctx: Any) -> None:
        # No `until` or `repeat`: a monitor is cut off in the middle, and they must not be.
        while True:
            for _ in range(next(pauses) + 1):
                await ctx.tick()
            ctx.set(dut.scnn_cmd.ready, 1)
            valid, payload = False, None
            while not valid:
                _, _, valid, payload = await ctx.tick().sample(
                    dut.scnn_cmd.valid, dut.scnn_cmd.payload
                )
            assert payload is not None
            ctx.set(dut.scnn_cmd.ready, 0)
            for _ in range(next(pauses) + 1):
                await ctx.tick()
            command = payload.command
            assert not command.write
            ctx.set(dut.scnn_rsp.payload, read(command.space, payload.pe, command.addr))
            ctx.set(dut.scnn_rsp.valid, 1)
            ready = False
            while not ready:
                _, _, ready = await ctx.tick().sample(dut.scnn_rsp.ready)
            ctx.set(dut.scnn_rsp.valid, 0)

    async def sink(ctx: Any) -> None:
        rng = random.Random(seed)
        while True:
            ctx.set(dut.eie_cmd.ready, rng.random() < 0.7)
            _, _, valid, ready, payload = await ctx.tick().sample(
                dut.eie_cmd.valid, dut.eie_cmd.ready, dut.eie_cmd.payload
            )
            if valid and ready:
                command = payload.command
                assert command.space == Space.ACT
                assert command.write
                value = command.data & ((1 << E.act_bits) - 1)
                place = command.addr * E.num_pes + payload.pe
                assert place not in written
                written[place] = value - (value >> E.act_bits - 1 << E.act_bits)

    async def bench(ctx: Any) -> None:
        ctx.set(
            dut.config,
            handoff_layout(S).const({
                "base": base,
                "channels": len(values),
                "wo": tile_w,
                "ho": tile_h,
                "y_stride": layout.y_stride,
                "full_x": width // tile_w,
                "rem_x": width % tile_w,
                "full_y": height // tile_h,
                "rem_y": height % tile_h,
                "block_x": block_x,
                "block_y": block_y,
                "swapped": swapped,
            }),
        )
        for _ in range(2):  # again: nothing is left of the first time
            written.clear()
            ctx.set(dut.go, 1)
            await ctx.tick()
            ctx.set(dut.go, 0)
            await ctx.tick().until(~dut.busy)
            expected = flattened(values, layout)
            expected += [0] * (-len(expected) % E.num_pes)
            assert written == dict(enumerate(expected))

    simulate(dut, bench, monitors=(engine, sink))
