"""The flow: masks survive training, weights stay shared, stopped runs end like unstopped ones."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from compiler.compress.layers import Masked, bake, density_of, hold, layers_of
from compiler.compress.pack import pack, state_of_zsk
from compiler.compress.run_folder import RunFolder
from compiler.compress.stages import FLOWS, Stages
from compiler.compress.task import Task, evaluate
from compiler.compress.train import TrainingError
from compiler.errors import InputError


class StopError(Exception):
    """What kills a run in a test."""


def weights(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: layer.weight.detach().numpy() for name, layer in layers_of(module).items()}


def run_all(stages: Stages) -> nn.Module:
    module = stages.base()
    for stage in FLOWS[stages.config.flow]:
        module = stages.run(stage)
    return module


def test_whole_flow(stages: Any, task: Task, tmp_path: Path) -> None:
    run = stages()
    module = run_all(run)
    pruned, shared = weights(run.run("prune")), weights(run.run("share"))
    tuned = weights(module)
    for name, weight in tuned.items():
        assert np.count_nonzero(weight) == round(0.3 * weight.size)
        assert np.array_equal(weight != 0, pruned[name] != 0)
        assert np.unique(weight[weight != 0]).size <= 7
        # Which weights share a value is decided once; the values move.
        for value in np.unique(shared[name]):
            assert np.unique(weight[shared[name] == value]).size == 1
    assert any(not np.array_equal(tuned[name], shared[name]) for name in tuned)
    assert evaluate(module, task).error < 50
    report = pack(module, tmp_path / "model.zsk", task.example())
    assert report.file_bytes == (tmp_path / "model.zsk").stat().st_size
    assert report.parameters == sum(p.numel() for p in task.model().parameters())
    other = task.model()
    other.load_state_dict(state_of_zsk(tmp_path / "model.zsk"))
    for name, tensor in bake(module).state_dict().items():
        assert tensor.numpy().tobytes() == other.state_dict()[name].numpy().tobytes()
    assert evaluate(other, task) == evaluate(module, task)


def test_masks_survive_any_optimizer() -> None:
    layer = nn.Linear(6, 5)
    mask = torch.rand(5, 6, generator=torch.Generator().manual_seed(1)) < 0.5
    hold(layer, Masked(mask))
    optimizer = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        layer(torch.randn(8, 6)).square().sum().backward()
        optimizer.step()
        assert not layer.weight[~mask].any()
    bake(layer)
    assert type(layer.weight) is nn.Parameter
    # Not -0.0 either, which a file would have to keep.
    assert not layer.weight.detach()[~mask].view(torch.int32).any()


def test_copies_keep_their_weights_when_one_is_baked() -> None:
    layer = nn.Linear(3, 2)
    hold(layer, Masked(torch.ones(2, 3, dtype=torch.bool)))
    other = bake(copy.deepcopy(layer))
    assert torch.equal(layer.weight, layers_of(other)[""].weight)
    assert torch.equal(layer(torch.ones(1, 3)), other(torch.ones(1, 3)))


def test_the_same_seed_gives_the_same_network(stages: Any) -> None:
    one, two, other = (run_all(stages(str(n), seed=seed)) for n, seed in enumerate((3, 3, 4)))
    for name, weight in weights(one).items():
        assert np.array_equal(weight, weights(two)[name])
        assert not np.array_equal(weight, weights(other)[name])


@pytest.mark.parametrize("flow", ["deep-compression", "ttq"])
def test_resumed_runs_equal_unstopped_ones(
    stages: Any, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {
        "flow": flow,
        "dsd": {"epochs": 2, "density": 0.5, "distill": 0.0},
        "ttq": {"epochs": 3, "learning_rate": 0.01},
    }
    whole = run_all(stages("whole", **more))
    saved, stop_after = RunFolder.save_running, 0

    def save(self: RunFolder, *given: Any) -> Path:
        nonlocal stop_after
        path = saved(self, *given)
        stop_after -= 1
        if stop_after < 0:
            raise StopError
        return path

    monkeypatch.setattr(RunFolder, "save_running", save)
    # Killed after each second epoch that it does, until it comes through.
    kills, resumed = 0, None
    while resumed is None:
        stop_after = 1
        try:
            resumed = run_all(stages("stopped", **more))
        except StopError:
            kills += 1
    assert kills >= 4
    for name, tensor in bake(whole).state_dict().items():
        assert torch.equal(tensor, bake(resumed).state_dict()[name]), name


def test_a_loss_that_is_no_number_stops(stages: Any, task: Task, tmp_path: Path) -> None:
    run: Stages = stages()
    run.run("train")
    steps = 0

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        nonlocal steps
        for x, y in task.train_loader():
            steps += 1
            yield (x * float("nan") if steps > 8 else x), y

    class Loader:
        def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            return batches()

        def __len__(self) -> int:
            return 6

    broken = Task("broken", task.model, Loader, task.test_loader)
    stopping = Stages(broken, run.config, run.folder)
    with pytest.raises(
        TrainingError, match=r"prune: the loss is nan at step 8 \(epoch 2\); the last"
    ):
        stopping.run("prune")
    good = run.folder.load_running("prune")
    assert good is not None
    assert all(bool(tensor.isfinite().all()) for tensor in good["model"].values())


def test_a_layer_pruned_to_nothing(stages: Any, task: Task, tmp_path: Path) -> None:
    run: Stages = stages(prune={"epochs": 1, "density": 0.5, "layers": {"3": 0.0}})
    module = run_all(run)
    assert not weights(module)["3"].any()
    report = pack(module, tmp_path / "model.zsk", task.example())
    assert report.warnings == ("layer '3' has no weight left: its outputs are its biases",)
    assert not state_of_zsk(tmp_path / "model.zsk")["3.weight"].any()


def test_stages_without_training(stages: Any) -> None:
    run: Stages = stages(prune={"epochs": 0, "density": 0.25}, finetune={"epochs": 0})
    run.run("train")
    module = run.run("prune")
    assert density_of(layers_of(module).values()) == pytest.approx(0.25, abs=0.01)


def test_regression_and_own_losses(stages: Any, task: Task, tmp_path: Path) -> None:
    def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [(x, x.flatten(1)[:, :3].clone()) for x, _ in task.test_loader()] * 4

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs - targets).abs().mean()

    regression = Task("regression", task.model, batches, batches, loss)
    run = Stages(regression, stages().config, RunFolder(tmp_path / "regression"))
    score = evaluate(run_all(run), regression)
    assert score.accuracy is None
    assert score.error == score.loss < 0.8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"prune": {"layers": {"fc9": 0.1}}},
            "prune.layers names 'fc9', but the layers are 0, 3, 6",
        ),
    ],
)
def test_wrong_names(stages: Any, changes: dict[str, Any], message: str) -> None:
    run: Stages = stages(**changes)
    run.run("train")
    with pytest.raises(InputError, match=message):
        run.run("prune")


def test_finetuning_needs_shared_weights(stages: Any) -> None:
    with pytest.raises(InputError, match="has no shared network: share before fine-tuning"):
        stages().run("finetune")


def test_damaged_checkpoints(stages: Any) -> None:
    run: Stages = stages()
    run.run("train")
    path = run.folder.path / "train.pt"
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match=r"train\.pt is damaged; remove it to redo the stage"):
        run.run("train")
