"""Words of SRAMs that are not the network's are told, with file, word and layer."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip import EieParams, compile
from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.image import Image, part_folder
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.eie.contents import eie_problems
from zeroskip.sim.machine import machine
from zeroskip.sim.scnn.contents import scnn_problems


def _few(net: nn.Sequential) -> nn.Sequential:
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            if name.endswith("weight"):
                tensor.copy_((tensor * 6 / tensor.abs().max()).round() / 8)
    return net.eval()


@pytest.fixture(scope="module")
def linear() -> Image:
    torch.manual_seed(0)
    net = _few(nn.Sequential(nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 4)))
    x = torch.rand(3, 9)
    return compile(net, x[:1], x, EieParams(num_pes=2))


@pytest.fixture(scope="module")
def cnn() -> Image:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 5)
    )
    x = torch.rand(3, 2, 6, 6)
    return compile(_few(net), x[:1], x, [EieParams(num_pes=2), PRESETS["tiny"]])


def _of_eie(part: EiePart) -> tuple[str, ...]:
    return eie_problems(part, "1_eie")


def _of_scnn(part: ScnnPart) -> tuple[str, ...]:
    return scnn_problems(part, "0_scnn", {})


def _altered(part: Any, units: str, name: str, row: int, bit: int) -> Any:
    """Flip a bit of what the first run, or segment, loads."""
    first, *rest = getattr(part, units)
    sram = first.srams[name]
    words = sram.words.copy()
    words[row, bit // 64] ^= np.uint64(1 << bit % 64)
    srams = first.srams | {name: SramData(words, sram.width)}
    return dataclasses.replace(part, **{units: (dataclasses.replace(first, srams=srams), *rest)})


def _flips(
    part: Any, units: str, find: Callable[[Any], tuple[str, ...]], names: list[str]
) -> dict[str, tuple[int, int]]:
    """Flip bits of every row; return by SRAM how many flips were told, and how many there were."""
    rng, counts = np.random.default_rng(0), dict[str, tuple[int, int]]()
    for name in names:
        sram = getattr(part, units)[0].srams[name]
        told = made = 0
        for row in range(min(len(sram.words), 40)):
            for bit in rng.integers(0, sram.width, 2).tolist():
                problems = find(_altered(part, units, name, row, bit))
                made += 1
                told += bool(problems)
                if problems:
                    where = f"{name}.hex, word {row} (layer "
                    assert any(where in one for one in problems), problems
                    assert any("expected 0x" in one for one in problems)
        counts[name] = told, made
    return counts


def test_whole_images_have_no_problems(linear: Image, cnn: Image) -> None:
    assert _of_eie(linear.part("eie")) == ()
    assert _of_scnn(cnn.part("scnn")) == ()
    for image in (linear, cnn):
        for number, part in enumerate(image.parts):
            folder = part_folder(number, part.engine)
            assert machine(part.engine).problems(part, folder, image, 10) == ()


def test_every_word_of_eie_is_compared(linear: Image) -> None:
    part = linear.part("eie")
    names = [name for name in part.srams if name != "program"]
    counts = _flips(part, "segments", _of_eie, names)
    for name, (told, made) in counts.items():
        # Slots behind the last entry are never read.
        assert told == made or ("spmat" in name and told >= made - 2), (name, told, made)


def test_every_word_of_scnn_is_compared(cnn: Image) -> None:
    names = ["weights", "stream_0/bias", "tap"]
    counts = _flips(cnn.part("scnn"), "runs", _of_scnn, names)
    for name, (told, made) in counts.items():
        assert told == made, (name, told, made)


def test_codebooks_are_compared_whole(cnn: Image) -> None:
    part = cnn.part("scnn")
    for layer, one in zip(part.runs[0].passes, part.runs[0].program, strict=True):
        book = part.layers[layer].codebook
        assert book is not None
        for code in range(len(book)):
            row = one.codebook * part.params.num_codes + code
            problems = _of_scnn(_altered(part, "runs", "codebook", row, 3))
            where = f"0_scnn/run_0/codebook.hex, word {row}"
            assert any(where in line for line in problems)
            assert any(part.layers[layer].name in line for line in problems)


def test_problems_name_the_file_in_the_image(cnn: Image) -> None:
    problems = _of_eie(_altered(cnn.part("eie"), "segments", "pe_0/bias", 0, 5))
    assert any("1_eie/run_0/pe_0/bias.hex, word 0" in one for one in problems)
