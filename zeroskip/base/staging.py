"""Write a directory or a file whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from zeroskip.base.errors import InputError

__all__ = ["check_output_file", "replaced_file", "replaced_path", "staged_directory"]

_DEVICES = ("dev", "proc")
"""Folders of the system whose entries are devices and pipes, which no file may replace."""


@contextmanager
def staged_directory(target: Path) -> Iterator[Path]:
    """Give a directory to fill, which becomes ``target`` if the body succeeds.

    An existing ``target`` is replaced; of a link, the directory that it names. If the body or the
    replacement fails, the target is left as it was.

    Parameters
    ----------
    target : its parents are made.

    Raises
    ------
    OSError
        If a directory cannot be made or renamed.
    """
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, since only a rename inside a file system is atomic. `mkdtemp` makes
    # private directories; the one inside has the permissions that the user's umask gives.
    stage = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    new, old = stage / "new", stage / "old"
    try:
        new.mkdir()
        yield new
        try:
            if target.exists():
                target.rename(old)
            new.rename(target)
        except BaseException:
            if old.exists() and not target.exists():
                old.rename(target)
            raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def check_output_file(path: Path) -> None:
    """Check that a file can be written to ``path``, before anything is computed.

    Raises
    ------
    InputError
        If a folder is there, or the folder of ``path`` is not.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file to write")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.absolute().parent}")


@contextmanager
def replaced_path(path: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes ``path`` if the body succeeds.

    A link stays, and what it names is replaced. A device or a pipe, as ``/dev/stdout``, is never
    replaced: it gets what was written.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    check_output_file(path)
    target = Path(os.path.realpath(path))
    replaceable = target.is_file() or not path.exists()
    if path.absolute().parts[1] in _DEVICES:
        replaceable = False
    try:
        # The suffix stays last: writers choose their format by it.
        handle, name = tempfile.mkstemp(
            path.suffix, f".{path.stem}.", target.parent if replaceable else None
        )
        os.close(handle)
        draft = Path(name)
        try:
            yield draft
            # Temporary files are private; the result has the usual permissions.
            umask = os.umask(0)
            os.umask(umask)
            draft.chmod(0o666 & ~umask)
            if replaceable:
                draft.replace(target)
            else:
                with draft.open("rb") as made, path.open("ab") as device:
                    shutil.copyfileobj(made, device)
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
