"""The front end: what it reads, against torch in float64, and what it refuses."""

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune

from tests.support.tiers import cases
from tests.unit.compiler.float_nodes import chain, forward
from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.frontend.networks import import_file, import_module, import_program
from zeroskip.compiler.ir.graph import FloatLinear


def save(module: nn.Module, example: torch.Tensor, path: Path, *, dynamic: bool = False) -> Path:
    """Export ``module`` to ``path`` as a user does."""
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module.eval(), (example,), dynamic_shapes=shapes)
        torch.export.save(program, path)
    return path


class Lambda(nn.Module):
    """A module whose forward pass is a function of its parts."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            if isinstance(part, torch.Tensor):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self, x)


def trained(norm: nn.Module) -> nn.Module:
    """Give the batch norms in ``norm`` statistics and weights that are not 0 and 1."""
    for part in norm.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for tensor in (part.running_mean, part.running_var, part.weight, part.bias):
                if tensor is not None:
                    nn.init.uniform_(tensor, 0.5, 2.0)
    return norm


def linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=bias)


def weights(*shape: int) -> torch.Tensor:
    return torch.randn(*shape)


def seq(*parts: nn.Module) -> Callable[[], nn.Module]:
    return lambda: trained(nn.Sequential(*parts))


# name: (module, sample shape, layers with their ReLU)
CHAINS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "mlp": (seq(nn.Flatten(), linear(64, 9), nn.ReLU(), linear(9, 3)), (1, 8, 8), "r-"),
    "no bias": (seq(linear(6, 4, bias=False), nn.ReLU(inplace=True)), (6,), "r"),
    "one output": (lambda: Lambda(lambda m, x: m.f(x).squeeze(-1), f=linear(6, 1)), (6,), "-"),
    "dropout": (seq(nn.Dropout(), linear(6, 4), nn.AlphaDropout(), nn.Identity()), (6,), "-"),
    "norm after": (seq(linear(6, 4), nn.BatchNorm1d(4), nn.ReLU()), (6,), "r"),
    "norm before": (seq(nn.BatchNorm1d(6), linear(6, 4)), (6,), "-"),
    "norm between": (
        seq(linear(6, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Dropout(), linear(4, 3)),
        (6,),
        "r-",
    ),
    "norm last": (seq(linear(6, 4), nn.ReLU(), nn.BatchNorm1d(4)), (6,), "r-"),
    "norm then relu": (seq(nn.BatchNorm1d(6), nn.ReLU(), linear(6, 4)), (6,), "r-"),
    "norm plain": (seq(linear(6, 4), nn.BatchNorm1d(4, affine=False), nn.ReLU()), (6,), "r"),
    "norm twice": (
        seq(linear(6, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.BatchNorm1d(4), linear(4, 2)),
        (6,),
        "r-",
    ),
    "norm of channels": (seq(nn.BatchNorm2d(2), nn.Flatten(), linear(24, 4)), (2, 3, 4), "-"),
    "relu first": (seq(nn.ReLU(), linear(6, 4)), (6,), "r-"),
    "relu twice": (seq(linear(6, 4), nn.ReLU(), nn.ReLU()), (6,), "r"),
    "deep": (seq(*(part for _ in range(9) for part in (linear(5, 5), nn.ReLU()))), (5,), "r" * 9),
    "linear only": (seq(linear(6, 4), linear(4, 3)), (6,), "--"),
    "unflatten": (seq(nn.Unflatten(1, (2, 3)), nn.Flatten(), linear(6, 3)), (6,), "-"),
    "one vector": (seq(linear(6, 4), nn.ReLU()), (1, 1, 6), "r"),
    "relu spellings": (
        lambda: Lambda(
            lambda m, x: m.d(
                functional.threshold(m.c(m.b(m.a(x).clamp_min(0)).clamp(min=0.0)), 0.0, 0.0).relu_()
            ),
            a=linear(5, 5),
            b=linear(5, 5),
            c=linear(5, 5),
            d=linear(5, 2),
        ),
        (5,),
        "rrr-",
    ),
    "in place": (
        lambda: Lambda(lambda m, x: (y := m.f(x), torch.relu_(y))[0].view(-1, 4), f=linear(5, 4)),
        (5,),
        "r",
    ),
    "view of in place": (
        lambda: Lambda(lambda m, x: (y := m.f(x).view(-1, 2, 2), y.relu_())[0], f=linear(5, 4)),
        (5,),
        "r",
    ),
    "in place on a view": (
        lambda: Lambda(lambda m, x: (y := m.f(x), y.view(-1, 2, 2).relu_())[0], f=linear(5, 4)),
        (5,),
        "r",
    ),
    "in place on a dead branch": (
        lambda: Lambda(lambda m, x: (m.f(x).relu_(), m.f(x))[1], f=linear(5, 4)),
        (5,),
        "-",
    ),
    "reshapes": (
        lambda: Lambda(
            lambda m, x: m.f(
                x.unsqueeze(1).squeeze(1).reshape(x.shape[0], 2, 3).flatten(1).contiguous().clone()
            ),
            f=linear(6, 3),
        ),
        (6,),
        "-",
    ),
    "permute of ones": (
        lambda: Lambda(lambda m, x: m.f(x.permute(0, 2, 1).flatten(1)), f=linear(6, 3)),
        (1, 6),
        "-",
    ),
    "matmul": (
        lambda: Lambda(lambda m, x: torch.relu(x @ m.w + m.b), w=weights(5, 4), b=weights(4)),
        (5,),
        "r",
    ),
    "mm of t": (lambda: Lambda(lambda m, x: torch.mm(x, m.w.t()), w=weights(4, 5)), (5,), "-"),
    "addmm": (
        lambda: Lambda(
            lambda m, x: torch.addmm(m.b, x, m.w.transpose(0, 1), beta=0.5, alpha=2),
            w=weights(4, 5),
            b=weights(4),
        ),
        (5,),
        "-",
    ),
    "mask": (
        lambda: Lambda(
            lambda m, x: functional.linear(x, m.w * m.k), w=weights(4, 5), k=weights(4, 5)
        ),
        (5,),
        "-",
    ),
    "scalings": (
        lambda: Lambda(
            lambda m, x: 1 - m.f((2 * x.sub(0.3, alpha=2) / 255 + m.s) * 3).mul(2),
            f=linear(6, 3),
            s=weights(6),
        ),
        (6,),
        "-",
    ),
    "shared": (
        lambda: Lambda(lambda m, x: m.f(torch.relu(m.f(torch.relu(m.f(x))))), f=linear(5, 5)),
        (5,),
        "rr-",
    ),
    "unused part": (
        lambda: Lambda(lambda m, x: (m.g(x), m.f(x))[1], f=linear(5, 4), g=linear(5, 9)),
        (5,),
        "-",
    ),
    "cast": (
        lambda: Lambda(lambda m, x: m.f(x.to(m.f.weight.dtype)), f=linear(5, 4)),
        (5,),
        "-",
    ),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("batch", cases([1, 3], [1], "exports each chain again"))
def test_chain(name: str, batch: int, tmp_path: Path) -> None:
    """Module, exported program and file give the network that torch computes."""
    torch.manual_seed(1)
    build, shape, relus = CHAINS[name]
    module = build()
    module.train()
    example = torch.randn(batch, *shape)
    network = import_module(module, example)
    assert all(part.training for part in module.modules())
    assert (network.sample_shape or network.input_shape) == shape
    assert "".join("r" if layer.relu else "-" for layer in chain(network)) == relus

    x = torch.randn(20, *shape, dtype=torch.float64)
    from_file = import_file(save(module, example, tmp_path / "model.pt2"))
    dynamic = import_file(save(module, torch.randn(5, *shape), tmp_path / "any.pt2", dynamic=True))
    expected = module.eval().double()(x.clone()).detach().numpy().reshape(20, -1)
    for read in (network, from_file, dynamic):
        assert [layer.name for layer in chain(read)] == [layer.name for layer in chain(network)]
        made = forward(read, x.numpy()).reshape(20, -1)
        np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-5)


def test_decomposed(tmp_path: Path) -> None:
    """A program after run_decompositions has addmm, permute and another batch norm."""
    module = trained(nn.Sequential(linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), linear(4, 2)))
    example = torch.randn(3, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module.eval(), (example,)).run_decompositions()
        torch.export.save(program, tmp_path / "model.pt2")
    expected = module(example).detach().numpy()
    for network in (import_program(program), import_file(tmp_path / "model.pt2")):
        made = forward(network, example.numpy().astype(np.float64)).reshape(3, 2)
        np.testing.assert_allclose(made, expected, atol=1e-5)
        assert [layer.name for layer in chain(network)] == ["0", "3"]


def test_example_of_another_type() -> None:
    """An example only gives the shape: NumPy's float64 does for a module in float32."""
    assert import_module(linear(6, 4), np.zeros((1, 6))).sample_shape == (6,)


def test_names_and_folds() -> None:
    network = import_module(
        Lambda(lambda m, x: m.f(m.n(m.f(x))), f=linear(5, 5), n=nn.BatchNorm1d(5)),
        np.zeros((2, 5), np.float32),
    )
    assert [layer.name for layer in chain(network)] == ["f", "f#2"]
    assert [layer.folded for layer in chain(network)] == [("n",), ()]


def test_exact_weights() -> None:
    """Weights without a fold, biases added by hand included, are the tensors bit for bit."""
    part = linear(6, 4)
    module = Lambda(lambda m, x: m.f(x) + m.b, f=part, b=weights(4))
    (layer,) = chain(import_module(module, torch.zeros(2, 6)))
    assert np.array_equal(layer.weight, part.weight.detach().double().numpy())
    assert layer.folded == ()


def test_pruned_by_torch() -> None:
    """The masks of torch.nn.utils.prune need not be made permanent."""
    module = nn.Sequential(linear(8, 8), nn.ReLU())
    prune.l1_unstructured(module[0], "weight", amount=0.75)
    (layer,) = chain(import_module(module, torch.zeros(2, 8)))
    assert np.count_nonzero(layer.weight) == 16
    assert layer.name == "0"


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning")
def test_weights_in_a_sparse_layout() -> None:
    module = nn.Linear(4, 3).eval()
    weight = module.weight.detach() * (module.weight.detach() > 0)
    module.weight = nn.Parameter(weight.to_sparse_csr())
    (layer,) = chain(import_module(module, torch.zeros(1, 4)))
    np.testing.assert_array_equal(layer.weight, weight.numpy())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_dtypes(dtype: torch.dtype, tmp_path: Path) -> None:
    module = linear(6, 4).to(dtype)
    path = save(module, torch.zeros(2, 6, dtype=dtype), tmp_path / "model.pt2")
    for network in (import_file(path), import_module(module, torch.zeros(2, 6, dtype=dtype))):
        assert np.array_equal(chain(network)[0].weight, module.weight.detach().double().numpy())


class TwoInputs(nn.Module):
    """A network of two inputs."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


def _raise(message: str) -> torch.Tensor:
    raise ValueError(message)


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (nn.Softmax(1), "Softmax"),
        (nn.LogSoftmax(-1), "LogSoftmax"),
        (nn.Sigmoid(), "Sigmoid"),
        (nn.Sequential(nn.Dropout(), nn.Softmax(1), nn.Unflatten(1, (3, 2))), "Softmax"),
    ],
)
def test_what_is_left_out_at_the_end(end: nn.Module, kind: str, tmp_path: Path) -> None:
    """Modules and files of torch leave out what ONNX files do, and say so in the same words."""
    layer, x = linear(5, 6), torch.randn(4, 5)
    module = nn.Sequential(layer, end).eval()
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(module, (x,)), path)
    for network in (import_module(module, x), import_file(path)):
        (node,) = network.nodes
        assert isinstance(node, FloatLinear)
        np.testing.assert_array_equal(node.weight, layer.weight.detach().numpy())
        (note,) = network.notes
        assert note.startswith(f"{kind} '")
        assert "at the end is left out: it " in note


REFUSED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "outputs of which one is a constant": (
        lambda: Lambda(lambda m, x: (m.f(x), m.c), f=linear(5, 2), c=weights(2, 5)),
        (2, 5),
        "the network's output 'b_c' is the same whatever is given: let the network return",
    ),
    "an output without a batch": (
        lambda: Lambda(lambda m, x: (m.f(x), m.f(x).sum()), f=linear(5, 2)),
        (2, 5),
        r"the network has 2 outputs \(linear, sum_1\), and supported is one: of a file,",
    ),
    "unused input": (
        lambda: Lambda(lambda m, x: m.f(m.c), f=linear(5, 5), c=weights(2, 5)),
        (2, 5),
        "the network does not use its input 'x': its output 'linear' is the same whatever is given",
    ),
    "input returned": (
        lambda: Lambda(lambda m, x: x),
        (2, 5),
        "the network returns its input 'x' as it is: nothing in it computes",
    ),
    "no layer": (lambda: nn.Flatten(), (2, 5), "the network has no layer"),
    "softmax": (
        seq(linear(5, 5), nn.Softmax(-1), linear(5, 5)),
        (2, 5),
        r"node 'softmax' \(aten.softmax.int, in module '1'\) is not supported: leave it out",
    ),
    "log softmax": (
        seq(linear(5, 5), nn.LogSoftmax(-1), nn.ReLU()),
        (2, 5),
        "leave it out",
    ),
    "gelu": (seq(linear(5, 5), nn.GELU()), (2, 5), "not that of a ReLU; use ReLU; supported is"),
    "elu": (seq(linear(5, 5), nn.ELU()), (2, 5), "not that of a ReLU; use ReLU; supported is"),
    "threshold": (
        seq(linear(5, 5), nn.Threshold(0.1, 0)),
        (2, 5),
        "only with a threshold and a value of 0, which is ReLU",
    ),
    "clamp by the input": (
        lambda: Lambda(lambda m, x: x.clamp(min=m.f(x)), f=linear(5, 5)),
        (2, 5),
        "its limit min is not one number",
    ),
    "clamp by a vector": (
        lambda: Lambda(lambda m, x: m.f(x).clamp(min=m.c), f=linear(5, 5), c=weights(5)),
        (2, 5),
        "its limit min is not one number",
    ),
    "clamp to nothing": (
        lambda: Lambda(lambda m, x: m.f(x).clamp(2, 1), f=linear(5, 5)),
        (2, 5),
        "its lower limit 2.0 is above its upper one, 1.0",
    ),
    "sigmoid": (
        seq(linear(5, 5), nn.Sigmoid(), linear(5, 5)),
        (2, 5),
        r"node 'sigmoid' \(aten.sigmoid.default, in module '1'\) is not supported: only within",
    ),
    "sequence": (
        seq(linear(5, 5)),
        (2, 7, 5),
        r"would apply to each of 7 vectors of a sample \(shape \(7, 5\)\); nn.Conv1d\(5, ",
    ),
    "no batch": (seq(linear(5, 5)), (5,), r"takes 5 values, but a sample here has shape \(\)"),
    "flatten all": (
        lambda: Lambda(lambda m, x: m.f(x.flatten()), f=linear(10, 5)),
        (2, 5),
        "makes 1 values per sample out of 5; the first dimension must stay the batch",
    ),
    "batch moved": (
        lambda: Lambda(lambda m, x: x.t().contiguous().view(2, 5), f=linear(5, 5)),
        (2, 5),
        "the first dimension must stay the batch",
    ),
    "integers": (
        lambda: Lambda(lambda m, x: m.f(x.to(torch.int32).float()), f=linear(5, 5)),
        (2, 5),
        "its result is not a floating-point tensor",
    ),
    "rounding": (
        lambda: Lambda(lambda m, x: m.f(torch.div(x, 2, rounding_mode="floor")), f=linear(5, 5)),
        (2, 5),
        "a division that rounds",
    ),
    "square": (
        lambda: Lambda(lambda m, x: m.f(x * x), f=linear(5, 5)),
        (2, 5),
        "only additions of two tensors",
    ),
    "one over": (
        lambda: Lambda(lambda m, x: m.f(m.c / x), f=linear(5, 5), c=weights(5)),
        (2, 5),
        "only with a constant",
    ),
    "per sample": (
        lambda: Lambda(lambda m, x: m.f(x + m.c), f=linear(5, 5), c=weights(2, 5)),
        (2, 5),
        "its constant must be the same for every sample",
    ),
    "bias per sample": (
        lambda: Lambda(lambda m, x: torch.addmm(m.c, x, m.w), w=weights(5, 5), c=weights(2, 5)),
        (2, 5),
        "its bias is not the same for every sample",
    ),
    "weights from input": (
        lambda: Lambda(lambda m, x: x @ x.t()),
        (5, 5),
        "it multiplies activations with each other, as attention does",
    ),
    "attention": (
        lambda: Lambda(lambda m, x: m.own(x, x, x)[0], own=nn.MultiheadAttention(4, 2)),
        (3, 2, 4),
        "it multiplies activations with each other, as attention does",
    ),
    "weights times input": (
        lambda: Lambda(lambda m, x: m.w @ x, w=weights(5, 5)),
        (5, 5),
        "only with the activation first and constant weights",
    ),
    "batched weights": (
        lambda: Lambda(lambda m, x: torch.matmul(x, m.w), w=weights(1, 5, 5)),
        (2, 5),
        "its weights have 3 dimensions instead of 2",
    ),
    "computed weights": (
        lambda: Lambda(lambda m, x: functional.linear(x, m.w.erfinv()), w=weights(5, 5)),
        (2, 5),
        r"node 'erfinv' \(aten.erfinv.default\) .* computes on parameters alone",
    ),
    "no statistics": (
        seq(linear(5, 5), nn.BatchNorm1d(5, track_running_stats=False)),
        (2, 5),
        "training mode|no running statistics",
    ),
    "wide relu": (seq(nn.ReLU(), linear(9000, 2)), (2, 9000), "on 9000 values .* at most 8192"),
    "data dependent": (
        lambda: Lambda(lambda m, x: m.f(x) if x.sum() > 0 else x, f=linear(5, 5)),
        (2, 5),
        r"torch.export cannot trace Lambda with an input of shape \(2, 5\): its Python code",
    ),
    "colours": (
        lambda: Lambda(lambda m, x: _raise("\x1b[31mred\x1b[0m words.\nmore")),
        (2, 5),
        r"\(2, 5\): red words$",
    ),
    "lazy": (lambda: nn.LazyLinear(3), (2, 5), "has lazy modules .* call it once with a sample"),
    "wrong example": (seq(linear(5, 5)), (2, 4), "torch.export cannot trace Sequential with"),
    "two inputs": (TwoInputs, (2, 4), "torch.export cannot trace TwoInputs with an input"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    build, shape, message = REFUSED[name]
    module = build()
    with pytest.raises(CompileError, match=message):
        import_module(module, torch.randn(shape))
    assert all(part.training for part in module.modules())


def test_two_inputs() -> None:
    program = torch.export.export(TwoInputs(), (torch.zeros(2, 3), torch.zeros(2, 3)))
    with pytest.raises(CompileError, match=r"has 2 inputs \(x, y\), and supported is one: join"):
        import_program(program)


def test_varying_sample() -> None:
    module = nn.Sequential(nn.ReLU(), nn.Flatten())
    shapes = ({1: torch.export.Dim("width")},)
    program = torch.export.export(module.eval(), (torch.zeros(2, 3),), dynamic_shapes=shapes)
    with pytest.raises(CompileError, match=r"input has shape \(2, \?\), but only its first"):
        import_program(program)


@pytest.mark.parametrize("part", [nn.Dropout(), nn.BatchNorm1d(4)])
def test_training_mode(part: nn.Module) -> None:
    module = nn.Sequential(linear(6, 4), part).train()
    program = torch.export.export(module, (torch.randn(3, 6),))
    with pytest.raises(CompileError, match=r"training mode; call .eval\(\) before torch.export"):
        import_program(program)


@pytest.mark.parametrize(("value", "bias"), [(float("nan"), 0), (float("inf"), 1)])
def test_not_finite(value: float, bias: int) -> None:
    layer = linear(6, 4)
    module = nn.Sequential(layer)
    with torch.no_grad():
        layer.weight[0, :3] = value
        layer.bias[:bias] = value
    message = f"layer '0' has 3 weights and {bias} biases that are NaN or infinite"
    with pytest.raises(CompileError, match=message):
        import_module(module, torch.zeros(1, 6))


def test_not_finite_norm() -> None:
    norm = nn.BatchNorm1d(4)
    nn.init.constant_(norm.weight, float("nan"))
    with pytest.raises(
        CompileError, match=r"node 'batch_norm' .* its parameters make 4 values NaN"
    ):
        import_module(nn.Sequential(linear(6, 4), norm), torch.zeros(1, 6))


@pytest.mark.parametrize(
    ("module", "example", "message"),
    [
        ("resnet", torch.zeros(1, 2), "module must be a torch.nn.Module, not str"),
        (nn.Linear(2, 2), "zero", "example_input must be one tensor or array"),
        (
            nn.Linear(2, 2),
            (torch.zeros(1, 2), torch.zeros(1, 2)),
            "example_input must be one tensor or array, as a network has one input, not a tuple",
        ),
        (nn.Linear(2, 2), torch.zeros(1, 2, dtype=torch.int32), "not int32 of shape"),
        (nn.Linear(2, 2), torch.zeros(0, 2), r"not float32 of shape \(0, 2\)"),
        (nn.Linear(2, 2), torch.tensor(1.0), r"not float32 of shape \(\)"),
    ],
)
def test_wrong_arguments(module: Any, example: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        import_module(module, example)


# Files


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return save(nn.Sequential(linear(6, 4), nn.ReLU()), torch.zeros(2, 6), tmp_path / "m.pt2")


def rewrite(path: Path, records: dict[str, Any]) -> Path:
    """Return a copy of the archive in which ``records`` (by suffix) are edited or added."""
    copy = path.with_name("changed.pt2")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            edit = next((records[key] for key in records if name.endswith(key)), None)
            data = old.read(name)
            if callable(edit):
                tree = json.loads(data)
                data = json.dumps(edit(tree) or tree).encode()
            elif edit is not None:
                data = edit
            new.writestr(name, data)
        for name in records:
            if name.startswith("m/") and name not in old.namelist():
                new.writestr(name, records[name])
    return copy


class Bomb:
    """Creates the file that it is told, when unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def bomb(trace: Path) -> bytes:
    """Return a file of torch.save that runs code when it is unpickled."""
    stream = io.BytesIO()
    torch.save(Bomb(trace), stream)
    return stream.getvalue()


def test_bomb_is_live(tmp_path: Path) -> None:
    """The bomb goes off where pickles are trusted, so the tests below show something."""
    torch.load(io.BytesIO(bomb(tmp_path / "trace")), weights_only=False)
    assert (tmp_path / "trace").exists()


def test_pickled_inputs_are_not_read(file: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    copy = rewrite(file, {"sample_inputs/model.pt": bomb(trace)})
    assert chain(import_file(copy))[0].shape == (4, 6)
    assert not trace.exists()


def test_pickled_weights_are_refused(file: Path, tmp_path: Path) -> None:
    def edit(config: dict[str, Any]) -> None:
        config["config"]["0.weight"]["use_pickle"] = True

    trace = tmp_path / "trace"
    copy = rewrite(file, {"weights/weight_0": bomb(trace), "weights_config.json": edit})
    with pytest.raises(InputError, match=r"stores '0.weight' as a pickled Python object, which"):
        import_file(copy)
    assert not trace.exists()


def test_objects_are_refused(file: Path, tmp_path: Path) -> None:
    def constants(config: dict[str, Any]) -> None:
        config["config"]["evil"] = {
            "path_name": "opaque_obj_0",
            "is_param": False,
            "use_pickle": True,
            "tensor_meta": None,
        }

    def specs(program: dict[str, Any]) -> None:
        arg = {"name": "evil", "class_fqn": "Evil"}
        program["graph_module"]["signature"]["input_specs"].append({
            "custom_obj": {"arg": arg, "custom_obj_name": "evil"}
        })

    trace = tmp_path / "trace"
    records = {
        "constants_config.json": constants,
        "m/data/constants/opaque_obj_0": pickle.dumps(Bomb(trace)),
    }
    import_file(rewrite(file, records))
    with pytest.raises(
        InputError, match="needs a custom obj, which only Python code could rebuild"
    ):
        import_file(rewrite(file, records | {"models/model.json": specs}))
    assert not trace.exists()


def test_expressions_are_not_evaluated(file: Path, tmp_path: Path) -> None:
    """Sizes are strings that torch.export.load gives to sympify, which evaluates Python."""
    trace = tmp_path / "trace"

    def edit(program: dict[str, Any]) -> None:
        for value in program["graph_module"]["graph"]["tensor_values"].values():
            if value["sizes"][0] == {"as_int": 2}:
                text = f"__import__('pathlib').Path({str(trace)!r}).touch()"
                value["sizes"][0] = {"as_expr": {"expr_str": text, "hint": None}}

    assert import_file(rewrite(file, {"models/model.json": edit})).sample_shape == (6,)
    assert not trace.exists()


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model file .*none.pt2 does not exist"):
        import_file(tmp_path / "none.pt2")
    with pytest.raises(InputError, match="is a folder"):
        import_file(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x80\x02", b"PK\x05\x06" + bytes(18)])
def test_foreign(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is not a .pt2 file; write one with torch.export.save"):
        import_file(path)


def test_tensors_alone(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"\x08" + bytes(15))
    with pytest.raises(InputError, match=r"holds tensors, but not .*: zeroskip import reads it"):
        import_file(path)


def test_torch_save(tmp_path: Path) -> None:
    for zipped in (True, False):
        state = linear(2, 2).state_dict()
        torch.save(state, tmp_path / "model.pt2", _use_new_zipfile_serialization=zipped)
        with pytest.raises(
            InputError, match=r"was written by torch.save, .* zeroskip import reads"
        ):
            import_file(tmp_path / "model.pt2")


def test_other_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt2", "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(InputError, match="holds no exported program"):
        import_file(tmp_path / "model.pt2")


@pytest.mark.parametrize("keep", [5, 100, 0.3, 0.9, 0.999])
def test_truncated(file: Path, keep: float) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: int(keep if keep > 1 else keep * len(data))])
    with pytest.raises(InputError, match=r"m.pt2 is truncated or damaged"):
        import_file(file)


def test_flipped_bit(file: Path) -> None:
    """A bit flipped in a weight shows in the checksum of its record."""
    weight = chain(import_file(file))[0].weight.astype("<f4").tobytes()
    data = bytearray(file.read_bytes())
    data[data.index(weight) + 9] ^= 4
    file.write_bytes(data)
    with pytest.raises(InputError, match="is truncated or damaged"):
        import_file(file)


def test_missing_record(file: Path) -> None:
    copy = rewrite(file, {"models/model.json": lambda tree: tree.pop("graph_module") and None})
    with pytest.raises(InputError, match="is damaged, or written by a version of torch"):
        import_file(copy)
    copy = rewrite(file, {"weights/weight_0": b"abcd"})
    with pytest.raises(InputError, match=r"tensor '0.weight' lies outside its record"):
        import_file(copy)


def test_nonsense_graph(file: Path) -> None:
    """What only the lowering can notice is reported alike."""

    def edit(program: dict[str, Any]) -> None:
        del program["graph_module"]["graph"]["tensor_values"]["linear"]

    with pytest.raises(InputError, match=r"is damaged, or written by a version of torch .*KeyErr"):
        import_file(rewrite(file, {"models/model.json": edit}))


def test_other_schema(file: Path) -> None:
    copy = rewrite(file, {"models/model.json": lambda tree: tree["schema_version"].update(major=5)})
    with pytest.raises(InputError, match="has schema version 5, but Zeroskip reads 8"):
        import_file(copy)


def test_weights_in_one_pickle(file: Path, tmp_path: Path) -> None:
    copy = rewrite(file, {"m/data/weights/model.pt": bomb(tmp_path / "trace")})
    with pytest.raises(InputError, match=r"as one pickle, as earlier versions of torch did"):
        import_file(copy)
    assert not (tmp_path / "trace").exists()


def test_big_endian(file: Path) -> None:
    with pytest.raises(InputError, match="big-endian"):
        import_file(rewrite(file, {"byteorder": b"big"}))
