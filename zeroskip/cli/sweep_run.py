"""What the sweeps share: where the table goes, who measures the points, and what is printed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zeroskip.cli.output import Steps, print_json, print_line

if TYPE_CHECKING:
    from zeroskip.sim.sweep.run import AnySweep

__all__ = ["JobsOption", "SchedulerOption", "TableOption", "measure_points"]

TableOption = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="TABLE",
        help="A .csv or .parquet file. Finished points are kept beside it until it is "
        "complete: the same command goes on where it was stopped.",
    ),
]
JobsOption = Annotated[
    int, typer.Option("--jobs", metavar="N", help="Processes; -1 is one per core.")
]
SchedulerOption = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="Run on this Dask cluster instead."),
]


def measure_points(
    sweep: "AnySweep",
    output: Path,
    *,
    jobs: int,
    scheduler: str | None,
    as_json: bool,
    impossible: Callable[[dict[str, Any]], bool],
    show: Callable[[Sequence[dict[str, Any]]], None],
) -> None:
    """Run a sweep, write its table, and print what came out.

    Parameters
    ----------
    sweep, output, jobs, scheduler : see :func:`.run_sweep`.
    as_json : print a document, not a summary.
    impossible : whether a row stands for a point that cannot be mapped; for each of these, of
        one row only.
    show : prints a summary of the rows.
    """
    from zeroskip.sim.sweep.run import run_sweep

    with Steps() as steps:
        result = run_sweep(sweep, output, jobs=jobs, scheduler=scheduler, progress=steps)
    if as_json:
        print_json({
            "table": str(output),
            "sweep": sweep.fingerprint,
            "points": sweep.size,
            "resumed": result.resumed,
            "impossible": sum(impossible(row) for row in result.rows),
            "rows": result.rows,
        })
        return
    show(result.rows)
    kept = f", {result.resumed} of them from before" if result.resumed else ""
    print_line(f"{sweep.size} points{kept}: table in {output}")
