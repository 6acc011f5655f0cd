"""Single layers of SCNN: which runs they need, and what the SRAMs must hold before them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip import EieParams, compile
from zeroskip.base.errors import InputError
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.machine import machine
from zeroskip.sim.scnn.select import select_layers
from zeroskip.sim.verify import verify

_X = np.random.default_rng(0).normal(size=(2, 3, 12, 12))


@pytest.fixture(scope="module")
def image() -> Image:
    """Give a network of which each layer is in several runs, and some runs go on with sums."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 12, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(12, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 6 * 6, 5),
    )
    scnn = replace(PRESETS["tiny"], num_streams=4)
    return compile(module, _X[:1], _X, [EieParams(num_pes=4), scnn], share=True)


@pytest.fixture
def part(image: Image) -> ScnnPart:
    """Give SCNN's part of it."""
    made: ScnnPart = image.part("scnn")
    assert any(not run.program[0].wipe for run in made.runs)
    assert any(not run.loads for run in made.runs)
    return made


def _contents(part: ScnnPart) -> list[dict[str, np.ndarray]]:
    """Return what the SRAMs hold in each run."""
    held: dict[str, np.ndarray] = {}
    found = []
    for run in part.runs:
        held = held | {name: sram.words for name, sram in run.srams.items()}
        found.append(held)
    return found


@pytest.mark.parametrize("number", range(3))
def test_runs_of_a_layer_find_their_srams(part: ScnnPart, number: int) -> None:
    name = part.layers[number].name
    selection = select_layers(part, [name])
    assert name in selection.layers
    first, *_ = selection.part.runs
    assert first.loads
    assert first.program[0].wipe
    own = [at for at, run in enumerate(part.runs) if number in run.passes]
    assert len(selection.part.runs) >= len(own)
    assert selection.part.runs[-1].program == part.runs[own[-1]].program
    whole = _contents(part)[own[-1]]
    held = _contents(selection.part)[-1]
    assert held.keys() == whole.keys()
    for memory, words in whole.items():
        np.testing.assert_array_equal(held[memory], words, memory)


def test_runs_that_go_on_take_those_before(part: ScnnPart) -> None:
    for number, run in enumerate(part.runs):
        if run.loads and run.program[0].wipe:
            continue
        selection = select_layers(part, [part.layers[at].name for at in run.passes])
        loads = [one.loads for one in selection.part.runs]
        assert part.runs[number - 1].loads in loads


def test_all_layers_are_the_part(part: ScnnPart) -> None:
    names = [layer.name for layer in part.layers]
    selection = select_layers(part, names)
    assert selection.layers == tuple(names)
    assert len(selection.part.runs) == len(part.runs)
    for chosen, run in zip(selection.part.runs, part.runs, strict=True):
        assert chosen.program == run.program
        assert chosen.srams.keys() == run.srams.keys()


def test_linear_layers_come_together(image: Image) -> None:
    eie = image.part("eie")
    selection = machine("eie").select(eie, [eie.layers[0].name])
    assert selection.part is eie
    assert selection.layers == tuple(layer.name for layer in eie.layers)


def test_unknown_layers_are_refused(image: Image) -> None:
    with pytest.raises(InputError, match="there is no layer 'nothing'; there are ") as caught:
        verify(image, _X, layers=["nothing"])
    for layer in image.graph.layers:
        assert layer.name in str(caught.value)
