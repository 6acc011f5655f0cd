"""Name words of SRAMs that say something else than the network, whatever the inputs are.

Golden's decoders read the layers back; they have the last word. Where a layer differs, the network
is encoded again to name the words that do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from zeroskip.base.errors import ZeroskipError
from zeroskip.compiler.engine import Part, SramData
from zeroskip.compiler.image.runs import sram_path

__all__ = ["different_numbers", "sram_problems"]

Loads = Sequence[Mapping[str, SramData]]


def different_numbers(name: str, pairs: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Say how many numbers of a layer differ, in a sentence for each kind of them.

    Parameters
    ----------
    name : of the layer.
    pairs : by what the numbers are, those of the SRAMs and those of the network.
    """
    found: list[str] = []
    for what, (made, expected) in pairs.items():
        differ = int(np.count_nonzero(np.asarray(made) != np.asarray(expected)))
        if differ:
            of = np.asarray(expected).size
            found.append(
                f"layer {name}: {differ} of {of} {what} in the SRAMs are not the network's"
            )
    return found


def sram_problems(
    part: Part,
    folder: str,
    read: Callable[[], Mapping[int, Sequence[str]]],
    encode: Callable[[], Loads],
    passes: Sequence[Sequence[int]],
    most: int,
) -> tuple[str, ...]:
    """Say where the SRAMs of a part say something else than its layers.

    Parameters
    ----------
    part, folder : of a compiled network, and of the image.
    read : decodes the SRAMs; gives by number of the layer the sentences on what differs.
    encode : encodes the layers again; gives what each run loads.
    passes : the layers of each run.
    most : words that are listed.

    Returns
    -------
    Sentences, with file, word and layer; none if what is read back is the network's. Words that no
    pass reads may hold anything.
    """
    try:
        wrong = {number: said for number, said in read().items() if said}
    except (ValueError, IndexError, KeyError) as error:
        found, wrong = [f"the SRAMs hold no program of the network: {error}"], {}
    else:
        found = [sentence for number in sorted(wrong) for sentence in wrong[number]]
    if not found:
        return ()
    try:
        again = encode()
    except ZeroskipError:
        return tuple(found)
    names = [layer.name for layer in part.graph.layers]
    return (*found, *_compare_files(folder, part.loads, again, passes, names, set(wrong), most))


def _compare_files(
    folder: str,
    own: Loads,
    again: Loads,
    passes: Sequence[Sequence[int]],
    names: Sequence[str],
    wrong: set[int],
    most: int,
) -> Iterator[str]:
    """Name the words that encoding again gives otherwise, if it gives the same files."""
    if [set(srams) for srams in own] != [set(srams) for srams in again]:
        return
    count = 0
    for run, (files, expected) in enumerate(zip(own, again, strict=True)):
        here = sorted(wrong.intersection(passes[run]) or set(passes[run]))
        layers = ", ".join(names[layer] for layer in here)
        for name, sram in files.items():
            file, right = sram_path(folder, run, name), expected[name].words
            if right.shape != sram.words.shape:
                yield (
                    f"{file} (layer {layers}): it has {len(sram.words)} words, but the network's "
                    f"has {len(right)}"
                )
                continue
            for row in np.flatnonzero((right != sram.words).any(axis=1)).tolist():
                count += 1
                if count <= most:
                    yield (
                        f"{file}, word {row} (layer {layers}): expected "
                        f"{_word(right[row]):#x}, got {_word(sram.words[row]):#x}"
                    )
    if count > most:
        yield f"... and {count - most} words more"


def _word(limbs: Any) -> int:
    return sum(int(limb) << 64 * place for place, limb in enumerate(limbs))
