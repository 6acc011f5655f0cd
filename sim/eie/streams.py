"""Read programs, entries and pointers back from SRAM contents.

Nothing here is shared with the encoder but the bit offsets, so that an error of the encoder
cannot cancel against itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from numpy.typing import NDArray

from zeroskip.compiler.eie.part import EiePart
from zeroskip.hw.eie.formats import (
    DESCRIPTOR_WORDS,
    descriptor_layout,
    entry_shifts,
    pointer_layout,
)
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.golden.words import (
    Descriptor,
    Srams,
    read_descriptors,
    signed,
    take_bits,
)

__all__ = [
    "ColumnStream",
    "Loading",
    "codebook_of",
    "column_streams",
    "held",
    "image_loadings",
    "read_program",
]


@dataclass(frozen=True, eq=False)
class Loading:
    """Words that the host loads for one run of the program.

    Parameters
    ----------
    srams : what it loads before; SRAMs that are not named keep what they hold.
    load : first row, and number of rows, of a layer's input that it writes to the source file,
        from row 0 up; None to leave the file.
    store : first row, and number of rows, of a layer's output that it reads afterwards, from
        row 0 up; None to leave it there.
    """

    srams: Srams
    load: tuple[int, int] | None = None
    store: tuple[int, int] | None = None


def image_loadings(part: EiePart) -> list[Loading]:
    """Return what the host loads and stores, run by run."""
    return [
        Loading(
            {name: sram.words for name, sram in segment.srams.items()},
            segment.load,
            segment.store,
        )
        for segment in part.segments
    ]


def held(loadings: Iterable[Loading]) -> Iterator[Srams]:
    """Yield what the SRAMs hold in each run."""
    srams: dict[str, NDArray[np.uint64]] = {}
    for loading in loadings:
        srams |= loading.srams
        yield dict(srams)


@dataclass(frozen=True, eq=False)
class ColumnStream:
    """Pointers and entries that one PE reads in one pass.

    Parameters
    ----------
    codes, runs : (entries,), all entries of the PE's Spmat SRAM; passes share them.
    pointers : (positions + 1,) int64; the column at position j is entries
        ``pointers[j]`` up to, not with, ``pointers[j + 1]``.
    """

    codes: NDArray[np.unsignedinteger]
    runs: NDArray[np.uint8]
    pointers: NDArray[np.int64]


def read_program(words: NDArray[np.uint64], params: EieParams) -> tuple[Descriptor, ...]:
    """Read the descriptors up to the one that ends the program.

    Parameters
    ----------
    words : (rows, 1) of the program SRAM.
    params : the widths.

    Raises
    ------
    ValueError
        If none ends it, or two passes in a row load different parts of one codebook.
    """
    program = read_descriptors(words, descriptor_layout(params), DESCRIPTOR_WORDS)
    for before, descriptor in pairwise(program):
        if descriptor.codebook == before.codebook and descriptor.last_code != before.last_code:
            raise ValueError(
                f"passes with codebook {descriptor.codebook} must load it up to one code, "
                f"not {before.last_code} and {descriptor.last_code}"
            )
    return program


def column_streams(
    srams: Srams, params: EieParams, program: Sequence[Any]
) -> tuple[tuple[ColumnStream, ...], ...]:
    """Read what each PE reads in each pass.

    Parameters
    ----------
    srams : see :data:`Srams`.
    params : sizes of the array.
    program : as :func:`read_program` gives it, or as the compiler made it.

    Returns
    -------
    Per pass, per PE.

    Raises
    ------
    ValueError
        If a pointer is missing, has an impossible slot, lies before its predecessor, or past the
        stored words.
    """
    per_pe: list[list[ColumnStream]] = []
    for pe in range(params.num_pes):
        codes, runs = _entries(srams[f"pe_{pe}/spmat"], params)
        pointers = _pointers(srams, pe, params)
        streams: list[ColumnStream] = []
        for index, descriptor in enumerate(program):
            after = descriptor.ptr_base + descriptor.src_rows * params.num_pes + 1
            part = pointers[descriptor.ptr_base : after]
            if after > len(pointers):
                raise ValueError(
                    f"pe_{pe}/ptr_even and ptr_odd must hold {after} pointers for pass {index}, "
                    f"not {len(pointers)}"
                )
            if (np.diff(part) < 0).any():
                raise ValueError(f"pointers of pe_{pe} must not fall, but do in pass {index}")
            if part[-1] > len(codes):
                raise ValueError(
                    f"pointers of pe_{pe} must end at entry {len(codes)}, not {part[-1]}, "
                    f"in pass {index}"
                )
            streams.append(ColumnStream(codes, runs, part))
        per_pe.append(streams)
    return tuple(zip(*per_pe, strict=True))


def _entries(
    words: NDArray[np.uint64], params: EieParams
) -> tuple[NDArray[np.unsignedinteger], NDArray[np.uint8]]:
    """Take words of one PE's Spmat SRAM apart to codes and runs."""
    shifts = entry_shifts(params)
    bits = np.zeros((len(words), params.entries_per_word), np.uint64)
    for slot in range(params.entries_per_word):
        bits[:, slot] = take_bits(words, slot * shifts["stride"], shifts["stride"])
    flat = bits.reshape(-1)
    codes = flat >> np.uint64(shifts["code"]) & np.uint64(params.num_codes - 1)
    runs = flat >> np.uint64(shifts["run"]) & np.uint64((1 << params.run_bits) - 1)
    return codes.astype(np.min_scalar_type(params.num_codes - 1)), runs.astype(np.uint8)


def codebook_of(srams: Srams, number: int, params: EieParams) -> NDArray[np.int64]:
    """Return the weights of all codes; of plain ones, which no SRAM has, those that they are."""
    if params.plain:
        codes: NDArray[np.uint64] = np.arange(params.num_codes, dtype=np.uint64)
        return signed(codes, params.weight_bits)
    base = number * params.num_codes
    return signed(srams["codebook"][base : base + params.num_codes, 0], params.weight_bits)


def _pointers(srams: Srams, pe: int, params: EieParams) -> NDArray[np.int64]:
    """Interleave one PE's two banks and count in entries: (pointers,)."""
    even, odd = srams[f"pe_{pe}/ptr_even"][:, 0], srams[f"pe_{pe}/ptr_odd"][:, 0]
    if not len(odd) <= len(even) <= len(odd) + 1:
        raise ValueError(
            f"pe_{pe}/ptr_even must have as many rows as ptr_odd, or one more, "
            f"not {len(even)} and {len(odd)}"
        )
    words = np.empty(len(even) + len(odd), np.uint64)
    words[0::2], words[1::2] = even, odd
    layout = pointer_layout(params)
    word, slot = (
        words >> np.uint64(layout[field].offset)
        & np.uint64((1 << Shape.cast(layout[field].shape).width) - 1)
        for field in ("word", "slot")
    )
    if (slot >= params.entries_per_word).any():
        raise ValueError(
            f"slots of pointers of pe_{pe} must be below {params.entries_per_word}, "
            f"not {slot.max()}"
        )
    return (word * np.uint64(params.entries_per_word) + slot).astype(np.int64)
