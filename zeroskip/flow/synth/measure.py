"""Synthesize an engine by its name, and compare it with its paper."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroskip.base.errors import InputError, ToolError
from zeroskip.base.modules import find_module
from zeroskip.base.progress import Progress
from zeroskip.base.tables import Table
from zeroskip.flow.synth.liberty import OWN_LIBERTY, read_liberty
from zeroskip.flow.synth.report import AreaReport, sum_units
from zeroskip.flow.synth.tables import HEADER, area_notes, path_table, unit_row
from zeroskip.flow.synth.yosys import check_yosys

__all__ = ["Synthesis", "area_document", "area_tables", "measure_area"]


@dataclass(frozen=True)
class Synthesis:
    """What synthesis made of an engine.

    Parameters
    ----------
    params : sizes of the array.
    report : areas and paths.
    netlists : as the engine's own checks of gates take them.
    verilog : the same as text, by file name.
    """

    params: Any
    report: AreaReport
    netlists: Any
    verilog: Mapping[str, str]


def measure_area(
    engine: str,
    preset: str,
    params: Any,
    *,
    liberty: Path | None = None,
    clock_ps: int,
    progress: Progress | None = None,
) -> Synthesis:
    """Synthesize an engine.

    Parameters
    ----------
    engine, preset : what to call the design.
    params : sizes of the array.
    liberty : a standard-cell library; the project's gate equivalents unless given.
    clock_ps : delay to map for, with libraries that have delays.
    progress : see :data:`.Progress`.

    Raises
    ------
    InputError
        If nothing can be mapped to the library.
    ToolError
        If Yosys is missing or fails.
    """
    check_yosys()
    library = read_liberty(liberty or OWN_LIBERTY)
    try:
        report, netlists = _folder(engine).area_report(
            preset, params, library, clock_ps=clock_ps, progress=progress
        )
    except ToolError as error:
        if liberty is None:
            raise
        # What Yosys and abc say does not name the file.
        raise InputError(f"nothing can be mapped to liberty file {liberty}: {error}") from error
    verilog = netlists.verilog
    return Synthesis(
        params, report, netlists, {"pe.v": verilog} if isinstance(verilog, str) else verilog
    )


def area_document(report: AreaReport) -> dict[str, Any]:
    """Return the JSON document, with what is compared with the paper."""
    return {**report.to_dict(), **_folder(report.engine).beside_paper(report)}


def area_tables(report: AreaReport, *, own: bool, ran: bool) -> Iterator[Table | str]:
    """Give all tables; ``own``: cells are the project's own; ``ran``: their gates were just run."""
    folder = _folder(report.engine)
    pe = sum_units("PE", report.pe, getattr(folder, "PAPER_TOTAL", None))
    yield Table(
        f"{report.engine.upper()} PE, preset {report.preset}: 45 nm, mapped for area; SRAMs "
        "estimated",
        HEADER,
        [unit_row(unit) for unit in [*report.pe, pe, *report.parts]],
    )
    yield from folder.paper_tables(report)
    yield path_table(report)
    yield from area_notes(report, own=own, ran=ran)


def _folder(engine: str) -> Any:
    missing = f"netlists of engine {engine!r} cannot be measured: it has no module that makes them"
    return find_module(f"zeroskip.flow.{engine}.area", missing)
