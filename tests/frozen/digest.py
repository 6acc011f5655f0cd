"""Digests of all that a compiled network is and does."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.segment import SramData
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.scnn.image import CnnImage
from zeroskip.sim.eie.run import run_eie
from zeroskip.sim.scnn.run import run_cnn

__all__ = ["DIGESTS", "digest"]

DIGESTS = Path(__file__).parent / "digests.json"
"""Digests of all networks by name, as :func:`digest` gives them."""


def digest(image: Image | CnnImage, x: NDArray[np.float64]) -> dict[str, Any]:
    """Digest an image's SRAMs, and its outputs, cycles and counters on inputs.

    Returns
    -------
    Per engine ``srams`` and ``counters`` (SHA-256) and ``cycles`` of each input, and ``outputs``
    (SHA-256 of the last tensor's integers).
    """
    if isinstance(image, Image):
        found = run_eie(image, x, "cycles")
        return {"eie": _eie(image, found), "outputs": _sha(found.layer_outputs[-1])}
    found = run_cnn(image, x, "cycles")
    assert found.run_cycles is not None
    assert found.counters is not None
    document: dict[str, Any] = {
        "scnn": {
            "srams": _srams([run.srams for run in image.runs]),
            "cycles": found.run_cycles.sum(axis=1).tolist(),
            "counters": _sha(found.counters),
        }
    }
    if image.tail is not None:
        assert found.tail is not None
        document["eie"] = _eie(image.tail, found.tail)
        outputs = found.tail.layer_outputs[-1]
    else:
        outputs = np.concatenate(
            [found.tensors[name].reshape(len(x), -1) for name in image.network.graph.outputs],
            axis=1,
        )
    return {**document, "outputs": _sha(outputs)}


def _eie(image: Image, found: Any) -> dict[str, Any]:
    """Digest EIE's part."""
    return {
        "srams": _srams([segment.srams for segment in image.segments]),
        "cycles": found.cycles.tolist(),
        "counters": _sha(found.counters),
    }


def _srams(runs: list[Any]) -> str:
    """Digest the words of the SRAMs that each run loads."""
    text = hashlib.sha256()
    for number, srams in enumerate(runs):
        for name in sorted(srams):
            sram: SramData = srams[name]
            text.update(f"{number} {name} {sram.width} {sram.words.shape}\n".encode())
            text.update(np.ascontiguousarray(sram.words, "<u8").tobytes())
    return text.hexdigest()


def _sha(array: NDArray[Any]) -> str:
    """Digest integers and their shape."""
    text = hashlib.sha256(repr(array.shape).encode())
    text.update(np.ascontiguousarray(array, "<i8").tobytes())
    return text.hexdigest()
