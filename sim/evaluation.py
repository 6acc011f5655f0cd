"""What an engine's folder offers of its published evaluation, found by the engine's name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from numpy.typing import NDArray

from zeroskip.base.errors import InputError
from zeroskip.base.fields import Field
from zeroskip.base.progress import Progress
from zeroskip.base.tables import Report, Table

if TYPE_CHECKING:
    # Tables need Polars, which not every installation has.
    from matplotlib.figure import Figure

    from zeroskip.sim.sweep.run import Sweep

__all__ = ["Bench", "Evaluation", "Tables"]

_NOT_RECURRENT = "the engine computes no recurrent layers: choose another by --engine"


class Bench(Protocol):
    """What a run of an evaluation found."""

    @property
    def exact(self) -> bool:
        """Whether no word and no cycle counter of the RTL differs."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        ...


class Tables(Protocol):
    """What a part of an evaluation found, which no sweep or plot reads."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        ...

    def report(self) -> Report:
        """Return its tables."""
        ...


class Evaluation(Protocol):
    """The layers of an engine's paper, on this array and beside others."""

    axes: Sequence[str]
    """What a sweep can go through: fields of the engine, and of ``fields``."""
    fields: tuple[Field, ...]
    """What can be set of a sweep beside the engine's own fields."""
    figures: Mapping[str, str]
    """What can be drawn of the table of a sweep: names, and what each shows."""

    def bench(
        self,
        layers: str | None,
        on: Literal["cycles", "rtl"],
        *,
        alone: bool = False,
        progress: Progress | None = None,
    ) -> Bench:
        """Run the evaluation.

        Parameters
        ----------
        layers : names with commas between; None for all.
        on : cycle model, or RTL with every word and every counter compared.
        alone : leave out the machines that the array is compared with.
        progress : see :data:`.Progress`.

        Raises
        ------
        ParameterError
            If there is no such layer.
        """
        ...

    def bench_energy(self, layers: str | None, *, progress: Progress | None = None) -> Tables:
        """Count the energy of the evaluation, beside what the paper has.

        Parameters and errors are those of :meth:`bench`.
        """
        ...

    def bench_recurrent(self) -> Tables:
        """Count the cycles of a step of recurrent layers that were published.

        Raises
        ------
        InputError
            If the engine computes none.
        """
        raise InputError(_NOT_RECURRENT)

    def bench_changes(
        self, task: str, data: Path | None, folder: Path | None, progress: Progress | None = None
    ) -> Tables:
        """Compress the LSTM of a task; count its cycles by the threshold of changes.

        Parameters
        ----------
        task : name of the data set.
        data : folder with it; None for what a package has.
        folder : of the run that compresses; None for one that is deleted.
        progress : see :data:`.Progress`.

        Raises
        ------
        InputError
            If the engine computes no recurrent layers, or the data are missing or damaged.
        """
        raise InputError(_NOT_RECURRENT)

    def report(self, bench: Any) -> Report:
        """Return the tables of what :meth:`bench` found."""
        ...

    def sweep(
        self,
        axes: Mapping[str, Sequence[Any]],
        preset: tuple[Any, Mapping[str, str]] | None,
        layers: str | None,
        image: tuple[Path, NDArray[Any]] | None,
    ) -> "Sweep":
        """Make a sweep.

        Parameters
        ----------
        axes : values by name.
        preset : parameters, and options of the compiler, that axes leave as they are; None for
            those of the evaluation, or of the image.
        layers : as for :meth:`bench`.
        image : folder of an image whose network is swept in place of the paper's layers, and its
            inputs.

        Raises
        ------
        InputError
            If something does not go together.
        """
        ...

    def draw(self, figure: str, table: Path) -> "Figure":
        """Draw a figure of the table of a sweep.

        Raises
        ------
        InputError
            If the table is none, or has not what the figure shows.
        """
        ...

    def impossible(self, sweep: "Sweep", rows: Sequence[Mapping[str, Any]]) -> int:
        """Count the points that cannot be mapped."""
        ...

    def summary(self, rows: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> Table:
        """Return what is to be seen first in the rows of a sweep."""
        ...
