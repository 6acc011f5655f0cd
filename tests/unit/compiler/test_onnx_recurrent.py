"""Recurrent layers of ONNX files: what they compute against torch's, and refusals."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zeroskip as zs
from zeroskip.base.errors import CompileError
from zeroskip.compiler.compress.module import read_model
from zeroskip.compiler.frontend.networks import import_file
from zeroskip.compiler.ir.compute import run_nodes
from zeroskip.compiler.ir.graph import FloatCell

onnx = pytest.importorskip("onnx")
h, numpy_helper = onnx.helper, onnx.numpy_helper

T, C, H = 4, 5, 3
X = np.random.default_rng(0).standard_normal((2, T, C)).astype(np.float32)
ORDERS = {"LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2]}
"""ONNX's sums of a hidden unit, where they are among torch's."""


def save(
    path: Path, layer: Any, direction: str, read: str, peepholes: Any = None, **more: Any
) -> Path:
    """Write a layer with torch's weights, of which ``read`` says what is read."""
    kind, sides = type(layer).__name__, ("", "_reverse")[: 1 + layer.bidirectional]
    state = {name: value.numpy() for name, value in layer.state_dict().items()}

    def ordered(name: str) -> Any:
        array = state[name]
        return array.reshape(-1, H, *array.shape[1:])[ORDERS[kind]].reshape(array.shape)

    constants = {
        "W": np.stack([ordered(f"weight_ih_l0{side}") for side in sides]),
        "R": np.stack([ordered(f"weight_hh_l0{side}") for side in sides]),
        "B": np.stack([
            np.concatenate([ordered(f"bias_{of}_l0{side}") for of in ("ih", "hh")])
            for side in sides
        ]),
        "zeros": np.zeros((len(sides), 1, H), np.float32),
        "steps": np.array([T, 1, len(sides) * H]),
        "final": np.array([1, len(sides) * H]),
    }
    inputs = ["turned", "W", "R", "B", "", "zeros"]
    if peepholes is not None:
        constants["P"] = peepholes
        inputs += ["", "P"]
    usual = {} if kind == "LSTM" else {"linear_before_reset": 1}
    attributes = {"hidden_size": H, "direction": direction, **usual, **more}
    results = {"final": ["", "h"], "steps": ["y"]}[read]
    moves = {
        "steps": [
            h.make_node("Transpose", ["y"], ["apart"], perm=[0, 2, 1, 3]),
            h.make_node("Reshape", ["apart", "steps"], ["both"]),
            h.make_node("Transpose", ["both"], ["out"], perm=[1, 0, 2]),
        ],
        "final": [
            h.make_node("Transpose", ["h"], ["apart"], perm=[1, 0, 2]),
            h.make_node("Reshape", ["apart", "final"], ["out"]),
        ],
    }[read]
    nodes = [
        h.make_node("Transpose", ["x"], ["turned"], perm=[1, 0, 2]),
        h.make_node(kind, inputs, results, "/rnn/of", **attributes),
        *moves,
    ]
    ends = [
        h.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", ["batch", T, C]), ("out", None))
    ]
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = h.make_graph(nodes, "net", ends[:1], ends[1:], initializers)
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)]), path)
    return path


@pytest.mark.parametrize("read", ["steps", "final"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_recurrent_layers(kind: str, direction: str, read: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    both = direction == "bidirectional"
    layer = getattr(nn, kind)(C, H, batch_first=True, bidirectional=both)
    graph = import_file(save(tmp_path / "net.onnx", layer, direction, read))
    x = torch.as_tensor(X)
    with torch.no_grad():
        y, states = layer(x.flip(1) if direction == "reverse" else x)
    y = y.flip(1) if direction == "reverse" and read == "steps" else y
    last = states[0] if kind == "LSTM" else states
    expected = torch.cat([*last], dim=1) if read == "final" else y
    assert graph.every_step == (read == "steps")
    values = run_nodes(graph, X.reshape(2 * T, C, 1, 1).astype(np.float64))
    made = next(y for node, y in values if node.name == graph.output).reshape(2, T, -1)
    found = made if read == "steps" else made[:, -1]
    assert np.abs(found - expected.numpy()).max() < 1e-6


def test_peepholes(tmp_path: Path) -> None:
    """What a file computes is what onnx says, and what the array does."""
    from onnx.reference import ReferenceEvaluator

    torch.manual_seed(6)
    layer = nn.LSTM(C, H, batch_first=True, bidirectional=True)
    seen = np.random.default_rng(7).normal(size=(2, 3 * H)).astype(np.float32)
    path = save(tmp_path / "net.onnx", layer, "bidirectional", "steps", seen)
    evaluator: Any = ReferenceEvaluator(onnx.load(path))
    expected = np.concatenate([evaluator.run(None, {"x": x[None]})[0] for x in X])
    image = zs.compile_file(path, X)
    graph = import_file(path)
    values = run_nodes(graph, X.reshape(2 * T, C, 1, 1).astype(np.float64))
    made = next(y for node, y in values if node.name == graph.output).reshape(2, T, -1)
    assert np.abs(made - expected).max() < 1e-6
    assert all(part.params.peepholes for part in image.parts)
    assert np.abs(zs.run(image, X).outputs - expected).max() < 1e-3


def test_peepholes_that_no_array_has(tmp_path: Path) -> None:
    layer, seen = nn.LSTM(C, H, batch_first=True), np.ones((1, 3 * H), np.float32)
    path = save(tmp_path / "net.onnx", layer, "forward", "final", seen)
    array = zs.EieParams(num_pes=2, cells=True, code_bits=8)
    with pytest.raises(CompileError, match=r"has peepholes, .*; compile with peepholes=true"):
        zs.compile_file(path, X, array)
    with pytest.raises(CompileError, match="has peepholes, and torch has no LSTM with them"):
        read_model(path)[0]()
    path = save(tmp_path / "net.onnx", layer, "forward", "final", -9.5 * seen)
    with pytest.raises(CompileError, match=r"peephole of weight -9\.5, .* are from -8 to 7\.9998"):
        zs.compile_file(path, X, replace(array, peepholes=True))


class Cells(nn.Module):
    """Cells that Python code calls step by step, the second on outputs of the first."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(8)
        self.one, self.two, self.fc = nn.LSTMCell(C, H), nn.GRUCell(H, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = x.new_zeros(x.shape[0], H)
        c, g = torch.zeros_like(h), x.new_zeros(x.shape[0], 4)
        for step in range(x.shape[1]):
            h, c = self.one(x[:, step], (h, c))
            g = self.two(h, g)
        return self.fc(g)


def exported(path: Path, model: nn.Module, steps: int) -> Path:
    """Write what torch makes of a network for a sequence, arithmetic of cells and all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.as_tensor(X[:1, :steps])
        torch.onnx.export(model.eval(), (x,), path, dynamo=False, input_names=["x"])
    return path


@pytest.mark.parametrize("steps", [T, 1])
def test_cells_step_by_step(steps: int, tmp_path: Path) -> None:
    model = Cells()
    graph = import_file(exported(tmp_path / "net.onnx", model, steps))
    assert [(node.name, type(node).__name__) for node in graph.nodes] == [
        ("one", "FloatCell"), ("two", "FloatCell"), ("fc", "FloatLinear"),
    ]  # fmt: skip
    assert graph.steps == steps
    expected = model(torch.as_tensor(X[:, :steps])).detach().numpy()
    values = run_nodes(graph, X[:, :steps].reshape(2 * steps, C, 1, 1).astype(np.float64))
    made = next(y for node, y in values if node.name == graph.output)
    assert np.abs(made.reshape(2, steps, -1)[:, -1] - expected).max() < 1e-6


def test_cells_of_a_folded_first_step(tmp_path: Path) -> None:
    """An exporter may have computed the product of zeros; of others, no array begins with them."""
    model = Cells()
    saved = onnx.load(exported(tmp_path / "net.onnx", model, T))
    for name in ("one", "two"):
        cell = getattr(model, name)
        node = next(
            n for n in saved.graph.node
            if n.op_type == "Gemm" and n.input[1] == f"{name}.weight_hh"
        )  # fmt: skip
        saved.graph.node.remove(node)
        folded = numpy_helper.from_array(cell.bias_hh.detach().numpy()[None], node.output[0])
        saved.graph.initializer.append(folded)
    onnx.save(saved, tmp_path / "folded.onnx")
    graph, whole = (import_file(tmp_path / name) for name in ("folded.onnx", "net.onnx"))
    for node, other in zip(graph.nodes[:2], whole.nodes[:2], strict=True):
        assert isinstance(node, FloatCell)
        assert isinstance(other, FloatCell)
        assert np.array_equal(node.weight, other.weight)
        assert np.array_equal(node.recurrent, other.recurrent)
    folded = next(one for one in saved.graph.initializer if one.dims == [1, 4 * H])
    folded.CopyFrom(numpy_helper.from_array(np.ones((1, 4 * H), np.float32), folded.name))
    onnx.save(saved, tmp_path / "other.onnx")
    with pytest.raises(CompileError, match=r"in module 'one'.*: its initial state is not zeros"):
        import_file(tmp_path / "other.onnx")


def test_functions_that_are_of_no_cell(tmp_path: Path) -> None:
    class Other(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(x[:, 0]) * torch.tanh(x[:, 1])

    with pytest.raises(CompileError, match=r"'/Sigmoid' .*: only within LSTM and GRU"):
        import_file(exported(tmp_path / "net.onnx", Other(), T))


@pytest.mark.parametrize(
    ("kind", "given", "why"),
    [
        ("LSTM", {"clip": 1.0}, r"it limits its sums \(clip\)"),
        ("LSTM", {"layout": 1}, r"its sequences have the batch first \(layout = 1\)"),
        ("LSTM", {"activations": ["Relu", "Tanh", "Tanh"]}, "its functions are Relu, Tanh, Tanh"),
        ("GRU", {"linear_before_reset": 0}, r"its reset gate .* \(linear_before_reset = 0\)"),
    ],
)
def test_what_is_refused(kind: str, given: dict[str, Any], why: str, tmp_path: Path) -> None:
    layer = getattr(nn, kind)(C, H, batch_first=True)
    path = save(tmp_path / "net.onnx", layer, "forward", "final", **given)
    with pytest.raises(CompileError, match=rf"'/rnn/of' \({kind}.*: {why}"):
        import_file(path)
