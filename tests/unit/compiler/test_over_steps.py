"""Convolutions over several steps, before recurrent layers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import zeroskip as zs
from tests.support.arrays import SCNN
from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.compress.rebuild import to_module
from zeroskip.compiler.engine import engine
from zeroskip.compiler.frontend.networks import import_file, import_module
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.explore.explore import ExploredArray
from zeroskip.sim.run import quantize
from zeroskip.sim.system.inferences import count_inferences

Forward = Callable[["Net", torch.Tensor], torch.Tensor]


class Net(nn.Module):
    """Convolutions, a recurrent layer, and a sum, put together by ``form``."""

    def __init__(self, form: str) -> None:
        super().__init__()
        torch.manual_seed(3)
        wide = form.startswith("planes")
        self.conv = nn.Conv2d(1, 3, 3, (2, 1), 1) if wide else nn.Conv1d(5, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(3) if wide else nn.BatchNorm1d(6)
        self.behind = nn.Identity() if wide else nn.Conv1d(6, 7, 3, 2, 1)
        values = {"planes": 12, "planes, steps last": 6}.get(form, 7)
        self.rnn = nn.LSTM(values, 8, batch_first=form != "steps first")
        self.cell, self.out, self.form = nn.LSTMCell(7, 8), nn.Linear(8, 4), form

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(FORMS[self.form][1](self, x))

    def convolved(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.behind(torch.relu(self.norm(self.conv(x)))))


def _called(net: Net, x: torch.Tensor) -> torch.Tensor:
    state: tuple[torch.Tensor, torch.Tensor] | None = None
    for step in net.convolved(x).transpose(1, 2).unbind(1):
        state = net.cell(step, state)
    assert state is not None
    return state[0]


FORMS: dict[str, tuple[tuple[int, ...], Forward]] = {
    "last": ((5, 9), lambda net, x: net.rnn(net.convolved(x).transpose(1, 2))[0][:, -1]),
    "steps first": ((5, 9), lambda net, x: net.rnn(net.convolved(x).permute(2, 0, 1))[0][-1]),
    "values last": (
        (9, 5),
        lambda net, x: net.rnn(net.convolved(x.transpose(1, 2)).transpose(1, 2))[0][:, -1],
    ),
    "called": ((5, 9), _called),
    "planes": (
        (9, 4),
        lambda net, x: net.rnn(net.convolved(x[:, None]).transpose(1, 2).flatten(2))[0],
    ),
    "planes, steps last": (
        (1, 4, 7),
        lambda net, x: net.rnn(net.convolved(x).permute(0, 3, 1, 2).flatten(2))[0],
    ),
}  # fmt: skip


def _made(form: str) -> tuple[Net, torch.Tensor]:
    torch.manual_seed(1)
    return Net(form).eval(), torch.rand(2, *FORMS[form][0])


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str, tmp_path: Path) -> None:
    """As torch computes it, from the image and from the bytes of a memory alike."""
    model, x = _made(form)
    image = zs.compile(model, x[:1], x, zs.EieParams(num_pes=4, cells=True), share=True)
    assert [part.engine for part in image.parts] == ["scnn", "eie"]
    result = zs.run(image, x, "cycles")
    with torch.no_grad():
        expected = model(x).numpy()
    assert result.outputs.shape == expected.shape
    assert np.abs(result.outputs - expected).max() < 0.02
    assert result.cycles is not None
    assert len(result.cycles) == 2
    image.save(tmp_path / "image")
    loaded = zs.load(tmp_path / "image")
    assert np.array_equal(zs.run(loaded, x).result, result.result)
    chip = count_inferences(loaded, quantize(loaded, x)[0], SystemParams())
    assert np.array_equal(chip.outputs.ravel(), result.result.ravel())
    entry = chip.system.map.input
    assert entry.elements == x[0].numel()
    # Element by element, as the user has them.
    memory, given = np.zeros(entry.rows * entry.lanes, np.int64), x[0].numpy().ravel()
    positions = np.arange(entry.elements) if entry.positions is None else entry.positions
    memory[np.asarray(positions)] = np.floor(np.ldexp(given, entry.frac) + 0.5)
    tensor = chip.system.moves.tensors[0]
    assert np.array_equal(memory[tensor.positions], quantize(loaded, x[:1])[0].ravel())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["steps first", "values last"])
def test_files(form: str, tmp_path: Path) -> None:
    """From a ``.pt2`` and an ONNX file the same network is read as from the module."""
    model, x = _made(form)
    torch.export.save(torch.export.export(model, (x[:1],)), tmp_path / "model.pt2")
    torch.onnx.export(model, (x[:1],), tmp_path / "model.onnx", dynamo=False)
    onnx.checker.check_model(tmp_path / "model.onnx")
    with torch.no_grad():
        expected = model(x)
        for graph in (
            import_module(model, x[:1]),
            import_file(tmp_path / "model.pt2", tuple(x.shape[1:])),
            import_file(tmp_path / "model.onnx", tuple(x.shape[1:])),
        ):
            assert graph.whole
            assert torch.allclose(to_module(graph)(x), expected, atol=1e-5)


def test_explored_and_priced() -> None:
    model, x = _made("values last")
    arrays = SCNN, zs.EieParams(num_pes=2, cells=True)
    explored = [
        ExploredArray(kind, "small", params, next(iter(engine(kind).presets.values())).options)
        for kind, params in zip(("scnn", "eie"), arrays, strict=True)
    ]
    found = zs.explore(model, x[:1], explored)
    assert [layer.engine for layer in found.layers] == ["scnn", "scnn", "eie", "eie"]
    image = zs.compile(model, x[:1], x, arrays, share=True)
    assert all(layer.pj > 0 for layer in zs.energy(image, x).layers)


def test_lengths_are_refused() -> None:
    model, x = _made("last")
    image = zs.compile(model, x[:1], x, zs.EieParams(num_pes=4, cells=True), share=True)
    for refused in (lambda: zs.run(image, x, lengths=[2, 3]), lambda: image.with_steps(2)):
        with pytest.raises(InputError, match="which are all of one length: give it no lengths"):
            refused()


class Beside(nn.Module):
    """The recurrent layer's inputs leave beside its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.rnn = nn.Conv1d(5, 5, 3, padding=1), nn.LSTM(5, 5, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return self.rnn(y.transpose(1, 2))[0] + y.transpose(1, 2)


def test_what_is_read_otherwise_is_refused() -> None:
    with pytest.raises(CompileError, match="is before the steps that recurrent layers take, too"):
        import_module(Beside().eval(), torch.rand(1, 5, 9))
