"""Sequences to train recurrent networks on: recorded vowels, and characters of a text."""

import importlib.util
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.images import Samples

__all__ = ["CHARACTERS", "SPEAKERS", "load_topics", "load_vowels", "read_ts"]

SPEAKERS = 9
_VOWELS = "JapaneseVowels"
_CEPSTRA, _MOST_FRAMES = 12, 29

CHARACTERS = 96
"""Classes of characters; the last stands for all that are rare."""

_STEPS = 64
_TESTED = 0.1


def load_vowels(folder: Path | str | None = None) -> Samples:
    """Return utterances of two vowels by nine speakers, (samples, 29 frames, 12 cepstra).

    Frames of silence, zeros, come before those of a shorter utterance, so that all end alike.
    Source: Kudo, Toyama and Shimbo, 1999, the UCI archive's "Japanese Vowels".

    Parameters
    ----------
    folder : with ``JapaneseVowels_TRAIN.ts`` and ``JapaneseVowels_TEST.ts``; that of the package
        aeon, which nothing is run of, if None.

    Raises
    ------
    InputError
        If there is no such folder, or a file is damaged.
    """
    if folder is None:
        found = importlib.util.find_spec("aeon")
        if found is None or found.origin is None:
            raise InputError(
                f"the recordings of {_VOWELS} come with the package aeon: pip install --no-deps "
                f"aeon, or name the folder with {_VOWELS}_TRAIN.ts and {_VOWELS}_TEST.ts"
            )
        folder = Path(found.origin).parent / "datasets" / "data" / _VOWELS
    parts: list[torch.Tensor] = []
    for name in ("TRAIN", "TEST"):
        sequences, classes = read_ts(Path(folder) / f"{_VOWELS}_{name}.ts")
        x = np.zeros((len(sequences), _MOST_FRAMES, _CEPSTRA), np.float32)
        for row, sequence in zip(x, sequences, strict=True):
            row[len(row) - len(sequence) :] = sequence
        parts += [torch.from_numpy(x), torch.from_numpy(classes)]
    return Samples(*parts)


def read_ts(path: Path) -> tuple[list[NDArray[np.float32]], NDArray[np.int64]]:
    """Return the sequences of a ``.ts`` file, (frames, cepstra) each, and their speakers from 0.

    Raises
    ------
    InputError
        If the file is missing, or a line of it is no sequence of cepstra and a speaker.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read: {reason}") from error
    sequences: list[NDArray[np.float32]] = []
    speakers: list[int] = []
    for number, line in enumerate(lines, 1):
        if not line or line.startswith(("#", "@")):
            continue
        *dimensions, speaker = line.split(":")
        try:
            values = np.array([text.split(",") for text in dimensions], np.float32).T
            speakers.append(int(speaker) - 1)
        except ValueError:
            values = np.zeros((0, 0), np.float32)
        is_sound = values.shape[1:] == (_CEPSTRA,) and bool(np.isfinite(values).all())
        if not is_sound or not 1 <= len(values) <= _MOST_FRAMES:
            raise InputError(
                f"{path}, line {number} is not {_CEPSTRA} series of 1 to {_MOST_FRAMES} numbers "
                "and a speaker, apart by colons"
            )
        sequences.append(values)
    if not sequences or not all(0 <= speaker < SPEAKERS for speaker in speakers):
        raise InputError(f"{path} must have sequences of speakers 1 to {SPEAKERS}")
    return sequences, np.array(speakers, np.int64)


def load_topics() -> Samples:
    """Load Python's help topics as sequences of characters, each with the character behind it.

    Samples are (sequences, 64, 96), a 1 for the character that it is; classes (sequences, 64), the
    next character at every step. The last tenth of the text is the test data.
    """
    from pydoc_data.topics import topics

    text = "".join(topics[name] for name in sorted(topics))
    common = [character for character, _ in Counter(text).most_common(CHARACTERS - 1)]
    number = {character: code for code, character in enumerate(sorted(common))}
    codes = torch.tensor([number.get(character, CHARACTERS - 1) for character in text])
    count = (len(codes) - 1) // _STEPS
    inputs = codes[: count * _STEPS].reshape(count, _STEPS)
    following = codes[1 : count * _STEPS + 1].reshape(count, _STEPS)
    first = count - round(_TESTED * count)
    x = torch.nn.functional.one_hot(inputs, CHARACTERS).float()
    return Samples(x[:first], following[:first], x[first:], following[first:])
