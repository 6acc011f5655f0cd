"""Parts of a CNN: which runs a layer needs, and what the SRAMs must hold before them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.base.errors import InputError
from zeroskip.compiler import EieParams, compile
from zeroskip.compiler.scnn.image import CnnImage
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.scnn.part import take_layers


@pytest.fixture(scope="module")
def image() -> CnnImage:
    """Give a network of which each layer is in several runs, and some runs go on with sums."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 6 * 6, 5),
    )
    x = torch.randn(2, 3, 12, 12)
    scnn = replace(PRESETS["tiny"], num_streams=4)
    made = compile(module, x[:1], x.numpy(), EieParams(num_pes=4), scnn=scnn, share=True)
    assert isinstance(made, CnnImage)
    assert any(not run.program[0].wipe for run in made.runs)
    assert any(not run.loads for run in made.runs)
    return made


def _contents(image: CnnImage) -> list[dict[str, np.ndarray]]:
    """Return what the SRAMs hold in each run."""
    held: dict[str, np.ndarray] = {}
    found = []
    for run in image.runs:
        held = held | {name: sram.words for name, sram in run.srams.items()}
        found.append(held)
    return found


@pytest.mark.parametrize("number", range(3))
def test_runs_of_a_layer_find_their_srams(image: CnnImage, number: int) -> None:
    name = image.network.graph.layers[number].name
    part = take_layers(image, [name])
    assert name in part.layers
    assert part.image.tail is None
    first = part.image.runs[0]
    assert first.loads
    assert first.program[0].wipe
    mine = [at for at, run in enumerate(image.runs) if number in run.passes]
    assert len(part.image.runs) >= len(mine)
    assert part.image.runs[-1].program == image.runs[mine[-1]].program
    whole = _contents(image)[mine[-1]]
    held = _contents(part.image)[-1]
    assert held.keys() == whole.keys()
    for memory, words in whole.items():
        np.testing.assert_array_equal(held[memory], words, memory)


def test_runs_that_go_on_take_those_before(image: CnnImage) -> None:
    for number, run in enumerate(image.runs):
        if run.loads and run.program[0].wipe:
            continue
        names = [image.network.graph.layers[at].name for at in run.passes]
        part = take_layers(image, names)
        loads = [one.loads for one in part.image.runs]
        assert image.runs[number - 1].loads in loads


def test_all_layers_are_the_image(image: CnnImage) -> None:
    names = [layer.name for layer in image.network.graph.layers]
    part = take_layers(image, names)
    assert part.layers == tuple(names)
    assert len(part.image.runs) == len(image.runs)
    for mine, run in zip(part.image.runs, image.runs, strict=True):
        assert mine.program == run.program
        assert mine.srams.keys() == run.srams.keys()


def test_linear_layers_come_together(image: CnnImage) -> None:
    assert image.tail is not None
    (linear,) = image.tail.network.layers
    part = take_layers(image, [linear.name])
    assert part.image.tail is image.tail
    assert part.image.runs == ()
    assert part.layers == ()


@pytest.mark.parametrize(
    ("names", "words"), [(["nothing"], "no layer 'nothing'"), ([], "at least one")]
)
def test_unknown_layers_are_refused(image: CnnImage, names: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        take_layers(image, names)
    for layer in image.network.graph.layers:
        assert layer.name in str(caught.value)
