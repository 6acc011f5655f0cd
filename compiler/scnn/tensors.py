"""A convolutional network's integers as one ``.npz`` file: what the golden model computes with."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from zeroskip.base.bounded import Expected, read_npz
from zeroskip.compiler.ir.graph import QuantConv, QuantGraph
from zeroskip.compiler.scnn.manifest import ConvEntry

__all__ = ["entry_of", "pack_graph", "unpack_graph"]


def entry_of(conv: QuantConv) -> ConvEntry:
    """Describe a layer without its numbers."""
    return ConvEntry(
        name=conv.name,
        kind=conv.kind,
        inputs=tuple(conv.inputs),
        in_shape=_ints(conv.in_shape),
        out_shape=_ints(conv.out_shape),
        kernel=(int(conv.weight.shape[2]), int(conv.weight.shape[3])),
        codebook=None if conv.codebook is None else len(conv.codebook),
        stride=(int(conv.stride[0]), int(conv.stride[1])),
        padding=(int(conv.padding[0]), int(conv.padding[1])),
        groups=int(conv.groups),
        relu=bool(conv.relu),
        op=conv.op,
        signed_input=bool(conv.signed_input),
        in_frac=int(conv.in_frac),
        weight_frac=int(conv.weight_frac),
        out_frac=int(conv.out_frac),
        areas=conv.areas,
        dilation=(int(conv.dilation[0]), int(conv.dilation[1])),
    )


def pack_graph(graph: QuantGraph) -> bytes:
    """Write weights, codebooks and biases; the same network gives the same bytes.

    Weights are at most 16 bits wide, which the array's parameters say.
    """
    arrays: dict[str, Any] = {}
    for index, layer in enumerate(graph.layers):
        arrays[f"layer_{index}_weight"] = np.ascontiguousarray(layer.weight, np.int16)
        if layer.codebook is not None:
            arrays[f"layer_{index}_codebook"] = np.asarray(layer.codebook, np.int64)
        arrays[f"layer_{index}_bias"] = np.asarray(layer.bias, np.int64)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def unpack_graph(
    data: bytes,
    layers: Sequence[ConvEntry],
    input_shape: tuple[int, int, int],
    outputs: tuple[str, ...],
    sample_shape: tuple[int, ...] | None = None,
) -> QuantGraph:
    """Read what :func:`pack_graph` writes.

    Raises
    ------
    ValueError
        If an array is missing, superfluous or of another type or shape than ``layers`` says.
    """
    expected: dict[str, Expected] = {}
    for index, entry in enumerate(layers):
        expected[f"layer_{index}_weight"] = np.int16, entry.weight_shape
        if entry.codebook is not None:
            expected[f"layer_{index}_codebook"] = np.int64, (entry.codebook,)
        expected[f"layer_{index}_bias"] = np.int64, (entry.out_shape[0],)
    arrays = read_npz(data, expected)
    unpacked: list[QuantConv] = []
    for index, entry in enumerate(layers):
        fields = entry.model_dump(exclude={"kernel", "codebook", "areas"})
        unpacked.append(
            QuantConv(
                **fields,
                weight=arrays[f"layer_{index}_weight"].astype(np.int64),
                codebook=arrays.get(f"layer_{index}_codebook"),
                bias=arrays[f"layer_{index}_bias"],
                areas=entry.areas,
            )
        )
    return QuantGraph(input_shape, tuple(unpacked), outputs, sample_shape)


def _ints(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    return int(shape[0]), int(shape[1]), int(shape[2])
