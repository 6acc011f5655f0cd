"""The commands of compression, as they are typed: stages, kills, files that compile and run."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.compiler.float_nodes import chain
from zeroskip.compiler.compress.config import Config
from zeroskip.compiler.compress.config_file import dump_config
from zeroskip.compiler.compress.zsk import load
from zeroskip.compiler.frontend.networks import import_file
from zeroskip.compiler.frontend.zsk import import_zsk

Cli = Callable[..., Any]

ROOT = Path(__file__).parents[2]
SHORT = [
    "--threads", "1", "--set", "train.epochs=3", "--set", "prune.epochs=3",
    "--set", "finetune.epochs=2",
]  # fmt: skip
TASK = ["--task", "digits"]
GUIDE = (ROOT / "docs" / "compress.md").read_text()


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "zeroskip", *map(str, arguments)]


@pytest.fixture(name="whole", scope="module")
def _whole(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("compress") / "run"
    result = cli("compress", "auto", *TASK, *SHORT, "-o", folder, "--json")
    assert result.code == 0, result.err
    sizes = result.document["sizes"]
    assert sizes["file_bytes"] == (folder / "model.zsk").stat().st_size
    assert sizes["ratio"] == pytest.approx(4 * 50_610 / sizes["file_bytes"])
    return folder


@pytest.mark.long("trains after each kill")
def test_a_killed_run_resumes_to_the_same_file(cli: Cli, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    arguments = ["compress", "auto", *TASK, *SHORT, "-o", folder]
    for stage in ("train", "prune"):
        resume = ["--resume"] if folder.exists() else []
        run = subprocess.Popen(command(*arguments, *resume), cwd=ROOT, stderr=subprocess.PIPE)
        assert run.stderr is not None
        for line in run.stderr:
            if re.search(rf"{stage} 1/3", line.decode()):
                break
        run.send_signal(signal.SIGKILL)
        run.communicate()
        assert run.returncode == -signal.SIGKILL
    assert not (folder / "model.zsk").exists()
    again = cli(*arguments)
    assert again.code == 2
    assert "holds a run already; go on with it (resume)" in again.err
    result = cli(*arguments, "--resume")
    assert result.code == 0, result.err
    assert (folder / "model.zsk").read_bytes() == (whole / "model.zsk").read_bytes()
    other = cli(*arguments, "--resume", "--set", "seed=9")
    assert other.code == 2
    assert "holds a run with another configuration: seed was 0, now 9" in other.err


@pytest.mark.long("trains a network again")
def test_stages_one_by_one_give_the_same_file(cli: Cli, whole: Path, tmp_path: Path) -> None:
    run = [*TASK, "--threads", "1", "-o", tmp_path]
    analysis = cli("compress", "analyze", *run, *SHORT[2:], "--json")
    assert analysis.code == 0, analysis.err
    assert [layer["name"] for layer in analysis.document["layers"]] == ["ip1", "ip2", "ip3"]
    assert (tmp_path / "sensitivity.svg").read_text().startswith("<?xml")
    for stage in ("prune", "share", "finetune"):
        result = cli("compress", stage, *run, "--json")
        assert result.code == 0, result.err
        assert result.document["densities"]["ip1"] == pytest.approx(0.08)
    packed = cli("compress", "pack", *TASK, "-o", tmp_path)
    assert "x smaller" in packed.out
    assert cli("compress", *TASK, *SHORT, "-o", tmp_path / "short.zsk").code == 0
    theirs, *ours = (
        load(file).arrays()
        for file in (whole / "model.zsk", tmp_path / "model.zsk", tmp_path / "short.zsk")
    )
    for name, array in theirs.items():
        assert all(array.tobytes() == arrays[name].tobytes() for arrays in ours)


def test_decompressed_files_are_the_network(cli: Cli, whole: Path, tmp_path: Path) -> None:
    expected = load(whole / "model.zsk").arrays()
    for name in ("x.npz", "x.pt", "x.safetensors"):
        result = cli("decompress", whole / "model.zsk", "-o", tmp_path / name, "--json")
        assert result.code == 0, result.err
        if name == "x.npz":
            state: Any = dict(np.load(tmp_path / name))
        elif name == "x.pt":
            loaded = torch.load(tmp_path / name, weights_only=True)
            state = {key: tensor.numpy() for key, tensor in loaded.items()}
        else:
            from safetensors.numpy import load_file

            state = load_file(tmp_path / name)
        assert set(state) == set(expected)
        for key, array in expected.items():
            assert state[key].tobytes() == array.tobytes()
    packed = cli("import", tmp_path / "x.safetensors", "-o", tmp_path / "again.zsk")
    assert packed.code == 0, packed.err
    for key, array in load(tmp_path / "again.zsk").arrays().items():
        assert array.tobytes() == expected[key].tobytes()


def test_zsk_files_compile_alone_and_with_a_graph(cli: Cli, whole: Path, tmp_path: Path) -> None:
    from zeroskip.compiler.compress.module import export
    from zeroskip.compiler.compress.tasks import lenet_300_100

    model = whole / "model.zsk"
    graph = tmp_path / "graph.pt2"
    export(lenet_300_100(64), torch.zeros(2, 1, 8, 8), graph)
    alone, given = chain(import_zsk(model)), chain(import_zsk(model, graph))
    for one, two in zip(alone, given, strict=True):
        assert np.array_equal(one.weight, two.weight)
        assert np.array_equal(one.bias, two.bias)
        assert one.relu == two.relu
    before = chain(import_file(graph))
    assert not np.array_equal(alone[0].weight, before[0].weight)
    calibration = tmp_path / "x.npy"
    np.save(calibration, np.random.default_rng(0).random((20, 1, 8, 8)).astype(np.float32))
    command = ["compile", model, "--data", calibration]
    result = cli(*command, "-o", tmp_path / "image")
    assert result.code == 0, result.err
    assert cli(*command, "--graph", graph, "-o", tmp_path / "other").code == 0
    evaluated = cli("compress", "evaluate", model, *TASK, "--golden", "--json")
    assert evaluated.code == 0, evaluated.err
    assert abs(evaluated.document["golden_error"] - evaluated.document["error"]) < 1
    export(lenet_300_100(49), torch.zeros(2, 1, 7, 7), graph)
    wrong = cli(*command, "--graph", graph, "-o", tmp_path / "third")
    assert wrong.code == 2
    assert "tensor 'ip1.weight' is (300, 49) in the graph, but (300, 64)" in wrong.err
    assert not (tmp_path / "third").exists()


CNN_HOOKS = """
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

pixels, labels = load_digits(return_X_y=True)
images = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
data = TensorDataset(images, torch.tensor(labels))
train, test = torch.utils.data.random_split(data, [1437, 360], torch.Generator().manual_seed(0))

def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(48, 10),
    )

def train_loader():
    return DataLoader(train, 64, shuffle=True)

def test_loader():
    return DataLoader(test, 120)
"""


@pytest.mark.long("trains a CNN")
def test_a_compressed_cnn_has_the_same_error_on_golden(cli: Cli, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks.py"
    hooks.write_text(CNN_HOOKS)
    run = tmp_path / "run"
    short = [*SHORT, "--set", "train.epochs=20", "--set", "prune.density=0.5"]
    result = cli("compress", "auto", "--hooks", hooks, *short, "-o", run, "--json")
    assert result.code == 0, result.err
    command = ["compress", "evaluate", run / "model.zsk", "--hooks", hooks, "--golden", "--json"]
    evaluated = cli(*command)
    assert evaluated.code == 0, evaluated.err
    assert evaluated.document["samples"] == 360
    assert evaluated.document["error"] < 15
    assert abs(evaluated.document["golden_error"] - evaluated.document["error"]) < 0.6
    narrow = cli(*command, "--set", "eie.act_bits=8")
    assert narrow.code == 2
    assert "so EIE must have activations of 16 bits as SCNN has, not 8" in narrow.err


@pytest.mark.long("trains a network")
def test_the_hooks_of_the_guide_work(cli: Cli, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n# hooks\.py\n(.*?)```", GUIDE, re.DOTALL)
    hooks = tmp_path / "hooks.py"
    hooks.write_text(code)
    # Of this process, whatever else the machine does.
    started = time.process_time()
    result = cli(
        "compress", "auto", "--hooks", hooks, "-o", tmp_path / "run", "--threads", "1",
        "--set", "prune.epochs=3", "--set", "finetune.epochs=1", "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert result.document["sizes"]["ratio"] > 5
    assert time.process_time() - started < 120


def test_the_guide_has_every_setting() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    assert text == dump_config(Config())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["auto", "-o", "run"], "give one of --task NAME, --hooks HOOKS.py and --model MODEL"),
        (
            ["auto", "--task", "lenet5", "-o", "run"],
            "--data must be the folder with MNIST's four files",
        ),
        (
            ["auto", "--task", "lenet5", "--data", "no", "-o", "run"],
            "data folder no does not exist",
        ),
        (["auto", *TASK, "--set", "x=1", "-o", "run"], "has no setting 'x'"),
        (["auto", *TASK, "--config", "no.toml", "-o", "run"], "no.toml cannot be read"),
        (["auto", *TASK, "--device", "cuda:7", "-o", "run"], "--device cuda:7 cannot be used"),
        (["auto", "--hooks", "no.py", "-o", "run"], "hook file no.py does not exist"),
        (["auto", "--model", "x.pt2", "-o", "run"], "--model needs samples to train with"),
        (["auto", *TASK, "--labels", "y.npy", "-o", "run"], "--labels belongs to --model MODEL"),
        (["auto", *TASK, "--density", "half", "-o", "run"], "--density must be a number or num"),
        (["auto", *TASK, "--density", "0.1,0.2", "-o", "run"], "has 2 values, but there are 3"),
        (["auto", "--model", "x.py:make", "--data", "x.npy", "-o", "r"], "x.npy does not exist"),
        (["pack", *TASK, "-o", "run"], "has no stage that is done"),
        (["finetune", *TASK, "-o", "run"], "has no shared network"),
        (["analyze", *TASK, "-o", "run", "--plot", "x.txt"], "must end in .svg, .png or .pdf"),
        (["compare", *TASK, "--what", "colour", "-o", "run"], "--what must be one of granularity"),
        (["evaluate", "no.zsk", *TASK], "no.zsk cannot be read: No such file"),
    ],
)
def test_bad_input(
    arguments: list[str], says: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cli("compress", *arguments)
    assert result.code == 2
    assert says in result.err
    assert not (tmp_path / "x.zsk").exists()


def test_damaged_files_are_refused_by_every_command(cli: Cli, whole: Path, tmp_path: Path) -> None:
    data = bytearray((whole / "model.zsk").read_bytes())
    data[len(data) // 2] ^= 1
    bad = tmp_path / "bad.zsk"
    bad.write_bytes(data)
    np.save(tmp_path / "x.npy", np.zeros((4, 1, 8, 8), np.float32))
    commands = [
        ["decompress", bad, "-o", tmp_path / "x.npz"],
        ["compile", bad, "--data", tmp_path / "x.npy", "-o", tmp_path / "image"],
        ["compress", "evaluate", bad, *TASK],
    ]
    for arguments in commands:
        result = cli(*arguments)
        assert result.code == 2
        assert "bad.zsk is damaged: the checksum of section" in result.err
    assert not (tmp_path / "x.npz").exists()
    assert json.loads((whole / "report.json").read_text())["sizes"]["file_bytes"] == len(data)
