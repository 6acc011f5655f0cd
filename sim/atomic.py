"""Write a file that appears when it is complete, or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from compiler.errors import InputError

__all__ = ["replaced_file", "replaced_path"]


@contextmanager
def replaced_path(path: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes ``path`` if the body succeeds.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    folder = path.absolute().parent
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file to write")
    if not folder.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {folder}")
    try:
        # The suffix stays last: writers choose their format by it.
        handle, name = tempfile.mkstemp(path.suffix, f".{path.stem}.", folder)
        os.close(handle)
        draft = Path(name)
        try:
            yield draft
            # Temporary files are private; the result has the usual permissions.
            umask = os.umask(0)
            os.umask(umask)
            draft.chmod(0o666 & ~umask)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error


@contextmanager
def replaced_file(path: Path) -> Iterator[TextIO]:
    """Give a text file to write, which becomes ``path`` if the body succeeds.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    with replaced_path(path) as draft, draft.open("w", encoding="utf-8") as file:
        yield file
