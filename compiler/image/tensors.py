"""A network's integers as one ``.npz`` file: what the golden model computes with."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.base.bounded import Expected, read_npz
from zeroskip.compiler.image.manifest import LayerEntry
from zeroskip.compiler.ir.network import QuantLayer, QuantNetwork

__all__ = ["pack_tensors", "unpack_tensors"]

_PARTS = {
    "codes": np.dtype(np.uint8),
    "rows": np.dtype(np.int32),
    "ends": np.dtype(np.int64),
    "codebook": np.dtype(np.int64),
    "bias": np.dtype(np.int64),
}


def pack_tensors(network: QuantNetwork, placement: Sequence[NDArray[np.int64]] | None) -> bytes:
    """Write codes, codebooks and biases, and the placement unless it is None.

    The same network gives the same bytes.
    """
    arrays: dict[str, Any] = {}
    for index, layer in enumerate(network.layers):
        values = layer.codes.data, layer.codes.indices, layer.codes.indptr
        parts = zip(_PARTS.items(), [*values, layer.codebook, layer.bias], strict=True)
        for (part, dtype), array in parts:
            arrays[f"layer_{index}_{part}"] = np.asarray(array, dtype)
    for index, positions in enumerate(placement or ()):
        arrays[f"placement_{index}"] = np.asarray(positions, np.int64)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def unpack_tensors(
    data: bytes,
    layers: Sequence[LayerEntry],
    input_shape: tuple[int, ...],
    num_codes: int,
    *,
    placed: bool,
) -> tuple[QuantNetwork, tuple[NDArray[np.int64], ...] | None]:
    """Read what :func:`pack_tensors` writes.

    Parameters
    ----------
    data : the file.
    layers : shapes and formats.
    input_shape : shape of one sample.
    num_codes : weights in a codebook.
    placed : whether the file holds a placement.

    Raises
    ------
    ValueError
        If an array is missing, superfluous or of another type or shape than ``layers`` says, or
        if the codes are no sparse matrix.
    """
    expected: dict[str, Expected] = {}
    for index, entry in enumerate(layers):
        sizes = entry.nnz, entry.nnz, entry.cols + 1, num_codes, entry.rows
        for (part, dtype), size in zip(_PARTS.items(), sizes, strict=True):
            expected[f"layer_{index}_{part}"] = dtype, (size,)
    sizes = [layers[0].cols, *(entry.rows for entry in layers)] if placed else []
    for index, size in enumerate(sizes):
        expected[f"placement_{index}"] = np.int64, (size,)
    arrays = read_npz(data, expected)
    unpacked: list[QuantLayer] = []
    for index, entry in enumerate(layers):
        codes, rows, ends, codebook, bias = (arrays[f"layer_{index}_{part}"] for part in _PARTS)
        _check_codes(index, codes, rows, ends, entry.rows)
        matrix = csc_array((codes, rows, ends), shape=(entry.rows, entry.cols))
        unpacked.append(
            QuantLayer(
                name=entry.name,
                codes=matrix,
                codebook=codebook,
                bias=bias,
                relu=entry.relu,
                in_frac=entry.in_frac,
                weight_frac=entry.weight_frac,
                out_frac=entry.out_frac,
            )
        )
    placement = None
    if placed:
        placement = tuple(arrays[f"placement_{index}"] for index in range(len(sizes)))
    return QuantNetwork(input_shape, tuple(unpacked)), placement


def _check_codes(
    layer: int,
    codes: NDArray[np.uint8],
    rows: NDArray[np.int32],
    ends: NDArray[np.int64],
    num_rows: int,
) -> None:
    """Check what scipy takes on trust, and reads out of bounds without."""
    if ends[0] != 0 or ends[-1] != len(codes) or (np.diff(ends) < 0).any():
        raise ValueError(f"layer_{layer}_ends must rise from 0 to {len(codes)}")
    if len(rows) and not (rows.min() >= 0 and rows.max() < num_rows):
        raise ValueError(f"layer_{layer}_rows must be from 0 to {num_rows - 1}")
    columns = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    if ((np.diff(rows) <= 0) & (np.diff(columns) == 0)).any():
        raise ValueError(f"layer_{layer}_rows must rise within a column")
    if not codes.all():
        raise ValueError(f"layer_{layer}_codes must not be 0")
