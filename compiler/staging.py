"""Write a directory whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["staged_directory"]


@contextmanager
def staged_directory(target: Path) -> Iterator[Path]:
    """Give a directory to fill, which becomes ``target`` if the body succeeds.

    An existing ``target`` is replaced. If the body or the replacement fails, the target is left
    as it was.

    Parameters
    ----------
    target : its parents are made.

    Raises
    ------
    OSError
        If a directory cannot be made or renamed.
    """
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
