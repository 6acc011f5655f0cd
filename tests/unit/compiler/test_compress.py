"""Compression: masks hold, weights stay shared, accuracy stays, files round-trip."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.unit.compiler.float_nodes import chain
from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.compress.digits import (
    DIGITS_DENSITIES,
    DigitsModel,
    compress_digits,
    load_digits,
)
from zeroskip.compiler.compress.digits_cnn import CNN_CODES, CNN_DENSITIES, compress_digits_cnn
from zeroskip.compiler.compress.finetune import Objective, SharedWeight, finetune
from zeroskip.compiler.compress.masks import make_mask
from zeroskip.compiler.compress.module import export, linear_layers
from zeroskip.compiler.compress.pipeline import Step, compress
from zeroskip.compiler.compress.prune import densities_of, prune
from zeroskip.compiler.compress.rebuild import to_module
from zeroskip.compiler.frontend.networks import import_module, import_program, import_pt2
from zeroskip.compiler.ir.graph import INPUT, FloatConv, FloatGraph, FloatLinear
from zeroskip.compiler.passes.errors import fixed_point_errors
from zeroskip.compiler.passes.partition import arithmetics
from zeroskip.compiler.passes.quantize import quantize
from zeroskip.compiler.passes.share import distinct_values
from zeroskip.hw.eie.params import EieParams


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(12, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Dropout(),
        nn.Linear(20, 4),
    )  # fmt: skip


def task(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Return points (count, 3, 4) and which of four sums of theirs is largest."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 3, 4)).astype(np.float32)
    return x, x.sum(1).argmax(1)


def distinct(linear: nn.Linear) -> int:
    weight = linear.weight.detach()
    return int(weight[weight != 0].unique().numel())


def train(module: nn.Sequential, x: np.ndarray, y: np.ndarray) -> None:
    objective = Objective(torch.from_numpy(x), torch.from_numpy(y))
    finetune(module, linear_layers(module), objective, epochs=30, learning_rate=0.01, seed=0)


@pytest.fixture(name="digits", scope="module")
def _digits() -> DigitsModel:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return compress_digits()
    finally:
        torch.set_num_threads(threads)


def test_masks_by_magnitude() -> None:
    weight = torch.tensor([[3.0, -1.0, 0.0], [-4.0, 2.0, 1.0]])
    assert make_mask(weight, 0.5).tolist() == [[True, False, False], [True, True, False]]
    # Of equals the first; never a zero; never nothing.
    assert make_mask(weight, 4 / 6).tolist() == [[True, True, False], [True, True, False]]
    assert make_mask(weight, 1.0).sum() == 5
    assert make_mask(weight, 1e-9).sum() == 1
    assert make_mask(torch.zeros(2, 2), 1.0).sum() == 0


@pytest.mark.parametrize(
    ("density", "message"),
    [
        ([0.5], "density must be one number or 2, one per layer, not 1"),
        (0.0, "density must be above 0 and at most 1, not 0.0"),
        ([0.5, 1.5], "density must be above 0 and at most 1, not 1.5"),
        (float("nan"), "density must be above 0 and at most 1, not nan"),
    ],
)
def test_densities(density: Any, message: str) -> None:
    assert densities_of(0.5, 2) == [0.5, 0.5]
    with pytest.raises(InputError, match=message):
        densities_of(density, 2)


def test_masks_hold() -> None:
    module = network()
    layers = linear_layers(module)
    masks = prune(layers, [0.2, 0.5])
    x, y = task()
    objective = Objective(torch.from_numpy(x), torch.from_numpy(y))
    finetune(module, layers, objective, masks=masks, epochs=2, learning_rate=0.01, seed=0)
    for layer, mask in zip(layers, masks, strict=True):
        assert torch.equal(layer.weight != 0, mask)


def test_gradients_are_summed() -> None:
    """A shared value's gradient is the derivative of the loss by that value."""
    weight = nn.Parameter(torch.tensor([[1.0, 0.0, 2.0], [2.1, 0.9, 0.0]]))
    shared = SharedWeight(weight, 2)
    np.testing.assert_allclose(shared.values.detach(), [0.95, 2.05], atol=1e-6)
    x = torch.tensor([[1.0, 2.0, 3.0]])
    (x @ weight.T).pow(2).sum().backward()
    shared.collect()
    assert shared.values.grad is not None

    def loss(values: torch.Tensor) -> torch.Tensor:
        zero = torch.zeros(())
        rows = [[values[0], zero, values[1]], [values[1], values[0], zero]]
        return (x @ torch.stack([torch.stack(row) for row in rows]).T).pow(2).sum()

    expected = torch.autograd.functional.jacobian(loss, shared.values.detach())
    assert isinstance(expected, torch.Tensor)
    np.testing.assert_allclose(shared.values.grad, expected, rtol=1e-5)


def test_with_labels() -> None:
    x, y = task()
    module = network()
    train(module, x, y)
    module.train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    steps: list[Step] = []
    marks: list[tuple[str, float]] = []
    small, report = compress(
        module, x, y, density=[0.5, 0.8], codes=7, epochs=20, rounds=2, learning_rate=0.01,
        on_step=steps.append, progress=lambda name, done: marks.append((name, done)),
    )  # fmt: skip
    assert module.training
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert not small.training
    assert [type(part).__name__ for part in small.children()] == [
        "Flatten",
        "Linear",
        "ReLU",
        "Linear",
    ]
    assert [step.name for step in steps] == [
        "float", "pruned 1 of 2, fine-tuned", "pruned", "pruned, fine-tuned", "shared",
        "shared, fine-tuned",
    ]  # fmt: skip
    assert report.steps == tuple(steps)
    first, last = steps[0].accuracy, steps[-1].accuracy
    assert first is not None
    assert last is not None
    assert first > 0.9
    assert last > first - 0.1
    done = [mark for _, mark in marks]
    assert done == sorted(done)
    assert done[-1] == 1.0
    assert [layer.nnz for layer in report.layers] == [120, 64]
    assert [layer.density for layer in report.layers] == [0.5, 0.8]
    assert [layer.name for layer in report.layers] == ["1", "5"]
    assert all(layer.values <= 7 for layer in report.layers)
    assert [distinct(linear) for linear in linear_layers(small)] == [
        layer.values for layer in report.layers
    ]
    assert report.to_dict()["steps"][0]["name"] == "float"

    again, _ = compress(
        module, x, y, density=[0.5, 0.8], codes=7, epochs=20, rounds=2, learning_rate=0.01
    )
    for one, other in zip(small.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_without_labels() -> None:
    """The result follows the original's outputs: distillation."""
    x, y = task()
    module = network()
    train(module, x, y)
    _, report = compress(module, torch.from_numpy(x), density=0.4, epochs=30, noise=0.05)
    loss = {step.name: step.loss for step in report.steps}
    assert all(step.accuracy is None for step in report.steps)
    assert loss["float"] == 0
    assert loss["pruned, fine-tuned"] < loss["pruned"]
    assert loss["shared, fine-tuned"] < 0.2


def test_every_kind_of_model(tmp_path: Path) -> None:
    """Module, program, network and file are compressed to the same weights."""
    x, y = task(60)
    module = network().eval()
    example = torch.from_numpy(x[:2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (example,))
    export(module, example, tmp_path / "model.pt2")
    results = [
        compress(model, x, y, density=0.5, epochs=2)[0]
        for model in (
            module,
            program,
            import_module(module, example),
            import_program(program),
            tmp_path / "model.pt2",
            str(tmp_path / "model.pt2"),
        )
    ]
    for result in results[1:]:
        for one, other in zip(results[0].parameters(), result.parameters(), strict=True):
            assert torch.equal(one, other)


def test_test_data() -> None:
    x, y = task(200)
    _, report = compress(
        network(), x[:100], y[:100], density=1.0, epochs=0, test=(x[100:], y[100:])
    )
    accuracy = report.steps[0].accuracy
    assert accuracy is not None
    output = network().eval()(torch.from_numpy(x[100:]))
    assert accuracy == pytest.approx(np.mean(output.argmax(1).numpy() == y[100:]))


def test_all_zero_layer() -> None:
    module = network()
    nn.init.zeros_(linear_layers(module)[1].weight)
    x, y = task(60)
    small, report = compress(module, x, y, density=0.5, epochs=1)
    assert report.layers[1].nnz == report.layers[1].values == 0
    assert chain(import_module(small, x[:1]))[1].shape == (4, 20)


def test_module_names() -> None:
    """Names that a module cannot have are changed, and nothing is lost."""
    chain = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    chain.add_module("0_relu", nn.Linear(3, 3))
    model = nn.Sequential()
    model.add_module("a", chain)
    model.add_module("a_0_relu", nn.Linear(3, 3, bias=False))
    built = to_module(import_module(model, torch.zeros(1, 3)))
    names = [name for name, _ in built.named_children()]
    assert names == ["a_0", "a_0_relu", "a_0_relu_", "a_0_relu__"]
    assert [part.bias is None for part in linear_layers(built)] == [False, False, True]
    x = torch.randn(5, 3)
    torch.testing.assert_close(built(x), model(x))


class Branches(nn.Module):
    """Branches, a sum, both kinds of pooling, dilation and Linear layers behind."""

    def __init__(self, *, linear: bool = True) -> None:
        super().__init__()
        self.one = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.two = nn.Conv2d(2, 4, 1, groups=2)
        self.deep = nn.Conv2d(8, 6, 2, stride=2)
        self.head = nn.Linear(6, 3) if linear else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = torch.relu(self.norm(self.one(x))), self.two(x)
        large = nn.functional.max_pool2d(a + b, 3, 2, 1, ceil_mode=True)
        mean = nn.functional.avg_pool2d(b, 3, 2, 1, ceil_mode=True, count_include_pad=False)
        y = torch.cat([large, mean], 1)
        y = torch.relu(self.deep(y))
        return self.head(nn.functional.adaptive_avg_pool2d(y, 1).flatten(1))


@pytest.mark.parametrize("linear", [True, False])
def test_networks_with_convolutions(linear: bool, tmp_path: Path) -> None:
    """Whatever compile takes: the same function, pruned and shared, and compiled again."""
    torch.manual_seed(0)
    model = Branches(linear=linear).eval()
    model.norm.load_state_dict({
        "running_mean": torch.randn(4), "running_var": torch.rand(4) + 0.5,
        "weight": torch.rand(4) + 0.5, "bias": torch.randn(4),
        "num_batches_tracked": torch.tensor(1),
    })  # fmt: skip
    x = torch.randn(80, 2, 8, 8)
    rebuilt = to_module(import_module(model, x[:1]))
    with torch.no_grad():
        torch.testing.assert_close(rebuilt(x), model(x), rtol=1e-4, atol=1e-5)
    export(model, x[:2], tmp_path / "model.pt2")
    y = model(x).argmax(1)
    names = ["one", "two", "deep", *(["head"] if linear else [])]
    for labels in (y, None):
        small, report = compress(
            str(tmp_path / "model.pt2"), x, labels, density=0.5, codes=7, epochs=4
        )
        assert [layer.name for layer in report.layers] == names
        assert [layer.density for layer in report.layers] == [0.5] * len(names)
        export(small, x[:2], tmp_path / "small.pt2")
        read = import_pt2(tmp_path / "small.pt2")
        layers = [node for node in read.nodes if isinstance(node, (FloatConv, FloatLinear))]
        assert [layer.name for layer in layers] == names
        for layer, told in zip(layers, report.layers, strict=True):
            assert np.count_nonzero(layer.weight) == told.nnz
            assert np.unique(layer.weight[layer.weight != 0]).size == told.values <= 7


def test_dilated_kernels_have_no_more_weights() -> None:
    weight = np.zeros((3, 2, 5, 1))
    weight[:, :, ::2] = np.arange(1, 19).reshape(3, 2, 3, 1)
    conv = FloatConv(
        "c", (INPUT,), weight, np.zeros(3), (1, 1), (2, 0), 1, relu=False, dilation=(2, 1)
    )
    module = to_module(FloatGraph((2, 6, 6), (conv,), "c"))
    (built,) = module.children()
    assert isinstance(built, nn.Conv2d)
    assert (built.kernel_size, built.dilation, built.weight.numel()) == ((3, 1), (2, 1), 18)
    x = torch.randn(2, 2, 6, 6)
    wanted = nn.functional.conv2d(x, torch.from_numpy(weight).float(), padding=(2, 0))
    torch.testing.assert_close(module(x), wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": 0}, "codes must be a whole number from 1 to 255, not 0"),
        ({"codes": True}, "codes must be a whole number from 1 to 255, not True"),
        ({"epochs": -1}, "epochs must be a whole number from 0 to 1000000, not -1"),
        ({"rounds": 0}, "rounds must be a whole number from 1 to 1000000, not 0"),
        (
            {"labels": np.zeros(60)},
            r"labels must be \(60,\) whole numbers, .* not float64 of shape",
        ),
        ({"labels": np.zeros(59, int)}, r"not int64 of shape \(59,\)"),
        ({"labels": np.full(60, 4)}, "labels must be from 0 to 3, as the network has 4 outputs"),
        ({"inputs": np.zeros((60, 3, 4), int)}, "example_input must be a batch of floating-point"),
        ({"inputs": np.ones(())}, "inputs must have samples along"),
        ({"inputs": np.float64(1)}, "inputs must have samples along"),
        ({"inputs": torch.tensor(1.0)}, "inputs must have samples along"),
        ({"inputs": 1.0}, "inputs must have samples along"),
        ({"inputs": []}, r"inputs has no samples: its shape is \(0,\)"),
        ({"inputs": [[1.0], [1.0, 2.0]]}, "inputs must be one array of samples"),
        ({"inputs": np.zeros((0, 3, 4))}, "inputs has no samples"),
        ({"inputs": None}, "inputs must have samples along"),
        ({"inputs": np.zeros((60, 3, 4), complex)}, "example_input must be a batch of floating"),
        ({"labels": 3}, r"labels must be \(60,\) whole numbers"),
        ({"labels": [[1], [1, 2]]}, r"labels must be one array of whole numbers"),
        ({"labels": torch.zeros(60)}, r"labels must be \(60,\) whole numbers"),
        ({"test": 3}, "test must be a pair, inputs and labels"),
        ({"test": (np.ones(()), None)}, "test inputs must have samples along"),
        ({"density": None}, "density must be above 0 and at most 1, not None"),
        ({"density": "0.5"}, "density must be above 0 and at most 1, not '0.5'"),
        ({"density": [0.5, None]}, "density must be above 0 and at most 1, not None"),
        ({"density": True}, "density must be above 0 and at most 1, not True"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"seed": 0.5}, "seed must be a whole number from 0"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0, not 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0, not nan"),
        ({"noise": -1.0}, r"noise must be a number of at least 0, not -1\.0"),
        ({"noise": "much"}, "noise must be a number of at least 0, not 'much'"),
        ({"model": 3}, "module must be a torch.nn.Module, not int"),
        ({"inputs": np.full((60, 3, 4), np.nan)}, "inputs has 720 values that are NaN"),
        ({"test": (np.zeros((1, 5)), None)}, "test inputs must have shape"),
        ({"density": 2}, "density must be above 0 and at most 1, not 2"),
        ({"model": "none.pt2"}, "model file none.pt2 does not exist"),
    ],
)
def test_wrong_arguments(change: dict[str, Any], message: str) -> None:
    x, y = task(60)
    arguments = {"model": network(), "inputs": x, "labels": y, "density": 0.5} | change
    with pytest.raises(InputError, match=message):
        compress(**arguments)


def test_unsupported_model() -> None:
    with pytest.raises(CompileError, match="sigmoid"):
        compress(nn.Sequential(nn.Linear(4, 4), nn.Sigmoid()), np.zeros((2, 4)), density=0.5)


def test_reserved_name() -> None:
    layer = FloatLinear("append", (INPUT,), np.eye(2), np.ones(2), relu=True)
    built = to_module(FloatGraph((2, 1, 1), (layer,), "append", (2,)))
    assert [name for name, _ in built.named_children()] == ["append_", "append__relu"]


# Files


def test_export(tmp_path: Path) -> None:
    """The file holds the same weights and takes batches of any size, in torch too."""
    x, y = task(60)
    small, _ = compress(network(), x, y, density=0.5, epochs=1)
    small.train()
    export(small, torch.from_numpy(x[:1]), tmp_path / "model.pt2")
    assert small.training
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt2"]
    read = chain(import_pt2(tmp_path / "model.pt2"))
    whole = chain(import_module(small, x[:1]))
    for one, other in zip(read, whole, strict=True):
        assert np.array_equal(one.weight, other.weight)
        assert np.array_equal(one.bias, other.bias)
        assert distinct_values(one.weight, 15) <= 15
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.load(tmp_path / "model.pt2").module()
    for count in (1, 7, 60):
        batch = torch.from_numpy(x[:count])
        torch.testing.assert_close(program(batch), small(batch))


def test_export_errors(tmp_path: Path) -> None:
    module, x = nn.Linear(2, 2), torch.zeros(1, 2)
    with pytest.raises(InputError, match=r"the model file must end in .pt2, not 'model.pth'"):
        export(module, x, tmp_path / "model.pth")
    with pytest.raises(InputError, match=r"model.pt2 cannot be written: there is no folder "):
        export(module, x, tmp_path / "none" / "model.pt2")
    (tmp_path / "folder.pt2").mkdir()
    with pytest.raises(InputError, match=r"folder.pt2 is a folder; name a file to write$"):
        export(module, x, tmp_path / "folder.pt2")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.pt2"]


# The default


def test_digits_data() -> None:
    data = load_digits()
    assert data.train_x.shape == (1437, 1, 8, 8)
    assert data.test_x.shape == (360, 1, 8, 8)
    assert data.train_x.dtype == np.float32
    assert (data.train_x.min(), data.train_x.max()) == (0.0, 1.0)
    assert sorted(set(data.test_y.tolist())) == list(range(10))


def test_digits(digits: DigitsModel) -> None:
    accuracy = {step.name: step.accuracy for step in digits.report.steps}
    assert all(value is not None for value in accuracy.values())
    first, last = accuracy["float"] or 0.0, accuracy["shared, fine-tuned"] or 0.0
    assert first >= 0.97
    assert last >= first - 0.005
    layers = digits.report.layers
    assert [(layer.rows, layer.cols) for layer in layers] == [(300, 64), (100, 300), (10, 100)]
    assert [layer.density for layer in layers] == pytest.approx(DIGITS_DENSITIES)
    assert all(layer.values <= 15 for layer in layers)
    with torch.no_grad():
        outputs = digits.model(torch.from_numpy(digits.data.test_x))
    assert np.mean(outputs.argmax(1).numpy() == digits.data.test_y) == pytest.approx(last)


def test_digits_in_fixed_point(digits: DigitsModel) -> None:
    """Fixed point costs no accuracy."""
    graph = import_module(digits.model, digits.data.test_x[:1])
    assert [node.name for node in graph.nodes] == ["fc1", "fc2", "fc3"]
    widths = arithmetics(graph, EieParams())
    rounded, report = quantize(graph, digits.data.train_x, widths)
    report = fixed_point_errors(graph, rounded, report, digits.data.test_x, widths)
    assert not any(layer.clustered for layer in report.layers)
    assert all(layer.error and (layer.error.snr_db or 0) > 40 for layer in report.layers)


@pytest.mark.long("trains a CNN")
def test_digits_cnn() -> None:
    model, data, report = compress_digits_cnn(seed=0)
    assert [step.name for step in report.steps][-1] == "shared, fine-tuned"
    with torch.no_grad():
        guess = model(torch.from_numpy(data.test_x)).argmax(1).numpy()
    accuracy = float(np.mean(guess == data.test_y))
    assert accuracy == pytest.approx(report.steps[-1].accuracy)
    assert accuracy >= 0.98
    layers = [part for part in model if isinstance(part, nn.Conv2d | nn.Linear)]
    for layer, entry, density, codes in zip(
        layers, report.layers, CNN_DENSITIES, CNN_CODES, strict=True
    ):
        weight = layer.weight.detach().numpy()
        assert entry.nnz == np.count_nonzero(weight) == round(density * weight.size)
        assert entry.values == np.unique(weight[weight != 0]).size <= codes
        assert (entry.rows, entry.cols) == (len(weight), weight[0].size)
