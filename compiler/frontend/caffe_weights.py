"""Read the weights in ``.caffemodel`` files, by the few fields that have to do with them."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError, ToolError

__all__ = ["blob_message", "read_blobs"]

_MESSAGES = {
    "Shape": {"dim": (1, "int64")},
    "Blob": {
        "num": (1, "int64"),
        "channels": (2, "int64"),
        "height": (3, "int64"),
        "width": (4, "int64"),
        "data": (5, "float"),
        "shape": (7, "Shape"),
        "double_data": (8, "double"),
    },
    "Layer": {"name": (1, "string"), "blobs": (7, "Blob")},
    "OldLayer": {"name": (4, "string"), "blobs": (6, "Blob")},
    "Net": {"layer": (100, "Layer"), "layers": (2, "OldLayer")},
}
"""Fields by message, with numbers and kinds. All are repeated, which reads single ones, too."""


@cache
def blob_message(name: str) -> Any:
    """Return the class of a message of Caffe's, for instance ``Net``, which is a whole file.

    Raises
    ------
    ToolError
        If the package ``protobuf`` is not installed.
    """
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as error:
        raise ToolError(
            "Caffe's files are read by the package protobuf, which is not installed: pip install "
            "'zeroskip[onnx]'"
        ) from error
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="caffe_weights.proto", package="caffe_weights")
    for message, fields in _MESSAGES.items():
        made = file.message_type.add(name=message)
        for field, (number, kind) in fields.items():
            entry = made.field.add(name=field, number=number, label=kinds.LABEL_REPEATED)
            if kind in _MESSAGES:
                entry.type, entry.type_name = kinds.TYPE_MESSAGE, f".caffe_weights.{kind}"
            else:
                entry.type = getattr(kinds, f"TYPE_{kind.upper()}")
                entry.options.packed = kind != "string"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe_weights.{name}"))


def read_blobs(path: Path) -> dict[str, list[NDArray[np.float64]]]:
    """Return the arrays of each layer in a ``.caffemodel`` file that has any, by its name.

    Raises
    ------
    InputError
        If it cannot be read, or holds no weights.
    """
    message = blob_message("Net")()
    from google.protobuf.message import DecodeError

    try:
        message.ParseFromString(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except DecodeError as error:
        raise InputError(f"{path} is no caffemodel, or it is truncated") from error
    found = {
        layer.name[0]: [_array(blob, path) for blob in layer.blobs]
        for layer in (*message.layer, *message.layers)
        if layer.name and layer.blobs
    }
    if not found:
        raise InputError(f"{path} holds no weights of layers: is it a caffemodel?")
    return found


def _array(blob: Any, path: Path) -> NDArray[np.float64]:
    """Return what a blob holds, in its own shape."""
    flat = np.array(blob.double_data or blob.data, np.float64)
    sides = (blob.num, blob.channels, blob.height, blob.width)
    shape = list(blob.shape[0].dim) if blob.shape else [side[0] for side in sides if side]
    if np.prod(shape, dtype=np.float64) != flat.size:
        raise InputError(f"{path} is damaged: {flat.size} weights are said to be {shape}")
    return flat.reshape(shape)
