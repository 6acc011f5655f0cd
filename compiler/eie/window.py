"""Cut layers to windows of rows that the accumulators hold, and encode them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from zeroskip.compiler.eie.check import refuse_source_row
from zeroskip.compiler.eie.encode import EncodedPass, encode
from zeroskip.compiler.eie.place import Placement, local_rows
from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.hw.eie.params import EieParams

__all__ = ["Window", "window_rows", "windows"]


@dataclass(frozen=True, eq=False)
class Window:
    """Local rows ``first`` up to, not with, ``after`` of a layer, over all its columns.

    Parameters
    ----------
    layer : its number.
    first, after : local rows.
    encoded : entries and pointers.
    ends : (num_pes, src_rows + 1) int64, entries of each PE before each row of the source.
    """

    layer: int
    first: int
    after: int
    encoded: EncodedPass
    ends: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Local rows."""
        return self.after - self.first

    @property
    def src_rows(self) -> int:
        """Rows of the source, ``num_pes`` columns each."""
        return self.ends.shape[1] - 1


def windows(network: QuantGraph, placement: Placement, params: EieParams) -> Iterator[Window]:
    """Yield the windows of all layers, in order.

    A window has as many rows as there are accumulators, and fewer where one row of the source
    would have more entries than a Spmat SRAM: a program cannot cut that finer.

    Raises
    ------
    CompileError
        If not even a window of one row does.
    """
    heights = [local_rows(positions, params) for positions in placement]
    for index, layer in enumerate(network.layers):
        by_row, height = layer.codes.tocsr(), heights[index + 1]
        step = window_rows(height, params)
        for first in range(0, height, step):
            window = first, min(first + step, height)
            yield from _encoded(network, index, by_row, placement, window, params)


def window_rows(height: int, params: EieParams) -> int:
    """Return the most local rows of a window, of a layer that has ``height``."""
    rows = min(params.num_accs, params.num_biases, height)
    # An activation file does not hold the outputs of a layer with more rows than the file. Such a
    # layer is computed window by window; the host reads the outputs of one before the next runs.
    return min(rows, params.num_acts) if height > params.num_acts else rows


def _encoded(
    network: QuantGraph,
    index: int,
    by_row: csr_array,
    placement: Placement,
    window: tuple[int, int],
    params: EieParams,
) -> Iterator[Window]:
    """Encode a window; halve it where it must be smaller."""
    first, after = window
    columns, rows = placement[index], placement[index + 1]
    num_positions = local_rows(columns, params) * params.num_pes
    encoded = encode(by_row, columns, rows, num_positions, window, params)
    ends = encoded.pointers[:, :: params.num_pes]
    most = np.diff(ends, axis=1).max(axis=1)
    if most.max() <= params.spmat_entries:
        yield Window(index, first, after, encoded, ends)
        return
    if after - first == 1:
        refuse_source_row(network.layers[index].name, most.tolist(), params)
    middle = (first + after + 1) // 2
    for half in ((first, middle), (middle, after)):
        yield from _encoded(network, index, by_row, placement, half, params)
