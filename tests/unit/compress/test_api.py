"""Compression in one call: the stages' results, every kind of model, files, wrong arguments."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import zeroskip as zs
from tests.unit.compiler.float_nodes import chain
from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.api import Compressed, compress_task
from zeroskip.compiler.compress.arrays import array_task
from zeroskip.compiler.compress.config_file import override, preset
from zeroskip.compiler.compress.images import load_digits
from zeroskip.compiler.compress.layers import layers_of
from zeroskip.compiler.compress.module import export
from zeroskip.compiler.compress.pack import state_of_zsk
from zeroskip.compiler.compress.rebuild import to_module
from zeroskip.compiler.compress.run_folder import RunFolder
from zeroskip.compiler.compress.stages import Stages
from zeroskip.compiler.compress.tasks import task_of
from zeroskip.compiler.frontend.networks import import_file, import_module, import_program
from zeroskip.compiler.ir.graph import INPUT, FloatConv, FloatGraph, FloatLinear
from zeroskip.compiler.passes.share import distinct_values


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(12, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Dropout(),
        nn.Linear(20, 4),
    )  # fmt: skip


def samples(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Return samples (count, 3, 4), and as labels which of the 4 columns has the largest sum."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 3, 4)).astype(np.float32)
    return x, x.sum(1).argmax(1)


def trained(x: np.ndarray, y: np.ndarray) -> nn.Sequential:
    module, inputs = network(), torch.from_numpy(x)
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(inputs), torch.from_numpy(y)).backward()
        optimizer.step()
    return module


def linears(module: nn.Module) -> list[nn.Linear]:
    return [part for part in module.modules() if isinstance(part, nn.Linear)]


def nonzero(result: Compressed) -> list[int]:
    return [layer.kept for layer in result.result.sizes.layers]


def test_with_labels() -> None:
    x, y = samples()
    module = trained(x, y)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    random, marks = torch.get_rng_state(), []
    given: dict[str, Any] = {"density": [0.5, 0.8], "codes": 7, "epochs": 20, "learning_rate": 0.01}
    small = zs.compress(
        module, x, y, **given, progress=lambda *step: marks.append(step),
    )  # fmt: skip
    assert module.training
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert not small.module.training
    assert isinstance(small.module, nn.Sequential)
    assert isinstance(small.module[2], nn.Identity)
    scores = small.result.scores
    assert all(f"<td>{stage}</td>" in small._repr_html_() for stage in scores)
    assert list(scores) == ["train", "prune", "share", "finetune"]
    first, last = scores["train"].accuracy, scores["finetune"].accuracy
    assert first is not None
    assert last is not None
    assert first > 0.9
    assert last > first - 0.1
    assert marks[-1] == ("finetune", 50, 50)
    assert all(0 <= done <= total for _, done, total in marks)
    assert nonzero(small) == [120, 64]
    layers = small.result.sizes.layers
    assert [layer.name for layer in layers] == ["1", "5"]
    for linear, layer in zip(linears(small.module), layers, strict=True):
        weight = linear.weight.detach()
        assert layer.values == weight[weight != 0].unique().numel() <= 7
    assert repr(small).startswith("Compressed: 2 layers, 184 of 320 weights kept\n")
    assert repr(small).count("\n") == 2

    again = zs.compress(module, x, y, **given)
    for one, other in zip(small.module.parameters(), again.module.parameters(), strict=True):
        assert torch.equal(one, other)


def test_without_labels() -> None:
    """The result follows the original's outputs: distillation."""
    x, y = samples()
    module = trained(x, y)
    small = zs.compress(
        module,
        torch.from_numpy(x),
        density=0.4,
        epochs=30,
        learning_rate=0.003,
        settings={"prune.noise": 0.05},
    )
    scores = small.result.scores
    assert all(score.accuracy is None for score in scores.values())
    assert scores["train"].loss == 0
    assert scores["finetune"].loss < 0.2
    # Where there are classes to measure with, they are.
    measured = zs.compress(module, x, test=(x, y), density=0.4, epochs=1)
    assert measured.result.scores["train"].accuracy is not None


def test_the_stages_one_by_one_give_the_same(tmp_path: Path) -> None:
    x, y = samples()
    module = trained(x, y)
    whole = zs.compress(module, x, y, epochs=4, folder=tmp_path / "whole")
    config = override(preset("short"), {"prune.epochs": 4, "finetune.epochs": 2})
    stages = Stages(array_task(module, x, y), config, RunFolder(tmp_path / "run"))
    for stage in ("train", "prune", "share", "finetune"):
        stages.run(stage)
    for name, layer in layers_of(stages.run("finetune")).items():
        assert torch.equal(layer.weight, layers_of(whole.module)[name].weight)
    whole.save(tmp_path / "model.zsk")
    packed = state_of_zsk(tmp_path / "whole" / "model.zsk")
    for name, tensor in state_of_zsk(tmp_path / "model.zsk").items():
        assert torch.equal(tensor, packed[name])
    # A run that is done in a folder is not done again.
    (tmp_path / "whole" / "prune.pt").unlink()
    assert nonzero(zs.compress(module, x, y, epochs=4, folder=tmp_path / "whole")) == nonzero(whole)
    assert not (tmp_path / "whole" / "prune.pt").exists()


def test_every_kind_of_model(tmp_path: Path) -> None:
    """Module, program, network, file and function are compressed to the same weights."""
    x, y = samples(60)
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 4)).eval()
    example = torch.from_numpy(x[:2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (example,))
    export(module, example, tmp_path / "model.pt2")
    torch.save(module.state_dict(), tmp_path / "state.pt")
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\ndef make():\n"
        " m = nn.Sequential(nn.Flatten(), nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 4))\n"
        f" m.load_state_dict(torch.load({str(tmp_path / 'state.pt')!r}))\n return m\n"
    )
    results = [
        zs.compress(model, x, y, density=0.5, epochs=2)
        for model in (
            module,
            program,
            import_module(module, example),
            import_program(program),
            tmp_path / "model.pt2",
            str(tmp_path / "model.pt2"),
            f"{tmp_path / 'net.py'}:make",
        )
    ]
    results[0].save(tmp_path / "small.zsk")
    for result in results[1:]:
        for one, other in zip(
            results[0].module.parameters(), result.module.parameters(), strict=True
        ):
            assert torch.equal(one, other)
    again = zs.compress(tmp_path / "small.zsk", x, y, density=0.5, epochs=0)
    assert nonzero(again) == nonzero(results[0])
    with pytest.raises(InputError, match=r"net\.py has no function, class or network 'other'"):
        zs.compress(f"{tmp_path / 'net.py'}:other", x)


def test_batches() -> None:
    x, y = (torch.from_numpy(array) for array in samples(120))
    data = TensorDataset(x, y)
    small = zs.compress(network(), DataLoader(data, 40, shuffle=True), density=0.5, epochs=1)
    assert small.result.scores["finetune"].samples == 120
    with pytest.raises(InputError, match="labels must be left out, and test must be a DataLoader"):
        zs.compress(network(), DataLoader(data, 40), y)


def test_test_data() -> None:
    x, y = samples(200)
    small = zs.compress(network(), x[:100], y[:100], epochs=0, test=(x[100:], y[100:]))
    accuracy = small.result.scores["train"].accuracy
    output = network().eval()(torch.from_numpy(x[100:]))
    assert accuracy == pytest.approx(np.mean(output.argmax(1).numpy() == y[100:]))


def test_all_zero_layer() -> None:
    module = network()
    nn.init.zeros_(linears(module)[1].weight)
    x, y = samples(60)
    small = zs.compress(module, x, y, density=0.5, epochs=1)
    assert nonzero(small)[1] == small.result.sizes.layers[1].values == 0
    assert chain(import_module(small.module, x[:1]))[1].shape == (4, 20)


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
    assert [part.bias is None for part in linears(built)] == [False, False, True]
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
        small = zs.compress(str(tmp_path / "model.pt2"), x, labels, density=0.5, codes=7, epochs=4)
        found = small.result.sizes.layers
        assert [layer.name for layer in found] == names
        assert [layer.kept / layer.weights for layer in found] == [0.5] * len(names)
        small.save(tmp_path / "small.pt2")
        read = import_file(tmp_path / "small.pt2")
        layers = [node for node in read.nodes if isinstance(node, (FloatConv, FloatLinear))]
        assert [layer.name for layer in layers] == names
        for layer, size in zip(layers, found, strict=True):
            assert np.count_nonzero(layer.weight) == size.kept
            assert np.unique(layer.weight[layer.weight != 0]).size == size.values <= 7


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
        ({"codes": 0}, "share.codes is 0: input should be greater than or equal to 1"),
        ({"codes": True}, "share.codes is True"),
        ({"codes": [7]}, "share.layers has 1 values, but there are 2 layers: 1, 5"),
        ({"epochs": -1}, "prune.epochs is -1"),
        ({"settings": {"prune.rounds": 0}}, "prune.rounds is 0"),
        ({"settings": {"prune.colour": 0}}, "has no setting 'prune.colour'"),
        ({"settings": {"colour.x": 0}}, "there is no setting 'colour.x'"),
        ({"settings": {"prune.layers": {"fc": 0.1}}}, "names 'fc', but the layers are 1, 5"),
        ({"settings": {"share.layers": {"fc": 3}}}, "names 'fc', but the layers are 1, 5"),
        ({"settings": {"prune.noise": -1.0}}, r"prune.noise is -1\.0"),
        (
            {"labels": np.zeros(60)},
            r"labels must be \(60,\) whole numbers, .* not float64 of shape",
        ),
        ({"labels": np.zeros(59, int)}, r"not int64 of shape \(59,\)"),
        ({"labels": np.full(60, 4)}, "labels must be from 0 to 3, as the network has 4 outputs"),
        ({"labels": 3}, r"labels must be \(60,\) whole numbers"),
        ({"labels": [[1], [1, 2]]}, r"labels must be one array of whole numbers"),
        ({"labels": torch.zeros(60)}, r"labels must be \(60,\) whole numbers"),
        ({"data": np.zeros((60, 3, 4), int)}, "data must be .* floating-point numbers, not of int"),
        ({"data": np.ones(())}, r"data must have shape \(samples, \.\.\.\), not \(\)"),
        ({"data": np.float64(1)}, r"data must have shape \(samples, "),
        ({"data": torch.tensor(1.0)}, r"data must have shape \(samples, "),
        ({"data": 1.0}, r"data must have shape \(samples, "),
        ({"data": []}, "data has no samples"),
        ({"data": [[1.0], [1.0, 2.0]]}, "data must be an array of floating-point numbers"),
        ({"data": np.zeros((0, 3, 4))}, "data has no samples"),
        ({"data": None}, "data must be an array of floating-point numbers"),
        ({"data": np.zeros((60, 3, 4), complex)}, "floating-point numbers, not of complex128"),
        ({"data": np.full((60, 3, 4), np.nan)}, "data has 720 values that are NaN"),
        (
            {"data": np.zeros((60, 3, 5))},
            r"with samples of shape \(3, 5\) cannot be run: RuntimeErr",
        ),
        ({"test": 3}, "test must be a pair, samples and labels"),
        ({"test": (np.ones(()), None)}, r"test data must have shape \(samples, "),
        ({"test": (np.zeros((1, 5)), None)}, "with samples of shape"),
        ({"density": "0.5"}, "prune.density is '0.5': input should be a valid number"),
        ({"density": [0.5, None]}, "prune.layers.1 is None"),
        ({"density": True}, "prune.density is True"),
        ({"density": 2}, "prune.density is 2: input should be less than or equal to 1"),
        ({"density": 0.0}, r"prune.density is 0\.0: input should be greater than 0"),
        ({"seed": -1}, "seed is -1: input should be greater than or equal to 0"),
        ({"seed": 0.5}, r"seed is 0\.5"),
        ({"learning_rate": 0.0}, r"prune.learning_rate is 0\.0: input should be greater than 0"),
        ({"learning_rate": float("nan")}, "prune.learning_rate is nan"),
        ({"model": 3}, r"model must be a torch\.nn\.Module, .* not int"),
        ({"model": "none.pt2"}, "model file none.pt2 does not exist"),
        ({"model": "none.py:make"}, "model file none.py does not exist"),
        ({"model": nn.Sequential(nn.ReLU())}, "nothing to compress"),
    ],
)
def test_wrong_arguments(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    x, y = samples(60)
    folder = tmp_path / "run"
    arguments = {"model": network(), "data": x, "labels": y, "folder": folder} | change
    with pytest.raises(InputError, match=message) as error:
        zs.compress(**arguments)
    assert "\n" not in str(error.value)
    assert not (folder / "model.zsk").exists()


def test_reserved_name() -> None:
    layer = FloatLinear("append", (INPUT,), np.eye(2), np.ones(2), relu=True)
    built = to_module(FloatGraph((2, 1, 1), (layer,), "append", (2,)))
    assert [name for name, _ in built.named_children()] == ["append_", "append__relu"]


# Files


def test_export(tmp_path: Path) -> None:
    """The file holds the same weights and takes batches of any size, in torch too."""
    x, y = samples(60)
    result = zs.compress(network(), x, y, density=0.5, epochs=1)
    small = result.module.train()
    result.save(tmp_path / "model.pt2")
    assert small.training
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt2"]
    read, whole = chain(import_file(tmp_path / "model.pt2")), chain(import_module(small, x[:1]))
    for one, other in zip(read, whole, strict=True):
        assert np.array_equal(one.weight, other.weight)
        assert np.array_equal(one.bias, other.bias)
        assert distinct_values(one.weight, 15) <= 15
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.load(tmp_path / "model.pt2").module()
    small.eval()
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


# What comes along


def test_digits_data() -> None:
    data = load_digits()
    assert data.train_x.shape == (1437, 1, 8, 8)
    assert data.test_x.shape == (360, 1, 8, 8)
    assert data.train_x.dtype == torch.float32
    assert (data.train_x.min(), data.train_x.max()) == (0.0, 1.0)
    assert data.test_y.unique().tolist() == list(range(10))


@pytest.mark.long("trains a demonstration's network")
@pytest.mark.parametrize("name", ["digits", "digits_cnn"])
def test_digits(name: str) -> None:
    """The demonstration's networks: as accurate as the README says, in fixed point too."""
    task, config = task_of(name), preset(name)
    made = compress_task(task, config)
    accuracy = [score.accuracy for score in made.result.scores.values()]
    wanted = {"digits": (0.9805, 0.9888), "digits_cnn": (0.9861, 0.9916)}[name]
    assert accuracy[0] is not None
    assert accuracy[-1] is not None
    assert (accuracy[0] >= wanted[0], accuracy[-1] >= wanted[1]) == (True, True), accuracy
    layers = made.result.sizes.layers
    assert isinstance(config.prune.layers, dict)
    assert isinstance(config.share.layers, dict)
    for layer in layers:
        assert layer.kept == round(config.prune.layers[layer.name] * layer.weights)
        assert layer.values <= config.share.layers.get(layer.name, config.share.codes)
    data = load_digits()
    with torch.no_grad():
        guess = made.module(data.test_x).argmax(1)
    assert float((guess == data.test_y).float().mean()) == pytest.approx(accuracy[-1])
    if name == "digits":
        image = zs.compile(made.module, data.test_x[:1], data.train_x)
        fixed = zs.run(image, data.test_x).outputs.argmax(1)
        assert np.mean(fixed == data.test_y.numpy()) == pytest.approx(accuracy[-1])
