"""Arrays in ``.npy`` files."""

import io
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from zeroskip.base.errors import InputError
from zeroskip.base.staging import replaced_path

__all__ = ["read_npy", "write_npy"]

_READ_HEADER = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

_WORDS = 200
"""Characters of what NumPy says."""


def read_npy(path: Path, what: str) -> NDArray[Any]:
    """Read a plain array.

    Parameters
    ----------
    path : of the file.
    what : to call it in messages.

    Raises
    ------
    InputError
        If the file is missing, truncated, of another format, or has Python objects.
    """
    if not path.is_file():
        reason = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{what} file {path} {reason}")
    try:
        with path.open("rb") as file:
            start = file.read(len(npy.MAGIC_PREFIX))
            if start != npy.MAGIC_PREFIX:
                is_npz = start.startswith(b"PK")
                raise InputError(
                    f"{what} file {path} is {'an .npz archive' if is_npz else 'no .npy file'}; "
                    "write one array with numpy.save"
                )
            file.seek(0)
            _check_size(path, file, what)
            file.seek(0)
            array = npy.read_array(file, allow_pickle=False)
    except (
        ValueError, TypeError, SyntaxError, TokenError, EOFError, OverflowError, MemoryError,
        RecursionError,
    ) as error:  # fmt: skip
        # NumPy repeats the header, which may be long.
        raise InputError(f"{what} file {path} is damaged: {str(error)[:_WORDS]}") from error
    except OSError as error:
        raise InputError(f"{what} file {path} cannot be read: {error.strerror or error}") from error
    if not array.ndim:
        raise InputError(f"{what} file {path} must have shape (samples, ...), not ()")
    return array


def _check_size(path: Path, file: Any, what: str) -> None:
    """Compare what the header promises with the size of the file, before memory is taken."""
    version = npy.read_magic(file)
    read_header = _READ_HEADER.get(version)
    if read_header is None:
        raise ValueError(
            f"its format is {version[0]}.{version[1]}, and plain arrays are of 1.0 or 2.0"
        )
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise InputError(
            f"{what} file {path} holds Python objects, which could run code when loaded; save an "
            "array of numbers"
        )
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize + file.tell()
    if (has := path.stat().st_size) < size:
        raise InputError(f"{what} file {path} is truncated: it has {has} of {size} bytes")


def write_npy(path: Path, array: NDArray[Any]) -> None:
    """Write a file that appears when it is complete, or not at all; a file there is replaced.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    # Given a file, NumPy leaves its end to C, which says nothing when there is no room for it.
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    with replaced_path(path) as draft:
        draft.write_bytes(buffer.getbuffer())
