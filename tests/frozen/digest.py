"""Digests of all that a compiled network is and does."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.image import Image
from zeroskip.sim.run import run

__all__ = ["DIGESTS", "digest"]

DIGESTS = Path(__file__).parent / "digests.json"
"""Digests of all networks by name, as :func:`digest` gives them."""


def digest(image: Image, x: NDArray[np.float64]) -> dict[str, Any]:
    """Digest an image's SRAMs, and its outputs, cycles and counters on inputs.

    Returns
    -------
    Per engine ``srams`` and ``counters`` (SHA-256) and ``cycles`` of each input, and ``outputs``
    (SHA-256 of the last tensor's integers).
    """
    found = run(image, x, "cycles")
    document: dict[str, Any] = {}
    for part, counted in zip(image.parts, found.parts, strict=True):
        assert part.engine not in document, "a network with one part an engine"
        assert counted.cycles is not None
        assert counted.counters is not None
        document[part.engine] = {
            "srams": _srams(part.loads),
            "cycles": counted.cycles.tolist(),
            "counters": _sha(counted.counters),
        }
    return {**document, "outputs": _sha(found.result.reshape(len(x), -1))}


def _srams(runs: Sequence[Mapping[str, SramData]]) -> str:
    """Digest the words of the SRAMs that each run loads."""
    text = hashlib.sha256()
    for number, srams in enumerate(runs):
        for name in sorted(srams):
            sram = srams[name]
            text.update(f"{number} {name} {sram.width} {sram.words.shape}\n".encode())
            text.update(np.ascontiguousarray(sram.words, "<u8").tobytes())
    return text.hexdigest()


def _sha(array: NDArray[Any]) -> str:
    """Digest integers and their shape."""
    text = hashlib.sha256(repr(array.shape).encode())
    text.update(np.ascontiguousarray(array, "<i8").tobytes())
    return text.hexdigest()
