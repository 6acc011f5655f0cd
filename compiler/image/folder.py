"""Write and read the folder of an image, whatever kind of network it holds."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zeroskip.base.errors import CompileError, ImageError
from zeroskip.base.staging import staged_directory
from zeroskip.compiler.image.files import MANIFEST, check_target
from zeroskip.compiler.image.manifest import FileEntry, Manifest

__all__ = ["blame", "file_entries", "image_root", "plain_report", "write_image"]


def write_image(
    path: Path | str,
    contents: Mapping[str, bytes],
    manifest: Manifest,
    *,
    replace: bool,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Write the folder of an image, whole or not at all.

    Parameters
    ----------
    path : of the folder.
    contents : of its files, by path inside it.
    manifest : of ``contents``.
    replace : replace an image that is there.
    progress : called after each file with the files written and their number.

    Raises
    ------
    ImageError
        If something else is there, or writing fails.
    """
    target = Path(path).resolve()
    check_target(target, replace=replace)
    try:
        with staged_directory(target) as stage:
            for done, (name, data) in enumerate(contents.items(), 1):
                file = stage / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
                if progress is not None:
                    progress(done, len(contents))
            (stage / MANIFEST).write_bytes(manifest.to_json())
    except OSError as error:
        raise ImageError(f"{target} cannot be written: {error.strerror or error}") from error


def file_entries(contents: Mapping[str, bytes]) -> dict[str, FileEntry]:
    """Return what a manifest says of files with these contents."""
    return {
        name: FileEntry(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in contents.items()
    }


def plain_report(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report as it comes out of JSON.

    Raises
    ------
    ImageError
        If it cannot be written as JSON.
    """
    try:
        return json.loads(json.dumps(report, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ImageError(f"report must be JSON: {error}") from error


def image_root(path: Path | str) -> Path:
    """Return the folder of an image that is to be read.

    Raises
    ------
    ImageError
        If there is none.
    """
    root = Path(path)
    if not root.is_dir():
        raise ImageError(f"{root} is no image: there is no such directory")
    if not (root / MANIFEST).is_file():
        raise ImageError(f"{root} is no image: it has no {MANIFEST}")
    return root


@contextmanager
def blame(path: Path) -> Iterator[None]:
    """Name the file in which something was found wrong."""
    try:
        yield
    except (ValueError, CompileError) as error:
        raise ImageError(f"{path} is damaged: {error}") from error
