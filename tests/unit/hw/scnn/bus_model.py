"""The order of words on the position bus, from the text of docs/scnn.md."""

from collections.abc import Sequence
from itertools import product
from random import Random
from typing import Any

from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Word", "draw_round", "fields", "received", "sent", "word"]

Word = dict[str, Any]
"""Fields of :func:`.bus_word_layout`; the first activation's value tells words apart."""


def fields(word: Any) -> Word:
    """Take apart what a simulator has seen; ``last`` is left out, as 0."""
    names = "channel", "lanes", "first", "final", "second_x", "second_y"
    values = {name: getattr(word, name) for name in names}
    return {"acts": [{"value": word.acts[0].value}], **values, "last": 0}


def sent(round_words: Sequence[int], entries: int, pe: int) -> list[Word]:
    """Give what a PE sends in a round, with ``round_words[entry]`` words of each entry."""
    found = [
        word(100 * pe + 10 * entry + at, entry, first=at == 0, final=at == number - 1)
        for entry, number in enumerate(round_words)
        for at in range(number)
    ]
    if round_words[entries - 1]:
        found[-1]["last"] = 1
        return found
    return [*found, word(0, 0, lanes=0, last=1)]


def word(number: int, channel: int, *, lanes: int = 1, **flags: int) -> Word:
    """Make a word of one activation."""
    fields = {"first": 0, "final": 0, "last": 0, "second_x": 0, "second_y": 0}
    flags = {name: int(flag) for name, flag in flags.items()}
    acts = [{"value": number}]
    return {"acts": acts, "channel": channel, "lanes": lanes, **fields, **flags}


def received(
    p: ScnnParams,
    words: Sequence[Sequence[int]],
    sizes: tuple[int, int],
    pairs: tuple[int, int],
    place: tuple[int, int],
) -> list[Word]:
    """Give what the PEs at ``place`` (x, y) of their blocks get in a round.

    Parameters
    ----------
    p : sizes of the array.
    words : of each PE, words of each entry.
    sizes, pairs : log2 of blocks, across and down, and whether owners' are twice as large.
    place : of the reader.
    """
    entries = len(words[0])
    owners = [1 << size + pair for size, pair in zip(sizes, pairs, strict=True)]
    across, down = -(-p.pes_x // owners[0]), -(-p.pes_y // owners[1])
    found: list[Word] = []
    for oy, ox, entry in product(range(down), range(across), range(entries)):
        here: list[Word] = []
        for j, i in product(range(1 + pairs[1]), range(1 + pairs[0])):
            x = ox * owners[0] + (place[0] << pairs[0]) + i
            y = oy * owners[1] + (place[1] << pairs[1]) + j
            if x >= p.pes_x or y >= p.pes_y:
                continue
            pe = y * p.pes_x + x
            for at in range(words[pe][entry]):
                number = (oy * across + ox) * entries + entry
                here.append(word(100 * pe + 10 * entry + at, number, first=at == 0))
                here[-1] |= {"second_x": i, "second_y": j}
        if here:
            here[-1]["final"] = 1
        found += here
    return found


def draw_round(rng: Random, p: ScnnParams, entries: int) -> list[list[int]]:
    """Draw the words of each entry of each PE; some have none."""
    often = rng.choice([0, 0.3, 0.7])
    return [
        [rng.randint(1, 3) if rng.random() < often else 0 for _ in range(entries)]
        for _ in range(p.num_pes)
    ]
