"""The SCNN array's RTL on drawn layers, laid on it in drawn ways, and on drawn networks."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.cosim.scnn_check import Trial, check_trials
from tests.cosim.scnn_draw import draw_graph, draw_layer, draw_planes
from tests.cosim.scnn_plans import draw_runs
from tests.support.arrays import SCNN
from tests.support.tiers import drawn_seeds
from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.graph import INPUT, QuantGraph
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.scnn.run import ScnnDescriptor, has_halos
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.hw.scnn.params import PRESETS, ScnnParams

pytestmark = pytest.mark.cosim
_LONG = pytest.mark.long("builds another simulator")

# Each is a build of its own (some 15 s).
_ARRAYS = {
    "blocks": SCNN,
    # Nothing is a power of two, queues are as short and numbers as narrow as they can be, that
    # of a pass (one bit) included. Few beats of weights fit the FIFOs, so that PEs wait for them.
    "narrow": replace(
        PRESETS["tiny"],
        pes_x=3,
        pes_y=2,
        num_streams=6,
        mult_f=3,
        mult_i=1,
        banks=4,
        bank_entries=32,
        scatter_depth=1,
        weight_depth=3,
        run_bits=2,
        field_bits=7,
        code_bits=3,
        weight_bits=8,
        act_bits=8,
        acc_bits=20,
        act_words=256,
        stream_beats=2,
        num_descriptors=2,
    ),
    "alone": replace(
        PRESETS["tiny"],
        pes_x=1,
        pes_y=1,
        mult_f=4,
        mult_i=4,
        banks=32,
        bank_entries=4,
        stream_beats=3,
    ),
}
_LAYERS, _NETWORKS = 80, 25


def _draw(seed: int, name: str, p: ScnnParams, kind: str | None = None, most: int = 13) -> Trial:
    """Draw a layer, and a way to lay it on the array."""
    rng = np.random.default_rng(seed)
    while True:
        rows, columns = (int(v) for v in rng.integers(1, most + 1, 2))
        shape = int(rng.integers(1, 8)), rows, columns
        conv = draw_layer(rng, "layer", [(INPUT, shape)], p, kind=kind)
        runs = draw_runs(rng, conv, p)
        if runs is not None:
            graph = QuantGraph(shape, (conv,), ("layer",))
            planes = draw_planes(rng, shape, 1, p, low=p.min_act)
            return Trial(f"{name}, seed {seed}", graph, runs, planes)


def _passes(trials: list[Trial]) -> list[ScnnDescriptor]:
    return [one for trial in trials for run in trial.runs for one in run.program]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("blocks", marks=pytest.mark.drawn),
        pytest.param("narrow", marks=_LONG),
        pytest.param("alone", marks=_LONG),
    ],
)
def test_drawn_layers(name: str) -> None:
    """Any kernel, stride, padding and grouping; any blocks, tiles, regions and kept sums."""
    p = _ARRAYS[name]
    seeds = drawn_seeds(_LAYERS) if name == "blocks" else range(_LAYERS)
    trials = [_draw(seed, name, p) for seed in seeds]
    shapes = {(one.block_x, one.block_y) for one in _passes(trials)}
    assert shapes >= ({(0, 0), (0, 1), (1, 0)} if p.num_pes > 1 else {(0, 0)})
    assert any(not one.drain for one in _passes(trials))
    seen = check_trials(p, trials)
    # A layer by itself has no use for the bus, and a PE by itself has no neighbours.
    never = [StallClass.BUS] if p.num_pes > 1 else [StallClass.HALO, StallClass.BUS]
    assert [one for one in StallClass if not seen[one]] == never


def test_drawn_networks() -> None:
    """Several layers in a run, branches, additions, phases, maxima made along."""
    p = _ARRAYS["blocks"]
    trials = []
    seed = 0
    while len(trials) < _NETWORKS:
        rng = np.random.default_rng(1000 + seed)
        seed += 1
        graph = draw_graph(rng, p, int(rng.integers(2, 6)), size=9, windows=len(trials) % 2 > 0)
        try:
            runs = build(graph, p)
        except CompileError:  # too large for 128 accumulators
            continue
        planes = draw_planes(rng, graph.input_shape, 2, p, low=p.min_act)
        trials.append(Trial(f"seed {seed - 1}", graph, runs, planes))
    assert any(len(run.program) > 2 for trial in trials for run in trial.runs)
    windows = {(one.pool_y, one.pool_x) for one in _passes(trials)}
    assert windows >= {(1, 1), (1, 2), (2, 1), (2, 2)}
    # With two columns a lane where tiles have no halos, and without.
    assert {has_halos(one) for one in _passes(trials) if one.pool_x == 2} == {False, True}
    check_trials(p, trials)


@pytest.mark.parametrize("kind", ["conv", "max"])
def test_halos_on_every_border_and_corner(kind: str) -> None:
    """Two by two PEs share a plane, most of whose outputs lie where tiles meet."""
    p = _ARRAYS["blocks"]
    drawn = (_draw(seed, kind, p, kind, 7) for seed in itertools.count(2000))
    shared = (
        trial
        for trial in drawn
        if all(
            one.block_x and one.block_y
            and one.halo_left + one.halo_right and one.halo_top + one.halo_bottom
            for one in _passes([trial])
        )
    )  # fmt: skip
    trials = list(itertools.islice(shared, 12))
    sides = ("halo_left", "halo_right", "halo_top", "halo_bottom")
    assert all(any(getattr(one, side) for one in _passes(trials)) for side in sides)
    seen = check_trials(p, trials)
    assert seen[StallClass.HALO]
