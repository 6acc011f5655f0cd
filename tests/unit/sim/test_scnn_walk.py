"""The order in which outputs are made, against loops; plans make every output exactly once."""

from dataclasses import replace

import numpy as np
import pytest

from tests.cosim.scnn_draw import draw_layer
from tests.cosim.scnn_plans import draw_runs
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.scnn.run import Channels, PassOutput
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.scnn.walk import map_pass, walk

_ARRAY = replace(PRESETS["tiny"], num_streams=4)


@pytest.mark.parametrize("seed", range(30))
def test_every_output_is_made_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = int(rng.integers(1, 8)), int(rng.integers(1, 14)), int(rng.integers(1, 14))
    conv = draw_layer(rng, "layer", [(INPUT, shape)], _ARRAY)
    runs = draw_runs(rng, conv, _ARRAY)
    assert runs is not None
    made = np.zeros(conv.out_shape, np.int64)
    for run in runs:
        for descriptor, output in zip(run.program, run.outputs, strict=True):
            assert (output is None) == (not descriptor.drain)
            if output is not None:
                where = map_pass(_ARRAY, descriptor, output)
                assert not (where.inside & where.outside).any()
                inside = where.inside
                np.add.at(made, tuple(p[inside] for p in (where.channel, where.y, where.x)), 1)
    assert (made == 1).all()


def test_walk_goes_by_channels_phases_rows_and_columns() -> None:
    rng = np.random.default_rng(0)
    conv = draw_layer(rng, "layer", [(INPUT, (3, 7, 7))], _ARRAY, kind="conv")
    runs = draw_runs(rng, conv, _ARRAY)
    assert runs is not None
    descriptor = replace(
        runs[0].program[0], groups=2, kc=2, kc_last=1, ho=3, wo=5, out_sy=2, out_sx=3, drain=True
    )
    expected = [
        (k, y, x)
        for k in range(3)
        for a in range(2)
        for b in range(3)
        for y in range(3)
        for x in range(5)
        if y % 2 == a and x % 3 == b
    ]
    assert sorted(expected) == sorted(map(tuple, walk(descriptor).tolist()))
    assert walk(descriptor).tolist() == [list(one) for one in expected]


def test_places_follow_the_blocks() -> None:
    """PE (1, 0) of a grid of two blocks side by side begins a block, and a channel, of its own."""
    rng = np.random.default_rng(0)
    conv = draw_layer(rng, "layer", [(INPUT, (1, 4, 4))], _ARRAY, kind="conv")
    runs = draw_runs(rng, conv, _ARRAY)
    assert runs is not None
    descriptor = replace(
        runs[0].program[0], groups=1, kc=1, kc_last=1, ho=2, wo=3, out_sy=1, out_sx=1,
        block_x=0, block_y=1, drain=True,
    )  # fmt: skip
    output = PassOutput(
        blocks=(Channels(tensor="t", start=4, stop=5), Channels(tensor="t", start=5, stop=6)),
        y0=10,
        x0=20,
        height=3,
        width=2,
    )
    where = map_pass(_ARRAY, descriptor, output)
    assert where.tensor == "t"
    assert where.channel[0].tolist() == [4, 5, 4, 5]
    assert where.y[0].tolist() == [10, 10, 12, 12]
    assert where.x[0].tolist() == [20, 20, 20, 20]
    # Row 1 of the lower tiles is row 3 of the region, which has none; so is column 2.
    last = (descriptor.ho - 1) * descriptor.wo
    assert where.inside[last].tolist() == [True, True, False, False]
    assert not where.inside[descriptor.wo - 1].any()
    with pytest.raises(ValueError, match="2 blocks has outputs for 1"):
        map_pass(_ARRAY, descriptor, replace(output, blocks=output.blocks[:1]))
