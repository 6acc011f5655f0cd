"""Words of SRAMs that are not the network's are told, with file, word and layer."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.compiler import EieParams, compile
from zeroskip.compiler.eie.segment import SramData
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.scnn.image import CnnImage
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.eie.contents import cnn_problems, eie_problems


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
    image = compile(net, x[:1], x, EieParams(num_pes=2))
    assert isinstance(image, Image)
    return image


@pytest.fixture(scope="module")
def cnn() -> CnnImage:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 5)
    )
    x = torch.rand(3, 2, 6, 6)
    image = compile(_few(net), x[:1], x, EieParams(num_pes=2), scnn=PRESETS["tiny"])
    assert isinstance(image, CnnImage)
    return image


def _altered(image: Any, units: str, name: str, row: int, bit: int) -> Any:
    """Flip a bit of what the first run, or segment, loads."""
    first, *rest = getattr(image, units)
    sram = first.srams[name]
    words = sram.words.copy()
    words[row, bit // 64] ^= np.uint64(1 << bit % 64)
    srams = first.srams | {name: SramData(words, sram.width)}
    return dataclasses.replace(image, **{units: (dataclasses.replace(first, srams=srams), *rest)})


def _flips(
    image: Any, units: str, find: Callable[[Any], tuple[str, ...]], names: list[str]
) -> dict[str, tuple[int, int]]:
    """Flip bits of every row; return by SRAM how many flips were told, and how many there were."""
    rng, counts = np.random.default_rng(0), dict[str, tuple[int, int]]()
    for name in names:
        sram = getattr(image, units)[0].srams[name]
        told = made = 0
        for row in range(min(len(sram.words), 40)):
            for bit in rng.integers(0, sram.width, 2).tolist():
                problems = find(_altered(image, units, name, row, bit))
                made += 1
                told += bool(problems)
                if problems:
                    where = f"{name}.hex, word {row} (layer "
                    assert any(where in one for one in problems), problems
                    assert any("expected 0x" in one for one in problems)
        counts[name] = told, made
    return counts


def test_whole_images_have_no_problems(linear: Image, cnn: CnnImage) -> None:
    assert eie_problems(linear) == ()
    assert cnn_problems(cnn) == ()


def test_every_word_of_eie_is_compared(linear: Image) -> None:
    names = [name for name in linear.segments[0].srams if name != "program"]
    counts = _flips(linear, "segments", eie_problems, names)
    for name, (told, made) in counts.items():
        # Slots behind the last entry are never read.
        assert told == made or ("spmat" in name and told >= made - 2), (name, told, made)


def test_every_word_of_scnn_is_compared(cnn: CnnImage) -> None:
    names = ["stream_0/weight", "stream_0/block", "stream_0/bias", "tap"]
    counts = _flips(cnn, "runs", cnn_problems, names)
    for name, (told, made) in counts.items():
        # A lane that pads a vector may have any run, a header without blocks any channel.
        least = made * 0.85 if "weight" in name or "block" in name else made
        assert told >= least, (name, told, made)


def test_codebooks_are_compared_whole(cnn: CnnImage) -> None:
    for layer, one in zip(cnn.runs[0].passes, cnn.runs[0].program, strict=True):
        book = cnn.network.graph.layers[layer].codebook
        assert book is not None
        for code in range(len(book)):
            row = one.codebook * cnn.params.num_codes + code
            name = cnn.network.graph.layers[layer].name
            problems = cnn_problems(_altered(cnn, "runs", "codebook", row, 3))
            assert any(f"codebook.hex, word {row}" in line for line in problems)
            assert any(name in line for line in problems)


def test_the_tail_of_a_cnn_is_compared(cnn: CnnImage) -> None:
    assert cnn.tail is not None
    tail = _altered(cnn.tail, "segments", "pe_0/bias", 0, 5)
    problems = cnn_problems(dataclasses.replace(cnn, tail=tail))
    assert any("sram/pe_0/bias.hex, word 0" in one for one in problems)
