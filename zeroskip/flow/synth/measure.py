"""Synthesize an engine by its name, and compare it with its paper."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zeroskip.base.errors import InputError, ToolError
from zeroskip.base.progress import Progress
from zeroskip.base.tables import Table
from zeroskip.flow.flow import Flow, flow
from zeroskip.flow.synth.liberty import OWN_LIBERTY, Liberty, read_liberty
from zeroskip.flow.synth.netlist import DEFAULT_CLOCK_PS, Netlist, synthesize
from zeroskip.flow.synth.report import AreaReport, Unit, digest, sum_units, units_of
from zeroskip.flow.synth.tables import HEADER, area_notes, path_table, unit_row
from zeroskip.flow.synth.yosys import check_yosys
from zeroskip.hw.common.emit import emit_verilog

__all__ = ["Synthesis", "area_document", "area_tables", "make_netlists", "measure_area"]


@dataclass(frozen=True)
class Synthesis:
    """What synthesis made of an engine.

    Parameters
    ----------
    params : sizes of the array.
    report : areas and paths.
    netlists : of the ``pe``, where it is a module of its own, and of the ``array``.
    """

    params: Any
    report: AreaReport
    netlists: Mapping[str, Netlist]

    @property
    def verilog(self) -> dict[str, str]:
        """The netlists' text by file name."""
        return {f"{name}.v": netlist.verilog for name, netlist in self.netlists.items()}


def make_netlists(
    flow: Flow[Any],
    params: Any,
    liberty: Liberty,
    *,
    clock_ps: int = DEFAULT_CLOCK_PS,
    path: bool = True,
    progress: Progress | None = None,
) -> dict[str, Netlist]:
    """Synthesize an array: one PE, and all else once.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    array = list(flow.modules(params))[-1]
    texts: dict[str, str] = {}
    found: dict[str, Netlist] = {}
    for name, make in flow.measured(params).items():
        boxes = [netlist.top for netlist in found.values()]
        what = "array" if name == array else "pe"
        texts[f"{what}.v"] = emit_verilog(make(), name)
        found[what] = synthesize(
            texts, name, liberty, boxes=boxes, clock_ps=clock_ps, path=path, progress=progress
        )
    return found


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
    design = flow(engine)
    library = read_liberty(liberty or OWN_LIBERTY)
    try:
        netlists = make_netlists(design, params, library, clock_ps=clock_ps, progress=progress)
        parts = design.parts(params, netlists, library)
    except ToolError as error:
        if liberty is None:
            raise
        # What Yosys and abc say does not name the file.
        raise InputError(f"nothing can be mapped to liberty file {liberty}: {error}") from error
    inside = {"pe": "control", "array": "host port" if "pe" in netlists else "control"}
    units: dict[str, tuple[Unit, ...]] = {
        name: units_of(netlist, library, own=inside[name], paper=design.paper_units)
        for name, netlist in netlists.items()
    }
    report = AreaReport(
        engine,
        preset,
        asdict(params),
        library.name,
        library.ge,
        clock_ps,
        units.get("pe", ()),
        design.num_pes(params),
        units.get("array", ()),
        parts,
        {name: netlist.path for name, netlist in netlists.items() if netlist.path is not None},
        {netlist.top: digest(netlist) for netlist in netlists.values()},
    )
    return Synthesis(params, report, netlists)


def area_document(report: AreaReport) -> dict[str, Any]:
    """Return the JSON document, with what is compared with the paper."""
    return {**report.to_dict(), **flow(report.engine).beside_paper(report)}


def area_tables(report: AreaReport, *, own: bool, ran: bool) -> Iterator[Table | str]:
    """Give all tables; ``own``: cells are the project's own; ``ran``: their gates were just run."""
    design, name = flow(report.engine), report.engine.upper()
    about = f"preset {report.preset}: 45 nm, mapped for area; SRAMs estimated"
    if report.pe:
        pe = sum_units("PE", report.pe, design.paper_total)
        rows = [unit_row(unit) for unit in [*report.pe, pe, *report.parts]]
        yield Table(f"{name} PE, {about}", HEADER, rows)
        yield from design.paper_tables(report)
    if report.array:
        pes = [report.all_pes] if report.pe else []
        yield Table(
            f"Array of {report.num_pes} PEs" if report.pe else f"{name} array, {about}",
            HEADER[:-1],
            [unit_row(unit)[:-1] for unit in [*report.array, *pes, report.total]],
        )
    yield path_table(report)
    yield from area_notes(report, own=own, ran=ran)
