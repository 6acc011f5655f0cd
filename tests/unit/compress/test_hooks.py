"""Users' code: whatever it does wrong is one sentence, before anything that takes long."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.batches import Loader
from zeroskip.compiler.compress.config import Config
from zeroskip.compiler.compress.hooks import load_hooks
from zeroskip.compiler.compress.layers import layers_of
from zeroskip.compiler.compress.run_folder import RunFolder
from zeroskip.compiler.compress.stages import Stages

# Of torch, about what users' files do.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:Initializing zero-element tensors"),
]

HOOKS = """
import os, sys, torch
from torch import nn
torch.manual_seed(0)
X, Y = torch.randn(60, 16), torch.arange(60) % 3
def model():
    return nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
def train_loader():
    return [(X, Y)] * 2
def test_loader():
    return [(X, Y)]
"""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("hooks", "mynet", "zeroskip_hooks")):
            del sys.modules[name]


def begin(tmp_path: Path, text: str, **settings: object) -> tuple[Stages, list[str]]:
    """Do with a hook file what every command does first."""
    path = tmp_path / "hooks.py"
    path.write_text(text)
    notes: list[str] = []
    config = Config.model_validate({"prune": {"epochs": 1}, "finetune": {"epochs": 1}} | settings)
    folder = RunFolder(tmp_path / "run")
    stages = Stages(load_hooks(path), config, folder, on_note=notes.append)
    stages.begin({}, resume=True)
    return stages, notes


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("sys.exit(0)", r"hooks\.py cannot be run: it ends the program with sys\.exit\(0\)"),
        ("exit('no')", r"ends the program with sys\.exit\(no\) \(hooks\.py, line 12\)"),
        ("os._exit(0)", r"it ends the program with os\._exit\(0\) \(hooks\.py, line 12\)"),
        ("raise KeyError()", r"cannot be run: KeyError \(hooks\.py, line 12\)$"),
        ("x = (", r"cannot be run: SyntaxError: '\(' was never closed"),
        ("def model(): raise SystemExit(3)", r"hooks: model\(\) cannot .* sys\.exit\(3\)"),
        ("def model(): raise KeyboardInterrupt", r"model\(\) cannot be run: KeyboardInterrupt"),
        ("def model(size): pass", r"model\(\) must take no arguments, but is \(size\)"),
        ("def loss(outputs): pass", r"loss\(\) must take outputs and targets, but is \(outputs\)"),
        ("loss = 'mse'", "loss must be a function of outputs and targets, not str"),
        ("def model(): pass", r"model\(\) must return a torch\.nn\.Module, not NoneType"),
        ("def model(): return nn.ReLU", "nn.Module, not the class ReLU"),
        ("def model(): return nn.Linear(16, 3, device='meta')", "on the device 'meta', without"),
        ("def model(): return nn.Linear(0, 3)", r"layer '' of model\(\) has no weights"),
        ("def train_loader(): pass", r"train_loader\(\) must return batches, .* not NoneType"),
        ("def train_loader(): return []", r"train_loader\(\) has no batch: it is empty"),
        ("G = iter([(X, Y)])\ndef train_loader(): return G", "returns the same list_iterator"),
        ("def train_loader(): return [X]", r"batch 1 must be a pair .*, not Tensor"),
        ("def train_loader(): return [(X, Y, Y)]", r"not \(Tensor, Tensor, Tensor\)"),
        ("def train_loader(): return [(X, Y.tolist())]", r"not \(Tensor, list\)"),
        ("def train_loader(): yield X, Y[:5]", r"targets of \(5,\)"),
        ("def test_loader():\n yield 1 / 0", r"test_loader\(\): batch 1 cannot .*ZeroDivision"),
        ("X[3, 2] = float('nan')", "batch 1 has 1 inputs that are NaN or infinite"),
        ("X = (50 * X).byte()", r"uint8 of shape \(60, 16\) \(pictures must be floats"),
        ("Y = Y[:, None]", r"targets of shape \(60, 1\) do not fit outputs of shape \(60, 3\)"),
        ("Y = Y.float()", r"floating-point targets must have the shape of the outputs, \(60, 3\)"),
        ("Y = Y + 1", "targets must be classes from 0 to 2, as the network has 3 outputs, not 1"),
        ("X = X[:, :9]", r"RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
        ("def loss(a, b): return 0.5", r"loss\(\) must return a tensor of one float, not float"),
        ("def loss(a, b): return a.sum() * float('inf')", "the loss is NaN or infinite on the fir"),
        ("def loss(a, b): return a.detach().sum()", "the loss does not depend on the network"),
        (
            (
                "model = lambda: nn.Sequential(nn.Linear(16, 3), nn.Tanh(), nn.BatchNorm1d(3))\n"
                "def train_loader(): return [(X[:1], Y[:1])]"
            ),
            r"Expected more than 1 value per channel when training",
        ),
        (
            "class D(nn.Linear):\n def forward(self, x): return {'y': x}\nmodel = lambda: D(16, 3)",
            r"model\(\) must give one tensor, not dict",
        ),
        (
            "def model():\n m = nn.Linear(16, 3)\n m.bias.data[1] = float('nan')\n return m",
            r"'bias' of model\(\) has 1 elements that are NaN or infinite",
        ),
    ],
)
def test_one_sentence_before_anything_is_written(
    tmp_path: Path, more: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the command line does, so that a raised interrupt is told from Ctrl-C.
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    leave, arguments = os._exit, list(sys.argv)
    with pytest.raises(InputError, match=message) as error:
        begin(tmp_path, HOOKS + more + "\n")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
    assert (os._exit, sys.argv) == (leave, arguments)


@pytest.mark.parametrize(
    "more",
    [
        "from mynet import model",
        "def model():\n from mynet import model\n return model()",
        "import argparse\nassert argparse.ArgumentParser().parse_args() is not None",
        "def train_loader():\n for _ in range(3): yield X, Y",
        "def train_loader(): return ((X, Y) for _ in range(3))",
        "X, Y = X.double(), Y.int()",
        "def model(): return nn.Linear(16, 3).half()",
        "def model(): return nn.Sequential(nn.Linear(16, 3), nn.LogSoftmax(1))",
        "def model(): return nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3))",
        "def model(): return nn.utils.weight_norm(nn.Linear(16, 3))",
        "def model(): return nn.utils.parametrizations.weight_norm(nn.Linear(16, 3))",
        "def model(): return nn.utils.spectral_norm(nn.Linear(16, 3))",
        "def model(): return nn.utils.parametrizations.spectral_norm(nn.Linear(16, 3))",
        (
            "def model(): return nn.Sequential(nn.Linear(16, 3), nn.BatchNorm1d(3))\n"
            "def train_loader(): return [(X[:1], Y[:1])]"
        ),
        "def loss(*given): return nn.functional.cross_entropy(*given)",
    ],
)
def test_what_works(tmp_path: Path, more: str) -> None:
    (tmp_path / "mynet.py").write_text("from torch import nn\ndef model(): return nn.Linear(16, 3)")
    stages, _ = begin(tmp_path, HOOKS + more + "\n", prune={"epochs": 2, "density": 0.25})
    module = stages.run("prune")
    wanted = {name: layer.shape for name, layer in module.state_dict().items()}
    assert wanted
    stages.run("share")
    stages.run("finetune")


def test_norms_of_weights_are_made_permanent(tmp_path: Path) -> None:
    for norm in (
        "nn.utils.weight_norm", "nn.utils.spectral_norm", "nn.utils.parametrizations.weight_norm",
        "nn.utils.parametrizations.spectral_norm",
    ):  # fmt: skip
        text = f"M = {norm}(nn.Linear(16, 3)).eval()\nW = M(X).detach()\ndef model(): return M\n"
        stages, _ = begin(tmp_path, HOOKS + text)
        module = stages.network.fresh()
        assert set(module.state_dict()) == {"weight", "bias"}
        x, wanted = vars(sys.modules["hooks"])["X"], vars(sys.modules["hooks"])["W"]
        torch.testing.assert_close(module(x), wanted)


def test_probabilities_are_told(tmp_path: Path) -> None:
    text = "def model(): return nn.Sequential(nn.Linear(16, 3), nn.Softmax(1))\n"
    _, notes = begin(tmp_path, HOOKS + text)
    assert "leave the softmax out" in notes[-1]


def test_no_training_needs_no_batch_to_train_with(tmp_path: Path) -> None:
    text = "def train_loader(): return []\n"
    stages, _ = begin(
        tmp_path, HOOKS + text, prune={"epochs": 0, "density": 0.1}, finetune={"epochs": 0}
    )
    module = stages.run("prune")
    kept = [int(torch.count_nonzero(layer.weight)) for layer in layers_of(module).values()]
    assert kept == [13, 2]


def test_workers_may_leave(tmp_path: Path) -> None:
    """A data loader's processes end by os._exit, as they do."""
    text = (
        "from torch.utils.data import DataLoader, TensorDataset\n"
        "def train_loader(): return DataLoader(TensorDataset(X, Y), 20, num_workers=1)\n"
    )
    stages, _ = begin(tmp_path, HOOKS + text)
    assert len(list(stages.task.training())) == 3


def test_loaders_that_give_fewer_batches_than_they_say() -> None:
    class Short(list[object]):
        def __len__(self) -> int:
            return 5

    loader = Loader(lambda: Short([(torch.ones(2, 1), torch.ones(2, 1))]), "x")
    assert (len(loader), len(list(loader))) == (5, 1)
