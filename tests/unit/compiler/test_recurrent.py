"""LSTM and GRU from torch to an image, and what is refused."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.utils import rnn

import zeroskip as zs
from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.compress.module import export, read_model
from zeroskip.compiler.frontend import recurrent
from zeroskip.compiler.frontend.networks import import_file
from zeroskip.compiler.image.layers import NetworkEntry, network_entry
from zeroskip.compiler.ir.verify import verify_graph
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.compare import compare
from zeroskip.sim.eie.contents import eie_problems
from zeroskip.sim.explore.explore import explore
from zeroskip.sim.metrics import measure_run
from zeroskip.sim.run import quantize
from zeroskip.sim.system.inferences import count_inferences
from zeroskip.sim.trace import write_trace

ARRAY = EieParams(num_pes=3, cells=True, act_files=3, code_bits=8)
PLAIN = dataclasses.replace(ARRAY, plain=True, weight_bits=12)
X = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)


class Layers(nn.Module):
    """A recurrent layer, and a Linear that reads its last step, or all."""

    def __init__(self, kind: str, *, every: bool = False, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.rnn = getattr(nn, kind)(5, 7, **options)
        self.fc, self.every = nn.Linear(options.get("proj_size", 7), 3), every
        self.first = options.get("batch_first", False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.rnn(x if self.first else x.transpose(0, 1))
        y = y if self.first else y.transpose(0, 1)
        return torch.relu(self.fc(y)) if self.every else self.fc(y[:, -1])


class Hidden(nn.Module):
    """A layer before, and the hidden state of the last layer as output."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.before, self.rnn = nn.Linear(5, 6), nn.GRU(6, 7, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rnn(torch.relu(self.before(x)))[1][-1]


class Filmed(nn.Module):
    """Convolutions of each frame, and a recurrent layer over frames."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.conv = nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 2)
        )
        self.rnn, self.fc = nn.GRU(16, 3, batch_first=True, bidirectional=True), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        frames = self.conv(x.flatten(0, 1)).flatten(1)
        y, _ = self.rnn(frames.reshape(*x.shape[:2], -1))
        return self.fc(y)


class Both(nn.Module):
    """Two directions of two layers, of which the last step, or final states, are read."""

    def __init__(self, kind: str, *, final: bool) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.rnn = getattr(nn, kind)(5, 4, 2, batch_first=final, bidirectional=True)
        self.fc, self.final, self.every = nn.Linear(8, 3), final, False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, states = self.rnn(x if self.final else x.transpose(0, 1))
        if self.every:
            return self.fc(y)
        h = states[0] if isinstance(states, tuple) else states
        return self.fc(torch.cat([h[-2], h[-1]], dim=1) if self.final else y[-1])


class Cells(nn.Module):
    """Cells that Python code calls step by step."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.one, self.two = nn.LSTMCell(5, 7), nn.GRUCell(7, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = x.new_zeros(x.shape[0], 7)
        c, g = torch.zeros_like(h), x.new_zeros(x.shape[0], 6)
        for step in range(x.shape[1]):
            h, c = self.one(x[:, step], (h, c))
            g = self.two(h, g)
        return g


class Stacked(nn.Module):
    """A cell, with layers before and behind it, whose outputs at all steps are one tensor."""

    def __init__(self, join: Callable[[list[torch.Tensor]], torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(8)
        self.before, self.cell, self.out = nn.Linear(5, 4), nn.LSTMCell(4, 7), nn.Linear(7, 3)
        self.join = join

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = c = x.new_zeros(x.shape[0], 7)
        outputs = list[torch.Tensor]()
        for step in x.unbind(1):
            h, c = self.cell(torch.relu(self.before(step)), (h, c))
            y = self.out(torch.relu(h))
            outputs.append(torch.cat([y, torch.relu(y)], 1))
        return self.join(outputs)


class Clipped(nn.Module):
    """ReLU of a cell's outputs, and of a Linear's that are read without it, too."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.rnn = nn.LSTM(5, 7, batch_first=True, **options)
        self.fc, self.out = (nn.Linear(options.get("proj_size", 7), rows) for rows in (3, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.rnn(x)
        z, h = self.fc(y), torch.relu(y)
        return torch.cat([torch.relu(z), torch.relu(self.out(h)), z, h], dim=2)


class Other(nn.Module):
    """A layer whose outputs are used in some other way."""

    def __init__(self, layer: nn.Module, what: str) -> None:
        super().__init__()
        self.rnn, self.what = layer, what

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, state = self.rnn(x)
        if self.what == "beside":
            return torch.cat([x, y], dim=2)
        if self.what == "layers":
            return torch.cat([state[0][0], state[0][-1]], dim=1)
        if self.what == "mixed":
            return torch.cat([y[:, -1], state[0][-1]], dim=1)
        if self.what == "state":
            return state[1][-1]
        if self.what == "step":
            return y[:, 1]
        return y.mean(dim=1) if self.what == "mean" else y


def lstm(**options: Any) -> nn.Module:
    return Other(nn.LSTM(5, 7, batch_first=True, **options), "")


NETWORKS: dict[str, nn.Module] = {
    "lstm": Layers("LSTM", batch_first=True),
    "steps first": Layers("LSTM", every=True, num_layers=2, proj_size=3),
    "gru": Layers("GRU", batch_first=True, num_layers=2, bias=False),
    "hidden": Hidden(),
    "cells": Cells(),
    "cells, stacked": Stacked(lambda steps: torch.stack(steps, 1)),
    "cells, one behind the other": Stacked(
        lambda steps: torch.cat([step.unsqueeze(1) for step in steps], 1)
    ),
    "ReLU of cells": Clipped(),
    "ReLU of a projection": Clipped(proj_size=3),
    "last of both directions": Both("GRU", final=False),
    "final states of both directions": Both("LSTM", final=True),
    "both directions at every step": lstm(bidirectional=True),
    "states of two layers": Other(nn.LSTM(5, 4, 2, batch_first=True), "layers"),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_those_of_torch(name: str, tmp_path: Path) -> None:
    model = NETWORKS[name].eval()
    array = PLAIN if name == "hidden" else ARRAY
    image = zs.compile(model, X[:1], X, array)
    expected = model(torch.as_tensor(X)).detach().numpy()
    result = zs.run(image, X)
    assert result.outputs.shape == expected.shape
    # Half a step of weights and outputs, and the functions' error, each a few times over.
    assert np.abs(result.outputs - expected).max() < 1.5e-3
    parts: tuple[Any, ...] = image.parts
    assert not [one for part in parts for one in eie_problems(part, "")]
    image.save(tmp_path / "image")
    again = zs.load(tmp_path / "image")
    assert np.array_equal(zs.run(again, X).result, result.result)
    # A whole sequence from one START.
    lists = count_inferences(image, quantize(image, X)[0], SystemParams())
    assert np.array_equal(lists.outputs.reshape(result.result.shape), result.result)


@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")
def test_cells_whose_operators_were_decomposed(tmp_path: Path) -> None:
    exported = torch.export.export(NETWORKS["cells"].eval(), (torch.as_tensor(X[:1]),))
    graphs = list[Any]()
    for number, program in enumerate((exported, exported.run_decompositions())):
        torch.export.save(program, tmp_path / f"{number}.pt2")
        graphs.append(import_file(tmp_path / f"{number}.pt2"))
    assert [node.name for node in graphs[1].nodes] == ["one", "two"]
    for node, other in zip(graphs[0].nodes, graphs[1].nodes, strict=True):
        for name in ("weight", "recurrent", "bias"):
            assert np.array_equal(getattr(node, name), getattr(other, name))


def test_sequences_of_one_step_and_of_many() -> None:
    for steps in (1, 1000):
        x = np.random.default_rng(steps).standard_normal((2, steps, 5)).astype(np.float32)
        model = NETWORKS["lstm"].eval()
        image = zs.compile(model, x[:1], x, ARRAY)
        expected = model(torch.as_tensor(x)).detach().numpy()
        assert np.abs(zs.run(image, x).outputs - expected).max() < 1.5e-3


def test_convolutions_of_each_step(tmp_path: Path) -> None:
    x = np.random.default_rng(1).standard_normal((2, 3, 2, 6, 6)).astype(np.float32)
    model = Filmed().eval()
    image = zs.compile(model, x[:1], x, replace(ARRAY, num_pes=4))
    assert [part.engine for part in image.parts] == ["scnn", "eie", "eie", "eie"]
    result = zs.run(image, x, "cycles")
    assert np.abs(result.outputs - model(torch.as_tensor(x)).detach().numpy()).max() < 1e-3
    image.save(tmp_path / "image")
    again = zs.run(zs.load(tmp_path / "image"), x, lengths=[3, 2])
    assert np.array_equal(again.result[0], result.result[0])
    lists = count_inferences(image, quantize(image, x)[0], SystemParams())
    assert np.array_equal(lists.outputs.reshape(result.result.shape), result.result)
    export(model, torch.as_tensor(x), tmp_path / "net.pt2")
    with torch.no_grad():
        module, given = read_model(tmp_path / "net.pt2")[0](), torch.as_tensor(x)
        assert torch.allclose(module(given), model(given), atol=1e-5)
    assert result.cycles is not None
    spent = sum(layer.cycles for layer in zs.energy(image, x).layers)
    assert spent == pytest.approx(result.cycles.mean())


@pytest.mark.parametrize("every", [False, True])
def test_lengths_are_those_of_packed_sequences(every: bool) -> None:
    model = Both("LSTM", final=True).eval()
    model.every = every
    lengths = np.array([2, 4, 1])
    packed = rnn.pack_padded_sequence(
        torch.as_tensor(X), torch.as_tensor(lengths), batch_first=True, enforce_sorted=False
    )
    y, (h, _) = model.rnn(packed)
    y, _ = rnn.pad_packed_sequence(y, batch_first=True)
    expected = model.fc(y if every else torch.cat([h[-2], h[-1]], dim=1)).detach().numpy()
    there = np.arange(4) < lengths[:, None]
    image = zs.compile(model, X[:1], X, ARRAY)
    # What is behind the end of a sequence is not read.
    x = np.where(there[..., None], X, np.float32("nan"))
    result = zs.run(image, x, "cycles", lengths=lengths)
    assert (
        np.abs(result.outputs - (expected * there[..., None] if every else expected)).max() < 1e-3
    )
    assert not every or not result.outputs[~there].any()
    assert result.cycles is not None
    alone = zs.run(image.with_steps(2), X[:1, :2], "cycles")
    assert alone.cycles == result.cycles[:1]
    assert np.array_equal(alone.result[0], result.result[0, :2] if every else result.result[0])


@pytest.mark.parametrize(
    ("lengths", "why"),
    [
        ([1, 0, 4], "lengths must be from 1 to 4, .* and that of sequence 1 is 0"),
        ([1, 4, 5], "lengths must be from 1 to 4, .* and that of sequence 2 is 5"),
        ([1, 2], "input has 3 sequences, but lengths are of 2"),
        ([1.0, 2.0, 3.0], r"lengths must be whole numbers, one .*, not float64 of shape \(3,\)"),
    ],
)
def test_lengths_that_are_refused(lengths: list[float], why: str) -> None:
    image = zs.compile(NETWORKS["lstm"], X[:1], X, ARRAY)
    with pytest.raises(InputError, match=why):
        zs.run(image, X, lengths=lengths)
    with pytest.raises(InputError, match=r"steps must be from 1 to 4, .*, not 5"):
        image.with_steps(5)


def test_a_sequence_without_steps() -> None:
    with pytest.raises(InputError, match=r"\(1, 0, 5\) is empty: a sequence has a step at least"):
        zs.compile(NETWORKS["lstm"], X[:1, :0], X, ARRAY)


def test_gates_that_are_all_zero() -> None:
    model = Layers("LSTM", batch_first=True).eval()
    with torch.no_grad():
        for weight in model.rnn.parameters():
            weight.zero_()
    image = zs.compile(model, X[:1], X, ARRAY)
    result = zs.run(image, X)
    assert not result.tensors["rnn"].any()
    assert np.abs(result.outputs - model.fc.bias.detach().numpy()).max() < 1e-4


class Given(nn.Module):
    """A layer with an initial state of its own."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.rnn = nn.GRU(5, 7, batch_first=True)
        self.state = nn.Buffer(torch.full((1, 1, 7), value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rnn(x, self.state)[0]


class Before(nn.Module):
    """A recurrent layer before something else."""

    def __init__(self, behind: nn.Module) -> None:
        super().__init__()
        self.rnn, self.behind = nn.LSTM(5, 7, batch_first=True), behind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.behind(self.rnn(x)[0].transpose(1, 2))


class Packed(nn.Module):
    """A recurrent layer of packed sequences."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(5, 7, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lengths = [x.shape[1]] * x.shape[0]
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]


class Behind(nn.Module):
    """A layer behind something else."""

    def __init__(self, before: nn.Module) -> None:
        super().__init__()
        self.before, self.rnn = before, nn.LSTM(5, 7, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        is_table = isinstance(self.before, nn.Embedding)
        y = x[:, :, 0].long() if is_table else x.transpose(1, 2)
        y = self.before(y)
        return self.rnn(y if is_table else y.transpose(1, 2))[0]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Given(float("nan")), "'gru' .*in module 'rnn'.*: its initial state has NaN"),
        (Given(0.5), "'gru' .*: its initial state is not zeros"),
        (
            Other(nn.LSTM(5, 7, batch_first=True, bidirectional=True), "mixed"),
            r"layer 'rnn' gives its outputs at steps and the final state of 'rnn.reverse'",
        ),
        (Other(nn.LSTM(5, 7, batch_first=True), "beside"), "input', which is beside them, is not"),
        (Other(nn.RNN(5, 7, batch_first=True), ""), "'rnn_tanh' .* is not supported"),
        (Other(nn.LSTM(5, 7, batch_first=True), "mean"), "'mean' .* is not supported"),
        (
            Before(nn.Conv1d(7, 7, 3, padding=1)),
            r"'conv1d' .*in module 'behind'\) .*it can come before the first recurrent layer",
        ),
        (Packed(), "as a recurrent layer of packed sequences does: .*give their lengths to run"),
        (Behind(nn.Embedding(9, 5)), r"\(give the network what it makes, or one-hot vectors"),
        (Other(nn.LSTM(5, 7, batch_first=True), "state"), "'select.*' .*: only a step"),
        (
            Other(nn.LSTM(5, 7, batch_first=True), "step"),
            "it is of step 1, and only the last, 3, can leave",
        ),
        (
            Stacked(lambda steps: torch.stack(steps[::-1], 1)),
            "'stack' .*only all steps of one layer, from the first to the last",
        ),
    ],
)
def test_what_is_refused(model: nn.Module, why: str) -> None:
    with pytest.raises(CompileError, match=why):
        zs.compile(model.eval(), X[:1], X, ARRAY)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_projections_that_are_of_another_layer() -> None:
    image = zs.compile(NETWORKS["steps first"].eval(), X[:1], X, ARRAY)
    for fields, why in (
        (
            {"projection": "fc"},
            r"'rnn.1' takes outputs of 'fc' .*must be a Linear layer that reads",
        ),
        ({"projection": None}, r"'rnn.1' takes 3 values of the step before, but 'rnn.1' makes 7"),
        ({"recurrent_frac": 0}, r"'rnn.1' adds products of .* fraction bits"),
    ):
        layers = list(image.graph.layers)
        layers[2] = dataclasses.replace(layers[2], **fields)
        graph = dataclasses.replace(image.graph, layers=tuple(layers))
        with pytest.raises(CompileError, match=why):
            verify_graph(graph, "the test")
        entry = network_entry(image.graph).model_dump(mode="json")
        entry["layers"][2] |= fields
        with pytest.raises(ValidationError, match=r"layers.2.(projection|recurrent_frac) must be"):
            NetworkEntry.model_validate_json(json.dumps(entry))


def test_too_long_a_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "MOST_STEPS", 3)
    with pytest.raises(CompileError, match="a sequence must have 1 to 3 steps, not 4"):
        zs.compile(NETWORKS["lstm"], X[:1], X, ARRAY)


def test_an_array_without_cells_and_one_too_small() -> None:
    with pytest.raises(CompileError, match=r"'rnn' is recurrent .*; compile with cells=true"):
        zs.compile(NETWORKS["lstm"], X[:1], X, EieParams(num_pes=3, code_bits=8))
    small = EieParams(num_pes=3, cells=True, code_bits=8, num_accs=8)
    with pytest.raises(CompileError, match=r"3 hidden units a PE.*compile with num_accs=12"):
        zs.compile(NETWORKS["lstm"], X[:1], X, small)
    small = EieParams(num_pes=3, cells=True, code_bits=8, spmat_words=4)
    with pytest.raises(CompileError, match=r"words of Spmat SRAM .*compile with spmat_words="):
        zs.compile(NETWORKS["lstm"], X[:1], X, small)


def test_weights_that_are_not_finite() -> None:
    model = Layers("GRU", batch_first=True)
    with torch.no_grad():
        model.rnn.weight_hh_l0[0, 0] = float("nan")
    with pytest.raises(CompileError, match=r"layer 'rnn' has 1 weights .* NaN or infinite"):
        zs.compile(model.eval(), X[:1], X, ARRAY)


def test_weights_that_a_layer_has() -> None:
    image = zs.compile(NETWORKS["gru"], X[:1], X, ARRAY)
    # Rows of sums that take only inputs, or only states, are no weights.
    assert [layer.num_weights for layer in image.graph.layers[:2]] == [3 * 7 * 12, 3 * 7 * 14]
    (part,) = measure_run(zs.run(image, X, on="cycles")).parts
    assert [layer.density for layer in part.layers[:2]] == [1.0, 1.0]


def test_sequences_in_the_order_of_the_model() -> None:
    wanted = r"calibration must have shape \(samples, 4, 5\), sequences first, .*, not \(4, 3, 5\)"
    with pytest.raises(InputError, match=wanted):
        zs.compile(NETWORKS["steps first"], X[:1], X.transpose(1, 0, 2), ARRAY)


def test_presets_are_explored_with_cells() -> None:
    found = explore(NETWORKS["lstm"], X)
    assert len(found.arrays) > 1
    assert all(array.refusal is None and array.params.cells for array in found.arrays)


def test_an_input_is_a_sequence(tmp_path: Path) -> None:
    """Cycles, metrics and traces are of all steps of an input."""
    image = zs.compile(NETWORKS["lstm"], X[:1], X, ARRAY)
    result = zs.run(image, X, on="cycles")
    (of_steps,) = (part.cycles for part in result.parts)
    assert result.inputs == len(X)
    assert result.cycles is not None
    assert of_steps is not None
    assert np.array_equal(result.cycles, of_steps.reshape(3, 4).sum(axis=1))
    (measured,) = measure_run(result).parts
    assert measured.total.cycles == pytest.approx(result.cycles.mean())
    assert measured.layers[0].dense_macs == 4 * 4 * 7 * 12
    found = zs.energy(image, X)
    assert found.inputs == len(X)
    assert sum(layer.cycles for layer in found.layers) == pytest.approx(result.cycles.mean())
    write_trace(result, tmp_path / "trace.json", 1)
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert (
        max(event["ts"] + event.get("dur", 0) for event in events if "ts" in event)
        == (result.cycles[1])
    )


def test_matrices_are_timed_side_by_side(tmp_path: Path) -> None:
    export(NETWORKS["gru"].eval(), torch.as_tensor(X), tmp_path / "net.pt2")
    found = compare(tmp_path / "net.pt2", X, repeats=1)
    assert [layer.name for layer in found.layers] == ["rnn.0", "rnn.1", "fc"]
    assert all(layer.cycles and layer.density == 1.0 for layer in found.layers[:2])
