"""What is said of words of the RTL that are not golden's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Compared", "CycleDifference", "WordDifference", "compare_words"]


@dataclass(frozen=True)
class Compared:
    """Words of the RTL that were compared with golden's.

    Parameters
    ----------
    words, differ : how many, and how many of them differ.
    differences : the first of those; ``str`` of each is a sentence.
    """

    words: int
    differ: int
    differences: Sequence[Any]


@dataclass(frozen=True)
class WordDifference:
    """An output word of the RTL that is not golden's; ``row`` counts a layer's outputs."""

    sample: int
    layer: str
    row: int
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"input {self.sample}, layer {self.layer}, row {self.row}: "
            f"expected {self.expected}, got {self.got}"
        )


@dataclass(frozen=True)
class CycleDifference:
    """A counter of the RTL that is not the cycle model's."""

    sample: int
    layer: str
    pe: int
    stall_class: str
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"input {self.sample}, layer {self.layer}, PE {self.pe}: the model counts "
            f"{self.expected} cycles {self.stall_class}, the RTL {self.got}"
        )


def compare_words(
    pairs: Sequence[tuple[str, NDArray[np.int64], NDArray[np.int64]]],
    say: Callable[[int, str, int, int, int], object],
    most: int,
) -> Compared:
    """Compare tensors word for word.

    Parameters
    ----------
    pairs : name, (n, ...) as expected, and as the RTL wrote it.
    say : makes a difference of sample, name, row, what was expected and what is there.
    most : differences that are listed.
    """
    words, differ, found = 0, 0, list[Any]()
    for name, expected, got in pairs:
        expected, got = expected.reshape(len(expected), -1), got.reshape(len(got), -1)
        where = np.argwhere(expected != got)
        words += expected.size
        differ += len(where)
        for sample, row in where[: most - len(found)].tolist():
            pair = int(expected[sample, row]), int(got[sample, row])
            found.append(say(sample, name, row, *pair))
    return Compared(words, differ, found)
