"""Define descriptors, SRAM contents, and the segments that they make up."""

from dataclasses import dataclass

from zeroskip.compiler.image.runs import ArrayRun
from zeroskip.hw.common.formats import Activation, CellKind

__all__ = ["Descriptor", "Segment"]


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
    cell: CellKind = CellKind.NONE
    recur: bool = False
    past: bool = False
    state_base: int = 0
    delta: bool = False
    threshold: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Segment(ArrayRun):
    """One run of the hardware, and what the host does before and after it.

    Accumulators, activation files and the source file are as the segment before left them. A
    vector is a layer's input or output, by rows of all PEs.

    Parameters
    ----------
    program, passes, srams : see :class:`.ArrayRun`.
    load : first row, and number of rows, of the input of layer ``passes[0]`` that the host then
        writes to the source file, from row 0 up; None to leave the file.
    store : first row, and number of rows, of the output of layer ``passes[-1]`` that the host
        reads after the run, from row 0 up, of the file that the last descriptor wrote: the
        source file if that descriptor swaps, else the other; None if the array needs no help.

    A recurrent network is one segment, whose run is a step. Nothing swaps: the destination file has
    the outputs of all layers, the last layer's from row 0 up.
    """

    program: tuple[Descriptor, ...]
    load: tuple[int, int] | None
    store: tuple[int, int] | None
