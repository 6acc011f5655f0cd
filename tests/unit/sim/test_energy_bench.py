"""The energy of the papers: their digits from their constants, and layers beside machines."""

from dataclasses import replace

import pytest

from zeroskip.base.tables import Table
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.eie.benchmark.energy import PAPER_FACTORS, EieEnergyBench
from zeroskip.sim.eie.benchmark.energy import bench_energy as bench_eie
from zeroskip.sim.eie.benchmark.layers import EIE_LAYERS
from zeroskip.sim.scnn.benchmark.energy import DensityCost, NetworkCost, ScnnEnergyBench
from zeroskip.sim.scnn.benchmark.energy import bench_energy as bench_scnn
from zeroskip.sim.scnn.benchmark.granularity import GRAINS, GrainLayer
from zeroskip.sim.scnn.benchmark.layers import ConvLayer

SMALL = ConvLayer("small", "one", (4, 8, 8), 8, 3, 1, 1, 1, 0.5, 0.4)


def test_the_paper_of_eie_to_the_digit() -> None:
    bench = EieEnergyBench(EIE_LAYERS, {}, "")
    energies = [bench.paper_uj(layer) for layer in EIE_LAYERS]
    (seventh,) = (
        uj for layer, uj in zip(EIE_LAYERS, energies, strict=True) if layer.name == "Alex-7"
    )
    assert round(1e6 / seventh / 10) == 13893  # the paper divides a rounded rate
    for name in ("gpu", "mobile gpu"):
        assert round(bench.factor(name, energies)) == PAPER_FACTORS[name]
    # Of the bars of figure 7, which are rounded in another way, the text has 24,207.
    assert bench.factor("cpu", energies) == pytest.approx(PAPER_FACTORS["cpu"], rel=0.01)


def test_densities_at_which_both_take_the_same() -> None:
    points = tuple(DensityCost(at, uj, 1.0) for at, uj in ((0.5, 0.6), (0.75, 0.9), (1.0, 1.3)))
    assert ScnnEnergyBench((), points, "").even == pytest.approx(0.75 + 0.25 / 4)
    assert ScnnEnergyBench((), points[:2], "").even is None
    networks = tuple(
        NetworkCost(name, 1.0, over, 1.0, 1.0, {}) for name, over in (("a", 2), ("b", 8))
    )
    assert ScnnEnergyBench(networks, (), "").over_dense == pytest.approx(4)


@pytest.mark.long("compiles layers")
def test_a_convolution_beside_the_dense_machine() -> None:
    params = PRESETS["tiny"]
    found = bench_scnn({"small": [SMALL]}, (), (SMALL,), params=params)
    (network,) = found.networks
    assert network.uj > 0
    assert network.gated_uj < network.dense_uj
    assert sum(network.units.values()) == pytest.approx(1)
    assert [type(one).__name__ for one in found.report()] == ["Table"] * 2
    grains = {one.grain: one for one in found.grains}
    assert list(grains) == list(GRAINS)
    # All have about as many weights, and the same products but for where activations are 0.
    for cost in grains.values():
        assert cost.density == pytest.approx(SMALL.weight_density, abs=0.03)
        assert cost.references > 0
    assert found.to_dict()["over_dense"] == pytest.approx(network.dense_uj / network.uj)


@pytest.mark.parametrize("grain", GRAINS)
def test_weights_are_pruned_in_groups(grain: str) -> None:
    layer = GrainLayer(**vars(SMALL), grain=grain)
    _, weights = layer.draw()
    kept = weights != 0
    axes = {"fine": (), "vector": (3,), "kernel": (2, 3), "filter": (1, 2, 3)}[grain]
    # A group is there, or not.
    assert (kept.all(axis=axes) == kept.any(axis=axes)).all()
    assert kept.mean() == pytest.approx(SMALL.weight_density, abs=0.03)


@pytest.mark.long("compiles layers")
def test_a_layer_beside_the_paper() -> None:
    layers = [layer for layer in EIE_LAYERS if layer.name == "NT-We"]
    found = bench_eie(layers, presets=("paper",))
    (cost,) = found.costs["paper"]
    # All its inputs are non-zero: skipping zeros of them saves nothing.
    assert cost.saved == pytest.approx(0, abs=1e-9)
    halved = replace(found, costs={"paper": (cost, replace(cost, saved=0.5))})
    assert halved.saved == pytest.approx(1 / 3)
    assert cost.dense_uj > 5 * cost.uj
    assert cost.uj == pytest.approx(found.paper_uj(layers[0]), rel=0.3)
    modules = found.modules_mw(cost)
    assert sum(modules.values()) - modules["memory"] < sum(cost.units_mw.values())
    # A word of Spmat and two pointers in 8 cycles at 800 MHz; what is left are sums of 16 bits,
    # activations and biases.
    reads_mw = (32.957 + 2 * 8.317) / 8 * 0.8
    assert reads_mw < cost.as_paper_mw["memory"] < reads_mw + 0.8
    assert cost.as_paper_mw["ArithmUnit"] < cost.units_mw["arithmetic"]
    document = found.to_dict()
    assert set(document["factors"]) == {"paper's constants", "paper"}
    tables = list(found.report())
    assert len(tables) == 4
    # Without the layer of table V, the module's power is that of the first, and says so.
    assert [table.header[2] for table in tables if isinstance(table, Table)][1] == "NT-We"
