"""A compiled network as a directory: the only thing that golden, cycles and RTL are given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from zeroskip.base.errors import ImageError
from zeroskip.compiler.eie.check import check_arithmetic
from zeroskip.compiler.eie.coverage import covered_rows
from zeroskip.compiler.eie.place import Placement, is_interleaved, place
from zeroskip.compiler.eie.segment import Descriptor, Segment, SramData, program_words
from zeroskip.compiler.image.files import (
    MANIFEST,
    TENSORS,
    check_files,
    read,
    read_intact,
    sram_path,
)
from zeroskip.compiler.image.folder import (
    blame,
    file_entries,
    image_root,
    load_srams,
    plain_report,
    staged_image,
    write_contents,
)
from zeroskip.compiler.image.manifest import LayerEntry, Manifest, SegmentEntry, zeroskip_version
from zeroskip.compiler.image.readmem import to_hex
from zeroskip.compiler.image.tensors import pack_tensors, unpack_tensors
from zeroskip.compiler.ir.network import QuantNetwork
from zeroskip.hw.eie.formats import sram_files
from zeroskip.hw.eie.params import EieParams

if TYPE_CHECKING:
    from zeroskip.compiler.scnn.image import CnnImage

__all__ = ["Image"]


@dataclass(frozen=True, eq=False)
class Image:
    """A network compiled for one array.

    Parameters
    ----------
    name : of the network.
    params : of the array.
    network : in fixed point; the golden model computes with this.
    placement : positions of input and outputs, see :data:`.Placement`.
    segments : what the array does in one go, in order; one, if the network fits the memories.
    report : what the compiler found out, JSON-able; free form.
    """

    name: str
    params: EieParams
    network: QuantNetwork
    placement: Placement
    segments: tuple[Segment, ...]
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def program(self) -> tuple[Descriptor, ...]:
        """Descriptors of all segments, in order."""
        return tuple(one for segment in self.segments for one in segment.program)

    @property
    def passes(self) -> tuple[int, ...]:
        """The layer of each descriptor."""
        return tuple(layer for segment in self.segments for layer in segment.passes)

    @property
    def srams(self) -> dict[str, SramData]:
        """What the SRAMs hold at first, by name, see :func:`.sram_files`."""
        return self.segments[0].srams

    @property
    def heights(self) -> list[int]:
        """Rows, of all PEs, of the input, then of each layer's output."""
        return covered_rows(self.segments)

    def save(
        self,
        path: Path | str,
        *,
        replace: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Write the image as a directory, whole or not at all.

        Parameters
        ----------
        path : directory to make, with its parents.
        replace : replace an image that is there; anything else is never replaced.
        progress : called after each file with the files written and their number.

        Raises
        ------
        ImageError
            If something else is there, ``report`` is not JSON-able, or writing fails.
        """
        interleaved = is_interleaved(self.placement)
        contents = {TENSORS: pack_tensors(self.network, None if interleaved else self.placement)}
        for number, segment in enumerate(self.segments):
            for name, sram in segment.srams.items():
                contents[sram_path(name, number)] = to_hex(sram.words, sram.width)
        manifest = self._manifest(contents, interleaved=interleaved)
        with staged_image(path, replace=replace) as stage:
            write_contents(stage, contents, manifest, progress)

    @classmethod
    def load(cls, path: Path | str) -> "Image | CnnImage":
        """Read the image of any network, and check all of it.

        Parameters and errors are those of :meth:`load_eie`; a network with convolutions is a
        :class:`.CnnImage`.
        """
        # One of these has an image for EIE inside.
        from zeroskip.compiler.scnn.image import load_image

        return load_image(path)

    @classmethod
    def load_eie(cls, path: Path | str) -> Self:
        """Read an image for EIE alone, and check all of it.

        Parameters
        ----------
        path : a directory that :meth:`save` made.

        Raises
        ------
        ImageError
            If it is missing, of another version, or if a file is missing, foreign, truncated or
            altered; the file, or the field of the manifest, is named.
        """
        root = image_root(path)
        manifest = Manifest.from_json(read(root / MANIFEST), str(root / MANIFEST))
        params = manifest.params
        loaded = [
            sram_path(name, number)
            for number, entry in enumerate(manifest.segments)
            for name in entry.srams
        ]
        check_files(root, manifest, {TENSORS, *loaded})

        with blame(root / TENSORS):
            network, placement = unpack_tensors(
                read_intact(root, TENSORS, manifest),
                manifest.layers,
                manifest.input_shape,
                params.num_codes,
                placed=manifest.placement == TENSORS,
            )
            placement = placement or place(network, params, "interleave")
            for layer in network.layers:
                check_arithmetic(layer, params)
            heights = covered_rows(manifest.segments)
            for index, (positions, rows) in enumerate(zip(placement, heights, strict=True)):
                _check_positions(index, positions, rows * params.num_pes)
        segments = tuple(
            _load_segment(root, manifest, number) for number in range(len(manifest.segments))
        )
        with blame(root / MANIFEST):
            _check_programs(segments, params)
        return cls(
            name=manifest.name,
            params=params,
            network=network,
            placement=placement,
            segments=segments,
            report=dict(manifest.report),
        )

    def _manifest(self, contents: dict[str, bytes], *, interleaved: bool) -> Manifest:
        """Describe the image whose files have these contents."""
        layers = tuple(
            LayerEntry(
                name=layer.name,
                rows=layer.shape[0],
                cols=layer.shape[1],
                nnz=int(layer.codes.nnz),
                relu=bool(layer.relu),
                in_frac=int(layer.in_frac),
                weight_frac=int(layer.weight_frac),
                out_frac=int(layer.out_frac),
            )
            for layer in self.network.layers
        )
        try:
            return Manifest(
                zeroskip=zeroskip_version(),
                name=self.name,
                params=self.params,
                input_shape=self.network.input_shape,
                layers=layers,
                placement="interleave" if interleaved else TENSORS,
                segments=tuple(
                    SegmentEntry(
                        program=segment.program,
                        passes=segment.passes,
                        srams=tuple(segment.srams),
                        load=segment.load,
                        store=segment.store,
                    )
                    for segment in self.segments
                ),
                report=plain_report(self.report),
                files=file_entries(contents),
            )
        except ValidationError as error:
            raise ImageError(f"the image is inconsistent: {error}") from error


def _load_segment(root: Path, manifest: Manifest, number: int) -> Segment:
    """Read what a segment loads."""
    entry = manifest.segments[number]
    paths = {name: sram_path(name, number) for name in entry.srams}
    return Segment(
        program=entry.program,
        passes=entry.passes,
        srams=load_srams(root, manifest, paths, sram_files(manifest.params)),
        load=entry.load,
        store=entry.store,
    )


def _check_positions(index: int, positions: NDArray[np.int64], size: int) -> None:
    """Check that every element has a place of its own among those that the program covers."""
    if positions.min() < 0 or positions.max() >= size:
        raise ValueError(
            f"placement_{index} must be from 0 to {size - 1}, "
            f"not {positions.min()} to {positions.max()}"
        )
    if len(np.unique(positions)) != len(positions):
        raise ValueError(f"placement_{index} must give every element a position of its own")


def _check_programs(segments: Sequence[Segment], params: EieParams) -> None:
    """Check the descriptors against what the hardware will read."""
    held, words = "", np.empty(0, np.uint64)
    for number, segment in enumerate(segments):
        if "program" in segment.srams:
            held, words = sram_path("program", number), segment.srams["program"].words[:, 0]
        if not np.array_equal(program_words(segment.program, params), words):
            raise ValueError(f"segments.{number}.program must be what {held} holds")
