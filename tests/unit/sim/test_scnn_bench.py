"""Layers and machines of SCNN's evaluation."""

import dataclasses
import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.support.arrays import SCNN
from zeroskip.base.progress import silent
from zeroskip.compiler.engine import Job
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.fixed import layer_results, run_layer
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.scnn.engine import BOUNDED, ENGINE
from zeroskip.compiler.scnn.layer import layer_runs
from zeroskip.compiler.scnn.plan import plan_layer
from zeroskip.compiler.scnn.tiles import encode_tiles
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.sim.scnn.benchmark.bench import BENCH_PARAMS, bench_scnn, measure_layer
from zeroskip.sim.scnn.benchmark.layers import MERGED, NETWORKS, RTL_LAYERS, ConvLayer, scnn_layers
from zeroskip.sim.scnn.benchmark.machines import dense_cycles, useful_products
from zeroskip.sim.scnn.benchmark.run import compile_layer, dense_operand, weight_bytes
from zeroskip.sim.scnn.benchmark.settle import settle
from zeroskip.sim.scnn.benchmark.storage import scnn_storage
from zeroskip.sim.scnn.benchmark.total import PORT, dense_total, total_network
from zeroskip.sim.scnn.benchmark.wiring import wire
from zeroskip.sim.system.inferences import count_inferences

SMALL = ConvLayer("vgg16", "small", (6, 9, 9), 10, 3, 1, 1, 1, 0.5, 0.3)
GROUPS = ConvLayer("alexnet", "groups", (8, 11, 11), 6, 5, 2, 2, 2, 0.4, 0.6, "a guess")


def test_networks_have_their_published_sizes() -> None:
    assert [len(NETWORKS[name]) for name in ("alexnet", "googlenet", "vgg16")] == [5, 57, 13]
    macs = {name: sum(one.macs for one in layers) for name, layers in NETWORKS.items()}
    # AlexNet with its groups, and VGG-16's convolutions, as everybody counts them.
    assert macs["alexnet"] == 665_784_864
    assert macs["vgg16"] == 15_346_630_656
    weights = sum(int(np.prod(one.weight_shape)) for one in NETWORKS["vgg16"])
    assert weights == 14_710_464
    assert len(scnn_layers()) == 75
    assert set(RTL_LAYERS) <= set(scnn_layers())
    known = [one.name for one in NETWORKS["googlenet"] if not one.assumed]
    assert known == [
        f"{module}/{branch}"
        for module in ("3a", "5b")
        for branch in ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
    ]


def test_modules_feed_each_other() -> None:
    layers = {one.name: one for one in NETWORKS["googlenet"]}
    modules = ["3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]
    for before, after in itertools.pairwise(modules):
        made = sum(
            layers[f"{before}/{branch}"].out_channels
            for branch in ("1x1", "3x3", "5x5", "pool_proj")
        )
        assert layers[f"{after}/1x1"].in_shape[0] == made
        assert layers[f"{after}/3x3"].in_shape[0] == layers[f"{after}/3x3_reduce"].out_channels


@pytest.mark.parametrize("layer", [SMALL, GROUPS, *NETWORKS["alexnet"][2:]])
def test_densities_are_exact_and_draws_the_same(layer: ConvLayer) -> None:
    acts, weights = layer.draw()
    assert acts.shape == layer.in_shape
    assert weights.shape == layer.weight_shape
    assert np.count_nonzero(acts) == round(layer.act_density * acts.size)
    assert np.count_nonzero(weights) == round(layer.weight_density * weights.size)
    for one, other in zip((acts, weights), layer.draw(), strict=True):
        assert (one == other).all()


def test_the_dense_machine_counts_what_sticks_out() -> None:
    layers = scnn_layers()
    # 13 x 13 outputs in tiles of 2 x 2, 256 * 9 operands in 144 cycles.
    assert dense_cycles(layers["alexnet/conv3"]) == 384 * 4 * 144
    # Two groups of 48 channels: 48 * 25 operands; 27 x 27 outputs in tiles of 4 x 4.
    assert dense_cycles(layers["alexnet/conv2"]) == 256 * 16 * 75
    # 3 * 9 operands take two cycles.
    assert dense_cycles(layers["vgg16/conv1_1"]) == 64 * 28 * 28 * 2


@pytest.mark.parametrize("layer", [SMALL, GROUPS])
def test_the_bound_counts_products_that_outputs_need(layer: ConvLayer) -> None:
    one = compile_layer(layer, BENCH_PARAMS)
    ones = dataclasses.replace(
        one.conv,
        weight=(one.conv.weight != 0).astype(np.int64),
        codebook=None,
        bias=np.zeros_like(one.conv.bias),
        weight_frac=0,
    )
    counted, _ = run_layer(ones, (one.acts != 0).astype(np.int64)[None], acc_bits=32, act_bits=16)
    assert useful_products(layer, one.acts, one.conv.weight) == counted.sum()


def test_a_row_is_consistent() -> None:
    found = measure_layer(SMALL)
    assert sum(found.stalls.values()) == pytest.approx(1)
    assert found.stalls["useful"] == found.utilisation
    assert found.oracle_cycles <= found.cycles * found.utilisation
    assert found.speedup == found.dense_cycles / found.cycles
    issued = found.stalls["useful"] + found.stalls["fragmentation"]
    assert found.utilisation_issuing == pytest.approx(found.utilisation / issued)
    assert found.references["accumulators"] == pytest.approx(
        found.utilisation * found.cycles * BENCH_PARAMS.num_pes * BENCH_PARAMS.mults
    )


def test_all_machines_are_counted_and_merged_layers_follow() -> None:
    three = [scnn_layers()[name] for name in MERGED[1].merged]
    result = bench_scnn({"alexnet": (GROUPS,), "googlenet": three})
    (row,) = result.networks["alexnet"].layers
    dense = measure_layer(dense_operand(GROUPS, acts=True, weights=True))
    assert row.dense_operand_cycles == dense.cycles
    assert row.sparse_w_cycles is not None
    assert row.sparse_a_cycles is not None
    assert row.cycles <= min(row.sparse_w_cycles, row.sparse_a_cycles) <= dense.cycles
    assert [one.name for one in result.merged] == ["5b/1x1 and both reduces"]
    assert result.exact
    document = result.to_dict()
    network = document["networks"]["alexnet"]
    assert network["speedup"] == row.dense_cycles / row.cycles
    assert network["speedup_published_densities"] is None
    assert network["layers"][0]["stalls"].keys() == {c.name.lower() for c in StallClass}
    three_alone = result.networks["googlenet"]
    assert three_alone.late_1x1 is None
    # One layer keeps more multipliers busy than three.
    assert result.merged[0].cycles < sum(one.cycles for one in three_alone.layers)


def test_runs_take_the_channels_that_fit() -> None:
    layer = scnn_layers()["googlenet/5b/3x3_reduce"]
    one = compile_layer(layer, BENCH_PARAMS)
    plan = plan_layer(one.conv, BENCH_PARAMS, layer.act_density, loads_beside=True)
    assert len(one.runs) < len(layer_runs(one.conv, plan, BENCH_PARAMS))
    for load in (load for run in one.runs for load in run.loads):
        (channels,) = load.channels
        encode_tiles(BENCH_PARAMS, load.layout, one.acts[channels.start : channels.stop])
    # An entry of 12 bits for each weight that is not 0, and little more.
    entries = np.count_nonzero(one.conv.weight) * 12
    assert 1 < 8 * weight_bytes(one.runs) / entries < 1.4


NETWORK = (
    ConvLayer("small", "conv1", (3, 12, 12), 6, 3, 1, 1, 1, 1.0, 0.6),
    ConvLayer("small", "m/1x1", (6, 6, 6), 4, 1, 1, 0, 1, 0.5, 0.5),
    ConvLayer("small", "m/3x3_reduce", (6, 6, 6), 3, 1, 1, 0, 1, 0.5, 0.5),
    ConvLayer("small", "m/3x3", (3, 6, 6), 4, 3, 1, 1, 1, 0.5, 0.5),
    ConvLayer("small", "m/pool_proj", (6, 6, 6), 2, 1, 1, 0, 1, 0.7, 0.5),
    ConvLayer("small", "conv2", (10, 6, 6), 5, 3, 1, 1, 1, 0.4, 0.4),
)


def test_a_settled_network_computes_tensors_of_its_densities() -> None:
    network = settle(wire(NETWORK))
    results = layer_results(network.graph, network.draw()[INPUT][None], acc_bits=32, act_bits=16)
    made = {one.layer.name: one for one in results}
    for layer in (layer for layer in network.graph.layers if layer.kind == "conv"):
        planes, density = made[layer.name].output[0], network.densities[layer.name]
        size = planes[0].size
        shares = np.count_nonzero(planes.reshape(len(planes), -1), axis=1) / size
        # Of sums that are alike, all are above 0 or none.
        assert shares.min() >= density - 1 / size
        assert shares.mean() <= density + 2 / size
        assert 127 < planes.max() <= 256
        assert made[layer.name].saturated[0] == 0


def test_a_network_is_counted_as_its_command_lists_are() -> None:
    """Drawn outputs, and those that are computed, are counted by one model."""
    p = replace(SCNN, act_fifo_words=8, act_words=256, num_descriptors=16, num_codebooks=8)
    layers = NETWORK
    network = wire(layers)
    assert network.graph.outputs == ("conv2",)
    assert network.densities["pool_conv1"] == 0.5
    planes = network.draw()[INPUT][None]
    job = Job(
        options={},
        densities=network.densities,
        activity={},
        report={},
        progress=silent,
    )
    part = ENGINE.compile(network.graph, p, job)
    results = layer_results(part.graph, planes, acc_bits=p.acc_bits, act_bits=p.act_bits)
    golden = {INPUT: planes[0], **{one.layer.name: one.output[0] for one in results}}
    expected = count_inferences(Image("small", part.graph, (part,)), planes, PORT).inferences[0]
    found = total_network(network, layers, p, ram_margin=BOUNDED, tensors=golden)
    assert found.cycles == expected.cycles[0]
    assert found.dram_bytes == 16 * (expected.read_beats + expected.write_beats)
    assert [run.cycles for run in found.runs] == [run.cycles for run in expected.runs]
    assert sum(run.bus_words for run in found.runs) > 0
    assert found.speedup == sum(dense_total(layer) for layer in layers) / found.cycles


def test_storage_is_that_of_the_memories() -> None:
    found = {one.name: one for one in scnn_storage(BENCH_PARAMS)}
    acts = found["activations"]
    assert acts.here == acts.paper == 2 * 10 * 1024 * 8
    accumulators = found["accumulators"]
    assert (accumulators.paper, accumulators.here) == (2 * 1024 * 24, 2 * 1024 * 32)
