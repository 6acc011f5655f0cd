"""Sequences that come along: speech from files that may be damaged, and characters."""

from pathlib import Path

import pytest
import torch

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.sequences import CHARACTERS, load_topics, load_vowels

SERIES = ":".join(["1.5,-2,0.25"] * 11 + ["1,2,3"])
HEAD = "# Source\n@problemName JapaneseVowels\n@data\n"


def write(folder: Path, train: str = f"{SERIES}:3", test: str = f"{SERIES}:9") -> Path:
    for name, line in (("TRAIN", train), ("TEST", test)):
        (folder / f"JapaneseVowels_{name}.ts").write_text(f"{HEAD}{line}\n")
    return folder


def test_vowels(tmp_path: Path) -> None:
    data = load_vowels(write(tmp_path))
    assert data.train_x.shape == data.test_x.shape == (1, 29, 12)
    assert (data.train_y.tolist(), data.test_y.tolist()) == ([2], [8])
    assert not data.train_x[0, :26].any()
    assert data.train_x[0, 26:, 11].tolist() == [1.0, 2.0, 3.0]
    assert data.train_x[0, 26:, 0].tolist() == [1.5, -2.0, 0.25]


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (f"{SERIES}", r"line 4 is not 12 series of 1 to 29 numbers"),
        (f"{SERIES}:x", r"line 4 is not 12 series"),
        (f"{SERIES},4:1", r"line 4 is not 12 series"),
        (":".join([",".join("1" * 30)] * 12) + ":1", r"line 4 is not 12 series"),
        (SERIES.replace("1.5", "nan", 1) + ":1", r"line 4 is not 12 series"),
        (f"{SERIES}:10", r"TEST\.ts must have sequences of speakers 1 to 9"),
        ("", r"TEST\.ts must have sequences of speakers 1 to 9"),
    ],
)
def test_damaged_vowels(test: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        load_vowels(write(tmp_path, test=test))


def test_vowels_without_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="come with the package aeon: pip install --no-deps aeon"):
        load_vowels()


@pytest.mark.long("makes tensors of all of a text")
def test_topics() -> None:
    data = load_topics()
    for x, y in ((data.train_x, data.train_y), (data.test_x, data.test_y)):
        assert x.shape == (len(y), 64, CHARACTERS)
        codes = x.argmax(2)
        assert bool((x.sum(2) == 1).all())
        # What follows a character is the next one.
        assert torch.equal(codes[:, 1:], y[:, :-1])
        assert torch.equal(codes[1:, 0], y[:-1, -1])
    assert 8 * len(data.test_x) < len(data.train_x) < 10 * len(data.test_x)
    assert int(data.train_y.max()) == CHARACTERS - 1
