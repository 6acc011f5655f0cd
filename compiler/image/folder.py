"""Write and read the folder of an image, whatever kind of network it holds."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zeroskip.base.errors import CompileError, ImageError
from zeroskip.base.staging import staged_directory
from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.files import MANIFEST, check_target, read_intact
from zeroskip.compiler.image.manifest import FileEntry, Manifest
from zeroskip.compiler.image.readmem import from_hex

__all__ = [
    "blame",
    "file_entries",
    "image_root",
    "load_srams",
    "plain_report",
    "staged_image",
    "write_contents",
]


@contextmanager
def staged_image(path: Path | str, *, replace: bool) -> Iterator[Path]:
    """Give a directory to fill, which becomes the image ``path`` if the body succeeds.

    Raises
    ------
    ImageError
        If something else is there, or writing fails.
    """
    target = Path(path).resolve()
    check_target(target, replace=replace)
    try:
        with staged_directory(target) as stage:
            yield stage
    except OSError as error:
        raise ImageError(f"{target} cannot be written: {error.strerror or error}") from error


def write_contents(
    stage: Path,
    contents: Mapping[str, bytes],
    manifest: Manifest,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Write the files of an image, and what lists them.

    Parameters
    ----------
    stage : directory that is to be the image.
    contents : by path inside it.
    manifest : of ``contents``.
    progress : called after each file with the files written and their number.
    """
    for done, (name, data) in enumerate(contents.items(), 1):
        file = stage / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        if progress is not None:
            progress(done, len(contents))
    (stage / MANIFEST).write_bytes(manifest.to_json())


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


def load_srams(
    root: Path,
    manifest: Manifest,
    paths: Mapping[str, str],
    files: Mapping[str, tuple[int, int]],
) -> dict[str, SramData]:
    """Read what SRAMs are to hold.

    Parameters
    ----------
    root : of the image.
    manifest : of the image.
    paths : where each SRAM's contents are in the image.
    files : depth and width of each SRAM.

    Raises
    ------
    ImageError
        If a file is another than was written, or does not fit its SRAM.
    """
    srams: dict[str, SramData] = {}
    for name, path in paths.items():
        depth, width = files[name]
        with blame(root / path):
            words = from_hex(read_intact(root, path, manifest), width)
            if len(words) > depth:
                raise ValueError(f"its rows must be at most {depth}, not {len(words)}")
            srams[name] = SramData(words, width)
    return srams


@contextmanager
def blame(path: Path) -> Iterator[None]:
    """Name the file in which something was found wrong."""
    try:
        yield
    except (ValueError, CompileError) as error:
        raise ImageError(f"{path} is damaged: {error}") from error
