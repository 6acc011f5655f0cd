"""What the exported testbench of an array by itself reads: what its host does, run by run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.image.readmem import to_hex

__all__ = ["HostRun", "run_files"]

_LIMB_BITS = 64


@dataclass(frozen=True, eq=False)
class HostRun:
    """A run, and what the host does before and after it.

    Parameters
    ----------
    clearing, start : commands before the words are written, and after it.
    cycles : that the model says.
    writes, reads : (words, 3 + limbs) uint64: space, PE, row, and the word in limbs of 64 bits,
        lowest first; what is read is what golden and the encoder say.
    beats : first, and number, of the beats that stream in.
    """

    clearing: int
    start: int
    cycles: int
    writes: NDArray[np.uint64]
    reads: NDArray[np.uint64]
    beats: tuple[int, int] = (0, 0)


def run_files(
    runs: Sequence[HostRun], *, version: int, data_bits: int, most: int, own: int
) -> Mapping[str, bytes]:
    """Write files for ``$readmemh`` by name, which ``zeroskip/flow/testbench.v`` reads.

    Parameters
    ----------
    runs : one after the other.
    version : that the array tells of itself.
    data_bits : of a word at the host port.
    most : cycles after which the testbench gives up.
    own : number for the engine's part of the testbench.
    """
    limbs = -(-data_bits // _LIMB_BITS)
    rows = np.concatenate([part for one in runs for part in _rows(one, limbs)])
    numbers = np.array([version, len(runs), len(rows), most, own], np.uint64)
    return {
        "run.hex": to_hex(numbers[:, None], _LIMB_BITS),
        "vectors.hex": to_hex(rows, _LIMB_BITS * rows.shape[1]),
    }


def _rows(run: HostRun, limbs: int) -> list[NDArray[np.uint64]]:
    """Give the rows of a run: its head, then words, each with its place above them."""
    head = np.zeros((2, limbs + 1), np.uint64)
    first, beats = run.beats
    head[0, [0, -1]] = run.cycles, run.clearing << 32 | run.start
    head[1, [0, -1]] = first << 32 | beats, len(run.writes) << 32 | len(run.reads)
    return [head, *(_packed(words, limbs) for words in (run.writes, run.reads))]


def _packed(words: NDArray[np.uint64], limbs: int) -> NDArray[np.uint64]:
    space, pe, row, *value = words.T
    packed = np.zeros((len(words), limbs + 1), np.uint64)
    packed[:, : len(value)] = np.stack(value, axis=1)
    packed[:, -1] = space << np.uint64(48) | pe << np.uint64(32) | row
    return packed
