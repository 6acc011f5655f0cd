"""A compiled network as a directory: the only thing that golden, cycles and RTL are given."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from pydantic import TypeAdapter, ValidationError

from zeroskip.base.errors import CompileError, ImageError, InputError
from zeroskip.base.tables import to_html
from zeroskip.compiler.engine import Engine, Order, Part, SramData, engine
from zeroskip.compiler.image.arrays import pack_layers, unpack_layers
from zeroskip.compiler.image.files import MANIFEST, TENSORS, check_files, read, read_intact
from zeroskip.compiler.image.folder import (
    blame,
    file_entries,
    image_root,
    plain_report,
    write_image,
)
from zeroskip.compiler.image.layers import network_entry
from zeroskip.compiler.image.manifest import Manifest, PartEntry, first_error, zeroskip_version
from zeroskip.compiler.image.readmem import from_hex, to_hex
from zeroskip.compiler.image.runs import sram_path
from zeroskip.compiler.image.tables import image_report
from zeroskip.compiler.ir.graph import INPUT, QuantCell, QuantGraph, QuantLayer, dense_macs
from zeroskip.compiler.passes.parts import sub_graph

__all__ = ["Image", "load", "part_folder"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Image:
    """A network compiled for one array or several.

    Parameters
    ----------
    name : of the network.
    graph : in fixed point, with channels as the arrays have them; golden computes with this.
    parts : what each array does, in the order in which they run.
    report : what the compiler found out, JSON-able; free form.
    """

    name: str
    graph: QuantGraph[QuantLayer]
    parts: tuple[Part, ...]
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def act_bits(self) -> int:
        """Width of an activation, the same in all arrays."""
        return self.parts[0].params.act_bits

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample as users give it, without the batch."""
        return self.graph.sample_shape or self.graph.input_shape

    @property
    def in_frac(self) -> int:
        """Fraction bits of the input."""
        return next(layer.in_frac for layer in self.graph.layers if INPUT in layer.inputs)

    @property
    def out_frac(self) -> int:
        """Fraction bits of the output."""
        outputs = self.graph.outputs
        return next(layer.out_frac for layer in self.graph.layers if layer.name in outputs)

    @cached_property
    def channel_orders(self) -> Mapping[str, Order]:
        """By tensor, which channel of the network each channel of the arrays is: (K,) int64."""
        found = {
            layer.name: np.arange(layer.out_shape[0], dtype=np.int64) for layer in self.graph.layers
        }
        for part in self.parts:
            found |= part.channel_orders
        return found

    def with_lengths(self, lengths: ArrayLike) -> "Image":
        """Return a recurrent network for a batch of sequences that have so many steps each.

        Parameters
        ----------
        lengths : (n,) whole numbers; none is above the steps that the network was compiled for.

        Raises
        ------
        InputError
            If the network takes no sequences, or the lengths are none.
        """
        steps = self.graph.steps
        if steps is None or len(self.sample_shape) < 2:
            raise InputError(f"network {self.name!r} takes no sequences: give it no lengths")
        if self.graph.whole:
            raise InputError(
                f"network {self.name!r} has convolutions over steps of sequences, which are all of "
                "one length: give it no lengths, and compile it for each length that you have"
            )
        counts = np.asarray(lengths)
        counts = counts[None] if not counts.ndim else counts
        if counts.dtype.kind not in "iu" or counts.ndim != 1 or not counts.size:
            raise InputError(
                "lengths must be whole numbers, one for each sequence, not "
                f"{counts.dtype} of shape {counts.shape}"
            )
        bad = np.flatnonzero((counts < 1) | (counts > steps))
        if bad.size:
            raise InputError(
                f"lengths must be from 1 to {steps}, the steps that {self.name!r} was compiled "
                f"for, and that of sequence {bad[0]} is {counts[bad[0]]}"
            )
        return self._with_graphs(lengths=tuple(counts.tolist()))

    def with_steps(self, steps: int) -> "Image":
        """Return a recurrent network for sequences of ``steps`` steps, no more than its own.

        Raises
        ------
        InputError
            If the network takes no sequences, or not so long ones.
        """
        most = self.graph.steps or 0
        if len(self.sample_shape) > 1 and most and not 1 <= steps <= most:
            raise InputError(
                f"steps must be from 1 to {most}, those that {self.name!r} was compiled for, "
                f"not {steps}"
            )
        found = self.with_lengths([steps])
        shape = (steps, *self.sample_shape[1:])
        return found._with_graphs(steps=steps, lengths=None, sample_shape=shape)

    def _with_graphs(self, **fields: Any) -> "Image":
        """Change fields of the network's graph, and of those of its parts."""

        def change(graph: QuantGraph[Any]) -> QuantGraph[Any]:
            layers = graph.layers
            if "steps" in fields:
                layers = tuple(
                    replace(layer, steps=fields["steps"]) if isinstance(layer, QuantCell) else layer
                    for layer in layers
                )
            return replace(graph, layers=layers, **fields)

        parts: tuple[Any, ...] = self.parts
        parts = tuple(replace(part, graph=change(part.graph)) for part in parts)
        return replace(self, graph=change(self.graph), parts=parts)

    def part(self, name: str) -> Any:
        """Return the part of an engine.

        Raises
        ------
        InputError
            If there is none, or several.
        """
        found = [part for part in self.parts if part.engine == name]
        if len(found) != 1:
            here = ", ".join(part.engine for part in self.parts)
            raise InputError(
                f"image {self.name!r} has {len(found) or 'no'} parts for {name}, where one is "
                f"needed; its parts are for {here}"
            )
        return found[0]

    def alone(self, name: str | None = None) -> Any:
        """Return the only part of an image that is for one array alone.

        Parameters
        ----------
        name : of the engine that the array must be of; None for any.

        Raises
        ------
        InputError
            If it has other parts.
        """
        here = [part.engine for part in self.parts]
        if len(here) != 1 or name not in (None, *here):
            raise InputError(
                f"image {self.name!r} has parts for {', '.join(here)}, but an image for "
                f"{name or 'one array'} alone is needed here"
            )
        return self.parts[0]

    def _repr_html_(self: Any) -> str:
        return to_html([repr(self), *image_report(self)])

    def __repr__(self) -> str:
        macs = sum(dense_macs(layer) for layer in self.graph.layers)
        arrays = "; ".join(
            f"{part.engine}: {', '.join(layer.name for layer in part.graph.layers)}"
            for part in self.parts
        )
        return (
            f"<Image {self.name!r}: {len(self.graph.layers)} layers, {macs:,} MACs, "
            f"{self.act_bits}-bit activations\n {arrays}\n "
            f"takes {self.sample_shape}, gives {tuple(self.output_shape)}>"
        )

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one output as the network gives it, without the batch."""
        if self.graph.result_shape is not None:
            return self.graph.result_shape
        shapes = [self.graph.shape(name) for name in self.graph.outputs]
        vectors = {INPUT} if len(self.sample_shape) == 1 else set[str]()
        if self.graph.steps is not None:
            units = (sum(shape[0] for shape in shapes),)
            return (self.graph.steps, *units) if self.graph.every_step else units
        for layer in self.graph.layers:
            summed = layer.kind == "add" and vectors.issuperset(layer.inputs)
            if layer.kind == "linear" or summed:
                vectors.add(layer.name)
        depth = sum(shape[0] for shape in shapes)
        flat = vectors.issuperset(self.graph.outputs)
        return (depth,) if flat else (depth, *shapes[0][1:])

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
        contents = {TENSORS: pack_layers(self.graph.layers)}
        entries: list[PartEntry] = []
        for number, part in enumerate(self.parts):
            entry, files = engine(part.engine).describe(part)
            folder = part_folder(number, part.engine)
            contents |= {f"{folder}/{name}": data for name, data in files.items()}
            for run, srams in enumerate(part.stored_loads):
                for name, sram in srams.items():
                    contents[sram_path(folder, run, name)] = to_hex(sram.words, sram.width)
            entries.append(
                PartEntry(
                    engine=part.engine,
                    params=asdict(part.params),
                    layers=tuple(layer.name for layer in part.graph.layers),
                    content=entry.model_dump(mode="json"),
                )
            )
        manifest = self._manifest(contents, entries)
        write_image(path, contents, manifest, replace=replace, progress=progress)

    def _manifest(self, contents: Mapping[str, bytes], parts: Sequence[PartEntry]) -> Manifest:
        """Describe the image whose files have these contents."""
        try:
            return Manifest(
                zeroskip=zeroskip_version(),
                name=self.name,
                network=network_entry(self.graph),
                parts=tuple(parts),
                report=plain_report(self.report),
                files=file_entries(contents),
            )
        except ValidationError as error:
            raise ImageError(f"the image is inconsistent: {error}") from error


def load(path: Path | str) -> Image:
    """Read the image of a network, and check all of it.

    Parameters
    ----------
    path : a directory that :meth:`.Image.save` made.

    Raises
    ------
    ImageError
        If it is missing, of another version, or if a file is missing, foreign, truncated or
        altered; the file, or the field of the manifest, is named.

    Examples
    --------
    >>> image = zs.load("out/mine")
    """
    root = image_root(path)
    manifest = Manifest.from_json(read(root / MANIFEST), str(root / MANIFEST))
    drafts = [_Draft(root, manifest, number) for number in range(len(manifest.parts))]
    check_files(root, manifest, {TENSORS}.union(*(draft.files for draft in drafts)))
    with blame(root / TENSORS):
        layers = unpack_layers(read_intact(root, TENSORS, manifest), manifest.network.layers)
    graph = manifest.network.graph(layers)
    parts = tuple(draft.restore(graph) for draft in drafts)
    with blame(root / MANIFEST):
        _check_parts(graph, parts)
    return Image(manifest.name, graph, parts, dict(manifest.report))


def part_folder(number: int, name: str) -> str:
    """Return the folder, inside an image, of a part's files."""
    return f"{number}_{name}"


class _Draft:
    """A part that is read from an image."""

    def __init__(self, root: Path, manifest: Manifest, number: int) -> None:
        self._root, self._manifest = root, manifest
        self._entry = manifest.parts[number]
        self._folder = part_folder(number, self._entry.engine)
        self._where = f"{root / MANIFEST} is damaged: parts.{number}"
        try:
            self._engine: Engine[Any, Any] = engine(self._entry.engine)
        except InputError as error:
            raise ImageError(f"{root / MANIFEST} is damaged: {error}") from error
        self._raw = json.dumps(self._entry.content)
        known = {param.name for param in fields(self._engine.params)}
        if unknown := sorted(self._entry.params.keys() - known):
            raise ImageError(f"{self._where}.params.{unknown[0]}: there is no such parameter")
        self._params = self._read(
            lambda: TypeAdapter(self._engine.params).validate_json(
                json.dumps(self._entry.params), strict=True
            ),
            "params",
        )
        runs, more = self._read(lambda: self._engine.file_names(self._raw), "content")
        self.files = {f"{self._folder}/{name}" for name in more} | {
            sram_path(self._folder, run, name) for run, names in enumerate(runs) for name in names
        }

    def restore(self, graph: QuantGraph[Any]) -> Part:
        """Make the part."""
        here, names = f"{self._where}.layers", list(self._entry.layers)
        layers = {layer.name: layer for layer in graph.layers}
        for name in names:
            if name not in layers:
                raise ImageError(f"{here} must be of the network, not {name!r}")
            if not self._engine.takes(layers[name]):
                raise ImageError(f"{here} must be of {self._engine.name}'s kinds, not {name!r}")
        part = sub_graph(graph, names)
        if (order := [layer.name for layer in part.layers]) != names:
            raise ImageError(f"{here} must be {order}, each once and in order, not {names}")
        return self._read(
            lambda: self._engine.restore(self._raw, part, self._params, self._srams, self._file),
            "content",
        )

    def _read(self, make: Callable[[], T], what: str) -> T:
        try:
            return make()
        except ValidationError as error:
            raise ImageError(f"{self._where}.{what}.{first_error(error)}") from error
        except ImageError:
            raise
        except (ValueError, CompileError, InputError) as error:
            raise ImageError(f"{self._where}.{what}: {error}") from error

    def _file(self, name: str) -> bytes:
        return read_intact(self._root, f"{self._folder}/{name}", self._manifest)

    def _srams(self, runs: Sequence[Sequence[str]]) -> list[dict[str, SramData]]:
        sizes = self._engine.files(self._params)
        return [
            {name: self._sram(sram_path(self._folder, run, name), *sizes[name]) for name in names}
            for run, names in enumerate(runs)
        ]

    def _sram(self, path: str, depth: int, width: int) -> SramData:
        """Read what an SRAM is to hold, and check that it fits it."""
        with blame(self._root / path):
            words = from_hex(read_intact(self._root, path, self._manifest), width)
            if len(words) > depth:
                raise ValueError(f"its rows must be at most {depth}, not {len(words)}")
        return SramData(words, width)


def _check_parts(graph: QuantGraph[Any], parts: Sequence[Part]) -> None:
    """Check that the parts are all layers, each once, after what they read."""
    made = {INPUT}
    for number, part in enumerate(parts):
        names = [layer.name for layer in part.graph.layers]
        for name, _ in part.graph.sources:
            if name not in made:
                raise ValueError(f"parts.{number} must not read {name!r}, made by none before it")
        if again := made.intersection(names):
            raise ValueError(f"parts.{number}.layers must not name {min(again)!r} again")
        made |= set(names)
    if left := [layer.name for layer in graph.layers if layer.name not in made]:
        raise ValueError(f"parts must compute layer {left[0]!r}")
    if len({part.params.act_bits for part in parts}) > 1:
        raise ValueError("parts must have activations of one width")
