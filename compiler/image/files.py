"""Check the files of an image: that all are there and intact, and what may be replaced."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from zeroskip.base.bounded import parse_json
from zeroskip.base.errors import ImageError
from zeroskip.compiler.image.manifest import FORMAT, Manifest

__all__ = [
    "MANIFEST",
    "TENSORS",
    "check_files",
    "check_target",
    "read",
    "read_intact",
]

MANIFEST = "manifest.json"
TENSORS = "tensors.npz"


def read(path: Path) -> bytes:
    """Read a file.

    Raises
    ------
    ImageError
        If that fails.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}") from error


def read_intact(root: Path, name: str, manifest: Manifest) -> bytes:
    """Read a file whose size and digest the manifest tells.

    Raises
    ------
    ImageError
        If it is another file than was written.
    """
    data, entry = read(root / name), manifest.files[name]
    if len(data) < entry.size:
        raise ImageError(
            f"{root / name} is damaged: it is truncated to {len(data)} of {entry.size} bytes"
        )
    if len(data) > entry.size or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ImageError(f"{root / name} is damaged: it was altered after it was written")
    return data


def check_files(root: Path, manifest: Manifest, expected: Iterable[str]) -> None:
    """Check that an image has the expected files and no others.

    Raises
    ------
    ImageError
        Naming a file that is missing or foreign.
    """
    expected = set(expected)
    if wrong := sorted(expected ^ set(manifest.files)):
        raise ImageError(
            f"{root / MANIFEST} is damaged: files must {'' if wrong[0] in expected else 'not '}"
            f"list {wrong[0]}"
        )
    present = _present(root)
    if missing := sorted(expected - present):
        raise ImageError(f"{root / missing[0]} is missing")
    if foreign := sorted(present - expected - {MANIFEST}):
        raise ImageError(f"{root / foreign[0]} is foreign: no image has such a file")


def check_target(target: Path, *, replace: bool) -> None:
    """Check that an image may be written to ``target`` without losing anything else.

    Raises
    ------
    ImageError
        If a file is there, or a directory that is neither empty nor an image, or an image that
        must not be replaced or that has foreign files; or if a parent is a file.
    """
    if not target.exists():
        below = next(parent for parent in target.parents if parent.exists())
        if not below.is_dir():
            raise ImageError(f"{target} cannot be made: {below} is a file")
        return
    if not target.is_dir():
        raise ImageError(f"{target} exists and is a file: choose another folder or remove it")
    present = _present(target)
    if not present and not any(target.iterdir()):
        return
    listed = _listed_files(target)
    if listed is None:
        raise ImageError(
            f"{target} exists and is not a zeroskip image: choose another folder or remove it"
        )
    if foreign := sorted(present - listed - {MANIFEST}):
        raise ImageError(
            f"{target} cannot be replaced: {foreign[0]} is not part of the image, so move it first"
        )
    if not replace:
        raise ImageError(f"{target} exists: choose another folder or remove it")


def _present(root: Path) -> set[str]:
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


def _listed_files(root: Path) -> set[str] | None:
    """Return the files that a manifest of any version lists, or None if there is none."""
    try:
        raw = parse_json((root / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(raw, dict) or raw.get("format") not in (FORMAT, "zeroskip-cnn"):
        return None
    files = raw.get("files")
    return set(files) if isinstance(files, dict) else set()
