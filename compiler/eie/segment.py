"""Define descriptors, SRAM contents, and the segments that they make up."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.engine import SramData
from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS, Activation, pack
from zeroskip.hw.eie.formats import descriptor_layout
from zeroskip.hw.eie.params import EieParams

__all__ = ["Descriptor", "Segment", "program_words"]


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """One pass over a matrix; the fields are those of :func:`.descriptor_layout`."""

    src_base: int
    src_rows: int
    ptr_base: int
    codebook: int
    last_code: int
    drain_rows: int
    dst_base: int
    bias_base: int
    shift: int
    drain: bool
    activation: Activation
    swap: bool
    last: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Segment:
    """One run of the hardware, and what the host does before and after it.

    Accumulators, activation files, the source file and what ``srams`` does not name are as the
    segment before left them. A vector is a layer's input or output, by rows of all PEs.

    Parameters
    ----------
    program : descriptors, in order; the last of them, and no other, has ``last``.
    passes : the layer of each descriptor.
    srams : what the host loads before the run, by name, see :func:`.sram_files`.
    load : first row, and number of rows, of the input of layer ``passes[0]`` that the host then
        writes to the source file, from row 0 up; None to leave the file.
    store : first row, and number of rows, of the output of layer ``passes[-1]`` that the host
        reads after the run, from row 0 up, of the file that the last descriptor wrote: the
        source file if that descriptor swaps, else the other; None if the array needs no help.
    """

    program: tuple[Descriptor, ...]
    passes: tuple[int, ...]
    srams: dict[str, SramData]
    load: tuple[int, int] | None
    store: tuple[int, int] | None


def program_words(program: Sequence[Descriptor], params: EieParams) -> NDArray[np.uint64]:
    """Pack descriptors to words of the program SRAM, two each, low half first.

    Raises
    ------
    ValueError
        If a field does not fit its bits.
    """
    halves: list[int] = []
    for descriptor in program:
        fields = {name: int(value) for name, value in asdict(descriptor).items()}
        high, low = divmod(pack(descriptor_layout(params), **fields), 1 << DESCRIPTOR_WORD_BITS)
        halves += [low, high]
    return np.array(halves, np.uint64)
