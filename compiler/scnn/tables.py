"""Join the biases and codebooks of a network's runs, so that SRAMs are loaded with them once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.words import program_words
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORDS, descriptor_layout, sram_files
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["join_tables"]

_BOOK = "codebook"


def join_tables(runs: Sequence[ScnnRun], params: ScnnParams) -> list[ScnnRun]:
    """Give all runs the biases and codebooks of all, where the memories hold them.

    Parameters
    ----------
    runs : in order; SRAMs that one does not have are as the run before left them.
    params : of the array.
    """
    contents: dict[str, SramData] = {}
    whole: list[dict[str, SramData]] = []
    for run in runs:
        contents = contents | run.srams
        whole.append(contents)
    names = [name for name in sram_files(params) if name.endswith("/bias")]
    biases, firsts = _join(whole, names, params.num_biases)
    books, places = _join(whole, [_BOOK], params.num_codebooks * params.num_codes)
    found: list[ScnnRun] = []
    for run, own, first, place in zip(runs, whole, firsts, places, strict=True):
        program = tuple(
            replace(
                step,
                bias_base=step.bias_base + first * step.drain,
                codebook=step.codebook + place // params.num_codes * (not step.plain),
            )
            for step in run.program
        )
        words = program_words(program, descriptor_layout(params), DESCRIPTOR_WORDS)
        srams = own | biases | books | {"program": replace(own["program"], words=words)}
        found.append(replace(run, program=program, srams=srams))
    return found


def _join(
    runs: Sequence[Mapping[str, SramData]], names: Sequence[str], rows: int
) -> tuple[dict[str, SramData], list[int]]:
    """Put what runs have in some memories of equal contents' length one behind the other.

    Returns
    -------
    Contents for all runs, and of each run the row from which on its own are there; as before,
    where the memories do not hold them.
    """
    starts: dict[bytes, int] = {}
    parts: list[Mapping[str, SramData]] = []
    firsts: list[int] = []
    total = 0
    for run in runs:
        some = {name: run[name] for name in names if name in run}
        key = b"".join(sram.words.tobytes() for sram in some.values())
        if key not in starts:
            starts[key] = total
            parts.append(some)
            total += max((len(sram.words) for sram in some.values()), default=0)
        firsts.append(starts[key])
    if total > rows:
        return {}, [0] * len(runs)
    joined: dict[str, SramData] = {}
    for name in names:
        here: list[NDArray[np.uint64]] = [part[name].words for part in parts if name in part]
        if here:
            width = next(part[name].width for part in parts if name in part)
            joined[name] = SramData(np.concatenate(here), width)
    return joined, firsts
