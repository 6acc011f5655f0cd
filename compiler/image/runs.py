"""What the runs of all engines have in common: a program, and the SRAMs that the host loads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypeVar

import numpy as np
from amaranth.lib import data
from numpy.typing import NDArray

from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.strict import Count, StrictEntry, must_be
from zeroskip.compiler.image.words import program_words
from zeroskip.compiler.ir.graph import QuantLayer
from zeroskip.hw.common.formats import Activation

__all__ = ["ArrayRun", "RunEntry", "check_pass", "check_programs", "only_changes", "sram_path"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ArrayRun:
    """One START of an array, before which the host loads SRAMs.

    What ``srams`` does not name is as the run before left it.

    Parameters
    ----------
    program : descriptors, in order; the last of them, and no other, has ``last``.
    passes : the layer of each descriptor, a number in ``QuantGraph.layers``.
    srams : what the host loads before, by name, see the engine's :func:`.sram_files`.
    """

    program: tuple[Any, ...]
    passes: tuple[int, ...]
    srams: dict[str, SramData]


RunT = TypeVar("RunT", bound=ArrayRun)


class RunEntry(StrictEntry):
    """An :class:`ArrayRun` in a manifest, with the names of the SRAMs that it loads."""

    program: tuple[Any, ...]
    passes: tuple[Count, ...]
    srams: tuple[str, ...]

    @classmethod
    def of(cls, run: ArrayRun) -> Self:
        """Describe a run."""
        found = {field.name: getattr(run, field.name) for field in fields(run)}
        return cls(**{**found, "srams": tuple(run.srams)})

    def run(self, kind: type[RunT], srams: dict[str, SramData]) -> RunT:
        """Return the run, which loads ``srams``."""
        return kind(**{**dict(self), "srams": srams})

    def check_srams(self, where: str, known: set[str], needed: set[str]) -> None:
        """Check that the SRAMs loaded are ``known`` ones, and all that are ``needed``.

        Raises
        ------
        ValueError
            Naming the field, which is in ``where``, and the SRAM.
        """
        if wrong := set(self.srams) - known or needed - set(self.srams):
            rule = "not name" if min(wrong) in self.srams else "name"
            raise ValueError(f"{where}.srams must {rule} {min(wrong)}")


def sram_path(folder: str, run: int, name: str) -> str:
    """Return the path, inside an image, of what a run loads to an SRAM."""
    return f"{folder}/run_{run}/{name}.hex"


def only_changes(runs: Iterable[RunT]) -> list[RunT]:
    """Leave out SRAMs that hold already what a run loads."""
    contents: dict[str, NDArray[np.uint64]] = {}
    kept: list[RunT] = []
    for run in runs:
        srams = {
            name: sram
            for name, sram in run.srams.items()
            if name not in contents
            or not (contents[name] is sram.words or np.array_equal(contents[name], sram.words))
        }
        contents |= {name: sram.words for name, sram in srams.items()}
        kept.append(replace(run, srams=srams))
    return kept


def check_pass(where: str, descriptor: Any, layer: QuantLayer) -> None:
    """Check that a descriptor makes outputs as its layer does.

    Raises
    ------
    ValueError
        Naming the field, which is in ``where``.
    """
    rule = f"what the fraction bits of layer {layer.name!r} say"
    must_be(f"{where}.shift", descriptor.shift, rule, layer.shift)
    rule = f"that of layer {layer.name!r}"
    must_be(f"{where}.activation", descriptor.activation, rule, Activation(layer.relu))


def check_programs(
    runs: Sequence[ArrayRun],
    what: str,
    layout: data.StructLayout,
    per_descriptor: int,
    *,
    first: int = 0,
) -> None:
    """Check the descriptors against what the hardware will read, see :func:`.program_words`.

    Parameters
    ----------
    runs : of a part.
    what : the manifest calls them.
    layout, per_descriptor : of a descriptor.
    first : number of the first run in the part's folder.

    Raises
    ------
    ValueError
        Naming the run.
    """
    name, words = "", np.empty((0, 1), np.uint64)
    for number, run in enumerate(runs):
        if "program" in run.srams:
            name, words = f"run_{first + number}/program", run.srams["program"].words
        if not np.array_equal(program_words(run.program, layout, per_descriptor), words):
            raise ValueError(f"{what}.{number}.program must be what {name} holds")
