"""Keep the finished points of a sweep, so that a killed sweep goes on where it was."""

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from zeroskip.base.bounded import parse_json
from zeroskip.base.errors import InputError
from zeroskip.compiler.image.manifest import zeroskip_version

__all__ = ["Journal", "Row", "digest_of"]

Row = dict[str, Any]
"""A row of a table by column."""

_FORMAT = "zeroskip-sweep"


def digest_of(settings: Mapping[str, Any]) -> str:
    """Return the digest of a sweep's settings and of this version: 16 hexadecimal digits.

    Parameters
    ----------
    settings : what can be JSON, the name and version of the table among it.
    """
    text = json.dumps({"zeroskip": zeroskip_version(), **settings})
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Journal:
    """A file with a line per finished point, each complete before the next one is begun.

    Parameters
    ----------
    path : of the file; made if it is not there.
    fingerprint : of the sweep's settings; the file of another sweep is refused.

    Raises
    ------
    InputError
        If the file cannot be used, or another process is writing to it.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self.done: dict[int, list[Row]] = {}
        """Rows of finished points, by the number of the point."""
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
        try:
            self._open(fingerprint)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if not self.done:
            # A sweep that could not begin leaves nothing behind.
            self.path.unlink(missing_ok=True)
        self._file.close()

    def add(self, number: int, rows: Sequence[Row]) -> None:
        """Keep a finished point.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        self._write({"point": number, "rows": list(rows)})
        self.done[number] = list(rows)

    def _open(self, fingerprint: str) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"another sweep is writing to {self.path}; wait for it") from error
        self._file.seek(0)
        complete = 0
        for number, line in enumerate(self._file):
            # The line that was being written when the sweep was killed.
            if not line.endswith(b"\n"):
                break
            self._take(number, line, fingerprint)
            complete += len(line)
        header = {"format": _FORMAT, "sweep": fingerprint}
        if not complete:
            self._file.seek(0)
            if not _line(header).startswith(self._file.read()):
                raise InputError(f"{self.path} is of no sweep: choose another output, or remove it")
        self._file.truncate(complete)
        if not complete:
            self._write(header)

    def _take(self, number: int, line: bytes, fingerprint: str) -> None:
        try:
            fields: Any = parse_json(line)
            if number:
                self.done[int(fields["point"])] = fields["rows"]
                return
            same = fields["format"] == _FORMAT and fields["sweep"] == fingerprint
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.path} is damaged in line {number + 1}: remove it") from error
        if not same:
            raise InputError(
                f"{self.path} is of another sweep: choose another output, or remove it"
            )

    def _write(self, fields: dict[str, Any]) -> None:
        try:
            self._file.write(_line(fields))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror or error}") from error


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode() + b"\n"
