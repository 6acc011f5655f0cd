"""What comes from outside: configuration, hooks, MNIST's files, networks compressed elsewhere."""

import gzip
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.config import Config
from zeroskip.compiler.compress.config_file import (
    dump_config,
    load_config,
    override,
    parse_config,
    parse_settings,
    preset,
)
from zeroskip.compiler.compress.hooks import load_hooks
from zeroskip.compiler.compress.images import Distort, load_mnist, loader, read_idx
from zeroskip.compiler.compress.import_net import KNOWN_NETS, NetLayer, parse_layers, read_net
from zeroskip.compiler.compress.importers import plain_module, plain_state
from zeroskip.compiler.compress.pack import pack_state, state_of_zsk
from zeroskip.compiler.compress.runs import to_entries
from zeroskip.compiler.compress.state_files import read_state
from zeroskip.compiler.compress.task import evaluate
from zeroskip.compiler.compress.tasks import TASKS, task_of

HOOKS = """
import torch
from torch import nn

def model():
    return nn.Linear(4, 2)

def batches():
    return [(torch.ones(3, 4), torch.tensor([0, 1, 1]))]

train_loader = test_loader = batches
"""


def test_configuration_shows_every_default() -> None:
    text = dump_config(Config())
    assert parse_config(text, "x") == Config()
    for line in ("density = 0.1", "codes = 15", 'init = "linear"', "# target_ratio = ", "[prune]"):
        assert line in text
    changed = override(
        Config(), parse_settings(["prune.density=0.2", "share.init=forgy", "seed=7"])
    )
    assert parse_config(dump_config(changed), "x") == changed
    assert (changed.prune.density, changed.share.init, changed.seed) == (0.2, "forgy", 7)


def test_configurations_of_tasks(tmp_path: Path) -> None:
    for name in TASKS:
        config = preset(name)
        path = tmp_path / f"{name}.toml"
        path.write_text(dump_config(config))
        assert load_config(path) == config
        assert config.share.codes == 15


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prune = 3", "prune is 3"),
        ("[prune]\ndensity = 1.5", "prune.density is 1.5: input should be less than or equal to 1"),
        ("[prune]\ndensty = 0.5", "has no setting 'prune.densty'"),
        ("[share]\ninit = 'random'", "share.init is 'random': input should be 'linear', 'density'"),
        ("[share]\ncodes = 256", "share.codes is 256"),
        ("x = ", "is no TOML"),
        ("[train]\nlearning_rate = nan", "train.learning_rate is nan"),
    ],
)
def test_wrong_configurations(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_config(text, "c.toml")


def test_wrong_settings() -> None:
    for setting in ("density", "nothing.density=1", "seed.x=1"):
        with pytest.raises(InputError, match=r"a setting must be like|no setting"):
            override(Config(), parse_settings([setting]))
    with pytest.raises(InputError, match=r"c\.toml cannot be read: No such file"):
        load_config("c.toml")


def test_hooks(tmp_path: Path) -> None:
    path = tmp_path / "hooks.py"
    path.write_text(HOOKS)
    task = load_hooks(path)
    assert evaluate(task.model(), task).samples == 3
    assert task.example().shape == (1, 4)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def model", "def network", r"hooks\.py has no model\(\); it needs model\(\), train_load"),
        ("train_loader = test_loader =", "other =", r"has no train_loader\(\) and no test_loader"),
        ("import torch", "import torhc", "cannot be run: ModuleNotFoundError: No module named"),
        ("import torch", "def (", "cannot be run: SyntaxError"),
    ],
)
def test_wrong_hooks(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "hooks.py"
    path.write_text(HOOKS.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        load_hooks(path)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ("[]", "has no batch|no batch to measure"),
        ("[torch.ones(3, 4)]", r"batch 1 must be a pair of tensors, inputs and targets, not Tens"),
    ],
)
def test_wrong_batches(tmp_path: Path, batches: str, message: str) -> None:
    path = tmp_path / "hooks.py"
    path.write_text(HOOKS.replace("[(torch.ones(3, 4), torch.tensor([0, 1, 1]))]", batches))
    task = load_hooks(path)
    with pytest.raises(InputError, match=message):
        evaluate(task.model(), task)
    with pytest.raises(InputError, match="does not exist"):
        load_hooks(tmp_path / "none.py")


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_idx_files(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "plain").write_bytes(idx(array))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(idx(array)))
    assert np.array_equal(read_idx(tmp_path, "plain"), array)
    assert np.array_equal(read_idx(tmp_path, "packed"), array)
    cases = {
        "short": (idx(array)[:-1], "is damaged: it has 39 of 40 bytes"),
        "foreign": (b"PK" + idx(array), "is no idx file of bytes"),
        "cut.gz": (gzip.compress(idx(array))[:-9], "cannot be read"),
    }
    for name, (data, message) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=message):
            read_idx(tmp_path, name.removesuffix(".gz"))
    with pytest.raises(InputError, match=r"has neither nothing nor nothing\.gz"):
        read_idx(tmp_path, "nothing")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(array))
    with pytest.raises(InputError, match=r"holds \(2, 3, 4\), but MNIST's is \(60000, 28, 28\)"):
        load_mnist(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        load_mnist(tmp_path / "none")


def test_mnist_itself() -> None:
    folder = os.environ.get("ZEROSKIP_MNIST")
    if not folder:
        pytest.skip("ZEROSKIP_MNIST does not name the folder with MNIST's four files")
    mnist = load_mnist(folder)
    assert mnist.train_x.shape == (60_000, 1, 28, 28)
    assert mnist.test_y.bincount().tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip


def test_distortion_keeps_blank_images_and_follows_the_seed() -> None:
    assert not Distort()(torch.zeros(5, 1, 28, 28)).any()
    images = torch.rand(64, 1, 8, 8)
    batches = []
    for _ in range(2):
        torch.manual_seed(5)
        batches.append(list(loader(images, torch.arange(64), batch=16, distort=Distort())))
    for one, two in zip(*batches, strict=True):
        assert torch.equal(one[0], two[0])
        assert torch.equal(one[1], two[1])


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        (
            "lenet",
            None,
            "one of digits, digits_cnn, digits_rows, lenet300, lenet5, topics, vowels, not",
        ),
        (
            "lenet5",
            None,
            "data must be the folder with MNIST's four files, not None: task lenet5 trains on them",
        ),
        ("digits", "x", "the digits come with scikit-learn; they take no data folder"),
        ("topics", "x", "the topics come with Python; they take no data folder"),
        ("vowels", "nowhere", r"nowhere/JapaneseVowels_TRAIN\.ts cannot be read: No such file"),
    ],
)
def test_wrong_tasks(name: str, data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        task_of(name, data)


def pruned() -> nn.Sequential:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 4))
    prune.l1_unstructured(module[0], "weight", 0.8)
    prune.ln_structured(module[2], "weight", 0.5, n=1, dim=0)
    return module


def removed() -> dict[str, torch.Tensor]:
    module = pruned()
    for part in (module[0], module[2]):
        prune.remove(part, "weight")
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_masks_of_torch_in_modules_and_in_state_dicts(tmp_path: Path) -> None:
    expected = removed()
    module, state = plain_module(pruned()).state_dict(), plain_state(pruned().state_dict())
    assert set(module) == set(state) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(module[name], tensor)
        assert torch.equal(state[name], tensor)
        assert not torch.signbit(module[name][tensor == 0]).any()
    torch.save(pruned().state_dict(), tmp_path / "masked.pt")
    torch.save({"epoch": 3, "state_dict": pruned().state_dict()}, tmp_path / "wrapped.pt")
    save_file(removed(), tmp_path / "plain.safetensors")
    for name in ("masked.pt", "wrapped.pt", "plain.safetensors"):
        read = read_state(tmp_path / name)
        assert all(torch.equal(read[key], tensor) for key, tensor in expected.items())
    report = pack_state(read, tmp_path / "model.zsk")
    back = state_of_zsk(tmp_path / "model.zsk")
    assert all(torch.equal(back[key], tensor) for key, tensor in read.items())
    assert [layer.kept for layer in report.layers] == [40, 20]


def test_clustered_bfloat16_comes_through(tmp_path: Path) -> None:
    weight = torch.tensor([0.0, 0.5, -1.25, 3.0])[torch.randint(4, (40, 30))].bfloat16()
    pack_state({"w": weight, "odd": torch.tensor([-0.0, 1.0])}, tmp_path / "m.zsk")
    back = state_of_zsk(tmp_path / "m.zsk")
    assert back["w"].dtype == torch.bfloat16
    assert torch.equal(back["w"], weight)
    assert torch.signbit(back["odd"])[0]


def test_unreadable_state_dicts(tmp_path: Path) -> None:
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"a": 1}, tmp_path / "numbers.pt")
    cases = {
        "broken.pt": r"is damaged, or no file of torch\.save",
        "broken.safetensors": "cannot be read",
        "list.pt": "holds no state dict but list",
        "numbers.pt": "'a' is no tensor but int",
        "none.pt": "does not exist",
    }
    for name, message in cases.items():
        with pytest.raises(InputError, match=message):
            read_state(tmp_path / name)
    with pytest.raises(InputError, match="'w' has NaN or infinite elements"):
        pack_state({"w": torch.tensor([float("nan")])}, tmp_path / "x.zsk")
    assert not (tmp_path / "x.zsk").exists()


def write_net(layers: list[NetLayer], seed: int = 0) -> tuple[bytes, dict[str, np.ndarray]]:
    """Return a .net file as the authors' decoder reads it, written symbol by symbol."""
    rng = np.random.default_rng(seed)
    counts, body, state = b"", b"", {}

    def halves(values: list[int]) -> bytes:
        values = [*values, *([0] * (len(values) % 2))]
        return bytes(low | high << 4 for low, high in zip(values[::2], values[1::2], strict=True))

    for layer in layers:
        size = int(np.prod(layer.shape))
        codes = rng.integers(1, 1 << layer.code_bits, size) * (rng.random(size) < 0.08)
        codebook = rng.normal(size=1 << layer.code_bits).astype("<f4")
        codebook[0] = 0
        bias = rng.normal(size=layer.shape[0]).astype("<f4")
        symbols, runs = to_entries(codes, 4)
        packed = bytes(symbols.tolist()) if layer.code_bits == 8 else halves(symbols.tolist())
        counts += struct.pack("<I", len(symbols))
        body += codebook.tobytes() + bias.tobytes() + packed + halves(runs.tolist())
        state[f"{layer.name}.weight"] = codebook[codes].reshape(layer.shape)
        state[f"{layer.name}.bias"] = bias
    return counts + body, state


def test_net_files(tmp_path: Path) -> None:
    layers = parse_layers("conv1:8x3x5x5,conv2:6x8x3x3,fc3:21x54,fc4:10x21")
    data, expected = write_net(layers)
    path = tmp_path / "some.net"
    path.write_bytes(data)
    state = read_net(path, layers)
    assert set(state) == set(expected)
    for name, array in expected.items():
        assert np.array_equal(state[name], array)
    for size in (2, 30, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(InputError, match="is truncated, or not of these layers"):
            read_net(path, layers)
    path.write_bytes(data + b"\0")
    with pytest.raises(InputError, match=f"has {len(data) + 1} bytes, but these 4 layers take"):
        read_net(path, layers)
    with pytest.raises(InputError, match="layers must be one of alexnet, squeezenet, or like"):
        parse_layers("fc1")


def test_known_nets_have_the_published_sizes() -> None:
    def parameters(name: str) -> int:
        return sum(int(np.prod(x.shape)) + x.shape[0] for x in KNOWN_NETS[name])

    assert parameters("alexnet") == 60_965_224
    assert parameters("squeezenet") == 1_248_424
    assert len(KNOWN_NETS["squeezenet"]) == 26
