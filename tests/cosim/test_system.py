"""Inferences from one START each: memory, rows and times on RTL, golden and cycle model."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.cosim.scnn_draw import draw_graph, draw_planes
from tests.support.arrays import SCNN, SYSTEM
from tests.support.both import draw_both, draw_frames, real
from tests.support.images import eie_image, scnn_image
from zeroskip.compiler.eie.place import place
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import QuantGraph, QuantLinear
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.system.build import build_system
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.system.memory import MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.run import run
from zeroskip.sim.system import verify
from zeroskip.sim.system.rtl import run_phases
from zeroskip.sim.system.verify import verify_system

pytestmark = pytest.mark.cosim

BUS = replace(
    SCNN,
    act_fifo_words=8,
    act_words=256,
    bank_entries=32,
    num_codebooks=8,
    num_descriptors=16,
    plane_units=2,
)
"""An array whose PEs send each other what they own."""

DrawNetwork = Callable[..., QuantGraph[QuantLinear]]


def draw(draw_network: DrawNetwork, seed: int) -> tuple[Image, np.ndarray, MemorySettings]:
    """Draw a network, up to five inputs, and how the memory behaves."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 60, rng.integers(2, 5)).tolist()
    density = float(rng.choice([0.05, 0.3, 0.7]))
    network = draw_network(sizes, seed=seed, density=density, weight_bits=8, bias_bits=10, shift=6)
    strategy = ("interleave", "balance", "schedule")[seed % 3]
    image = eie_image("net", network, SYSTEM, place(network, SYSTEM, strategy))
    x = rng.integers(-400, 400, (int(rng.integers(1, 6)), sizes[0])) / 256
    x *= rng.random(x.shape) < 0.6
    return image, x, draw_settings(rng, seed)


def draw_settings(rng: np.random.Generator, seed: int) -> MemorySettings:
    """Draw how the memory behaves."""
    return MemorySettings(
        read_latency=int(rng.integers(2, 60)),
        write_latency=int(rng.integers(2, 60)),
        stall=int(rng.choice([0, 40, 140])),
        rate=int(rng.choice([256, 200, 90])),
        seed=seed,
    )


def run_drawn(draw_network: DrawNetwork, port: SystemParams, seeds: Iterable[int]) -> int:
    """Compare drawn networks; return the most runs that an inference took."""
    runs = 0
    for seed in seeds:
        image, x, settings = draw(draw_network, seed)
        found = verify_system(image, x, port, settings)
        assert found.problems == (), seed
        assert found.bytes > 0
        assert found.rows >= len(x)
        assert found.times == 2 * (1 + len(x))
        runs = max(runs, len(image.parts[0].loads))
    return runs


def test_drawn_networks(draw_network: DrawNetwork) -> None:
    assert run_drawn(draw_network, SystemParams(), range(3, 8)) > 10


@pytest.mark.long("many networks")
def test_more_networks(draw_network: DrawNetwork) -> None:
    assert run_drawn(draw_network, SystemParams(), [*range(3), *range(8, 28)]) > 10


@pytest.mark.long("two more simulators")
@pytest.mark.parametrize("data_bits", [64, 256])
def test_other_ports(draw_network: DrawNetwork, data_bits: int) -> None:
    port = SystemParams(data_bits=data_bits, burst_beats=4, outstanding=2)
    assert run_drawn(draw_network, port, range(100, 110)) > 1


def run_planes(port: SystemParams, seeds: Iterable[int], p: ScnnParams) -> tuple[int, int]:
    """Compare drawn networks on SCNN; return the most runs that an inference took, and bus passes.

    An array with a bus has tensors of all layers stay with their owners; of every other network,
    all are outputs, those that are stored in phases, too.
    """
    runs = bus = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        graph = draw_graph(rng, p, int(rng.integers(1, 4)), channels=4)
        if p.act_fifo_words and seed % 2:
            graph = replace(graph, outputs=tuple(layer.name for layer in graph.layers))
        planes = draw_planes(rng, graph.input_shape, 2, p, low=p.min_act)
        program = build(graph, p)
        image = scnn_image("net", graph, p, program)
        settings = draw_settings(rng, seed)
        found = verify_system(image, planes * 2.0 ** -graph.layers[0].in_frac, port, settings)
        assert found.problems == (), seed
        assert found.rows > 0
        assert found.times == 2 * (1 + len(planes))
        runs = max(runs, len(program))
        bus += sum(step.bus for run in program for step in run.program)
    return runs, bus


@pytest.mark.long("a simulator of its own")
@pytest.mark.parametrize(
    ("data_bits", "params", "seeds"),
    [(64, BUS, [*range(64, 71), 213]), (128, SCNN, range(128, 136))],
    ids=["bus", "alone"],
)
def test_drawn_planes(data_bits: int, params: ScnnParams, seeds: Iterable[int]) -> None:
    """In 213, four blocks share three channels of six phases, which are apart in memory."""
    runs, bus = run_planes(SystemParams(data_bits=data_bits), seeds, params)
    assert (bus if params.act_fifo_words else runs) > 2


@pytest.mark.long("a simulator of both engines")
@pytest.mark.parametrize("data_bits", [64])
def test_both_engines(draw_network: DrawNetwork, data_bits: int) -> None:
    """Linear layers behind convolutions: of both, some in several runs; outputs as golden's.

    Then recurrent layers behind convolutions of each step, and of whole sequences.
    """
    runs = np.zeros(2, int)
    for seed in range(data_bits, data_bits + 6):
        image, planes, rng = draw_both(draw_network, seed)
        found = verify_system(
            image, real(image, planes), SystemParams(data_bits=data_bits), draw_settings(rng, seed)
        )
        assert found.problems == (), seed
        assert found.times == 2 * (1 + len(planes))
        runs = np.maximum(runs, [len(part.loads) for part in image.parts])
    assert (runs > 1).all()
    for seed in range(data_bits, data_bits + 6):
        image, planes, rng = draw_frames(seed, whole=seed % 2 == 1)
        x = real(image, planes).reshape(-1, *image.sample_shape)
        port, settings = SystemParams(data_bits=data_bits), draw_settings(rng, seed)
        found = verify_system(image, x, port, settings)
        assert found.problems == (), seed
        assert np.array_equal(found.run.outputs.ravel(), run(image, x).result.ravel())


def test_what_differs_is_found(draw_network: DrawNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """The RTL gets a memory in which one bias is another."""
    image, x, settings = draw(draw_network, 3)
    bias = build_system(image, SystemParams()).map.block("run_0/pe_0/bias")

    def damaged(program: Any, clearing: int, contents: bytes, *others: Any) -> Any:
        changed = bytearray(contents)
        changed[bias.address + 1] ^= 0x40
        return run_phases(program, clearing, bytes(changed), *others)

    monkeypatch.setattr(verify, "run_phases", damaged)
    found = verify_system(image, x, SystemParams(), settings)
    assert found.rows_differ
    assert not found.ok
    assert any("rows:" in problem for problem in found.problems)
