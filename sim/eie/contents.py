"""Compare what an image's SRAMs say with its network, whatever the inputs are.

Golden's decoders read the layers back; they have the last word. Where a layer differs, the network
is encoded again to name the words that do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.base.errors import ZeroskipError
from zeroskip.compiler.eie.program import build as build_eie
from zeroskip.compiler.eie.segment import Segment, SramData
from zeroskip.compiler.image.files import sram_path
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.scnn.program import build as build_scnn
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.sim.eie.decode import decode as decode_eie
from zeroskip.sim.eie.loadings import image_loadings
from zeroskip.sim.scnn.decode import decode as decode_scnn
from zeroskip.sim.scnn.decoded import as_decoded

if TYPE_CHECKING:
    from zeroskip.compiler.scnn.image import CnnImage

__all__ = ["cnn_problems", "eie_problems"]


@dataclass(frozen=True)
class _Loaded:
    """What a run loads: the layers that it computes, and its SRAMs by file."""

    layers: tuple[int, ...]
    files: Mapping[str, SramData]


def eie_problems(image: Image, most: int = 10) -> tuple[str, ...]:
    """Say where the SRAMs of an image say something else than its network.

    Parameters
    ----------
    image : of Linear layers.
    most : words that are listed.

    Returns
    -------
    Sentences, with file, word and layer; none if codes, runs, pointers, codebooks, biases and
    descriptors are those of the network. Words that no pass reads may hold anything.
    """
    layers = image.network.layers
    found: list[str] = []
    wrong: set[int] = set()
    try:
        decoded = decode_eie(image_loadings(image), image.params, image.placement)
    except (ValueError, IndexError, KeyError) as error:
        found.append(f"the SRAMs hold no program of the network: {error}")
    else:
        for number, (made, layer) in enumerate(zip(decoded, layers, strict=True)):
            pairs = {
                "weights": (made.codes.toarray(), layer.codes.toarray()),
                "weights of the codebook": (made.codebook, layer.codebook),
                "biases": (made.bias, layer.bias),
                "shifts": (made.shift, layer.shift),
                "ReLUs": (made.relu, layer.relu),
            }
            if told := _told(layer.name, pairs):
                found += told
                wrong.add(number)
    if not found:
        return ()
    names = [layer.name for layer in layers]
    own = [_of_segment(number, one) for number, one in enumerate(image.segments)]
    try:
        segments = build_eie(image.network, image.placement, image.params)
    except ZeroskipError:
        return tuple(found)
    again = [_of_segment(number, one) for number, one in enumerate(segments)]
    return (*found, *_words(own, again, names, wrong, most))


def cnn_problems(image: "CnnImage", most: int = 10) -> tuple[str, ...]:
    """Say where the SRAMs of an image say something else than its network; see `eie_problems`.

    Streams of weights, headers, taps, codebooks, biases and descriptors are read back; of EIE's
    SRAMs, what :func:`eie_problems` compares.
    """
    tail = () if image.tail is None else eie_problems(image.tail, most)
    graph = image.network.graph
    found: list[str] = []
    wrong: set[int] = set()
    try:
        decoded = decode_scnn(image.runs, graph, image.params)
    except (ValueError, IndexError, KeyError) as error:
        found.append(f"the SRAMs hold no program of the network: {error}")
    else:
        for number, (made, layer) in enumerate(zip(decoded, graph.layers, strict=True)):
            expected = as_decoded(layer, graph)
            pairs = {
                one.name: (getattr(made, one.name), getattr(expected, one.name))
                for one in fields(made)
            }
            if told := _told(layer.name, pairs):
                found += told
                wrong.add(number)
        for number in _wrong_codebooks(image):
            found.append(f"layer {graph.layers[number].name}: its codebook is not the network's")
            wrong.add(number)
    if not found:
        return tail
    names = [layer.name for layer in graph.layers]
    own = [_of_run(number, one) for number, one in enumerate(image.runs)]
    try:
        runs = build_scnn(graph, image.params, _densities(image))
    except ZeroskipError:
        return (*found, *tail)
    again = [_of_run(number, one) for number, one in enumerate(runs)]
    return (*found, *_words(own, again, names, wrong, most), *tail)


def _wrong_codebooks(image: "CnnImage") -> list[int]:
    """Find layers with another codebook, those of its weights included that no code names."""
    p, held, found = image.params, np.empty((0, 1), np.uint64), dict[int, None]()
    for run in image.runs:
        held = run.srams["codebook"].words if "codebook" in run.srams else held
        for layer, one in zip(run.passes, run.program, strict=True):
            conv = image.network.graph.layers[layer]
            # Areas have a codebook each, whose only weight all their codes name.
            if conv.codebook is None or conv.areas:
                continue
            words = held[one.codebook * p.num_codes :, 0][: len(conv.codebook)]
            mask = np.uint64((1 << p.weight_bits) - 1)
            if not np.array_equal(words, conv.codebook.astype(np.int64).view(np.uint64) & mask):
                found[layer] = None
    return list(found)


def _told(name: str, pairs: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Say how many numbers of a layer differ."""
    found: list[str] = []
    for what, (made, expected) in pairs.items():
        differ = int(np.count_nonzero(np.asarray(made) != np.asarray(expected)))
        if differ:
            of = np.asarray(expected).size
            found.append(
                f"layer {name}: {differ} of {of} {what} in the SRAMs are not the network's"
            )
    return found


def _of_segment(number: int, segment: Segment) -> _Loaded:
    files = {sram_path(name, number): sram for name, sram in segment.srams.items()}
    return _Loaded(segment.passes, files)


def _of_run(number: int, run: ScnnRun) -> _Loaded:
    files = {f"scnn/run_{number}/{name}.hex": sram for name, sram in run.srams.items()}
    return _Loaded(run.passes, files)


def _words(
    own: Sequence[_Loaded],
    again: Sequence[_Loaded],
    names: Sequence[str],
    wrong: set[int],
    most: int,
) -> Iterator[str]:
    """Name the words that encoding the network again gives otherwise, if it gives these files."""
    same = len(own) == len(again) and all(
        mine.files.keys() == theirs.files.keys() for mine, theirs in zip(own, again, strict=True)
    )
    if not same:
        return
    count = 0
    for mine, theirs in zip(own, again, strict=True):
        here = sorted({layer for layer in mine.layers if layer in wrong} or set(mine.layers))
        layers = ", ".join(names[layer] for layer in here)
        for file, sram in mine.files.items():
            expected = theirs.files[file].words
            if expected.shape != sram.words.shape:
                yield (
                    f"{file} (layer {layers}): it has {len(sram.words)} words, but the network's "
                    f"has {len(expected)}"
                )
                continue
            for row in np.flatnonzero((expected != sram.words).any(axis=1)).tolist():
                count += 1
                if count <= most:
                    yield (
                        f"{file}, word {row} (layer {layers}): expected "
                        f"{_word(expected[row]):#x}, got {_word(sram.words[row]):#x}"
                    )
    if count > most:
        yield f"... and {count - most} words more"


def _word(limbs: Any) -> int:
    return sum(int(limb) << 64 * at for at, limb in enumerate(limbs))


def _densities(image: "CnnImage") -> dict[str, float]:
    """Return what the compiler took for the densities of tensors, as its report says."""
    report = image.report.get("quantization")
    if not isinstance(report, dict):
        return {}
    known = {INPUT: report.get("input_density")}
    known |= {
        str(one.get("name")): one.get("out_density")
        for one in report.get("layers") or []
        if isinstance(one, dict)
    }
    return {name: float(value) for name, value in known.items() if isinstance(value, float | int)}
