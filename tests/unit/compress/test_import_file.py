"""What import finds in files of networks, and what it writes."""

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional

import zeroskip as zs
from tests.unit.sim.test_explore import onnx_file
from zeroskip.cli.app import app
from zeroskip.cli.guard import run_guarded
from zeroskip.compiler.compress.keras_file import read_keras
from zeroskip.compiler.compress.zsk import load
from zeroskip.compiler.frontend.networks import import_file

RNG = np.random.default_rng(0)
CONV = RNG.normal(size=(3, 3, 2, 4)).astype(np.float32)
"""Rows, columns, inputs, outputs, as Keras has kernels."""
NORM = RNG.uniform(0.5, 1.5, size=(4, 4)).astype(np.float32)
DENSE = RNG.normal(size=(4 * 4 * 4, 5)).astype(np.float32)
BIAS = RNG.normal(size=5).astype(np.float32)
LAYERS = [
    ("InputLayer", "input_1"), ("Conv2D", "first"), ("BatchNormalization", "norm"),
    ("ReLU", "relu"), ("SimpleRNN", "memory"), ("Flatten", "flat"), ("Dense", "last"),
]  # fmt: skip
ARRAYS = {
    "first": {"kernel": CONV},
    "norm": dict(zip(("gamma", "beta", "moving_mean", "moving_variance"), NORM, strict=True)),
    "memory": {"kernel": np.ones((2, 8), np.float32)},
    "last": {"kernel": DENSE, "bias": BIAS},
}


def config() -> dict[str, Any]:
    layers = [{"class_name": kind, "config": {"name": name}} for kind, name in LAYERS]
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}


def write_keras_3(path: Path) -> None:
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        for kind, name in LAYERS:
            group = {"BatchNormalization": "batch_normalization", "SimpleRNN": "simple_rnn"}
            held = file.create_group(f"layers/{group.get(kind, kind.lower())}")
            for number, array in enumerate(ARRAYS.get(name, {}).values()):
                held.create_dataset(f"vars/{number}", data=array)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config()))
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", weights.getvalue())


def write_keras_2(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config())
        held = file.create_group("model_weights")
        held.attrs["layer_names"] = [name.encode() for _, name in LAYERS]
        for _, name in LAYERS:
            group = held.create_group(name)
            names = [f"{name}/{role}:0" for role in ARRAYS.get(name, {})]
            group.attrs["weight_names"] = [full.encode() for full in names]
            for full, array in zip(names, ARRAYS.get(name, {}).values(), strict=True):
                group.create_dataset(full, data=array)


@pytest.mark.parametrize(("name", "write"), [("n.keras", write_keras_3), ("n.h5", write_keras_2)])
def test_weights_of_keras_compute_what_keras_computes(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    found = read_keras(tmp_path / name)
    assert set(found.state) == {
        "first.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var",
        "last.weight", "last.bias",
    }  # fmt: skip
    (problem,) = found.problems
    assert problem.startswith("layer 'memory' (SimpleRNN) is of no supported kind; its 16 weights")
    # By Keras' definitions, in its order of (H, W, C).
    x = RNG.normal(size=(6, 6, 2)).astype(np.float32)
    maps = np.zeros((4, 4, 4))
    for row in range(4):
        for column in range(4):
            maps[row, column] = np.tensordot(x[row : row + 3, column : column + 3], CONV, 3)
    gamma, beta, mean, variance = NORM
    maps = np.maximum(gamma * (maps - mean) / np.sqrt(variance + 1e-3) + beta, 0)
    expected = maps.ravel() @ DENSE + BIAS
    state = {key: torch.from_numpy(array) for key, array in found.state.items()}
    y = functional.conv2d(torch.from_numpy(x).permute(2, 0, 1)[None], state["first.weight"])
    mean, variance = state["norm.running_mean"], state["norm.running_var"]
    y = functional.batch_norm(y, mean, variance, state["norm.weight"], state["norm.bias"])
    y = torch.relu(y)
    y = functional.linear(torch.flatten(y, 1), state["last.weight"], state["last.bias"])
    np.testing.assert_allclose(y[0].numpy(), expected, rtol=2e-4, atol=2e-4)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_cells_of_keras_compute_what_keras_computes(tmp_path: Path, kind: str) -> None:
    """By its definitions: gates i, f, c, o of LSTM; z, r, h of GRU, whose biases are two."""
    gates, units = {"LSTM": 4, "GRU": 3}[kind], 3
    w, u = (RNG.normal(size=(n, gates * units)).astype(np.float32) for n in (2, units))
    bias = RNG.normal(size=(2, gates * units) if kind == "GRU" else gates * units)
    path = tmp_path / "x.weights.h5"
    with h5py.File(path, "w") as file:
        for number, array in enumerate((w, u, bias.astype(np.float32))):
            file.create_dataset(f"layers/{kind.lower()}/cell/vars/{number}", data=array)
        for number, shape in enumerate(((3, 3, 4, 1), (1, 1, 4, 6), (6,))):
            file.create_dataset(f"layers/separable_conv2d/vars/{number}", data=np.ones(shape))
    state = {key: torch.from_numpy(array) for key, array in read_keras(path).state.items()}
    assert state["separable_conv2d.depthwise.weight"].shape == (4, 1, 3, 3)
    assert state["separable_conv2d.pointwise.weight"].shape == (6, 4, 1, 1)
    module = {"LSTM": nn.LSTM, "GRU": nn.GRU}[kind](2, units, batch_first=True)
    module.load_state_dict({
        key.partition(".")[2]: tensor for key, tensor in state.items() if "separable" not in key
    })
    x, h, c = RNG.normal(size=(5, 2)), np.zeros(units), np.zeros(units)
    for row in x:
        if kind == "LSTM":
            i, f, g, o = np.split(row @ w + h @ u + bias, 4)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            h = _sigmoid(o) * np.tanh(c)
        else:
            given, past = np.split(row @ w + bias[0], 3), np.split(h @ u + bias[1], 3)
            z, r = (_sigmoid(given[n] + past[n]) for n in (0, 1))
            h = z * h + (1 - z) * np.tanh(given[2] + r * past[2])
    with torch.no_grad():
        made = module(torch.from_numpy(x[None].astype(np.float32)))[0][0, -1].numpy()
    np.testing.assert_allclose(made, h, atol=1e-5)


def test_damaged_files_of_keras_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.keras"
    write_keras_3(path)
    whole = path.read_bytes()
    for wrong in (b"", b"no file", whole[: len(whole) // 2], whole[:200] + whole[260:]):
        path.write_bytes(wrong)
        with pytest.raises(zs.InputError, match=r"x\.keras"):
            read_keras(path)


NET = """
from torch import nn

def net():
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
"""


def state(path: Path) -> dict[str, np.ndarray]:
    module = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    made = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    made["0.weight"] = made["0.weight"] * (RNG.random((4, 6)) < 0.5).astype(np.float32)
    save_file(made, path)
    return made


def run(words: Sequence[object], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = run_guarded(app, "zeroskip", ["import", *map(str, words)])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_a_state_dict_with_a_model_gets_a_graph(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = state(tmp_path / "x.safetensors")
    (tmp_path / "net.py").write_text(NET)
    target = tmp_path / "x.zsk"
    words = [tmp_path / "x.safetensors", "--model", f"{tmp_path / 'net.py'}:net", "--shape", "6"]
    code, text, error = run([*words, "-o", target, "--json"], capsys)
    assert not code, error
    document = json.loads(text)
    first = document["layers"][0]
    assert (first["name"], first["weights"]) == ("0", 24)
    assert first["nnz"] == np.count_nonzero(made["0.weight"])
    assert document["written"]["model"] == str(target)
    assert load(target).graph is not None
    assert [node.name for node in import_file(target).nodes] == ["0", "2"]
    code, _, error = run([*words[:-1], "6xx", "-o", target], capsys)
    assert code == 2
    assert "must be like 1x28x28" in error
    code, _, error = run([*words[:-1], "7", "-o", tmp_path / "none.zsk"], capsys)
    assert code == 2
    assert "cannot trace" in error
    assert not (tmp_path / "none.zsk").exists()


def test_what_is_found_is_said_in_one_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, _ = run([onnx_file(tmp_path / "net.onnx", shaped=True)], capsys)
    assert not code
    assert "'/act/Sigmoid' (Sigmoid" in text
    assert "no weight is 0: prune" in text
    assert "next: zeroskip explore" in text
    save_file(
        {f"l{n}.weight": np.eye(3, dtype=np.float32) for n in range(99)},
        tmp_path / "many.safetensors",
    )
    code, text, _ = run([tmp_path / "many.safetensors"], capsys)
    assert not code
    assert text.count("\n") < 40
    assert "and 75 layers more" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["x.net"], "x.net does not exist"),
        (["x.pt", "-o", "x.zsk"], "x.pt does not exist"),
        (["x.keras"], "x.keras does not exist"),
        (["x.pt", "--model", "n.py:Net"], "--model and --shape go together"),
        (["x.pt", "-o", "x.npz"], "must end in .zsk"),
        (["x.onnx", "-o", "x.zsk"], "take it as it is"),
    ],
)
def test_bad_input(
    words: list[str],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, error = run(words, capsys)
    assert code == 2
    assert says in error
    assert not (tmp_path / "x.zsk").exists()


class _Two(nn.Module):
    """A network of two inputs, which is not supported."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.fc(x) + y


def test_weights_of_a_network_that_is_not_supported_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stops the network is said behind them."""
    example = torch.zeros(1, 3), torch.zeros(1, 2)
    torch.export.save(torch.export.export(_Two().eval(), example), tmp_path / "two.pt2")
    code, text, error = run([tmp_path / "two.pt2"], capsys)
    assert code == 2
    assert "the network has 2 inputs (x, y)" in error
    assert [line.split()[0] for line in text.splitlines() if " 2 x 3 " in line] == ["fc"]
    assert "next:" not in text
    code, text, _ = run([tmp_path / "two.pt2", "--json"], capsys)
    assert code == 2
    assert "2 inputs" in str(json.loads(text)["error"])
