"""Join passes to a program and the contents of the SRAMs."""

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.engine import SramData
from zeroskip.compiler.scnn.encode import move_taps
from zeroskip.compiler.scnn.lanes import unsigned_field
from zeroskip.compiler.scnn.passes import Pass
from zeroskip.compiler.scnn.run import ScnnDescriptor
from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS, pack
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORDS, descriptor_layout, sram_files
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["collect", "program_words"]


def program_words(program: Sequence[ScnnDescriptor], params: ScnnParams) -> NDArray[np.uint64]:
    """Pack descriptors to words of the program SRAM, (rows, 1), lowest word of each first.

    Raises
    ------
    ValueError
        If a field does not fit its bits.
    """
    words: list[int] = []
    for descriptor in program:
        fields = {name: int(value) for name, value in asdict(descriptor).items()}
        packed = pack(descriptor_layout(params), **fields)
        for _ in range(DESCRIPTOR_WORDS):
            words.append(packed & (1 << DESCRIPTOR_WORD_BITS) - 1)
            packed >>= DESCRIPTOR_WORD_BITS
    return np.array(words, np.uint64)[:, None]


def collect(
    passes: Sequence[Pass], params: ScnnParams
) -> tuple[tuple[ScnnDescriptor, ...], dict[str, SramData]]:
    """Join passes to a program and the contents of the SRAMs.

    Blocks of weights follow each other; taps and biases get the places behind those of the pass
    before, and each layer's codebook a number.

    Raises
    ------
    ValueError
        If something does not fit its memory.
    """
    files = sram_files(params)
    program: list[ScnnDescriptor] = []
    codebooks: dict[int, int] = {}
    parts: dict[str, list[NDArray[np.uint64]]] = {name: [] for name in files}
    tap_base, bias_base = 0, 0
    for number, one in enumerate(passes):
        if one.codebook is not None and one.layer not in codebooks:
            codebooks[one.layer] = len(codebooks)
            book = np.zeros((params.num_codes, 1), np.int64)
            book[: len(one.codebook), 0] = one.codebook
            parts["codebook"].append(unsigned_field(book, params.weight_bits))
        program.append(
            replace(
                one.descriptor,
                bias_base=bias_base if one.output else 0,
                codebook=codebooks.get(one.layer, 0),
                last=number == len(passes) - 1,
            )
        )
        parts["tap"].append(one.taps[:, None])
        for stream, (words, biases) in enumerate(zip(one.streams, one.biases, strict=True)):
            parts[f"stream_{stream}/weight"].append(words.weights)
            parts[f"stream_{stream}/block"].append(move_taps(words.blocks, tap_base, params))
            parts[f"stream_{stream}/bias"].append(biases)
        tap_base += len(one.taps)
        bias_base += len(one.biases[0])
    parts["program"].append(program_words(program, params))
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
