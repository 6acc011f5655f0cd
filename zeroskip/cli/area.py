"""``zeroskip area``: gates and SRAMs of an engine, its longest paths, beside the papers'."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from zeroskip.base.errors import InputError, ParameterError, ToolError
from zeroskip.base.staging import check_output_file
from zeroskip.cli.area_tables import print_report
from zeroskip.cli.arrays import Array, EngineOption, PresetOption, SetOption, choose_array
from zeroskip.cli.options import JsonOption, whole_number
from zeroskip.cli.output import Steps, print_json, print_line
from zeroskip.flow.synth.report import AreaReport

__all__ = ["EXAMPLES", "measure_area"]

_MOST_GATES = 4

# A report, its netlists by file name, and what runs them.
_Measured = tuple[AreaReport, Mapping[str, str], Callable[[Steps], Mapping[str, Any]]]

EXAMPLES = """Examples:

zeroskip area --preset paper

zeroskip area --preset paper --check

zeroskip area --engine scnn

zeroskip area --preset paper --liberty sg13g2_typ.lib.gz --json
"""


def measure_area(
    engine: EngineOption = "eie",
    preset: PresetOption = None,
    settings: SetOption = None,
    liberty: Annotated[
        Path | None,
        typer.Option(
            "--liberty",
            metavar="FILE",
            help="A standard-cell library, .lib or .lib.gz; the project's gate equivalents unless "
            "given.",
        ),
    ] = None,
    clock_ps: Annotated[
        int,
        typer.Option(
            "--clock-ps",
            metavar="N",
            parser=whole_number,
            help="Delay to map for, with libraries that have delays.",
        ),
    ] = 1150,
    check: Annotated[
        bool,
        typer.Option("--check", help="Run the netlists of gates, and compare every bit."),
    ] = False,
    netlists: Annotated[
        Path | None,
        typer.Option("--netlists", metavar="FOLDER", help="Leave the netlists in this folder."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Also write the JSON document here."),
    ] = None,
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline",
            help="Exit with 1 if a unit grew by over 2 % beside the baseline (area-baseline.json).",
        ),
    ] = False,
    renew: Annotated[
        bool,
        typer.Option("--renew-baseline", help="Make these figures the baseline, on purpose."),
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Synthesize an engine; show its area by unit, its longest path, and the paper's figures.

    Areas of SRAMs are estimates. Exits with 1 if a netlist differs from the models or a unit has
    outgrown the baseline.
    """
    from zeroskip.flow.synth.baseline import agreed_gates, growth, renew_baseline
    from zeroskip.flow.synth.liberty import OWN_LIBERTY, read_liberty
    from zeroskip.flow.synth.yosys import check_yosys
    from zeroskip.sim.eie.gates import passed_gates

    array = choose_array(engine, preset, settings)
    if not 1 <= clock_ps <= 1_000_000:
        raise ParameterError("clock_ps", clock_ps, "from 1 to 1000000")
    own = liberty is None
    for option, wanted in (
        ("--check", check),
        ("--baseline", baseline),
        ("--renew-baseline", renew),
    ):
        if wanted and not own:
            raise InputError(f"{option} is for the project's own cells: leave --liberty out")
        if wanted and settings and option != "--check":
            raise InputError(f"{option} is for presets as they are: leave --set out")
    if engine == "scnn" and check and (count := array.params.num_pes) > _MOST_GATES:
        raise InputError(
            f"--check simulates arrays of at most {_MOST_GATES} SCNN PEs, and this has {count}: "
            "check preset tile, whose PE differs in its sizes"
        )
    if output is not None:
        check_output_file(output)
    if netlists is not None:
        _make_folder(netlists)
    check_yosys()
    library = read_liberty(liberty or OWN_LIBERTY)
    with Steps() as steps:
        measure = _measure_eie if engine == "eie" else _measure_scnn
        try:
            report, verilog, check_all = measure(array, library, clock_ps, steps)
        except ToolError as error:
            if own:
                raise
            # What Yosys and abc say does not name the file.
            raise InputError(f"nothing can be mapped to liberty file {liberty}: {error}") from error
        if own:
            if check:
                gates = check_all(steps)
            else:
                gates = passed_gates(report.netlists) or agreed_gates(report)
            report = dataclasses.replace(report, gates=gates)
    if renew and (report.gates is None or not report.gates["passed"]):
        raise InputError("the baseline is of netlists that passed: give --check, too")
    outgrown = growth(report) if baseline else []
    if renew:
        renew_baseline(report)
    document = {**report.to_dict(), **_beside_papers(report), "outgrown": outgrown}
    if netlists is not None:
        _write_netlists(netlists, verilog)
    if output is not None:
        _write(output, document)
    if as_json:
        print_json(document)
    else:
        print_report(report, own=own, ran=check)
        for line in outgrown:
            print_line(line)
        if baseline and not outgrown:
            print_line("no unit outgrew the baseline by over 2 %")
        if renew:
            print_line("the baseline is renewed")
    differs = report.gates is not None and not report.gates["passed"]
    return int(bool(outgrown) or differs)


def _measure_eie(array: Array, library: Any, clock_ps: int, steps: Steps) -> _Measured:
    from zeroskip.flow.synth.eie import eie_report
    from zeroskip.sim.eie.gates import check_gates

    params = array.params
    report, netlists = eie_report(array.name, params, library, clock_ps=clock_ps, progress=steps)
    return report, netlists.verilog, lambda steps: check_gates(params, netlists, progress=steps)


def _measure_scnn(array: Array, library: Any, clock_ps: int, steps: Steps) -> _Measured:
    from zeroskip.flow.synth.scnn import scnn_report
    from zeroskip.sim.scnn.gates import check_scnn_gates

    params = array.params
    report, netlist = scnn_report(array.name, params, library, clock_ps=clock_ps, progress=steps)
    return (
        report,
        {"pe.v": netlist.verilog},
        lambda steps: check_scnn_gates(params, netlist, progress=steps),
    )


def _beside_papers(report: AreaReport) -> dict[str, Any]:
    """Return what is compared with a paper, but not unit by unit in um2."""
    from zeroskip.flow.synth.eie import PAPER_LOGIC, PAPER_TOTAL
    from zeroskip.flow.synth.scnn import over_multipliers

    if report.engine == "scnn":
        return {"over_multipliers": over_multipliers(report)}
    return {"paper_pe_um2": PAPER_TOTAL, "paper_pe_logic_um2": PAPER_LOGIC}


def _write(path: Path, document: Any) -> None:
    from zeroskip.base.staging import replaced_file

    with replaced_file(path) as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"folder {folder} cannot be made: {error.strerror or error}") from error


def _write_netlists(folder: Path, verilog: Mapping[str, str]) -> None:
    from zeroskip.base.staging import replaced_file

    for name, text in verilog.items():
        with replaced_file(folder / name) as file:
            file.write(text)
