"""A small model, its image, and a way to run the command line."""

import contextlib
import io
import itertools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.arrays import EIE
from zeroskip import load
from zeroskip.base.cache import VARIABLE, cache_dir
from zeroskip.cli.app import app
from zeroskip.cli.guard import run_guarded
from zeroskip.compiler.compress.module import export

ROOT = Path(__file__).parents[2]

# One small array for all of these tests, EIE of tests/support/arrays.py: each other one would be
# another simulator to build.
_SIZES = {
    "num_pes": 2, "queue_depth": 4, "spmat_words": 256, "num_pointers": 128, "num_acts": 32,
    "num_accs": 16, "num_biases": 64, "num_descriptors": 8, "pointers_first": "yes",
    "skip_padding": "yes",
}  # fmt: skip
ARRAY = [text for name, size in _SIZES.items() for text in ("--set", f"eie.{name}={size}")]

SCNN_ALONE = ["--preset", "tiny", "--set", "num_streams=4"]
"""SCNN of tests/support/arrays.py, for networks without Linear layers."""

BOTH = ["--preset", "scnn=tiny", "--set", "num_streams=4", *ARRAY]
"""Both arrays, for networks with them."""


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document that stdout must be."""
        return json.loads(self.out)

    @property
    def errors(self) -> list[str]:
        """Lines on stderr that are not progress."""
        return [line for line in self.err.splitlines() if not line.startswith("[")]


@dataclass(frozen=True)
class Files:
    """A model and what goes with it."""

    folder: Path
    module: nn.Module
    model: Path
    calibration: Path
    inputs: Path
    image: Path

    def compile(self, output: Path, *options: str) -> list[str]:
        """Return the command that compiles the model to ``output``."""
        given = ["--data", str(self.calibration), "-o", str(output)]
        return ["compile", str(self.model), *given, *ARRAY, *options]


def _cli(*arguments: object) -> Result:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_guarded(app, "zeroskip", [str(argument) for argument in arguments])
    return Result(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def cli() -> Callable[..., Result]:
    """Give a function that runs a command line in this process."""
    return _cli


@pytest.fixture(scope="session", autouse=True)
def _cache() -> None:
    """Keep built simulators in one place, wherever a command is run."""
    os.environ.setdefault(VARIABLE, str(cache_dir()))


def _refused(result: Result, *fragments: str, code: int = 2) -> None:
    assert result.code == code, result
    assert len(result.errors) == 1, result.err
    assert result.errors[0].startswith("zeroskip: ")
    for fragment in fragments:
        assert fragment in result.errors[0]
    assert result.out == ""


@pytest.fixture(scope="session")
def refused() -> Callable[..., None]:
    """Give a function that checks that a command was refused in one sentence.

    It takes the result, and what the sentence must have in it.
    """
    return _refused


def _shared_mlp(sizes: tuple[int, ...], *, density: float = 0.4, seed: int = 0) -> nn.Sequential:
    """Return a random network of Linear and ReLU with 15 weights per layer."""
    generator = torch.Generator().manual_seed(seed)
    module = nn.Sequential()
    for index, (cols, rows) in enumerate(itertools.pairwise(sizes)):
        linear = nn.Linear(cols, rows)
        values = torch.randn(15, generator=generator) / cols**0.5
        choice = torch.randint(15, (rows, cols), generator=generator)
        kept = torch.rand(rows, cols, generator=generator) < density
        with torch.no_grad():
            linear.weight.copy_(values[choice] * kept)
            linear.bias.copy_(torch.randn(rows, generator=generator) / 4)
        module.add_module(f"fc{index + 1}", linear)
        if index < len(sizes) - 2:
            module.add_module(f"relu{index + 1}", nn.ReLU())
    return module.eval()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Give a small model, data and the compiled image; tests must not change them."""
    folder = tmp_path_factory.mktemp("model")
    rng = np.random.default_rng(1)
    made = Files(
        folder=folder,
        module=_shared_mlp((24, 30, 20, 6)),
        model=folder / "small.pt2",
        calibration=folder / "calibration.npy",
        inputs=folder / "inputs.npy",
        image=folder / "image",
    )
    export(made.module, torch.zeros(2, 24), made.model)
    np.save(made.calibration, rng.normal(size=(64, 24)).astype(np.float32))
    np.save(made.inputs, rng.normal(size=(5, 24)).astype(np.float32))
    result = _cli(*made.compile(made.image))
    assert result.code == 0, result.err
    assert load(made.image).part("eie").params == EIE
    return made


@dataclass(frozen=True)
class CnnFiles:
    """A CNN with Linear layers behind, one without, and what goes with them."""

    folder: Path
    module: nn.Module
    model: Path
    model_alone: Path
    calibration: Path
    inputs: Path
    image: Path
    image_alone: Path

    def compile(self, output: Path, *options: str) -> list[str]:
        """Return the command that compiles the CNN with Linear layers to ``output``."""
        return [*self._given(self.model, output), *BOTH, "--share", *options]

    def compile_alone(self, output: Path, *options: str) -> list[str]:
        """Return the command that compiles the CNN without Linear layers to ``output``."""
        return [*self._given(self.model_alone, output), *SCNN_ALONE, *options]

    def _given(self, model: Path, output: Path) -> list[str]:
        return ["compile", str(model), "--data", str(self.calibration), "-o", str(output)]


@pytest.fixture(scope="session")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> CnnFiles:
    """Give two small CNNs, data and the compiled images; tests must not change them."""
    folder = tmp_path_factory.mktemp("cnn")
    rng = np.random.default_rng(2)
    torch.manual_seed(2)
    module = nn.Sequential()
    for name, part in {
        "conv1": nn.Conv2d(2, 6, 3, padding=1), "relu1": nn.ReLU(), "pool1": nn.MaxPool2d(2),
        "conv2": nn.Conv2d(6, 8, 3, padding=1, groups=2), "relu2": nn.ReLU(),
        "pool2": nn.MaxPool2d(2), "flatten": nn.Flatten(),
        "fc1": nn.Linear(32, 12), "relu3": nn.ReLU(), "fc2": nn.Linear(12, 5),
    }.items():  # fmt: skip
        module.add_module(name, part)
    alone = nn.Sequential(nn.Conv2d(2, 5, 3, stride=2, padding=1), nn.ReLU(), nn.AvgPool2d(2))
    made = CnnFiles(
        folder=folder,
        module=module.eval(),
        model=folder / "cnn.pt2",
        model_alone=folder / "alone.pt2",
        calibration=folder / "calibration.npy",
        inputs=folder / "inputs.npy",
        image=folder / "image",
        image_alone=folder / "image_alone",
    )
    export(made.module, torch.zeros(2, 2, 8, 8), made.model)
    export(alone.eval(), torch.zeros(2, 2, 8, 8), made.model_alone)
    np.save(made.calibration, rng.normal(size=(32, 2, 8, 8)).astype(np.float32))
    np.save(made.inputs, rng.normal(size=(3, 2, 8, 8)).astype(np.float32))
    for command in (made.compile(made.image), made.compile_alone(made.image_alone)):
        result = _cli(*command)
        assert result.code == 0, result.err
    return made
