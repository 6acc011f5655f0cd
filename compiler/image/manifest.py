"""The schema of an image's ``manifest.json``."""

import hashlib
import json
import math
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from zeroskip.base.bounded import parse_json
from zeroskip.base.errors import ImageError
from zeroskip.compiler.eie.coverage import covered_rows, must_be
from zeroskip.compiler.eie.segment import Descriptor
from zeroskip.hw.common.formats import Activation
from zeroskip.hw.eie.formats import sram_files
from zeroskip.hw.eie.params import EieParams

__all__ = [
    "CNN_FORMAT",
    "FORMAT",
    "SCHEMA",
    "FileEntry",
    "LayerEntry",
    "Manifest",
    "SegmentEntry",
    "SignedManifest",
    "StrictEntry",
    "zeroskip_version",
]

FORMAT = "zeroskip-image"
"""What marks a directory as ours."""

CNN_FORMAT = "zeroskip-cnn"
"""What marks a directory as the image of a network with convolutions."""

_KINDS = {
    FORMAT: "an image of Linear layers for EIE alone",
    CNN_FORMAT: "an image of a network with convolutions for SCNN",
}

SCHEMA = 4
"""Raised with every change of the files' names, layouts or meaning."""

_Count = Annotated[int, Field(ge=0)]
_Size = Annotated[int, Field(ge=1)]
_Rows = tuple[_Count, _Size]


def zeroskip_version() -> str:
    """Version of this program, or ``unknown`` where it runs without being installed."""
    try:
        return version("zeroskip")
    except PackageNotFoundError:
        return "unknown"


class StrictEntry(BaseModel):
    """Refuses what the schema does not know, and whatever is of another type."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True
    )


class LayerEntry(StrictEntry):
    """Shape and formats of a layer; its numbers are in ``tensors.npz``."""

    name: str
    rows: _Size
    cols: _Size
    nnz: _Count
    relu: bool
    in_frac: int
    weight_frac: int
    out_frac: int


class SegmentEntry(StrictEntry):
    """A :class:`.Segment`, with the names of the SRAMs that it loads."""

    program: Annotated[tuple[Descriptor, ...], Field(min_length=1)]
    passes: tuple[_Count, ...]
    srams: tuple[str, ...]
    load: _Rows | None
    store: _Rows | None


class FileEntry(StrictEntry):
    """Size in bytes and digest of a file."""

    size: _Count
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class SignedManifest(StrictEntry):
    """A ``manifest.json`` with a checksum of itself; subclasses say of which kind.

    Fields
    ------
    format_name, schema_number : what the fields ``format`` and ``schema`` must be.
    files : every other file of the image, by path.
    """

    format_name: ClassVar[str]
    schema_number: ClassVar[int]

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
        kind = raw.get("format") if isinstance(raw, dict) else None
        if isinstance(kind, str) and kind != cls.format_name and kind in _KINDS:
            raise ImageError(
                f"{where} is that of {_KINDS[kind]}, but {_KINDS[cls.format_name]} is needed here"
            )
        if not isinstance(raw, dict) or kind != cls.format_name:
            raise ImageError(f"{where} is of no zeroskip image: format must be {cls.format_name!r}")
        if raw.get("schema") != cls.schema_number:
            raise ImageError(
                f"{where} has schema {raw.get('schema')!r}, written by zeroskip "
                f"{raw.get('zeroskip')}, but zeroskip {zeroskip_version()} reads schema "
                f"{cls.schema_number}: compile the model again with `zeroskip compile`"
            )
        checksum = raw.pop("checksum", None)
        try:
            manifest = cls.model_validate_json(json.dumps(raw))
        except ValidationError as error:
            raise ImageError(f"{where} is damaged: {_first(error)}") from error
        if checksum != _checksum(raw):
            raise ImageError(
                f"{where} is damaged: checksum must be {_checksum(raw)}, not {checksum!r}"
            )
        return manifest


class Manifest(SignedManifest):
    """What an image is made of.

    Fields
    ------
    format, schema_version : see :data:`FORMAT` and :data:`SCHEMA`.
    zeroskip : version of the program that wrote the image.
    name : of the network.
    params : of the array.
    input_shape : shape of one sample, without the batch.
    layers : in order.
    placement : ``interleave``, or the file that holds the positions.
    segments : in order.
    report : what the compiler found out about the network; free form.
    files : every other file of the image, by path.
    """

    format_name: ClassVar[str] = FORMAT
    schema_number: ClassVar[int] = SCHEMA

    format: Literal["zeroskip-image"] = FORMAT
    schema_version: Annotated[int, Field(alias="schema")] = SCHEMA
    zeroskip: str
    name: str
    params: EieParams
    input_shape: Annotated[tuple[_Size, ...], Field(min_length=1)]
    layers: Annotated[tuple[LayerEntry, ...], Field(min_length=1)]
    placement: Literal["interleave", "tensors.npz"]
    segments: Annotated[tuple[SegmentEntry, ...], Field(min_length=1)]
    report: dict[str, JsonValue]

    @model_validator(mode="after")
    def _check_chain(self) -> Self:
        """Check that each layer takes what its predecessor gives."""
        must_be(
            "the product of input_shape",
            math.prod(self.input_shape),
            "layers.0.cols",
            self.layers[0].cols,
        )
        for index, (one, then) in enumerate(pairwise(self.layers)):
            here, before = f"layers.{index + 1}", f"layers.{index}"
            must_be(f"{here}.cols", then.cols, f"{before}.rows", one.rows)
            must_be(f"{here}.in_frac", then.in_frac, f"{before}.out_frac", one.out_frac)
        return self

    @model_validator(mode="after")
    def _check_program(self) -> Self:
        """Check that the segments go through the layers, and load what there is."""
        heights = covered_rows(self.segments)
        must_be("the number of layers", len(self.layers), "what program says", len(heights) - 1)
        names = set(sram_files(self.params))
        for number, segment in enumerate(self.segments):
            wrong = set(segment.srams) - names or (set() if number else names - set(segment.srams))
            if wrong:
                rule = "not name" if min(wrong) in segment.srams else "name"
                raise ValueError(f"segments.{number}.srams must {rule} {min(wrong)}")
            for index, (layer, one) in enumerate(zip(segment.passes, segment.program, strict=True)):
                here, mine = f"segments.{number}.program.{index}", self.layers[layer]
                shift = mine.in_frac + mine.weight_frac - mine.out_frac
                function = Activation(mine.relu)
                must_be(f"{here}.activation", one.activation, f"that of layers.{layer}", function)
                rule = f"what the fraction bits of layers.{layer} say"
                must_be(f"{here}.shift", one.shift, rule, shift)
        return self


def _checksum(fields: dict[str, Any]) -> str:
    """Return the SHA-256 of the fields, however the file is laid out."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _first(error: ValidationError) -> str:
    """Word the first of pydantic's findings."""
    detail: Any = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in detail["loc"])
    what = detail["msg"].removeprefix("Value error, ")
    what = what[0].lower() + what[1:]
    return f"{where}: {what}" if where else what
