"""BatchNorm goes into the layers beside it: exactly, or it stays and is named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.compiler.compress.auto import auto
from zeroskip.compiler.compress.config import Config
from zeroskip.compiler.compress.fold import apply_folds, find_folds, kept_norms
from zeroskip.compiler.compress.pack import state_of_zsk
from zeroskip.compiler.compress.prepare import Network
from zeroskip.compiler.compress.run_folder import RunFolder
from zeroskip.compiler.compress.stages import Stages
from zeroskip.compiler.compress.task import Task, evaluate
from zeroskip.compiler.frontend.zsk import import_zsk
from zeroskip.compiler.ir.graph import FloatConv, FloatLinear


class Residual(nn.Module):
    """Norms that a sum is behind, called by code."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3)
        self.skip, self.last = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm(self.conv(x)))
        return torch.relu(self.last(self.skip(y)) + x)


class Twice(nn.Module):
    """A Linear that two norms take the outputs of, in turns."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.one, self.two = nn.Linear(6, 6), nn.BatchNorm1d(6), nn.BatchNorm1d(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(self.fc(self.one(self.fc(x))))


class Peeking(nn.Module):
    """A Linear whose outputs go around the norm, too."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.norm = nn.Linear(6, 6), nn.BatchNorm1d(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.fc(x)
        return self.norm(y) + y


class Branching(nn.Module):
    """Code that depends on values, which cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) if float(x.sum()) > 1e9 or x.shape[0] > 0 else x


def seen(module: nn.Module) -> nn.Module:
    """Give norms what training would."""
    source = torch.Generator().manual_seed(1)
    for name, tensor in module.state_dict().items():
        if name.endswith(("running_var", "running_mean")):
            tensor.copy_(torch.rand(tensor.shape, generator=source) + 0.3)
    return module.eval()


FLAT, PLANES = (5, 6), (5, 3, 8, 8)


@pytest.mark.parametrize(
    ("make", "shape", "left"),
    [
        (lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)), FLAT, 0),
        (
            lambda: nn.Sequential(nn.Linear(6, 4, bias=False), nn.BatchNorm1d(4, affine=False)),
            FLAT, 0,
        ),
        (lambda: nn.Sequential(nn.Linear(6, 4), nn.Dropout(), nn.BatchNorm1d(4)), FLAT, 0),
        (lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 4)), FLAT, 0),
        (lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4)), FLAT, 0),
        (lambda: nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6)), PLANES, 0),
        (lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 6, 3, groups=3)), PLANES, 0),
        (
            lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(192, 4)),
            PLANES, 0,
        ),
        (Residual, PLANES, 0),
        (Branching, FLAT, 0),
        (lambda: nn.Sequential(nn.Conv1d(6, 4, 2), nn.BatchNorm1d(4)), (5, 6, 9), 0),
        # What is around the plane is 0 behind the norm.
        (lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1)), PLANES, 1),
        (lambda: nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.BatchNorm1d(4)), FLAT, 1),
        # A Linear's channels are the last dimension, the norm's the second.
        (lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(3)), (5, 3, 6), 1),
        (
            lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4, track_running_stats=False)),
            FLAT, 1,
        ),
        (Twice, FLAT, 2),
        (Peeking, FLAT, 1),
    ],
)  # fmt: skip
def test_folding_is_exact(make: Callable[[], nn.Module], shape: tuple[int, ...], left: int) -> None:
    torch.manual_seed(0)
    module = seen(make())
    x = torch.randn(shape)
    wanted = module(x)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    folds = find_folds(module, x)
    assert all(torch.equal(tensor, module.state_dict()[name]) for name, tensor in before.items())
    apply_folds(module, folds)
    warnings = kept_norms(module)
    assert len(warnings) == left
    assert all("was not folded" in text for text in warnings)
    torch.testing.assert_close(module(x), wanted, rtol=1e-4, atol=1e-5)


def test_tied_weights_are_not_scaled() -> None:
    module = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 6))
    module[3].weight = module[0].weight
    assert not find_folds(seen(module), torch.randn(FLAT))
    assert "'1'" in kept_norms(module)[0]


def test_compile_finds_the_values_that_compress_reports(tmp_path: Path) -> None:
    """The point of folding: behind it, nothing scales weights that are shared."""
    source = torch.Generator().manual_seed(0)
    x = torch.randn(120, 1, 6, 6, generator=source)
    data = [(x, x.flatten(1)[:, :3].argmax(1))] * 3

    def model() -> nn.Module:
        torch.manual_seed(0)
        return seen(
            nn.Sequential(
                nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
                nn.Linear(128, 40), nn.BatchNorm1d(40), nn.ReLU(), nn.Linear(40, 3),
            )
        )  # fmt: skip

    task = Task("normed", model, lambda: data, lambda: data[:1])
    config = Config.model_validate({
        "train": {"epochs": 1, "distill": 0.0},
        "prune": {"epochs": 1, "density": 0.5},
        "finetune": {"epochs": 1},
    })
    notes: list[str] = []
    stages = Stages(task, config, RunFolder(tmp_path / "run"), on_note=notes.append)
    reports = [layer.values for layer in auto(stages).sizes.layers]
    assert [text.rpartition(": ")[2] for text in notes] == ["1, 5"]
    network = import_zsk(tmp_path / "run" / "model.zsk")
    compiled = [
        np.unique(one.weight[one.weight != 0]).size
        for one in network.nodes
        if isinstance(one, (FloatConv, FloatLinear))
    ]
    assert compiled == reports == [15, 15, 15]
    # And the file goes into a fresh network of the task's, with norms, again.
    back = Network(task).holding(state_of_zsk(tmp_path / "run" / "model.zsk"), "model.zsk")
    result = stages.result("finetune")
    assert result is not None
    assert evaluate(back, task) == evaluate(result, task)
    unfolded = model().state_dict()
    assert Network(task).holding(unfolded, "state").state_dict().keys() == unfolded.keys()
