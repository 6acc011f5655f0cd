"""A task that trains in a second, and a way to run stages on it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from zeroskip.compiler.compress.config import Config
from zeroskip.compiler.compress.run_folder import RunFolder
from zeroskip.compiler.compress.stages import Stages
from zeroskip.compiler.compress.task import Task

MakeStages = Callable[..., Stages]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Keep torch on one core: small sums take longer on two."""
    torch.set_num_threads(1)


def small_model() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 20), nn.BatchNorm1d(20),
        nn.ReLU(), nn.Linear(20, 3),
    )  # fmt: skip


@pytest.fixture
def task() -> Task:
    """Give a network with a convolution, and three classes of 4 x 4 images."""
    source = torch.Generator().manual_seed(0)
    x = torch.randn(240, 1, 4, 4, generator=source)
    y = x.reshape(-1, 16)[:, :3].argmax(1)
    data = TensorDataset(x, y)
    return Task(
        "small",
        small_model,
        lambda: DataLoader(data, 40, shuffle=True),
        lambda: DataLoader(data, 240),
    )


@pytest.fixture
def config() -> Config:
    """Give a configuration of few epochs."""
    return Config.model_validate({
        "train": {"epochs": 4, "learning_rate": 0.01, "distill": 0.0},
        "prune": {"epochs": 4, "learning_rate": 0.01, "density": 0.3},
        "finetune": {"epochs": 2, "learning_rate": 0.003},
        "share": {"codes": 7},
    })


@pytest.fixture
def stages(task: Task, config: Config, tmp_path: Path) -> MakeStages:
    """Give a function that makes stages on a folder of the test's, with some settings changed."""

    def make(name: str = "run", **changes: object) -> Stages:
        changed = Config.model_validate({**config.model_dump(), **changes})
        return Stages(task, changed, RunFolder(tmp_path / name))

    return make
