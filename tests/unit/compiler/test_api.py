"""The few lines that users write: a module or a file in, an image out."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip import CompileError, EieParams, Image, compile, compile_file, load
from zeroskip.base.errors import ParameterError
from zeroskip.compiler.compress.module import export
from zeroskip.hw.scnn.params import PRESETS

PARAMS = EieParams(num_pes=2, spmat_words=64, num_pointers=64, num_acts=16, num_accs=16)


class TwoLayers(nn.Module):
    """A network that calls functions as well as modules."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.second = nn.Linear(8, 3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x.flatten(1))))


@pytest.fixture(scope="module")
def module() -> nn.Module:
    """Give a network whose weights have few values."""
    torch.manual_seed(3)
    made = TwoLayers()
    with torch.no_grad():
        for layer in (made.first, made.second):
            layer.weight.copy_(torch.randint(-3, 4, layer.weight.shape) / 4)
    return made


@pytest.fixture(scope="module")
def samples() -> Any:
    """Give data of the network's input shape."""
    return np.random.default_rng(4).normal(size=(20, 2, 3)).astype(np.float32)


def _same(one: Image, other: Image) -> bool:
    return one.sample_shape == other.sample_shape and all(
        np.array_equal(a.codebook, b.codebook)
        and np.array_equal(a.bias, b.bias)
        and np.array_equal(a.codes.toarray(), b.codes.toarray())
        for a, b in zip(one.part("eie").layers, other.part("eie").layers, strict=True)
    )


def test_module_and_file_give_the_same_image(
    module: nn.Module, samples: Any, tmp_path: Path
) -> None:
    steps: list[tuple[str, int, int]] = []
    image = compile(module, samples[:1], samples, PARAMS, progress=lambda *step: steps.append(step))
    path = tmp_path / "net.pt2"
    export(module, torch.from_numpy(samples[:2]), path)
    other = compile_file(path, samples, PARAMS, name="other")
    assert (image.name, other.name) == ("TwoLayers", "other")
    assert _same(image, other)
    assert {name for name, _, _ in steps} == {"read the model", "choose formats", "place", "encode"}
    assert all(done <= total for _, done, total in steps)
    assert module.training


def test_report_has_formats_and_errors(module: nn.Module, samples: Any) -> None:
    report = compile(module, samples[:1], samples, PARAMS, options={"placement": "balance"}).report
    assert report["placement"] == "balance"
    layers = report["quantization"]["layers"]
    assert [layer["name"] for layer in layers] == ["first", "second"]
    for layer in layers:
        assert layer["rounded_to_zero"] == 0
        assert layer["weight_error"] == 0
        assert layer["density"] == layer["nnz"] / layer["weights"]
        assert 0 < layer["error"]["max_abs"] < 1e-2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"placment": "balance"}, "options must be one of .*did you mean 'placement'"),
        ({"placement": "balanced"}, "placement must be one of .*did you mean 'balance'"),
        ({"placement": 3}, "placement must be one of .*not 3"),
        ({"ram_margin": -1}, "ram_margin must be a number from 0 to 100, not -1"),
        ({"ram_margin": float("nan")}, "ram_margin must be a number from 0 to 100, not nan"),
        ({"ram_margin": True}, "ram_margin must be a number from 0 to 100, not True"),
        ({"ram_margin": "1"}, "ram_margin must be a number from 0 to 100, not '1'"),
    ],
)
def test_options_are_checked_first(options: Any, text: str) -> None:
    with pytest.raises(ParameterError, match=text):
        compile(nn.Tanh(), None, None, PARAMS, options=options)


def test_tensors_do_as_arrays_do(module: nn.Module, samples: Any) -> None:
    tensor = torch.from_numpy(samples)
    assert _same(compile(module, tensor[:1], tensor), compile(module, samples[:1], samples))


def test_many_values_need_share(samples: Any) -> None:
    torch.manual_seed(5)
    module = nn.Sequential(nn.Flatten(), nn.Linear(6, 8))
    with pytest.raises(CompileError, match="48 distinct"):
        compile(module, samples[:1], samples, PARAMS)
    report = compile(module, samples[:1], samples, PARAMS, share=True).report
    assert report["quantization"]["layers"][0]["clustered"] is True


def test_files_compile_without_torch(module: nn.Module, samples: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    export(module, torch.from_numpy(samples[:2]), path)
    np.save(tmp_path / "x.npy", samples)
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from zeroskip import compile_file, load, run, verify\n"
        "x = np.load('x.npy')\n"
        "compile_file('net.pt2', x).save('image')\n"
        "print(run(load('image'), x).outputs.shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("(20, 3)\n", 0), done.stderr


class Convolutional(nn.Module):
    """Two convolutions, pooling and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.second = nn.Conv2d(3, 5, 3, padding=1)
        self.classify = nn.Linear(20, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(torch.relu(self.first(x)), 2)
        x = nn.functional.max_pool2d(torch.relu(self.second(x)), 2)
        return self.classify(x.flatten(1))


def test_convolutions_go_to_scnn(tmp_path: Path) -> None:
    torch.manual_seed(5)
    network, x = Convolutional(), torch.rand(12, 1, 8, 8)
    image = compile(network, x[:1], x, [PARAMS, PRESETS["tile"]], share=True, name="cnn")
    assert len(image.part("scnn").runs) == 1
    layers = image.report["quantization"]["layers"]
    assert [layer["kind"] for layer in layers] == ["conv", "max", "conv", "max", "linear"]
    assert all(one["error"]["snr_db"] > 30 for one in layers if one["engine"] == "scnn")
    image.save(tmp_path / "cnn")
    loaded = load(tmp_path / "cnn")
    assert loaded.report == json.loads(json.dumps(image.report))
    small = replace(PRESETS["tile"], num_channels=2)
    with pytest.raises(
        CompileError, match=r"5 directory entries of 2: compile for an array with num_channels = 5$"
    ):
        compile(network, x[:1], x, [PARAMS, small], share=True)
