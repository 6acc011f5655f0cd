"""A network's integers as one ``.npz`` file: what the golden model computes with."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.base.bounded import Expected, read_npz
from zeroskip.compiler.image.layers import CellEntry, ConvEntry, LayerEntry, LinearEntry
from zeroskip.compiler.ir.graph import QuantCell, QuantConv, QuantLayer, QuantLinear

__all__ = ["layer_arrays", "pack_arrays", "pack_layers", "unpack_arrays", "unpack_layers"]


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Write arrays by name; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    named: dict[str, Any] = dict(arrays)
    np.savez(buffer, **named)
    return buffer.getvalue()


def unpack_arrays(data: bytes, expected: Mapping[str, Expected]) -> dict[str, NDArray[Any]]:
    """Read what :func:`pack_arrays` writes.

    Parameters
    ----------
    data : the file.
    expected : type and shape of each array.

    Raises
    ------
    ValueError
        If an array is missing, superfluous or of another type or shape.
    """
    return read_npz(data, dict(expected))


def pack_layers(layers: Sequence[QuantLayer]) -> bytes:
    """Write weights or codes, codebooks and biases; the same layers give the same bytes."""
    arrays: dict[str, NDArray[Any]] = {}
    for index, layer in enumerate(layers):
        for name, array in layer_arrays(layer).items():
            arrays[f"layer_{index}_{name}"] = array
    return pack_arrays(arrays)


def layer_arrays(layer: QuantLayer) -> dict[str, NDArray[Any]]:
    """Return the numbers of a layer as they are stored. Plain weights have at most 16 bits."""
    if isinstance(layer, QuantLinear):
        return {
            **_matrix_arrays("", layer.codes, layer.codebook),
            "bias": np.asarray(layer.bias, np.int64),
        }
    if isinstance(layer, QuantCell):
        return {
            **_matrix_arrays("", layer.matrix, layer.codebook),
            **_matrix_arrays("recurrent_", layer.recurrent, layer.recurrent_codebook),
            "bias": np.asarray(layer.bias, np.int64),
            **({} if layer.peepholes is None else {"peepholes": layer.peepholes}),
        }
    arrays: dict[str, NDArray[Any]] = {"weight": np.ascontiguousarray(layer.weight, np.int16)}
    if layer.codebook is not None:
        arrays["codebook"] = np.asarray(layer.codebook, np.int64)
    return {**arrays, "bias": np.asarray(layer.bias, np.int64)}


def _matrix_arrays(prefix: str, codes: Any, codebook: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    return {
        f"{prefix}codes": np.asarray(codes.data, np.min_scalar_type(len(codebook) - 1)),
        f"{prefix}rows": np.asarray(codes.indices, np.int32),
        f"{prefix}ends": np.asarray(codes.indptr, np.int64),
        f"{prefix}codebook": np.asarray(codebook, np.int64),
    }


def unpack_layers(data: bytes, entries: Sequence[LayerEntry]) -> tuple[QuantLayer, ...]:
    """Read what :func:`pack_layers` writes.

    Raises
    ------
    ValueError
        If an array is missing, superfluous or of another type or shape than ``entries`` say, or
        if codes are no sparse matrix.
    """
    expected = {
        f"layer_{index}_{name}": array
        for index, entry in enumerate(entries)
        for name, array in entry.arrays().items()
    }
    arrays = unpack_arrays(data, expected)
    layers: list[QuantLayer] = []
    for index, entry in enumerate(entries):
        numbers = {name: arrays[f"layer_{index}_{name}"] for name in entry.arrays()}
        if isinstance(entry, CellEntry):
            layers.append(_cell(index, entry, numbers))
        elif isinstance(entry, LinearEntry):
            layers.append(_linear(index, entry, numbers))
        else:
            layers.append(_convolution(entry, numbers))
    return tuple(layers)


def _convolution(entry: ConvEntry, numbers: Mapping[str, NDArray[Any]]) -> QuantConv:
    return QuantConv(
        **entry.model_dump(exclude={"kernel", "codebook", "areas"}),
        weight=numbers["weight"].astype(np.int64),
        codebook=numbers.get("codebook"),
        bias=numbers["bias"],
        areas=entry.areas,
    )


def _linear(index: int, entry: LinearEntry, numbers: Mapping[str, NDArray[Any]]) -> QuantLinear:
    return QuantLinear(
        **entry.model_dump(exclude={"kind", "rows", "nnz", "codebook"}),
        codes=_matrix(index, "", numbers, entry.rows, entry.codebook),
        codebook=numbers["codebook"],
        bias=numbers["bias"],
    )


def _cell(index: int, entry: CellEntry, numbers: Mapping[str, NDArray[Any]]) -> QuantCell:
    rows = 4 * entry.units
    sizes = {"units", "past", "nnz", "recurrent_nnz", "codebook", "peepholes"}
    return QuantCell(
        **entry.model_dump(exclude=sizes),
        matrix=_matrix(index, "", numbers, rows, entry.codebook),
        recurrent=_matrix(index, "recurrent_", numbers, rows, entry.codebook),
        codebook=numbers["codebook"],
        recurrent_codebook=numbers["recurrent_codebook"],
        bias=numbers["bias"],
        peepholes=numbers.get("peepholes"),
    )


def _matrix(
    index: int, prefix: str, numbers: Mapping[str, NDArray[Any]], num_rows: int, num_codes: int
) -> csc_array:
    codes, rows, ends = (numbers[f"{prefix}{name}"] for name in ("codes", "rows", "ends"))
    _check_codes(f"layer_{index}_{prefix}", codes, rows, ends, num_rows, num_codes)
    return csc_array((codes, rows, ends), shape=(num_rows, len(ends) - 1))


def _check_codes(
    name: str,
    codes: NDArray[np.unsignedinteger],
    rows: NDArray[np.int32],
    ends: NDArray[np.int64],
    num_rows: int,
    num_codes: int,
) -> None:
    """Check what scipy takes on trust, and reads out of bounds without."""
    if ends[0] != 0 or ends[-1] != len(codes) or (np.diff(ends) < 0).any():
        raise ValueError(f"{name}ends must rise from 0 to {len(codes)}")
    if len(rows) and not (rows.min() >= 0 and rows.max() < num_rows):
        raise ValueError(f"{name}rows must be from 0 to {num_rows - 1}")
    columns = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    if ((np.diff(rows) <= 0) & (np.diff(columns) == 0)).any():
        raise ValueError(f"{name}rows must rise within a column")
    if not codes.all():
        raise ValueError(f"{name}codes must not be 0")
    if len(codes) and codes.max() >= num_codes:
        raise ValueError(f"{name}codes must be below {num_codes}, not {codes.max()}")
