"""Checkpoints of every kind: tensors come through, anything else is named with its key."""

import argparse
from pathlib import Path
from types import LambdaType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import utils
from torch.nn.utils import parametrizations

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.found import state_layers
from zeroskip.compiler.compress.pack import pack_state, state_of_zsk
from zeroskip.compiler.compress.prepare import Network
from zeroskip.compiler.compress.state_files import read_state
from zeroskip.compiler.compress.task import Task

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

W = torch.tensor([[0.0, 1.5, -2.0], [0.5, 0.0, 0.0]])
PLAIN = {"fc.weight": W, "fc.bias": torch.tensor([1.0, -1.0])}


def through(state: Any, tmp_path: Path) -> dict[str, torch.Tensor]:
    """Return what an import makes of a file."""
    # Of some kinds of tensors, torch warns when they are made.
    torch.save(state() if isinstance(state, LambdaType) else state, tmp_path / "x.pt")
    pack_state(read_state(tmp_path / "x.pt"), tmp_path / "x.zsk")
    return state_of_zsk(tmp_path / "x.zsk")


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in PLAIN.items()}


@pytest.mark.parametrize(
    "state",
    [
        PLAIN,
        {"state_dict": PLAIN, "epoch": 3, "optimizer": {"state": {}}},
        {"model": {"state_dict": PLAIN}},
        {"best_model": PLAIN, "epoch": 3},
        {"model": prefixed("module.")},
        {"net": prefixed("_orig_mod.module.")},
        lambda: {"fc.weight": W.to_sparse(), "fc.bias": PLAIN["fc.bias"]},
        lambda: {"fc.weight": W.to_sparse_csr(), "fc.bias": nn.Parameter(PLAIN["fc.bias"])},
    ],
)
def test_tensors_come_through(state: Any, tmp_path: Path) -> None:
    read = through(state, tmp_path)
    assert set(read) == set(PLAIN)
    assert all(torch.equal(read[name], tensor) for name, tensor in PLAIN.items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.half, torch.double])
def test_types_stay(dtype: torch.dtype, tmp_path: Path) -> None:
    read = through({"w": W.to(dtype), "none": torch.zeros(0, 4)}, tmp_path)
    assert read["w"].dtype == dtype
    assert torch.equal(read["w"], W.to(dtype))
    assert read["none"].shape == (0, 4)


@pytest.mark.parametrize(
    "norm",
    [
        utils.weight_norm, utils.spectral_norm, parametrizations.weight_norm,
        parametrizations.spectral_norm,
    ],
)  # fmt: skip
def test_norms_become_plain_weights(norm: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    for make in (nn.Linear(6, 4), nn.Conv2d(3, 4, 2), nn.Linear(5, 1)):
        layer = norm(make).eval()
        # Old spectral norm computes the weight when it runs.
        layer(torch.zeros(2, *((3, 5, 5) if layer.weight.dim() > 2 else layer.weight.shape[1:])))
        read = through(nn.Sequential(layer).state_dict(), tmp_path)
        assert set(read) == {"0.weight", "0.bias"}
        torch.testing.assert_close(read["0.weight"], layer.weight.detach())


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"model": PLAIN, "args": argparse.Namespace(a=1)}, "under 'args' an object of argparse.N"),
        ({"best": np.float64(3), "model": PLAIN}, "under 'best' an object of numpy"),
        (nn.Linear(2, 2), r"x\.pt holds an object of torch\.nn\.modules\.linear\.Linear, which"),
        ({**PLAIN, "epoch": 3}, "'epoch' is no tensor but int; save the tensors alone"),
        ({"model": {"a": {"b": W}}}, r"x\.pt\['model'\]: 'a' is no tensor but dict"),
        ({1: W}, "the key 1 is no text"),
        ([W], "holds no state dict but list"),
        ({}, "holds no state dict but an empty one"),
        ({"w": W.to("meta")}, "'w' is on the device 'meta'"),
        ({"w": W.to(torch.float8_e4m3fn)}, "'w' is of type float8_e4m3fn, .* convert it"),
        ({"w": W.to(torch.complex64)}, "'w' is of type complex64, which .zsk files do not hold"),
        (
            lambda: {"w": torch.quantize_per_tensor(W, 0.1, 0, torch.qint8)},
            r"'w' is quantized \(qint8\)",
        ),
        (lambda: {"w": torch.nested.nested_tensor([W[0], W[1, :2]])}, "'w' is a nested tensor"),
        ({"w_orig": W, "w_mask": torch.ones(2, 5)}, r"'w_orig' and .* they are \(2, 3\), \(2, 5\)"),
        ({"f.parametrizations.bias.original": W}, "part of a parametrization that is not known"),
    ],
)
def test_what_is_refused(state: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as error:
        through(state, tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "x.zsk").exists()


def test_other_files(tmp_path: Path) -> None:
    for name, data in {"a.pt": b"", "b.pt": b"hello", "c.safetensors": b"hello"}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=r"damaged, or no file of torch\.save|cannot be read"):
            read_state(tmp_path / name)
    with pytest.raises(InputError, match="is a folder"):
        read_state(tmp_path)
    save_file({"w": W.to(torch.float8_e5m2)}, tmp_path / "d.safetensors")
    with pytest.raises(InputError, match="'w' is of type float8_e5m2"):
        pack_state(read_state(tmp_path / "d.safetensors"), tmp_path / "x.zsk")


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.Linear(2, 2))


def task_of_model() -> Task:
    data = [(torch.zeros(2, 3), torch.tensor([0, 1]))]
    return Task("t", model, lambda: data, lambda: data)


def test_the_name_of_a_module_around_the_network_is_left_out() -> None:
    state = {f"model.{name}": tensor for name, tensor in model().state_dict().items()}
    held = Network(task_of_model()).holding(state, "f").state_dict()
    assert torch.equal(held["3.weight"], state["model.3.weight"])


def test_numbers_that_stand_for_others_are_no_weights() -> None:
    state = model().state_dict()
    state["3.weight"] = torch.ones(2, 2, dtype=torch.int8)
    with pytest.raises(
        InputError, match=r"'3\.weight' is of type int8, where model\(\) has floats"
    ):
        Network(task_of_model()).holding(state, "f")


def test_norms_that_a_file_does_not_have_are_told() -> None:
    state = {name: t for name, t in model().state_dict().items() if not name.startswith("1.")}
    notes: list[str] = []
    Network(task_of_model(), on_note=notes.append).holding(state, "f")
    assert notes[-1].startswith("warning: f has none of 1: its weights are taken as having them")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float32])
def test_layers_of_any_float_are_found(dtype: torch.dtype) -> None:
    (layer,) = state_layers({"fc.weight": W.to(dtype)})
    assert (layer.nnz, layer.values) == (3, 3)


def test_parameters_are_tensors(tmp_path: Path) -> None:
    torch.save(dict(nn.Linear(3, 2).named_parameters()), tmp_path / "x.pt")
    assert [layer.weights for layer in state_layers(read_state(tmp_path / "x.pt"))] == [6]


def test_keys_that_do_not_fit_are_named() -> None:
    task, state = task_of_model(), model().state_dict()
    del state["1.num_batches_tracked"]
    assert torch.equal(
        Network(task).holding(state, "f").state_dict()["0.weight"], state["0.weight"]
    )
    state["3.weight"] = torch.zeros(5, 2)
    state["head.weight"] = state.pop("0.bias")
    with pytest.raises(
        InputError,
        match=r"f is of another network than model\(\): it has no '0.bias'; model\(\) has no "
        r"'head.weight'; '3.weight' is \(5, 2\), but \(2, 2\) in model\(\)",
    ):
        Network(task).holding(state, "f")
