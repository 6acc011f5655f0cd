"""Name words of SRAMs that say something else than the network, whatever the inputs are.

Golden's decoders read the layers back; they have the last word. Where a layer differs, the network
is encoded again to name the words that do.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.image import sram_path

__all__ = ["compare_files", "different_numbers"]

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


def compare_files(
    folder: str,
    own: Loads,
    again: Loads,
    passes: Sequence[Sequence[int]],
    names: Sequence[str],
    wrong: set[int],
    most: int,
) -> Iterator[str]:
    """Name the words that encoding the network again gives otherwise, if it gives these files.

    Parameters
    ----------
    folder : of the part, in the image.
    own, again : what each run loads, of the image and of the network when encoded again.
    passes : the layers of each run.
    names : of the layers.
    wrong : numbers of layers that differ.
    most : words that are listed.
    """
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
