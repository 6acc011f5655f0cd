"""Run a sweep to its table, from where an earlier run of it was stopped."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from zeroskip.base.errors import InputError
from zeroskip.base.progress import Progress, silent
from zeroskip.base.staging import check_output_file
from zeroskip.sim.sweep.execute import Job, on_cluster, on_cores
from zeroskip.sim.sweep.journal import Journal, Row
from zeroskip.sim.sweep.table import Columns, check_suffix, read_table, write_table

__all__ = ["Sweep", "SweepResult", "journal_path", "run_sweep"]


class Sweep(Protocol):
    """Points to measure, and the table that they make."""

    @property
    def columns(self) -> Columns:
        """Of the table."""
        ...

    @property
    def size(self) -> int:
        """Number of points, of all works."""
        ...

    @property
    def fingerprint(self) -> str:
        """Digest of the settings, which tells this sweep from others."""
        ...

    def jobs(self, done: set[int]) -> Sequence[Job]:
        """Group the points that are not done yet by what they share."""
        ...


@dataclass(frozen=True, eq=False)
class SweepResult:
    """A finished sweep.

    Parameters
    ----------
    rows : of the table, in its order.
    resumed : points, of all works, that an earlier run had finished.
    """

    rows: list[Row]
    resumed: int


def journal_path(output: Path) -> Path:
    """Return the file that keeps finished points until the table is written."""
    return output.with_name(f"{output.name}.partial")


def run_sweep(
    sweep: Sweep,
    output: Path,
    *,
    jobs: int = -1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> SweepResult:
    """Run a sweep and write its table.

    Points that share an image are a job; when it is finished they are kept at once, in
    :func:`journal_path`.

    Parameters
    ----------
    sweep : what to run.
    output : the table; its suffix says the format. A table of the same sweep is left as it is.
    jobs : processes; -1 is one per core.
    scheduler : address of a Dask scheduler to run on instead.
    progress : called with a step's name, the points done, and their number.

    Raises
    ------
    InputError
        If ``output`` cannot be written, or holds something else.
    ToolError
        As :func:`.on_cluster` does.
    """
    check_suffix(output)
    if jobs < 1 and jobs != -1:
        raise InputError(f"jobs must be at least 1, or -1 for one per core, not {jobs}")
    report = progress or silent
    total, fingerprint = sweep.size, sweep.fingerprint
    if output.exists():
        return SweepResult(_finished(output, sweep), total)
    check_output_file(output)
    with Journal(journal_path(output), fingerprint) as journal:
        resumed = len(journal.done)
        report("points", resumed, total)
        waiting = sweep.jobs(set(journal.done))
        if waiting:
            run = on_cores(waiting, jobs) if scheduler is None else on_cluster(waiting, scheduler)
            for job, rows in run:
                for number, of_point in zip(job.numbers, rows, strict=True):
                    journal.add(number, of_point)
                    report("points", len(journal.done), total)
        rows = [
            {"sweep": fingerprint, **row}
            for _, rows in sorted(journal.done.items())
            for row in rows
        ]
        write_table(rows, output, sweep.columns)
        journal.path.unlink(missing_ok=True)
    return SweepResult(rows, resumed)


def _finished(output: Path, sweep: Sweep) -> list[Row]:
    """Read a table that is there already, if it is of this sweep."""
    try:
        rows = read_table(output, sweep.columns).to_dicts()
    except InputError as error:
        raise InputError(
            f"{output} exists and is no table of a sweep: choose another output, or remove it"
        ) from error
    if {row["sweep"] for row in rows} != {sweep.fingerprint}:
        raise InputError(
            f"{output} exists and is of another sweep: choose another output, or remove it"
        )
    return rows
