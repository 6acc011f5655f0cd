"""Recurrent layers: each matrix is pruned, shared and packed as a Linear's is."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zeroskip as zs
from zeroskip.compiler.compress.config import Config
from zeroskip.compiler.compress.found import graph_layers, state_layers
from zeroskip.compiler.compress.layers import Masked, bake, hold, layers_of
from zeroskip.compiler.compress.module import export, read_model
from zeroskip.compiler.compress.pack import pack, state_of_zsk
from zeroskip.compiler.compress.prepare import Network
from zeroskip.compiler.compress.run_folder import RunFolder
from zeroskip.compiler.compress.sensitivity import analyze
from zeroskip.compiler.compress.stages import Stages
from zeroskip.compiler.compress.task import Task, evaluate
from zeroskip.compiler.frontend.networks import import_file
from zeroskip.compiler.frontend.pieces import Pieces
from zeroskip.compiler.ir.graph import QuantCell, QuantLinear

STEPS, VALUES, UNITS = 5, 4, 12


class Tagger(nn.Module):
    """Recurrent layers, and a Linear at the last step."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn = getattr(nn, kind)(VALUES, UNITS, 2, batch_first=True, **options)
        outputs = options.get("proj_size", UNITS) * (1 + options.get("bidirectional", False))
        self.out = nn.Linear(outputs, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(x)[0][:, -1])


class Cells(nn.Module):
    """A cell that is called step by step, and a ReLU behind its Linear."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cell = getattr(nn, kind)(VALUES, UNITS)
        self.out = nn.Linear(UNITS, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state: Any = None
        for step in range(STEPS):
            state = self.cell(x[:, step], state)
        return torch.relu(self.out(state[0] if isinstance(state, tuple) else state))


def made(kind: str) -> nn.Module:
    if kind == "LSTMP":
        return Tagger("LSTM", proj_size=5)
    if kind == "both":
        return Tagger("GRU", bidirectional=True)
    return Cells(kind) if kind.endswith("Cell") else Tagger(kind)


def task_of(kind: str) -> Task:
    source = torch.Generator().manual_seed(1)
    x = torch.randn(120, STEPS, VALUES, generator=source)
    y = x[:, :, :3].sum(1).argmax(1)
    data = [(x[n::3], y[n::3]) for n in range(3)]
    return Task(kind, lambda: made(kind), lambda: data, lambda: data[:1])


CONFIG = {
    "train": {"epochs": 3, "learning_rate": 0.02, "distill": 0.0},
    "prune": {"epochs": 3, "learning_rate": 0.01, "density": 0.25, "balance_pes": 4},
    "finetune": {"epochs": 2, "learning_rate": 0.003},
    "share": {"codes": 5},
}


@pytest.mark.parametrize(
    ("kind", "matrices"),
    [
        ("LSTM", 4),
        pytest.param("GRU", 4, marks=pytest.mark.long("trains another network")),
        pytest.param("GRUCell", 2, marks=pytest.mark.long("trains another network")),
    ],
)
def test_every_matrix_is_compressed(kind: str, matrices: int, tmp_path: Path) -> None:
    task = task_of(kind)
    stages = Stages(task, Config.model_validate(CONFIG), RunFolder(tmp_path / "run"))
    stages.run_base()
    pruned, module = stages.run("prune"), stages.run_rest()
    # What is read from a checkpoint computes the same as what made it.
    again = stages.run("finetune")
    assert evaluate(again, task) == evaluate(module, task)
    assert len(layers_of(module)) == matrices + 1
    for layer in layers_of(module).values():
        weight = layer.weight.detach()
        assert 1 < len(weight[weight != 0].unique()) <= 5
    for layer in layers_of(pruned).values():
        units = len(layer.weight) // layer.gates
        assert layer.gates == (1 if layer.name == "out" else 4 if kind == "LSTM" else 3)
        by_unit = layer.weight.detach().reshape(layer.gates, units, -1)
        for pe in range(min(4, units)):
            share = by_unit[:, pe::4]
            assert int(torch.count_nonzero(share)) == round(0.25 * share.numel())
    plain = bake(copy.deepcopy(module))
    x = task.example()
    assert torch.equal(plain(x), module(x))
    report = pack(module, tmp_path / "model.zsk", x)
    assert [layer.name for layer in report.layers] == list(layers_of(module))
    assert not report.warnings
    back = Network(task).holding(state_of_zsk(tmp_path / "model.zsk"), "model.zsk")
    assert evaluate(back, task) == evaluate(module, task)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_held_layers_train_and_are_copied() -> None:
    module = nn.LSTM(VALUES, UNITS, proj_size=3, bidirectional=True)
    layers = layers_of(module)
    assert list(layers)[:3] == ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0"]
    assert [layer.gates for layer in layers.values()] == [4, 4, 1] * 2
    x = torch.randn(STEPS, 2, VALUES, generator=torch.Generator().manual_seed(0))
    before = module(x)[0]
    for layer in layers.values():
        hold(layer, Masked(torch.ones_like(layer.weight, dtype=torch.bool)))
    assert torch.equal(module(x)[0], before)
    masks = [layer.owner.get_buffer(f"parametrizations.{layer.key}.0.mask")
             for layer in layers.values()]  # fmt: skip
    module(x)[0].sum().backward()
    twin = copy.deepcopy(module)
    masks[1].zero_()
    assert torch.equal(twin(x)[0], before)
    after = module(x)[0]
    assert not torch.equal(after, before)
    bake(module)
    assert torch.equal(module(x)[0], after)
    assert torch.equal(bake(twin)(x)[0], before)
    assert not module.get_parameter("weight_hh_l0").any()
    with torch.no_grad():
        module.get_parameter("weight_hh_l0").copy_(twin.get_parameter("weight_hh_l0"))
    assert torch.equal(module(x)[0], before)


def test_sensitivity_of_each_matrix() -> None:
    task = task_of("LSTM")
    module = made("LSTM")
    config = Config.model_validate({"analyze": {"densities": [0.1], "batches": 1}}).analyze
    base, found = analyze(module, task, config)
    assert [layer.name for layer in found] == list(layers_of(module))
    assert all(layer.losses[0] == base.loss != layer.losses[1] for layer in found)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("kind", ["LSTMP", "GRU", "both", "LSTMCell", "GRUCell"])
def test_files_are_made_modules_again(kind: str, tmp_path: Path) -> None:
    module, x = made(kind).eval(), task_of(kind).example()
    export(module, x, tmp_path / "net.pt2")
    make, shape, _ = read_model(tmp_path / "net.pt2")
    rebuilt = make()
    assert shape == (STEPS, VALUES)
    assert len(layers_of(rebuilt)) == len(layers_of(module))
    torch.testing.assert_close(rebuilt(x), module(x), atol=1e-5, rtol=1e-4)
    graph = import_file(tmp_path / "net.pt2")
    names = [layer.name for layer in graph_layers(Pieces((graph,), ()))]
    assert len(names) == len(state_layers(module.state_dict()))


def test_compressed_layers_compile() -> None:
    task = task_of("LSTM")
    x = torch.cat([inputs for inputs, _ in task.train_loader()])
    small = zs.compress(
        made("LSTM"), x.numpy(), density=0.2, codes=15, epochs=2,
        settings={"prune.balance_pes": 4},
    )  # fmt: skip
    array = zs.EieParams(num_pes=4, cells=True, act_files=3)
    image = zs.compile(small.module, x[:1], x, array)
    compiled: list[int] = []
    for layer in image.graph.layers:
        assert isinstance(layer, QuantCell | QuantLinear)
        is_cell = isinstance(layer, QuantCell)
        compiled += [layer.matrix.nnz, layer.recurrent.nnz] if is_cell else [layer.codes.nnz]
    assert compiled == [
        int(torch.count_nonzero(layer.weight)) for layer in layers_of(small.module).values()
    ]
    outputs = zs.run(image, x[:8].numpy()).outputs
    assert outputs is not None
    wanted = small.module(x[:8]).detach().numpy()
    assert np.abs(outputs - wanted).max() < 0.01
