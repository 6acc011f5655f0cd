"""Join passes to a program and the contents of the SRAMs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.words import program_words, unsigned_field
from zeroskip.compiler.scnn.pack import Beats, interleave, order_beats, pack_blocks
from zeroskip.compiler.scnn.passes import Pass
from zeroskip.compiler.scnn.run import ScnnDescriptor
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORDS, descriptor_layout, sram_files
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["collect"]


def collect(
    passes: Sequence[Pass], params: ScnnParams
) -> tuple[tuple[ScnnDescriptor, ...], dict[str, SramData]]:
    """Join passes to a program, the contents of the SRAMs, and the weights' beats.

    Weights of passes follow each other; biases, taps and codebooks get the places behind those of
    the pass before unless one before has the same.

    Raises
    ------
    ValueError
        If something does not fit its memory.
    """
    files = sram_files(params)
    program: list[ScnnDescriptor] = []
    codebooks: dict[bytes, int] = {}
    parts: dict[str, list[NDArray[np.uint64]]] = {name: [] for name in files}
    taps: dict[bytes, int] = {}
    biases: dict[bytes, int] = {}
    beats: list[Beats] = []
    tap_base, bias_base = 0, 0
    for number, made in enumerate(passes):
        book = b"" if made.codebook is None else made.codebook.tobytes()
        if made.codebook is not None and book not in codebooks:
            codebooks[book] = len(codebooks)
            values = np.zeros((params.num_codes, 1), np.int64)
            values[: len(made.codebook), 0] = made.codebook
            parts["codebook"].append(unsigned_field(values, params.weight_bits))
        key = b"".join(of_stream.tobytes() for of_stream in made.biases)
        if key not in biases:
            biases[key] = bias_base
            bias_base += len(made.biases[0])
            for stream, of_stream in enumerate(made.biases):
                parts[f"stream_{stream}/bias"].append(of_stream)
        program.append(
            replace(
                made.descriptor,
                bias_base=biases[key] if made.output else 0,
                codebook=codebooks.get(book, 0),
                last=number == len(passes) - 1,
            )
        )
        key = made.taps.tobytes()
        if key not in taps:
            taps[key] = tap_base
            tap_base += len(made.taps)
            parts["tap"].append(made.taps[:, None])
        beats.append(_beats(made, taps[key], params))
    parts["program"].append(program_words(program, descriptor_layout(params), DESCRIPTOR_WORDS))
    parts["weights"].append(interleave(beats, params))
    srams: dict[str, SramData] = {}
    for name, (depth, width) in files.items():
        rows = [part for part in parts[name] if len(part)]
        if not rows:
            continue
        words = np.concatenate(rows)
        if len(words) > depth:
            raise ValueError(f"{name} must hold at most {depth} rows, not {len(words)}")
        srams[name] = SramData(words, width)
    return tuple(program), srams


def _beats(made: Pass, tap_base: int, params: ScnnParams) -> Beats:
    """Pack the weights of a pass, of the streams that PEs listen to."""
    descriptor = made.descriptor
    across, down = -(-params.pes_x >> descriptor.block_x), -(-params.pes_y >> descriptor.block_y)
    return order_beats([
        pack_blocks(stream, tap_base, params, plain=descriptor.plain)
        for stream in made.streams[: across * down]
    ])
