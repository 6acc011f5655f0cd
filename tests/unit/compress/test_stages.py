"""The flow: masks survive training, weights stay shared, stopped runs end like unstopped ones."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.base.errors import InputError, ZeroskipError
from zeroskip.compiler.compress.config import Config
from zeroskip.compiler.compress.layers import Masked, bake, density_of, hold, layers_of
from zeroskip.compiler.compress.pack import pack, state_of_zsk
from zeroskip.compiler.compress.prepare import Network
from zeroskip.compiler.compress.run_folder import RunFolder
from zeroskip.compiler.compress.stages import Stages
from zeroskip.compiler.compress.task import Task, evaluate
from zeroskip.compiler.compress.train import TrainingError


class StopError(Exception):
    """What kills a run in a test."""


def weights(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: layer.weight.detach().numpy() for name, layer in layers_of(module).items()}


def run_all(stages: Stages) -> nn.Module:
    stages.run_base()
    return stages.run_rest()


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
    # BatchNorm of 20 channels is folded: scale and shift are no parameters any more.
    assert report.parameters == sum(p.numel() for p in task.model().parameters()) - 40
    other = Network(task).holding(state_of_zsk(tmp_path / "model.zsk"), "model.zsk")
    for name, tensor in bake(module).state_dict().items():
        assert tensor.numpy().tobytes() == other.state_dict()[name].numpy().tobytes()
    assert evaluate(other, task) == evaluate(module, task)


def test_masks_survive_any_optimizer() -> None:
    layer = nn.Linear(6, 5)
    mask = torch.rand(5, 6, generator=torch.Generator().manual_seed(1)) < 0.5
    hold(layers_of(layer)[""], Masked(mask))
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
    hold(layers_of(layer)[""], Masked(torch.ones(2, 3, dtype=torch.bool)))
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


@pytest.mark.parametrize("bad", ["data", "loss"])
def test_what_is_no_number_stops(stages: Any, task: Task, tmp_path: Path, bad: str) -> None:
    run: Stages = stages()
    run.run("train")
    steps = 0

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        nonlocal steps
        for x, y in task.train_loader():
            steps += 1
            yield (x * float("nan") if bad == "data" and steps > 8 else x), y

    class Loader:
        def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            return batches()

        def __len__(self) -> int:
            return 6

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        found = nn.functional.cross_entropy(outputs, targets)
        return found * float("nan") if bad == "loss" and steps > 8 and len(targets) == 40 else found

    broken = Task("broken", task.model, Loader, task.test_loader, loss)
    stopping = Stages(broken, run.config, run.folder)
    messages = {
        "data": r"broken: train_loader\(\): batch 3 has 640 inputs that are NaN or infinite",
        "loss": r"prune: the loss is nan at step 8 \(epoch 2\); the last",
    }
    with pytest.raises((InputError, TrainingError), match=messages[bad]):
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


@pytest.mark.parametrize(("batches", "epochs"), [(1, 1), (1, 2), (2, 1), (7, 1), (1, 0)])
@pytest.mark.parametrize(
    "more",
    [
        {}, {"rounds": 1}, {"rounds": 1000}, {"ramp": 1.0}, {"ramp": 0.01},
        {"granularity": "vector"}, {"granularity": "filter"}, {"balance_pes": 4},
        {"layers": {"3": 0.37}},
    ],
)  # fmt: skip
def test_any_number_of_steps_reaches_the_density(
    task: Task, tmp_path: Path, batches: int, epochs: int, more: dict[str, Any]
) -> None:
    few = list(task.test_loader())[:1] * batches
    config = Config.model_validate({"prune": {"epochs": epochs, "density": 0.13, **more}})
    run = Stages(replace(task, train_loader=lambda: few), config, RunFolder(tmp_path / "run"))
    module = run.run("prune")
    for name, layer in layers_of(module).items():
        density = more.get("layers", {}).get(name, 0.13)
        groups = {"vector": -(-layer.weight.shape[-1] // 4), "filter": 1}
        rows = [layer.weight]
        if "balance_pes" in more and name != "0":
            rows = [layer.weight[pe::4] for pe in range(min(4, len(layer.weight)))]
        for part in rows:
            per_row = groups.get(more.get("granularity", "fine"), part[0].numel())
            if more.get("granularity") == "vector" and name == "0":
                per_row = part.numel() // len(part) // 3
            kept = max(1, round(density * per_row * len(part)))
            size = -(-part[0].numel() // per_row)
            count = int(torch.count_nonzero(part))
            assert kept * size - 3 * kept * (size > 1) <= count <= kept * size


def test_a_density_that_is_not_reached_is_an_error(
    stages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "zeroskip.compiler.compress.pruner.make_mask", lambda weight, *_: weight != 0
    )
    with pytest.raises(ZeroskipError, match="layer '0' was to keep 11 of its 36 weights, but has"):
        stages().run("prune")


def test_densities_that_groups_only_come_near_to_are_told(task: Task, tmp_path: Path) -> None:
    config = Config.model_validate({
        "prune": {"epochs": 0, "density": 0.1, "granularity": "filter"}
    })
    notes: list[str] = []
    run = Stages(task, config, RunFolder(tmp_path / "run"), on_note=notes.append)
    run.run("prune")
    assert notes[1:] == [
        f"layer {name!r} keeps {share} of its {size} weights, where 10 % was asked: the nearest "
        "with prune.granularity 'filter'"
        for name, share, size in (("0", "25.0 %", 36), ("6", "33.3 %", 60))
    ]


def test_scalings_that_cannot_be_folded_here_are_told(tmp_path: Path) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.gain = nn.Linear(8, 6), nn.Parameter(torch.arange(1.0, 7.0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x) * self.gain

    module = Scaled()
    with torch.no_grad():
        module.fc.weight.copy_(torch.where(torch.eye(6, 8) > 0, 0.5, 0.25))
    report = pack(module, tmp_path / "x.zsk", torch.zeros(1, 8))
    (warning,) = report.warnings
    assert "compile scales the weights of layer 'fc' by" in warning
    # 1 to 6 times a half and a quarter.
    assert "its 2 values become 9" in warning


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(64, 12, generator=source)

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.one, self.two, self.last = (nn.Linear(12, n) for n in (12, 12, 3))
            self.embed = nn.Embedding(12, 12)
            self.two.weight = self.embed.weight = self.one.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.two(torch.relu(self.one(x)))
            return self.last(torch.relu(y) + self.embed(torch.zeros(len(x), dtype=torch.long)))

    data = [(x, x[:, :3].argmax(1))] * 3
    notes: list[str] = []
    config = Config.model_validate({
        "prune": {"epochs": 2, "density": 0.25},
        "finetune": {"epochs": 2},
        "share": {"codes": 5},
    })
    task = Task("tied", Tied, lambda: data, lambda: data[:1])
    run = Stages(task, config, RunFolder(tmp_path / "run"), on_note=notes.append)
    for stage in ("prune", "share", "finetune"):
        before = run.run(stage)
        # Read back from the checkpoint as well.
        for module in (before, run.run(stage)):
            assert list(layers_of(module)) == ["one", "last"]
            plain: Any = bake(copy.deepcopy(module))
            assert plain.two.weight is plain.one.weight is plain.embed.weight
            assert int(torch.count_nonzero(plain.one.weight)) == 36
    assert int(plain.one.weight[plain.one.weight != 0].unique().numel()) <= 5
    assert sorted(text.split("'")[1] for text in notes) == ["embed.weight", "two.weight"]
    report = pack(module, tmp_path / "x.zsk", x[:1])
    assert [layer.name for layer in report.layers] == ["one", "last"]
    state = state_of_zsk(tmp_path / "x.zsk")
    assert torch.equal(state["one.weight"], state["two.weight"])
    other = run.on(run.folder, Config.model_validate({"prune": {"layers": {"two": 0.5}}}))
    with pytest.raises(InputError, match="names 'two', whose weight is that of 'one': name that"):
        other.densities(other.base())


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
