"""Compile functions of the models, and forget those whose sources have changed."""

import contextlib
import hashlib
from pathlib import Path

from numba import njit

__all__ = ["forget_stale", "njit"]

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = "hw", "compiler", "sim"
"""What compiled functions and the constants in them come from."""


def forget_stale(package: Path = _PACKAGE) -> bool:
    """Remove what Numba compiled in a folder whose sources are others now; say whether they are.

    Numba compiles a function anew when its own file changes, but not when a function that it calls
    does, which is part of its code: after an update, a cycle model would count with both.

    Parameters
    ----------
    package : folder of the package; where it cannot be written to, nothing is removed.
    """
    digest = hashlib.sha256()
    # The folders are links, which are followed where they are where the search begins.
    folders = [(package / name).resolve() for name in _FOLDERS]
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        text = path.read_bytes()
        if b"njit" in text or folders[0] in path.parents:
            digest.update(path.name.encode() + text)
    stamp = package / "__pycache__" / "compiled.sha256"
    with contextlib.suppress(OSError):
        if stamp.exists() and stamp.read_text() == digest.hexdigest():
            return False
        for folder in folders:
            for path in folder.rglob("*.nbi"):
                path.unlink(missing_ok=True)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(digest.hexdigest())
        return True
    return False


forget_stale()  # before a module that has compiled functions finds them
