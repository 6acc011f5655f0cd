"""A compiled network with convolutions: for SCNN, and behind it for EIE."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import ValidationError

from zeroskip.base.bounded import parse_json
from zeroskip.base.errors import ImageError
from zeroskip.compiler.image.files import (
    CNN_FORMAT,
    MANIFEST,
    TENSORS,
    check_files,
    read,
    read_intact,
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
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.image.manifest import zeroskip_version
from zeroskip.compiler.image.readmem import to_hex
from zeroskip.compiler.ir.graph import QuantCnn
from zeroskip.compiler.scnn.check import check_layer
from zeroskip.compiler.scnn.collect import program_words
from zeroskip.compiler.scnn.handoff import Handoff, find_handoff
from zeroskip.compiler.scnn.manifest import CnnManifest, RunEntry
from zeroskip.compiler.scnn.order import Order, tensor_orders
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.compiler.scnn.tensors import entry_of, pack_graph, unpack_graph
from zeroskip.hw.scnn.formats import sram_files
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["CnnImage", "load_image"]

_SCNN, _EIE = "scnn", "eie"


@dataclass(frozen=True, eq=False)
class CnnImage:
    """A network compiled for an SCNN array, and for an EIE array if Linear layers follow.

    Parameters
    ----------
    name : of the network.
    params : of the SCNN array.
    network : in fixed point; the golden model computes with this.
    runs : what the SCNN array does in one go, in order.
    tail : what follows, on EIE; its input is ``network.graph``'s output, flattened.
    report : what the compiler found out, JSON-able; free form.
    """

    name: str
    params: ScnnParams
    network: QuantCnn
    runs: tuple[ScnnRun, ...]
    tail: Image | None = None
    report: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def handoff(self) -> Handoff | None:
        """Where the outputs are for EIE to take them without the host; None if that cannot be.

        That needs a tail whose input stands in the order in which they come.
        """
        if self.tail is None:
            return None
        found = find_handoff(self.network.graph, self.runs, self.params)
        if found is None or len(self.tail.segments) > 1:
            return None
        same = np.array_equal(self.tail.placement[0], found.positions)
        return found if same else None

    @cached_property
    def channel_orders(self) -> dict[str, Order]:
        """Of each channel of each tensor as the array has it, which it is in the network.

        Raises
        ------
        ValueError
            If the report's ``channel_order`` has what is no order of a layer's channels.
        """
        graph = self.network.graph
        said = self.report.get("channel_order", {})
        layers = {layer.name: layer.out_shape[0] for layer in graph.layers}
        orders: dict[str, Order] = {}
        for name, order in said.items() if isinstance(said, dict) else [("", said)]:
            count = layers.get(name, 0)
            numbers = isinstance(order, list) and all(type(one) is int for one in order)
            if not count or not numbers or sorted(order) != list(range(count)):
                raise ValueError(
                    "report.channel_order must have the numbers of a layer's channels once each, "
                    f"and of layer {name!r} it has others"
                )
            orders[name] = np.array(order, np.int64)
        return tensor_orders(graph, orders)

    def save(
        self,
        path: Path | str,
        *,
        replace: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Write the image as a directory, whole or not at all.

        Parameters and errors are those of :meth:`.Image.save`.
        """
        contents = {f"{_SCNN}/{TENSORS}": pack_graph(self.network.graph)}
        for number, run in enumerate(self.runs):
            for name, sram in run.srams.items():
                contents[_sram_path(name, number)] = to_hex(sram.words, sram.width)
        with staged_image(path, replace=replace) as stage:
            if self.tail is not None:
                self.tail.save(stage / _EIE)
                for file in sorted(path for path in (stage / _EIE).rglob("*") if path.is_file()):
                    contents[file.relative_to(stage).as_posix()] = file.read_bytes()
            write_contents(stage, contents, self._manifest(contents), progress)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read an image and check all of it.

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
        manifest = CnnManifest.from_json(read(root / MANIFEST), str(root / MANIFEST))
        tensors = f"{_SCNN}/{TENSORS}"
        expected = {tensors} | {
            _sram_path(name, number)
            for number, run in enumerate(manifest.runs)
            for name in run.srams
        }
        if manifest.tail:
            expected |= {name for name in manifest.files if name.startswith(f"{_EIE}/")}
            expected.add(f"{_EIE}/{MANIFEST}")
        check_files(root, manifest, expected)
        with blame(root / tensors):
            graph = unpack_graph(
                read_intact(root, tensors, manifest),
                manifest.layers,
                manifest.input_shape,
                manifest.outputs,
                manifest.sample_shape,
            )
            for layer in graph.layers:
                check_layer(layer, manifest.params)
        runs = tuple(_load_run(root, manifest, number) for number in range(len(manifest.runs)))
        with blame(root / MANIFEST):
            _check_programs(runs, manifest.params)
        tail = None
        if manifest.tail:
            for name in sorted(name for name in expected if name.startswith(f"{_EIE}/")):
                read_intact(root, name, manifest)
            tail = Image.load_eie(root / _EIE)
            with blame(root / _EIE / MANIFEST):
                size = sum(int(np.prod(graph.shape(name))) for name in graph.outputs)
                columns = tail.network.layers[0].shape[1]
                if columns != size:
                    raise ValueError(f"layers.0.cols must be the {size} outputs of SCNN")
        image = cls(
            name=manifest.name,
            params=manifest.params,
            network=QuantCnn(graph, None if tail is None else tail.network),
            runs=runs,
            tail=tail,
            report=dict(manifest.report),
        )
        with blame(root / MANIFEST):
            _ = image.channel_orders
        return image

    def _manifest(self, contents: dict[str, bytes]) -> CnnManifest:
        """Describe the image whose files have these contents."""
        graph = self.network.graph
        try:
            return CnnManifest(
                zeroskip=zeroskip_version(),
                name=self.name,
                params=self.params,
                input_shape=graph.input_shape,
                sample_shape=graph.sample_shape,
                layers=tuple(entry_of(layer) for layer in graph.layers),
                outputs=graph.outputs,
                runs=tuple(
                    RunEntry(
                        program=run.program,
                        passes=run.passes,
                        outputs=run.outputs,
                        srams=tuple(run.srams),
                        loads=run.loads,
                        stores=run.stores,
                    )
                    for run in self.runs
                ),
                tail=self.tail is not None,
                report=plain_report(self.report),
                files=file_entries(contents),
            )
        except ValidationError as error:
            raise ImageError(f"the image is inconsistent: {error}") from error


def load_image(path: Path | str) -> Image | CnnImage:
    """Read an image of either kind.

    Raises
    ------
    ImageError
        As :meth:`.Image.load_eie` and :meth:`CnnImage.load` do.
    """
    root = image_root(path)
    try:
        raw = parse_json(read(root / MANIFEST))
    except ValueError:
        raw = None
    if isinstance(raw, dict) and raw.get("format") == CNN_FORMAT:
        return CnnImage.load(root)
    return Image.load_eie(root)


def _sram_path(name: str, run: int) -> str:
    """Return the path, inside an image, of what a run loads to an SRAM."""
    return f"{_SCNN}/run_{run}/{name}.hex"


def _load_run(root: Path, manifest: CnnManifest, number: int) -> ScnnRun:
    """Read what a run loads."""
    entry = manifest.runs[number]
    paths = {name: _sram_path(name, number) for name in entry.srams}
    return ScnnRun(
        program=entry.program,
        passes=entry.passes,
        outputs=entry.outputs,
        srams=load_srams(root, manifest, paths, sram_files(manifest.params)),
        loads=entry.loads,
        stores=entry.stores,
    )


def _check_programs(runs: Sequence[ScnnRun], params: ScnnParams) -> None:
    """Check the descriptors against what the hardware will read."""
    held, words = "", np.empty((0, 1), np.uint64)
    for number, run in enumerate(runs):
        if "program" in run.srams:
            held, words = _sram_path("program", number), run.srams["program"].words
        mine = program_words(run.program, params)
        if not np.array_equal(mine, words):
            raise ValueError(f"runs.{number}.program must be what {held} holds")
