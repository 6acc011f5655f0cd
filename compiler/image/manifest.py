"""The schema of an image's ``manifest.json``."""

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, ValidationError

from zeroskip.base.bounded import parse_json
from zeroskip.base.errors import ImageError
from zeroskip.compiler.image.layers import NetworkEntry
from zeroskip.compiler.image.strict import Count, StrictEntry

__all__ = [
    "FORMAT",
    "SCHEMA",
    "FileEntry",
    "Manifest",
    "PartEntry",
    "first_error",
    "zeroskip_version",
]

FORMAT = "zeroskip-image"
"""What marks a directory as ours."""

SCHEMA = 8
"""Raised with every change of the files' names, layouts or meaning."""


def zeroskip_version() -> str:
    """Return the version of this program, or ``unknown`` where it runs without being installed."""
    try:
        return version("zeroskip")
    except PackageNotFoundError:
        return "unknown"


class FileEntry(StrictEntry):
    """Size in bytes and digest of a file."""

    size: Count
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class PartEntry(StrictEntry):
    """A part of the network on an array.

    Fields
    ------
    engine : its name.
    params : of the array, as the engine's class of parameters has them.
    layers : names of the layers, in order.
    content : what the engine says of it.
    """

    engine: str
    params: dict[str, JsonValue]
    layers: Annotated[tuple[str, ...], Field(min_length=1)]
    content: dict[str, JsonValue]


class Manifest(StrictEntry):
    """What an image is made of. The file has a checksum of itself as last field.

    Fields
    ------
    format, schema_version : see :data:`FORMAT` and :data:`SCHEMA`.
    zeroskip : version of the program that wrote the image.
    name : of the network.
    network : layers without their numbers.
    parts : in the order in which they run.
    report : what the compiler found out about the network; free form.
    files : every other file of the image, by path.
    """

    format: Literal["zeroskip-image"] = FORMAT
    schema_version: Annotated[int, Field(alias="schema")] = SCHEMA
    zeroskip: str
    name: str
    network: NetworkEntry
    parts: Annotated[tuple[PartEntry, ...], Field(min_length=1)]
    report: dict[str, JsonValue]
    files: dict[str, FileEntry]

    def to_json(self) -> bytes:
        """Write the manifest, and a checksum of it as the last field."""
        fields = self.model_dump(mode="json")
        fields["files"] = fields.pop("files")
        fields["checksum"] = _checksum(fields)
        return json.dumps(fields, indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, text: bytes, where: str) -> Self:
        """Read a manifest.

        Parameters
        ----------
        text : the file.
        where : its path, for messages.

        Raises
        ------
        ImageError
            If it is not JSON, not ours, of another schema, or wrong; the field is named.
        """
        try:
            raw = parse_json(text)
        except ValueError as error:
            raise ImageError(f"{where} is damaged: it is not JSON ({error})") from error
        if not isinstance(raw, dict) or raw.get("format") not in (FORMAT, "zeroskip-cnn"):
            raise ImageError(f"{where} is of no zeroskip image: format must be {FORMAT!r}")
        if raw["format"] != FORMAT or raw.get("schema") != SCHEMA:
            raise ImageError(
                f"{where} has schema {raw.get('schema')!r}, written by zeroskip "
                f"{raw.get('zeroskip')}, but zeroskip {zeroskip_version()} reads schema "
                f"{SCHEMA}: compile the model again"
            )
        checksum = raw.pop("checksum", None)
        try:
            manifest = cls.model_validate_json(json.dumps(raw))
        except ValidationError as error:
            raise ImageError(f"{where} is damaged: {first_error(error)}") from error
        if checksum != _checksum(raw):
            raise ImageError(
                f"{where} is damaged: checksum must be {_checksum(raw)}, not {checksum!r}"
            )
        return manifest


def _checksum(fields: dict[str, Any]) -> str:
    """Return the SHA-256 of the fields, however the file is laid out."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def first_error(error: ValidationError) -> str:
    """Word the first of pydantic's findings."""
    detail: Any = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in detail["loc"])
    what = detail["msg"].removeprefix("Value error, ")
    what = what[0].lower() + what[1:]
    return f"{where}: {what}" if where else what
