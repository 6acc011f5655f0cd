"""Recurrent layers that multiply by changes: what they compute, take and refuse."""

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zeroskip as zs
from zeroskip.base.errors import CompileError, InputError
from zeroskip.compiler.api import compile_any
from zeroskip.compiler.frontend.networks import import_module
from zeroskip.compiler.ir.changes import changes, references
from zeroskip.compiler.ir.graph import FloatGraph, QuantCell
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.contents import eie_problems
from zeroskip.sim.metrics import measure_run

ARRAY = EieParams(num_pes=3, cells=True, delta=True, code_bits=8)
STEPS = 12


class Tagger(nn.Module):
    """A recurrent layer, and a Linear that reads all its steps."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.rnn = getattr(nn, kind)(5, 7, batch_first=True, **options)
        self.fc = nn.Linear(7 * (1 + options.get("bidirectional", False)), 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.rnn(x)[0])


def _waves() -> Any:
    """Return inputs that change slowly, and some of them not at all."""
    rng = np.random.default_rng(0)
    speed, phase = 2 * rng.random((2, 1, 5)), 6 * rng.random((2, 1, 5))
    speed[:, :, 3:] = 0
    return np.sin(np.linspace(0, 3, STEPS)[None, :, None] * speed + phase).astype(np.float32)


X = _waves()


@cache
def _graph(kind: str, **options: Any) -> FloatGraph:
    return import_module(Tagger(kind, **options).eval(), X[:1])


def _compile(graph: FloatGraph, array: EieParams = ARRAY, delta: float | None = None) -> zs.Image:
    return compile_any(graph, X, [array], share=True, delta=delta, name="tagger")


def test_references() -> None:
    steps = np.array([[3, 5, 6, 7, -9, -9], [0, 1, 2, 3, 4, 5]])[:, :, None]
    assert references(steps, 2)[..., 0].tolist() == [[3, 3, 6, 6, -9, -9], [0, 0, 0, 3, 3, 3]]
    assert changes(steps, 2)[..., 0].tolist() == [[3, 0, 3, 0, -15, 0], [0, 0, 0, 3, 0, 0]]
    assert (references(steps, 0) == steps).all()


@pytest.mark.parametrize(
    ("kind", "options"),
    [("LSTM", {}), ("LSTM", {"num_layers": 2, "bidirectional": True}), ("GRU", {})],
)
def test_outputs_and_cycles(kind: str, options: dict[str, Any]) -> None:
    """All changes give all words; fewer of them, nearly all, in fewer cycles."""
    graph = _graph(kind, **options)
    images = [_compile(graph, delta=delta) for delta in (None, 0.0, 0.05)]
    outputs = [zs.run(image, X, "cycles") for image in images]
    plain, every, some = map(measure_run, outputs)
    assert np.array_equal(outputs[1].result, outputs[0].result)
    assert 0 < np.abs(outputs[2].outputs - outputs[0].outputs).max() < 0.05
    assert not any(found.problems for found in (plain, every, some))
    useful, cycles = (
        [sum(getattr(part.total, name) for part in found.parts) for found in (plain, every, some)]
        for name in ("useful_macs", "cycles")
    )
    assert 0.7 * useful[0] > useful[2]
    assert useful[0] > useful[1]
    assert cycles[0] > cycles[2]


def test_lengths_begin_anew() -> None:
    """A sequence that follows another gives what it gives alone."""
    image = _compile(_graph("LSTM"), delta=0.05)
    both = zs.run(image, X, lengths=[7, STEPS]).outputs
    alone = zs.run(image, X[1:]).outputs
    assert np.array_equal(both[1], alone[0])
    assert both[0, :7].any()


def test_image(tmp_path: Path) -> None:
    image = _compile(_graph("LSTM"), delta=0.05)
    image.save(tmp_path / "image")
    loaded = zs.load(tmp_path / "image")
    (cell,) = (layer for layer in loaded.graph.layers if isinstance(layer, QuantCell))
    assert cell.thresholds == (int(0.05 * 2**cell.in_frac), int(0.05 * 2**15))
    part = loaded.part("eie")
    assert not eie_problems(part, "eie", 9)
    assert loaded.report["delta"] == 0.05
    # Another threshold than the program's is found.
    wrong = dataclasses.replace(cell, thresholds=(7, 7))
    layers = tuple(wrong if layer is cell else layer for layer in part.graph.layers)
    graph = dataclasses.replace(part.graph, layers=layers)
    assert "scans and states" in str(eie_problems(dataclasses.replace(part, graph=graph), "eie", 9))
    energy = zs.energy(image, X)
    events = {event.what for layer in energy.layers for event in layer.events}
    assert {"references read", "references written", "totals read", "totals kept"} <= events


def test_array_is_chosen() -> None:
    image = compile_any(_graph("LSTM"), X, share=True, delta=0, name="tagger")
    assert image.part("eie").params.delta
    assert any("delta = true" in why for why in image.report["chosen"])
    image = compile_any(_graph("LSTM"), X, share=True, name="tagger")
    assert not image.part("eie").params.delta


def test_refusals() -> None:
    graph = _graph("LSTM")
    without = dataclasses.replace(ARRAY, delta=False)
    for delta in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"delta, .*, must be 0 or more, not {delta}"):
            _compile(graph, delta=delta)
    with pytest.raises(InputError, match="the network has no recurrent layers: leave it out"):
        zs.compile(nn.Linear(5, 3), X[0], X[0], ARRAY, share=True, delta=0.1)
    with pytest.raises(CompileError, match=r"'rnn' multiplies by changes .*with delta=true, or"):
        _compile(graph, without, delta=0.1)
    with pytest.raises(CompileError, match=r"changes, 1, leaves none of layer 'rnn': .* below 1;"):
        _compile(graph, delta=1)
    with pytest.raises(CompileError, match="needs 5 references, but num_references is 2"):
        _compile(graph, dataclasses.replace(ARRAY, num_references=2), delta=0.1)
