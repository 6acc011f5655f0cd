"""What leaves a network: tensors given twice, in another order, the input; from arrays and chip."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zeroskip as zs
from tests.unit.compiler.cnn_networks import conv, fun
from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.image.image import Image
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.run import quantize
from zeroskip.sim.system.inferences import count_inferences


class Recurrent(nn.Module):
    """Gives the outputs of an LSTM beside what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.rnn(x)[0], x], -1)


def joined(*names: str) -> Callable[[Any, torch.Tensor], torch.Tensor]:
    """Return what concatenates tensors of a network: x, its convolution y, and y's ReLU z."""

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        y = m.c(x)
        tensors = {"x": x, "y": y, "z": y.relu()}
        return torch.cat([tensors[name] for name in names], 1)

    return forward


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "twice": (fun(joined("z", "y", "z"), c=conv(2, 3, 1)), (2, 3, 3)),
    "another order": (fun(joined("z", "y"), c=conv(2, 3, 1)), (2, 3, 3)),
    "input": (fun(joined("y", "x"), c=conv(2, 3, 1)), (2, 3, 3)),
    "flat input": (fun(joined("x", "y", "x"), c=nn.Linear(6, 4)), (6,)),
    "input at every step": (Recurrent, (5, 4)),
}


def compiled(module: nn.Module, x: torch.Tensor, *arrays: Any) -> Image:
    return zs.compile(module.eval(), x[:1], x, arrays or [PRESETS["tiny"]], share=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_arrays_and_chip_give_what_the_network_does(name: str) -> None:
    build, shape = NETWORKS[name]
    torch.manual_seed(0)
    module, x = build(), torch.rand(3, *shape) - 0.5
    image = compiled(module, x)
    result = zs.run(image, x, "cycles")
    with torch.no_grad():
        expected = module(x).numpy()
    assert np.abs(result.outputs - expected.reshape(result.outputs.shape)).max() < 0.1
    chip = count_inferences(image, quantize(image, x)[0], SystemParams())
    assert np.array_equal(chip.outputs.reshape(3, -1), result.result.reshape(3, -1))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "width"),
    [(1, 3, 1, 1), (2, 5, 2, 2), (3, 5, 3, 1), (2, 5, 2, 3)],
)
def test_windows_in_the_padding_see_nothing(
    kernel: int, stride: int, padding: int, width: int
) -> None:
    """All but the last have a single window, in front of the plane."""
    torch.manual_seed(0)
    module = nn.Conv2d(2, 3, (1, kernel), (1, stride), (0, padding))
    x = torch.randn(2, 2, 1, width)
    image = compiled(module, x)
    result = zs.run(image, x)
    with torch.no_grad():
        assert np.abs(result.outputs - module(x).numpy()).max() < 1e-2
    chip = count_inferences(image, quantize(image, x)[0], SystemParams())
    assert np.array_equal(chip.outputs, result.result.reshape(2, -1))


def test_tiles_too_large_for_the_hardware_are_refused() -> None:
    """Of a plane that moves: with 4 accumulators, positions in it have 2 bits."""
    params = ScnnParams(pes_x=3, banks=2, bank_entries=2)
    module, x = nn.MaxPool2d(1, (5, 4), ceil_mode=True), torch.randn(2, 8, 7, 1)
    image = compiled(nn.Sequential(module), x, params)
    with pytest.raises(CompileError, match=r"needs 4 for 'wo'.* raise bank_entries or banks"):
        count_inferences(image, quantize(image, x)[0], SystemParams())


def test_queued_runs_that_cannot_be_counted_are_named() -> None:
    """A Linear layer before a convolution, whose weights come while the next one's run begins."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Linear(12, 36), nn.ReLU(), nn.Unflatten(1, (4, 3, 3)), nn.Conv2d(4, 6, 2)
    )
    x = torch.randn(2, 12)
    image = compiled(module, x, zs.EieParams(num_pes=4), PRESETS["tiny"])
    planes, port = quantize(image, x)[0], SystemParams(data_bits=64)
    with pytest.raises(InputError, match="give one input at a time"):
        count_inferences(image, planes, port)
    assert np.array_equal(
        count_inferences(image, planes[:1], port).outputs,
        zs.run(image, x[:1]).result.reshape(1, -1),
    )
