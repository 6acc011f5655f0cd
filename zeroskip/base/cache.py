"""Where simulators and routed arrays are kept between calls: once per user, not per folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from zeroskip.base.errors import ToolError

__all__ = ["VARIABLE", "cache_dir", "writing_cache"]

VARIABLE = "ZEROSKIP_CACHE"
"""Of the environment: the folder that a user has named."""


def cache_dir() -> Path:
    """Return the folder: $ZEROSKIP_CACHE, else $XDG_CACHE_HOME/zeroskip, else ~/.cache/zeroskip.

    Raises
    ------
    ToolError
        If the user has no home.
    """
    if own := os.environ.get(VARIABLE):
        return Path(own).absolute()
    # A relative one is to be ignored, says the XDG specification.
    if os.path.isabs(base := os.environ.get("XDG_CACHE_HOME", "")):
        return Path(base) / "zeroskip"
    try:
        return Path.home() / ".cache" / "zeroskip"
    except RuntimeError as error:
        raise ToolError(
            f"there is no home folder to keep simulators in: name a folder with {VARIABLE}"
        ) from error


@contextlib.contextmanager
def writing_cache() -> Iterator[None]:
    """Say of a file that cannot be written in the body how to have the cache elsewhere.

    Raises
    ------
    ToolError
        If one cannot be written.
    """
    try:
        yield
    except OSError as error:
        where = f"{error.filename} " if error.filename else ""
        raise ToolError(
            f"{where}cannot be written: {error.strerror or error}; simulators are kept in "
            f"{cache_dir()}: name another folder with {VARIABLE}"
        ) from error
