"""Whole networks, from torch modules to the RTL of both engines."""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.cosim.scnn_check import integer_torch
from tests.support.arrays import CHIP_EIE, CHIP_SCNN, SCNN
from tests.unit.compiler.cnn_networks import (
    GoogLeNet,
    LeNet,
    ResNet,
    SqueezeNet,
    depthwise,
)
from zeroskip import compile
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.machine import Selection, machine
from zeroskip.sim.metrics import measure
from zeroskip.sim.run import quantize, run
from zeroskip.sim.scnn.stores import ConvDifference
from zeroskip.sim.verify import verify

pytestmark = pytest.mark.cosim

_LONG = pytest.mark.long("runs a large network for minutes")


def _mobile() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        depthwise(4, 6, 1),
        depthwise(6, 8, 2),
        nn.MaxPool2d(2, ceil_mode=True),
    )


def _patches() -> nn.Module:
    """Return a network whose strides descriptors have no bits for, with kernels of one place."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 9, 8, padding=1),
        nn.ReLU(),
        nn.Conv2d(6, 8, (1, 5), padding=(2, 0)),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
    )


_NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int], ScnnParams]] = {
    "lenet": (LeNet, (1, 28, 28), CHIP_SCNN),
    "googlenet": (GoogLeNet, (3, 32, 32), CHIP_SCNN),
    "resnet": (ResNet, (3, 32, 32), CHIP_SCNN),
    "squeezenet": (lambda: SqueezeNet("1.1"), (3, 32, 32), SCNN),
    "mobile": (_mobile, (3, 17, 17), SCNN),
    "patches": (_patches, (3, 39, 40), SCNN),
}


def _prune(module: nn.Module) -> None:
    """Set two in three weights to 0; give batch norms something to do."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                part.weight[torch.rand_like(part.weight) < 0.67] = 0
            if isinstance(part, nn.BatchNorm2d):
                assert part.running_mean is not None
                assert part.running_var is not None
                part.running_mean.uniform_(-0.2, 0.2)
                part.running_var.uniform_(0.5, 1.5)


def _compile(name: str) -> tuple[Image, nn.Module, torch.Tensor]:
    """Return a network's image, the network, and samples."""
    make, shape, params = _NETWORKS[name]
    torch.manual_seed(0)
    module = make().eval()
    _prune(module)
    x = torch.randn(6, *shape)
    image = compile(copy.deepcopy(module), x[:1], x.numpy(), [CHIP_EIE, params], share=True)
    return image, module, x


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("lenet", marks=_LONG),
        pytest.param("googlenet", marks=_LONG),
        pytest.param("resnet", marks=_LONG),
        pytest.param("squeezenet", marks=_LONG),
        "mobile",
        "patches",
    ],
)
def test_networks(name: str) -> None:
    """Every word of RTL is golden's, golden is PyTorch's on integers, and near the floats."""
    image, module, x = _compile(name)
    samples = x[:2].numpy()
    result = verify(image, samples)
    assert not result.differences
    assert not result.cycle_differences
    assert not result.problems
    assert result.ok
    assert result.model.reload_cycles is not None
    assert result.rtl.reload_cycles is not None
    np.testing.assert_array_equal(result.model.reload_cycles, result.rtl.reload_cycles)
    assert not measure(result).problems
    part = image.part("scnn")
    reference = integer_torch(part.graph, quantize(image, samples)[0], part.params)
    for layer, tensor in result.rtl.part("scnn").tensors.items():
        np.testing.assert_array_equal(tensor, reference[layer], layer)
    outputs = run(image, x.numpy()).outputs
    np.testing.assert_array_equal(outputs[:2], result.rtl.outputs)
    with torch.no_grad():
        expected = module(x).numpy()
    error = np.abs(outputs.reshape(expected.shape) - expected).max()
    assert error <= 0.02 * np.abs(expected).max()


def test_renumbered_channels() -> None:
    """Inner channels that stand in another order on the array come in the user's."""
    rng = np.random.default_rng(4)
    shapes = {"first": (64, 16), "second": (4, 64)}
    weights = {name: rng.integers(1, 8, (*shape, 3, 3)) for name, shape in shapes.items()}
    dense = np.where(np.arange(64) % 8 < 2, 1, 0.05)[:, None, None, None]
    weights["first"][rng.random(weights["first"].shape) >= dense] = 0
    layers, source = [], INPUT
    for name, (outputs, inputs) in shapes.items():
        layers.append(
            QuantConv(
                name=name,
                kind="conv",
                inputs=(source,),
                in_shape=(inputs, 5, 5),
                out_shape=(outputs, 5, 5),
                weight=weights[name],
                codebook=None,
                bias=rng.integers(-9, 9, outputs),
                stride=(1, 1),
                padding=(1, 1),
                groups=1,
                relu=True,
                op="add",
                signed_input=name == "first",
                in_frac=4,
                weight_frac=8,
                out_frac=4,
            )
        )
        source = name
    graph = QuantGraph((16, 5, 5), tuple(layers), ("second",))
    image = compile_quantized(graph, {"scnn": SCNN}, name="renumbered")
    order = image.channel_orders["first"]
    assert (order != np.arange(64)).any()
    x = rng.normal(size=(2, 16, 5, 5)) * 4
    result = verify(image, x)
    assert result.ok
    assert result.words > 0
    assert result.counters > 0
    reference = integer_torch(graph, quantize(image, x)[0], SCNN)
    for name, tensor in result.rtl.tensors.items():
        np.testing.assert_array_equal(tensor, reference[name], name)
    model, rtl = result.model.part("scnn"), result.rtl.part("scnn")
    np.testing.assert_array_equal(rtl.tensors["first"], reference["first"][:, order])
    # A word that differs is told of by the number of the user's channel.
    wrong = {**model.tensors, "first": model.tensors["first"].copy()}
    wrong["first"][0, 5, 2, 3] += 1
    whole = Selection(image.part("scnn"), ("first", "second"))
    told, _ = machine("scnn").compare(whole, replace(model, tensors=wrong), rtl, image, 10)
    (one,) = (one for one in told.differences if isinstance(one, ConvDifference))
    assert (one.layer, one.channel, one.y, one.x) == ("first", order[5], 2, 3)


@pytest.mark.long("runs a large network for minutes")
def test_single_layers() -> None:
    """Layers that are run alone take as long, and make the same, as in the whole network."""
    image, _, x = _compile("squeezenet")
    samples = x[:2].numpy()
    # One in strips, and one that shares its run.
    names = "features.0", "features.6.expand1x1"
    result = verify(image, samples, layers=names)
    assert result.ok
    (alone,) = result.parts
    also = "features.2", "features.6.expand3x3"
    assert sorted(alone.selection.layers) == sorted((*names, *also))
    chosen = alone.selection.part
    assert isinstance(chosen, ScnnPart)
    assert len(chosen.runs) < len(image.part("scnn").runs)
    whole = run(image, samples, "cycles")
    counters = whole.part("scnn").counters
    assert counters is not None
    assert alone.rtl.counters is not None
    for number, layer in enumerate(image.part("scnn").layers):
        if layer.name in alone.selection.layers:
            np.testing.assert_array_equal(alone.rtl.counters[:, number], counters[:, number])
            np.testing.assert_array_equal(result.rtl.tensors[layer.name], whole.tensors[layer.name])
    metrics = measure(result)
    assert not metrics.problems
    (part,) = metrics.parts
    assert [one.name for one in part.layers] == list(alone.selection.layers)


@pytest.mark.long("builds another simulator")
def test_linear_layers_alone() -> None:
    image, _, x = _compile("lenet")
    result = verify(image, x[:2].numpy(), layers=["ip2"])
    assert result.ok
    (alone,) = result.parts
    assert alone.selection.layers == ("ip1", "ip2")
    assert alone.words > 0
    (part,) = measure(result).parts
    assert part.engine == "eie"
    assert [one.name for one in part.layers] == ["ip1", "ip2"]
