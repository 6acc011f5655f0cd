"""The SCNN array's RTL on pooling of every kind that torch has, laid on it in several ways."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tests.cosim.scnn_check import Trial, check_trials
from tests.cosim.scnn_plans import draw_runs
from tests.support.arrays import CHIP_EIE, CHIP_SCNN, SCNN
from tests.support.tiers import drawn_seeds
from tests.unit.compiler.pool_modules import draw_pool
from zeroskip import compile
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.sim.metrics import measure
from zeroskip.sim.run import quantize, run
from zeroskip.sim.verify import verify

pytestmark = pytest.mark.cosim

_POOLS = 60


class _Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 3, 3)
        self.same = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.side = nn.Conv2d(3, 2, 1)
        self.last = nn.AvgPool2d(3, 2, ceil_mode=True)
        self.fc = nn.Linear(60, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        y = self.last(torch.cat([self.same(x), self.side(x)], 1))
        return self.fc(torch.flatten(y, 1))


def _draw(seed: int) -> Trial:
    """Draw a pooling; the compiler's mapping, or for one in two a drawn one."""
    rng = np.random.default_rng(seed)
    pool, shape, x = draw_pool(rng)
    image = compile(copy.deepcopy(pool), torch.from_numpy(x[:1]), x, arrays=SCNN)
    runs: tuple[ScnnRun, ...] | None = None
    part = image.part("scnn")
    layer, *others = part.layers
    taps = layer.weight.shape[2] * layer.weight.shape[3]
    if seed % 2 and not others and taps <= SCNN.num_taps:
        runs = draw_runs(rng, layer, SCNN)
    name = f"seed {seed}: {pool} of {shape}"
    return Trial(name, part.graph, runs or part.runs, quantize(image, x[:1])[0])


@pytest.mark.drawn
def test_drawn_pools() -> None:
    """Every word and cycle: areas of averages, maxima beside padding, divisors of their own."""
    trials = [_draw(seed) for seed in drawn_seeds(_POOLS)]
    layers = [trial.graph.layers[0] for trial in trials]
    assert sum(bool(one.areas) for one in layers) > 4
    assert sum(one.op == "max" for one in layers) > 4
    assert any((trial.planes < 0).all() for trial in trials)
    check_trials(SCNN, trials)


def test_windows_of_padding_only() -> None:
    """Padding of a convolution may be wider than its kernel: some outputs are the bias."""
    torch.manual_seed(0)
    trials: list[Trial] = []
    for layer, shape in (
        (nn.Conv2d(1, 2, 1, padding=2), (1, 3, 4)),
        (nn.Conv2d(2, 2, 2, padding=4), (2, 3, 4)),
        (nn.Conv2d(2, 2, 3, stride=2, padding=5), (2, 5, 4)),
        (nn.Conv2d(1, 2, 2, stride=3, padding=9), (1, 1, 2)),
    ):
        x = torch.randn(2, *shape)
        image = compile(copy.deepcopy(layer).eval(), x[:1], x.numpy(), arrays=SCNN)
        planes = quantize(image, x.numpy())[0]
        part = image.part("scnn")
        trials.append(Trial(str(layer), part.graph, part.runs, planes))
        with torch.no_grad():
            error = np.abs(run(image, x.numpy()).outputs - layer(x).numpy()).max()
        assert error <= 1e-3
    check_trials(SCNN, trials)


@pytest.mark.long("builds two simulators, those of the command line's tests")
def test_network() -> None:
    """Averages in areas between convolutions, concatenated, and before Linear layers."""
    torch.manual_seed(0)
    network = _Branches().eval()
    with torch.no_grad():
        network.fc.weight.copy_(network.fc.weight.sign() / 8)  # EIE shares weights.
    x = torch.randn(6, 2, 9, 10)
    image = compile(copy.deepcopy(network), x[:1], x.numpy(), [CHIP_EIE, CHIP_SCNN])
    assert [len(layer.areas) for layer in image.part("scnn").layers] == [0, 9, 0, 2]
    result = verify(image, x[:2].numpy())
    assert result.ok
    assert not measure(result).problems
    with torch.no_grad():
        expected = network(x[:2]).numpy()
    error = np.abs(result.rtl.outputs - expected).max()
    assert error <= 0.01 * np.abs(expected).max()
    alone = verify(image, x[:2].numpy(), layers=["same"])
    assert alone.ok
    (part,) = alone.parts
    assert part.selection.layers == ("same",)
    chosen = part.selection.part
    assert isinstance(chosen, ScnnPart)
    assert len(chosen.runs) == 9
